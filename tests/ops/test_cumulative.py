"""Running sums and products: zeros, the range, lengths around powers of two, dtypes."""

import fractions

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Tensor
from cunet.ops.cumulative import _cumprod_backward_by_sums
from cunet.testing import gradcheck


def slopes(values, weights):
    """Return the gradient of ``sum(weights * cumprod(values))``, exactly, as floats."""
    exact = [fractions.Fraction(v) for v in values]
    total = [fractions.Fraction(0)] * len(exact)
    for i in range(len(exact)):
        others = fractions.Fraction(1)
        for k in range(len(exact)):
            others *= 1 if k == i else exact[k]
            if k >= i:
                total[i] += fractions.Fraction(weights[k]) * others
    return [float(v) for v in total]


def gradient(values, weights, dtype, dev):
    x = Tensor(dev(values, dtype), requires_grad=True)
    with np.errstate(all="ignore"):
        cunet.cumprod(x).backward(dev(weights, dtype))
    return host(x.grad)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 33])
def test_the_gradient_of_a_running_product_at_every_length(length, rng, dev):
    x, w = rng.uniform(-2, 2, length), rng.uniform(-1, 1, length)
    np.testing.assert_allclose(gradient(x, w, np.float64, dev), slopes(x, w), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("zeros", [(0,), (3,), (6,), (0, 1), (2, 5), (0, 3, 6), tuple(range(7))], ids=str)
def test_with_any_number_of_zeros(zeros, rng, dev):
    x, w = rng.uniform(0.5, 2, 7), rng.uniform(-1, 1, 7)
    x[list(zeros)] = 0
    np.testing.assert_allclose(gradient(x, w, np.float64, dev), slopes(x, w), rtol=1e-12)
    gradcheck(cunet.cumprod, dev(x))


@pytest.mark.parametrize(
    "powers",
    [(-30, -30, -30, 30, 30, 30), (30, 30, 30, -30, -30, -30), (30, -30, 30, -30, 30, -30), (-30, 30, 30, -30)],
    ids=str,
)
def test_where_a_part_of_the_product_leaves_the_range(powers, dev):
    x = [float(np.float32(10.0**p)) for p in powers]
    last = [0.0] * (len(x) - 1) + [1.0]
    with np.errstate(over="ignore"):
        expected = np.array(slopes(x, last)).astype(np.float32)
    np.testing.assert_allclose(gradient(x, last, np.float32, dev), expected, rtol=1e-5)


def test_a_long_product_and_small_terms_beside_large_ones(rng, dev):
    x = np.exp(rng.normal(0, 3, 400))  # parts of the product reach over 1e100
    last = np.zeros(400)
    last[-1] = 1
    found = gradient(x.astype(np.float32), last, np.float32, dev)
    logs = np.log(x.astype(np.float32).astype(float))
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(found, np.exp(logs.sum() - logs).astype(np.float32), rtol=1e-3)
    tiny = gradient([1e-18, 1e-18, 2.0], [1.0, 1.0, 1.0], np.float32, dev)
    np.testing.assert_allclose(tiny, slopes([1e-18, 1e-18, 2.0], [1, 1, 1]), rtol=1e-6)


@pytest.mark.cpu_only
def test_only_products_beyond_the_range_of_float64_are_taken_apart(rng):
    """Rows with none, one and several zeros; of float32 the square of 1e-30 is no reason."""
    x, w = rng.uniform(0.5, 2, (4, 50)), rng.uniform(-1, 1, (4, 50))
    x[1, 20] = x[2, 0] = x[3, [7, 8, 30]] = w[0, 3] = 0
    x[0, :3] = 1e-30, 1e30, 1e-30
    for dtype, tolerance in ((np.float32, 1e-5), (np.float64, 1e-12)):
        a, g = x.astype(dtype), w.astype(dtype)
        with np.errstate(all="ignore"):
            found = _cumprod_backward_by_sums(g, a)
        assert found.dtype == dtype
        for row, gradient, expected in zip(a, g, found, strict=True):
            np.testing.assert_allclose(slopes(row.tolist(), gradient.tolist()), expected, rtol=tolerance, atol=1e-9)
    rows = [
        [1e-200, 1e-200, 1e300],
        [1e200, 1e200, 1],
        [1e-160, 1e-160, 1],
        [np.inf, 1, 1],
        [0, np.inf, 0],
        [np.nan] * 3,
    ]
    with np.errstate(all="ignore"):
        for row in rows:
            assert _cumprod_backward_by_sums(np.ones(3), np.array(row)) is None
        assert _cumprod_backward_by_sums(np.array([1e-160, 1, 1]), np.array([1e-160, 1, 1])) is None


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0), (2, 3)], ids=str)
def test_shapes_and_axes(name, shape, rng, dev):
    a = rng.uniform(0.5, 2, shape)
    f, plain = getattr(cunet, name), getattr(np, name)
    for axis in (None, 0, -1):
        x = Tensor(dev(a), requires_grad=True)
        y = f(x, axis=axis)
        np.testing.assert_allclose(host(y), plain(a, axis=axis), rtol=1e-14)
        y.sum().backward()
        assert x.grad.shape == shape
        np.testing.assert_array_equal(host(getattr(x, name)(axis)), host(y))
    with pytest.raises(np.exceptions.AxisError):
        f(dev(a), axis=3)


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_dtypes(name, dev):
    f, plain = getattr(cunet, name), getattr(np, name)
    whole = np.array([3, 40, 50], np.int32)
    assert f(dev(whole)).dtype == plain(whole).dtype
    np.testing.assert_array_equal(host(f(dev(whole))), plain(whole))
    half = Tensor(dev([300.0, 300.0, 0.5], np.float16), requires_grad=True)
    y = f(half, dtype=np.float32)
    assert y.dtype == np.float32 and np.isfinite(host(y)).all()
    y.sum().backward()
    assert half.grad.dtype == np.float16
    assert getattr(half, name)(dtype=np.float64).dtype == np.float64


def test_half_types_are_multiplied_in_float32(dev):
    x = np.full(64, 1 + 2.0**-10, np.float16)
    y = host(cunet.cumprod(dev(x)))
    assert y.dtype == np.float16
    np.testing.assert_array_equal(y, np.cumprod(x.astype(np.float32)).astype(np.float16))
