"""hypot, arctan2, logaddexp and lerp at the ends of the range."""

import math

import numpy as np
import pytest
from helpers import flushes, host

import cunet
from cunet import Tensor

inf, nan = math.inf, math.nan
HALF = math.sqrt(0.5)


def slopes(f, *points, dev, dtype=np.float32, gradient=1.0):
    """Return value and gradients of f at points."""
    leaves = [Tensor(dev([p], dtype), requires_grad=True) for p in points]
    with np.errstate(all="ignore"):
        y = f(*leaves)
        y.backward(dev([gradient], dtype))
    return [host(a)[0] for a in (y, *(leaf.grad for leaf in leaves))]


HYPOT = [  # x, y, value, gradients
    (0.0, 0.0, 0, 0, 0),
    (3.0, -4.0, 5, 0.6, -0.8),
    (3e30, 4e30, 5e30, 0.6, 0.8),
    (3e38, 3e38, inf, HALF, HALF),
    (3e-30, 4e-30, 5e-30, 0.6, 0.8),
    (1e30, 1e-30, 1e30, 1, 0),
    (-1e30, 1e-30, 1e30, -1, 0),
    (1e-30, -1e30, 1e30, 0, -1),
    (1e-5, -1e30, 1e30, 1e-35, -1),
    (-1e30, 1e-5, 1e30, -1, 1e-35),
    (-inf, 2.0, inf, -1, 0),
    (inf, -inf, inf, HALF, -HALF),
    (nan, 1.0, nan, nan, nan),
    (0.0, nan, nan, nan, nan),
]


@pytest.mark.parametrize(("x", "y", "value", "gx", "gy"), HYPOT)
def test_hypot(x, y, value, gx, gy, dev):
    np.testing.assert_allclose(slopes(cunet.hypot, x, y, dev=dev), [value, gx, gy], rtol=1e-6)


def test_hypot_of_subnormal_numbers(dev):
    value, *slope = slopes(cunet.hypot, 3e-42, -4e-42, dev=dev)
    zero = flushes(dev)  # as at 0, 0
    np.testing.assert_allclose(slope, [0, 0] if zero else [0.6, -0.8], rtol=1e-3)
    assert value == pytest.approx(5e-42, rel=1e-3) or (zero and value == 0)


ARCTAN2 = [  # y, x, gradients
    (0.0, 0.0, 0, 0),
    (3.0, 4.0, 4 / 25, -3 / 25),
    (3e20, 4e20, 4e-20 / 25, -3e-20 / 25),
    (3e-20, -4e-20, -4e20 / 25, -3e20 / 25),
    (0.0, 2.0**-120, 2.0**120, 0),
    (1.0, 1e-30, 1e-30, -1),
    (1e-30, 1.0, 1, -1e-30),
    (1e-30, -1e30, -1e-30, 0),
    (-1e30, 1e-30, 0, 1e-30),
    (-1e10, 1e-12, 1e-32, 1e-10),
    (1e-12, -1e10, -1e-10, -1e-32),
    (inf, 2.0, 0, 0),
    (inf, -inf, 0, 0),
    (2.0, nan, nan, nan),
    (nan, 0.0, nan, nan),
]


@pytest.mark.parametrize(("y", "x", "gy", "gx"), ARCTAN2)
def test_arctan2(y, x, gy, gx, dev):
    value, *found = slopes(cunet.arctan2, y, x, dev=dev)
    np.testing.assert_allclose(value, math.atan2(y, x), rtol=1e-6)
    np.testing.assert_allclose(found, [gy, gx], rtol=1e-6)


@pytest.mark.parametrize(
    ("y", "x", "gradient", "expected"),
    [(0.0, 1e-25, 1e-20, 1e5), (0.0, 1e30, 1e20, 1e-10), (1e-20, 1e-35, 1e-30, 1e-25), (1e-10, 1e-15, -1e30, -1e35)],
)
def test_arctan2_neither_over_nor_underflows_on_the_way(y, x, gradient, expected, dev):
    np.testing.assert_allclose(slopes(cunet.arctan2, y, x, dev=dev, gradient=gradient)[1], expected, rtol=1e-6)


LOGADDEXP = [  # x, y, value, gradients
    (1000.0, 1000.0, 1000 + math.log(2), 0.5, 0.5),
    (1000.0, 0.0, 1000, 1, 0),
    (-1000.0, -1002.0, -1000 + math.log1p(math.exp(-2)), 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(2))),
    (-80.0, 0.0, math.exp(-80), math.exp(-80), 1),
    (-inf, -inf, -inf, 0.5, 0.5),
    (inf, inf, inf, 0.5, 0.5),
    (inf, -inf, inf, 1, 0),
    (-inf, 3.0, 3, 0, 1),
    (inf, 3.0, inf, 1, 0),
    (nan, 3.0, nan, nan, nan),
    (inf, nan, nan, nan, nan),
]


