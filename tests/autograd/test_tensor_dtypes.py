"""Which dtype numbers, lists and tuples take beside a Tensor, and which dtypes a Tensor may have."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, Tensor, nn
from cunet import device as backend


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    "number", [2.5, 2, np.float64(2.5), np.float32(2.5), np.float16(2.5), np.int64(2), np.sqrt(4.0)]
)
def test_numbers_take_the_dtype_of_the_tensor(number, dtype, dev):
    x = Tensor(dev([1.0, 2.0], dtype), requires_grad=True)
    value = float(number)
    mask = dev([True, False])
    a = np.array([1.0, 2.0])
    for y, expected in [
        (x * number, a * value),
        (number * x, a * value),
        (number - x, value - a),
        (x**number, a**value),
        (cunet.maximum(x, number), np.maximum(a, value)),
        (cunet.where(mask, x, number), [1, value]),
        (cunet.where(mask, number, x), [value, 2]),
        (cunet.stack([x[0], number]), [1, value]),
        (cunet.clip(x, number), np.clip(a, value, None)),
        (x.clip(0, number), np.clip(a, 0, value)),
        (F.elu(x, alpha=number), a),
        (F.leaky_relu(-x, number), -a * value),
    ]:
        assert y.dtype == dtype
        np.testing.assert_allclose(host(y).astype(float), expected, rtol=2e-3)
        y.sum().backward()
        assert x.grad.dtype == dtype


@pytest.mark.cpu_only
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_lists_and_tuples_take_the_dtype_of_the_tensor(dtype):
    x = Tensor(np.array([1.0, 2.0], dtype), requires_grad=True)
    for numbers in ((0.1, 3.0), [0.1, 3.0], (0.1, 3), [[0.1, 3.0]]):
        for y in (x * numbers, numbers * x):
            assert y.dtype == dtype and y.requires_grad
            np.testing.assert_array_equal(y.data, x.data * np.array(numbers, dtype))
    assert (x + (np.float64(0.1), 3.0)).dtype == np.float64  # which has a dtype of its own
    assert cunet.exp((1.0, 2.0)).dtype == F.relu([1.0, -2.0]).dtype == np.float32


def test_numbers_alone_make_float32_as_a_tensor_of_them_does(dev):
    mask = dev([True, False])
    for y, expected in [
        (cunet.where(mask, 1.0, 0.5), [1, 0.5]),
        (cunet.where(mask, 1, 0.5), [1, 0.5]),
        (cunet.where(Tensor(mask), 2.0, -1), [2, -1]),
    ]:
        assert y.dtype == np.float32
        assert host(y).tolist() == expected
    assert cunet.where(mask, 1, 0).dtype == np.int64
    assert cunet.exp(1.0).dtype == np.float32
    assert cunet.exp(np.float64(1)).dtype == np.float64


def test_integer_tensors_keep_numpys_promotion(dev):
    x = Tensor(dev([1, 2], np.int8))
    assert (x * np.int64(1000)).dtype == np.int64
    assert (x * 2).dtype == np.int8
    assert (x * 2.5).dtype == np.float64


def test_integers_get_no_gradient_by_any_door(dev):
    whole, real = dev([1, 2]), dev([1.0, 2.0], np.float32)
    with pytest.raises(TypeError, match="requires_grad needs a floating dtype, got int64"):
        Tensor(whole, requires_grad=True)
    with pytest.raises(TypeError, match="requires_grad needs a floating dtype, got int64"):
        nn.Parameter(whole)
    t = Tensor(whole)
    with pytest.raises(TypeError, match="requires_grad needs a floating dtype, got int64"):
        t.requires_grad = True
    assert t.requires_grad is False
    for x in (Tensor(real, requires_grad=True), nn.Parameter(real)):
        with pytest.raises(TypeError, match="requires_grad needs a floating dtype, got int64"):
            x.data = whole
        assert x.data is real
    frozen = nn.Parameter(whole, requires_grad=False)
    frozen.data = dev([3, 4])
    with pytest.raises(TypeError):
        frozen.requires_grad = True


def test_data_is_an_array_whatever_is_assigned(dev):
    x = Tensor(dev(2.0, np.float32), requires_grad=True)
    x.data = x.data - 0.5  # a NumPy scalar, on the CPU
    assert backend.is_array(x.data) and x.dtype == np.float32 and x.item() == 1.5
    x.data = [1.0, 2.0]
    assert x.shape == (2,) and x.dtype == np.float32
    a = dev([[1.0, 2.0]])
    x.data = a[:, :1]
    assert x.data.base is not None and x.shape == (1, 1)
    with pytest.raises(TypeError, match="got a Tensor; assign its .data"):
        x.data = Tensor(a)
    with pytest.raises(TypeError, match="expected an array"):
        x.data = "text"
    assert x.shape == (1, 1)
