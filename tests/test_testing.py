"""gradcheck and parity find what is wrong, and say where."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cunet
from cunet import Tensor, op
from cunet import device as backend
from cunet.autograd import rules
from cunet.testing import gradcheck, parity, ulp_distance


@op
def wrong_factor(x, y):
    return x * y, lambda gy: (gy * y, gy * x * 1.001)


@op
def wrong_element(x):
    def vjp(gy):
        gx = gy * 1
        gx[-1] = 0
        return (gx,)

    return x * 1, vjp


@op
def nan_gradient(x):
    return x * 1, lambda gy: (gy * math.nan,)


@op
def forgotten(x):
    return x * x, lambda gy: (None,)


@pytest.mark.parametrize("f", [wrong_element, nan_gradient, forgotten])
def test_wrong_gradients_are_found(f, dev):
    with pytest.raises(AssertionError, match="backward gives .* central differences give"):
        gradcheck(f, dev([0.5, 2.0, 3.0]))


def test_an_error_of_a_thousandth_is_found_in_the_input_that_has_it(dev):
    with pytest.raises(AssertionError, match="random direction"):
        gradcheck(wrong_factor, dev([0.5, 2.0]), dev([1.5, 3.0]))
    gradcheck(wrong_factor, dev([0.5, 2.0]), dev([1.5, 3.0]), differentiable=[0])


def test_right_gradients_pass(dev):
    gradcheck(lambda x, y: (x * y, cunet.exp(x).sum()), dev([0.5, 2.0], np.float32), dev([[1.0], [3.0]]))
    gradcheck(lambda x, k: x[k], dev([0.5, 2.0]), dev([1, 1]))
    gradcheck(lambda x, n: x.sum(axis=n), dev([[0.5, 2.0]]), 1)
    gradcheck(cunet.square, 3.0)
    gradcheck(cunet.square, dev(np.zeros((0, 2))))


def test_the_callers_arrays_are_left_alone(dev):
    x = Tensor(dev([1.0, 2.0]), requires_grad=True)
    gradcheck(cunet.exp, x)
    assert x.grad is None
    assert backend.asnumpy(x.data).tolist() == [1, 2]


def test_what_cannot_be_checked_is_said(dev):
    with pytest.raises(TypeError, match="at least one input"):
        gradcheck(cunet.exp, dev([1, 2]))
    with pytest.raises(TypeError, match="at least one output"):
        gradcheck(lambda x: x.astype(np.int64), dev([1.0]))
    with pytest.raises(TypeError, match="must return a Tensor"):
        gradcheck(lambda x: x.data, dev([1.0]))


def test_parity_of_the_device_under_test(device, rng):
    arrays = rng.standard_normal((3, 4)), rng.standard_normal(4)
    rows = parity(
        lambda x, y: (cunet.tanh(x) * y, x.sum(axis=0)), *arrays, dtypes=(np.float32, np.float64), device=device
    )
    assert [row["dtype"] for row in rows] == ["float32", "float64"]
    for row in rows:
        assert len(row["gradients"]) == 2
        assert row["value"] <= 8 and row["relative"] < 1e-5


def test_parity_measures_what_differs():
    calls = []

    def drifting(x):
        calls.append(1)
        return x * (1 if len(calls) == 1 else 1 + 2**-22)  # two ulp of float32

    (row,) = parity(drifting, np.array([1.0, 1.5]), dtypes=[np.float32], device="cpu")
    assert row["value"] == 3  # 1.5 * 2**-22, in units of 2**-23
    assert row["relative"] == pytest.approx(2**-22)
    assert 1 <= row["gradients"][0] <= 4


@given(st.floats(allow_nan=True), st.integers(0, 5))
def test_ulp_distance_counts_representable_numbers(x, steps):
    y = x
    for _ in range(steps):
        y = math.nextafter(y, -math.inf if x > 0 else math.inf)  # towards zero: no larger unit on the way
    if math.isfinite(x) and math.frexp(x)[1] == math.frexp(y)[1] and x * y > 0:
        assert ulp_distance(np.array([y]), np.array([x])) == steps
    assert ulp_distance(np.array([x]), np.array([x])) == 0


def test_ulp_distance_of_what_is_not_finite():
    inf, nan = math.inf, math.nan
    for a, b in [(1.0, nan), (nan, 1.0), (inf, 1.0), (1.0, inf), (inf, -inf), (nan, inf)]:
        assert ulp_distance(np.array([a]), np.array([b])) == inf
    assert ulp_distance(np.array([]), np.array([])) == 0


def test_gradcheck_of_three_derivatives(dev):
    gradcheck(lambda x, y: cunet.tanh(x) @ y, dev(np.ones((2, 3)) / 3), dev(np.arange(3.0)), order=3)
    gradcheck(lambda x: (cunet.exp(x), x * 2), dev(np.array([0.3, -1.0])), order=2)


def test_gradcheck_finds_a_wrong_second_derivative(dev):
    """Of a vjp that is right, but was told that a factor is a constant."""

    @op
    def cube(x):
        kept = x.data if isinstance(x, Tensor) else x
        return x * x * x, lambda gy: (gy * (3 * kept * kept),)

    x = dev(np.array([0.3, -1.0]))
    gradcheck(cube, x)
    with pytest.raises(AssertionError):
        gradcheck(cube, x, order=2)


def test_gradcheck_finds_a_wrong_tangent(dev):
    @op
    def double(x):
        return x * 2, lambda gy: (gy * 2,)

    gradcheck(double, dev(np.array([1.0, 2.0])), forward=True)
    rules.tangent_of(double)(lambda y, args, tangents: tangents[0] * 2.001)
    gradcheck(double, dev(np.array([1.0, 2.0])))
    with pytest.raises(AssertionError, match="jvp gives"):
        gradcheck(double, dev(np.array([1.0, 2.0])), forward=True)
