"""erf and erfc where a square rounds and where 1 - erf(x) is nothing."""

import math

import mpmath
import numpy as np
import pytest
from helpers import assert_ulp, host

import cunet
from cunet import Tensor


@pytest.mark.parametrize(("dtype", "end"), [(np.float32, 9.0), (np.float64, 26.0)])
@pytest.mark.parametrize("f", [cunet.erf, cunet.erfc], ids=["erf", "erfc"])
def test_gradients_are_relatively_accurate_however_small(f, dtype, end, dev):
    """A rounded square of 81 alone would cost 40 units in the last place."""
    at = np.linspace(-end, end, 201, dtype=dtype)
    x = Tensor(dev(at), requires_grad=True)
    f(x).sum().backward()
    sign = 1 if f is cunet.erf else -1
    with mpmath.workdps(60):
        expected = [sign * float(2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-(mpmath.mpf(float(v)) ** 2))) for v in at]
    assert_ulp(x.grad, expected, dtype, 4)


def test_erfc_is_what_erf_lacks_of_1_and_more(dev):
    x = np.array([0.0, 0.5, 3.0, 6.0, 9.0], np.float32)
    found = host(cunet.erfc(dev(x)))
    np.testing.assert_allclose(found, [math.erfc(v) for v in x.tolist()], rtol=1e-6)
    assert (1 - host(cunet.erf(dev(x))))[-1] == 0 < found[-1]


def test_integers_are_refused_by_name(dev):
    for name in ("erf", "erfc", "rsqrt"):
        with pytest.raises(TypeError, match=f"{name}: a floating dtype is required, got int64"):
            getattr(cunet, name)(dev([1, 2], np.int64))


def test_rsqrt_gives_a_gradient_that_its_slope_could_not(dev):
    """The slope is -0.5e45, beyond float32; its product with the gradient is not."""
    x = Tensor(dev([1e-30, 1e30, 0.0], np.float32), requires_grad=True)
    with np.errstate(all="ignore"):
        cunet.rsqrt(x).backward(dev([1e-30, 1e30, 0.0], np.float32))
    np.testing.assert_allclose(host(x.grad), [-0.5e15, -0.5e-15, 0], rtol=1e-6)