@pytest.mark.parametrize(("x", "y", "value", "gx", "gy"), LOGADDEXP)
def test_logaddexp(x, y, value, gx, gy, dev):
    np.testing.assert_allclose(slopes(cunet.logaddexp, x, y, dev=dev), [value, gx, gy], rtol=1e-6)


@pytest.mark.parametrize("f", [cunet.hypot, cunet.arctan2, cunet.logaddexp, cunet.lerp], ids=lambda f: f.__name__)
def test_a_gradient_of_0_stays_0(f, dev):
    more = (nan,) if f is cunet.lerp else ()
    _, *found = slopes(f, nan, inf, *more, dev=dev, gradient=0.0)
    assert not np.any(found)


LERP = [  # start, end, weight, value
    (0.1, 0.75, 1.0, 0.75),
    (0.25, 0.7, 0.0, 0.25),
    (1e8, 1.0, 1.0, 1.0),
    (1.0, 1e8, 1.0, 1e8),
    (2.0**127, -(2.0**127), 0.0, 2.0**127),
    (2.0**127, -(2.0**127), 1.0, -(2.0**127)),
    (3e38, -3e38, 0.5, 0.0),
    (-3e38, 3e38, 0.75, 1.5e38),
    (1.0, inf, 0.0, 1.0),
    (1.0, inf, 0.25, inf),
    (1.0, inf, 0.75, inf),
    (-inf, 1.0, 0.25, -inf),
    (-inf, 1.0, 1.0, 1.0),
    (-inf, inf, 0.5, nan),
    (inf, inf, 0.3, inf),
    (2.0, 2.0, 0.3, 2.0),
    (1.0, 2.0, nan, nan),
    (1.0, 2.0, 3.0, 4.0),
    (2.0, 4.0, -1.0, 0.0),
]


@pytest.mark.parametrize(("start", "end", "weight", "value"), LERP)
def test_lerp(start, end, weight, value, dev):
    found, *_ = slopes(cunet.lerp, start, end, weight, dev=dev)
    np.testing.assert_allclose(found, value, rtol=1e-6 if weight not in (0, 1) else 0)


def test_the_gradient_of_a_weight_where_the_way_leaves_the_range(dev):
    *_, gw = slopes(cunet.lerp, 3e38, -3e38, 0.5, dev=dev, gradient=1e-30)
    np.testing.assert_allclose(gw, -6e8, rtol=1e-6)


def test_lerp_is_exact_at_both_ends(rng, dev):
    a, b = (rng.standard_normal(1000).astype(np.float32) * 10.0 ** rng.integers(-9, 9, 1000) for _ in range(2))
    a, b = a.astype(np.float32), b.astype(np.float32)
    assert (host(cunet.lerp(dev(a), dev(b), 0.0)) == a).all()
    assert (host(cunet.lerp(dev(a), dev(b), 1.0)) == b).all()
    assert cunet.lerp(dev(a), dev(b), 1).dtype == np.float32


@pytest.mark.parametrize("f", [cunet.hypot, cunet.arctan2, cunet.logaddexp], ids=lambda f: f.__name__)
def test_numbers_integers_and_two_dtypes(f, dev):
    plain = getattr(np, f.__name__)
    a, b = np.array([1, 2, -3]), np.array([0.5, -1, 2], np.float32)
    for x, y in ((a, b), (b, 2.0), (2, b), (b, b.astype(np.float64)), (a, a)):
        found = f(*(dev(v) if isinstance(v, np.ndarray) else v for v in (x, y)))
        assert found.dtype == plain(x, y).dtype
        np.testing.assert_allclose(host(found), plain(x, y), rtol=1e-6)
    leaf = Tensor(dev(b), requires_grad=True)
    f(dev(a), leaf).sum().backward()
    assert leaf.grad.dtype == np.float32
    f(leaf, 2.0).sum().backward()
    assert np.isfinite(host(leaf.grad)).all()


def test_an_empty_axis(dev):
    x = Tensor(dev(np.zeros((0, 3), np.float32)), requires_grad=True)
    for f in (cunet.hypot, cunet.arctan2, cunet.logaddexp):
        f(x, dev(np.ones(3, np.float32))).sum().backward()
    cunet.lerp(x, 1.0, 0.3).sum().backward()
    assert x.grad.shape == (0, 3)
