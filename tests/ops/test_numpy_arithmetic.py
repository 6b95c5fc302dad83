"""Functions of NumPy that compute, on Tensors."""

import mpmath
import numpy as np
import pytest
from helpers import host, turn
from numpy_helpers import check_calls

from cunet import Tensor, grad
from cunet.ops.numpy_arithmetic import FUNCTIONS, UFUNCS

#: of an array (4, 3) of numbers from 0.5 to 1.5, and another
CALLS = {
    "angle": lambda x, b: x * np.angle(x - 1.03),
    "angle in degrees": lambda x, b: x * np.angle(x - 1.03, deg=True),
    "cbrt": lambda x, b: np.cbrt(x) + np.cbrt(-x * b),
    "conjugate": lambda x, b: np.conj(x),
    "convolve": lambda x, b: np.convolve(x[0], b[:, 1]),
    "convolve, same": lambda x, b: np.convolve(x.ravel(), x[0], "same"),
    "convolve, valid": lambda x, b: np.convolve(b[:, 0], x.ravel(), mode="valid"),
    "copysign": lambda x, b: np.copysign(x, b - 1.2),
    "correlate": lambda x, b: np.correlate(x.ravel(), b[:, 1]),
    "correlate, full": lambda x, b: np.correlate(x[0], x[:, 0], "full"),
    "correlate, same": lambda x, b: np.correlate(x[:, 0], b[0], "same"),
    "correlate, same, of the shorter": lambda x, b: np.correlate(x[0], b.ravel(), "same"),
    "cross": lambda x, b: np.cross(x, b),
    "cross of columns": lambda x, b: np.cross(x[:3], b[0], axisa=0, axisc=0),
    "cross along an axis": lambda x, b: np.cross(x[:3], b[:3], axis=0),
    "cumulative_prod": lambda x, b: np.cumulative_prod(x, axis=1) if hasattr(np, "cumulative_prod") else x,
    "cumulative_sum": lambda x, b: np.cumulative_sum(x[0]) if hasattr(np, "cumulative_sum") else x,
    "deg2rad": lambda x, b: np.deg2rad(x),
    "degrees": lambda x, b: np.degrees(x),
    "float_power": lambda x, b: np.float_power(x, b),
    "fmax": lambda x, b: np.fmax(x, np.where(b == 1.5, np.nan, b)),
    "fmax of NaN": lambda x, b: np.fmax(np.where(b == 1.5, np.nan, x), b),
    "fmin": lambda x, b: np.fmin(x, b),
    "fmod": lambda x, b: np.fmod(3.01 - 5 * x, b - 2.1),
    "fmod of a number": lambda x, b: np.fmod(7.3, x),
    "geomspace": lambda x, b: np.geomspace(x[0], b[0], 5),
    "geomspace of negative numbers": lambda x, b: np.geomspace(-x[0], -b[0], 4, axis=1),
    "heaviside": lambda x, b: x * np.heaviside(x - 1.03, 0.5),
    "heaviside at 0": lambda x, b: np.heaviside(0 * b, x),
    "imag": lambda x, b: x + np.imag(x),
    "kron": lambda x, b: np.kron(x, b[:2]),
    "kron of fewer axes": lambda x, b: np.kron(x[0], b),
    "kron of numbers": lambda x, b: np.kron(2.0, x),
    "linspace": lambda x, b: np.linspace(x, b, 4),
    "linspace without its end": lambda x, b: np.linspace(x[0], 2.0, 4, endpoint=False, axis=1),
    "linspace with its step": lambda x, b: np.linspace(0.0, x[0], 3, retstep=True),
    "linspace of one": lambda x, b: np.linspace(x[0, 0], b[0, 0], 1),
    "logaddexp2": lambda x, b: np.logaddexp2(x, b),
    "logspace": lambda x, b: np.logspace(x[0], b[0], 3),
    "logspace of a base": lambda x, b: np.logspace(1.0, 2.0, 3, base=x[0, 0]),
    "matvec": lambda x, b: np.matvec(x, b) if "matvec" in dir(np) else x,
    "modf": lambda x, b: np.modf(3.3 * x),
    "polyval": lambda x, b: np.polyval(x[0], b),
    "polyval of numbers": lambda x, b: np.polyval([1.0, -2.0, 3.0], x),
    "positive": lambda x, b: +np.positive(x),
    "rad2deg": lambda x, b: np.rad2deg(x),
    "radians": lambda x, b: np.radians(x),
    "real": lambda x, b: np.real(x) * 2,
    "real_if_close": lambda x, b: np.real_if_close(x) * 2,
    "sinc": lambda x, b: np.sinc(3.1 * (x - 1)),
    "vander": lambda x, b: np.vander(x[0]),
    "vander, rising": lambda x, b: np.vander(x[0], 4, increasing=True),
    "vdot": lambda x, b: np.vdot(x, b),
    "vecdot": lambda x, b: np.vecdot(x, b) if "vecdot" in dir(np) else x,
    "vecmat": lambda x, b: np.vecmat(x[:, 0], b) if "vecmat" in dir(np) else x,
}


