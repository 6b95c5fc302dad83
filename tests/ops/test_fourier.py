"""Fourier transforms of real data: lengths, dtypes, infinities, and what is refused."""

import numpy as np
import pytest
from helpers import host

from cunet import Tensor, fft
from cunet.testing import gradcheck


@pytest.mark.parametrize("norm", [None, "backward", "ortho", "forward"])
@pytest.mark.parametrize("n", [1, 2, 3, 8, 9])
def test_back_and_forth_is_where_it_started(n, norm, dev, rng):
    x = rng.standard_normal((2, n, 3))
    there = fft.rfft(dev(x), axis=1, norm=norm)
    assert there.real.shape == there.imag.shape == (2, n // 2 + 1, 3)
    np.testing.assert_allclose(host(fft.irfft(there, n=n, axis=1, norm=norm)), x, atol=1e-14)
    gradcheck(lambda t: fft.irfft(fft.rfft(t, axis=1, norm=norm), n=n, axis=1, norm=norm), dev(x))


@pytest.mark.parametrize("n", [7, 8])
def test_power_is_kept(n, dev, rng):
    """Parseval: numbers in the middle count twice."""
    x = Tensor(dev(rng.standard_normal(n)), requires_grad=True)
    y = fft.rfft(x, norm="ortho")
    twice = np.where((np.arange(n // 2 + 1) == 0) | (2 * np.arange(n // 2 + 1) == n), 1.0, 2.0)
    power = (dev(twice) * (y.real**2 + y.imag**2)).sum()
    np.testing.assert_allclose(float(power), float((host(x) ** 2).sum()), rtol=1e-12)
    power.backward()
    np.testing.assert_allclose(host(x.grad), 2 * host(x), atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_dtype_stays(dtype, dev, rng):
    x = Tensor(dev(rng.standard_normal((2, 6)), dtype), requires_grad=True)
    y = fft.rfft(x)
    z = fft.irfft(y)
    assert y.real.dtype == y.imag.dtype == z.dtype == dtype
    z.sum().backward()
    assert x.grad.dtype == dtype


def test_one_part_alone_has_a_gradient(dev, rng):
    x = dev(rng.standard_normal(6))
    gradcheck(lambda t: fft.rfft(t).real, x)
    gradcheck(lambda t: fft.rfft(t).imag, x)
    gradcheck(lambda t: fft.irfft((t, x)), x)
    gradcheck(lambda t: fft.irfft([x, t], n=5), x)


def test_imaginary_parts_that_mean_nothing_have_gradient_0(dev, rng):
    for n, free in ((8, [0, 4]), (7, [0])):
        imag = Tensor(dev(rng.standard_normal(n // 2 + 1)), requires_grad=True)
        fft.irfft((dev(rng.standard_normal(n // 2 + 1)), imag), n=n)[1].backward()
        g = host(imag.grad)
        assert (g[free] == 0).all() and (np.delete(g, free) != 0).all()


def test_infinity_in_one_part_is_no_nan_of_the_other(dev):
    y = host(fft.irfft((dev([np.inf, 0.0]), dev([0.0, 0.0])), n=2, norm="forward"))
    assert (y == np.inf).all()


def test_a_batch_of_none(dev):
    x = Tensor(dev(np.zeros((0, 6), np.float32)), requires_grad=True)
    y = fft.rfft(x)
    assert y.real.shape == (0, 4)
    z = fft.irfft(y)
    assert z.shape == (0, 6)
    z.sum().backward()
    assert x.grad.shape == (0, 6)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: fft.rfft(x[:, :0]), ValueError, r"rfft: n must be at least 1, got 0 along axis 1 of shape \(2, 0\)"),
        (lambda x: fft.rfft(x, n=-1), ValueError, "rfft: n must be at least 1, got -1"),
        (lambda x: fft.rfft(x, axis=2), ValueError, "rfft: axis must be one of 2, got 2"),
        (lambda x: fft.rfft(x, norm="both"), ValueError, "rfft: norm must be 'backward', .* got 'both'"),
        (lambda x: fft.rfft(x.data.astype(int)), TypeError, "rfft: x must have a floating dtype, got int64"),
        (lambda x: fft.irfft(x), TypeError, "irfft: spectrum must be complex, or a pair .* got Tensor"),
        (
            lambda x: fft.irfft((x, x[0])),
            ValueError,
            r"irfft: real and imaginary part must have one shape, got \(2, 6\)",
        ),
        (lambda x: fft.irfft((x[:, :1], x[:, :1])), ValueError, "irfft: n must be at least 1, got 0"),
    ],
)
def test_what_does_not_fit_is_named(call, error, words, dev):
    with pytest.raises(error, match=words):
        call(Tensor(dev(np.ones((2, 6))), requires_grad=True))
