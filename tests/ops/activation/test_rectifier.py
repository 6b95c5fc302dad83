"""Slopes that are not finite, and gradients near the end of the range: the same on every route."""

import math

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, Tensor


@pytest.mark.parametrize("slope", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_weight_of_prelu_that_is_not_finite_reaches_negative_inputs_only(slope, channels, dev):
    x = Tensor(dev([[2.0, 2.0, 2.0], [-1.0, -1.0, -1.0]]), requires_grad=True)
    weight = Tensor(dev([slope] * channels), requires_grad=True)
    y = F.prelu(x, weight)
    y.backward(dev(np.ones((2, 3))))
    assert host(y)[0].tolist() == [2, 2, 2]
    np.testing.assert_array_equal(host(y)[1], [-slope] * 3)
    assert host(x.grad)[0].tolist() == [1, 1, 1]
    np.testing.assert_array_equal(host(x.grad)[1], [slope] * 3)
    np.testing.assert_array_equal(host(weight.grad), [-3.0 / channels] * channels)


@pytest.mark.parametrize("value", [math.inf, math.nan])
@pytest.mark.parametrize("name", ["leaky_relu", "elu", "celu"])
def test_a_slope_that_is_not_finite_is_refused(name, value, dev):
    with pytest.raises(ValueError, match=rf"{name}: \w+ must be .*got {value}"):
        getattr(F, name)(dev([1.0]), value)


def test_a_gradient_near_the_end_of_the_range_goes_through_tanh(dev):
    x = Tensor(dev([0.0], np.float32), requires_grad=True)
    cunet.tanh(x).backward(dev([3e38], np.float32))
    assert host(x.grad) == np.float32(3e38)