def test_calls(rng, dev):
    check_calls(CALLS, rng, dev, wide={"float_power"})


@pytest.mark.cpu_only
def test_every_function_is_called():
    called = {name.split()[0].rstrip(",") for name in CALLS}
    assert {f.__name__ for f in (*FUNCTIONS, *UFUNCS)} <= called


def test_values_at_the_edges(dev):
    inf, nan = np.inf, np.nan
    x = np.array([0.0, -0.0, 1.0, -1.0, 5.5, -5.5, inf, -inf, nan])
    for f in (
        *(lambda x: np.fmod(x, 2.0), lambda x: np.fmod(x, -2.0), lambda x: np.fmod(5.0, np.where(x == x, x, 1.0))),
        *(lambda x: np.fmax(x, 1.0), lambda x: np.fmin(1.0, x), lambda x: np.modf(x)[0], lambda x: np.modf(x)[1]),
        *(lambda x: np.heaviside(x, 0.5), lambda x: np.copysign(1.0, x), lambda x: np.copysign(x, -1.0), np.angle),
        *(lambda x: np.logaddexp2(x, 0.0), lambda x: np.cumsum(np.heaviside(x[:8], 1.0))),
    ):
        with np.errstate(invalid="ignore"):
            expected = f(x)
        np.testing.assert_allclose(host(f(Tensor(dev(x), requires_grad=True))), expected, rtol=1e-15)


def test_derivatives_of_sinc(dev):
    """Near 0, where the quotient's are small differences of large numbers, at whole numbers, where branches meet."""
    points = [0.0, 1e-9, -1e-3, 0.3, 0.499999, 0.5, -0.5, 0.500001, 1.0, 2.0, -2.5, 7.25, 1001.0]

    def derivative(n, x):
        return np.sinc(x) if n == 0 else grad(lambda x: derivative(n - 1, x).sum())(x)

    for n in range(4):
        with mpmath.workdps(60), turn(n):
            expected = [float(mpmath.diff(mpmath.sincpi, mpmath.mpf(p), n)) for p in points]
            np.testing.assert_allclose(host(derivative(n, Tensor(dev(points)))), expected, rtol=1e-10, atol=1e-13)


def test_slopes_at_0(dev):
    x = dev(np.array([0.0]))
    assert host(grad(lambda x: np.fmod(x, 2.0).sum())(x)).tolist() == [1]
    assert host(grad(lambda x: np.fmax(x, 0.0).sum())(x)).tolist() == [0.5]


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: np.convolve(x, x[0]), r"correlate: two arrays of one axis, not empty, are required, got \(4, 3\)"),
        (lambda x: np.correlate(x[0], x[:0, 0]), r"not empty, are required, got \(3,\) and \(0,\)"),
        (lambda x: np.correlate(x[0], x[0], "all"), "mode must be valid, same or full, got 'all'"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call(Tensor(np.ones((4, 3)), requires_grad=True))


@pytest.mark.cpu_only
def test_vectors_of_length_2_have_no_cross_product():
    with pytest.raises(TypeError, match=r"np\.cross would lose .*takes no vectors of another length than 3"):
        np.cross(Tensor(np.ones((4, 2)), requires_grad=True), np.ones(2))
