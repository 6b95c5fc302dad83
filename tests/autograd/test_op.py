"""README invites users to write ops and kernels: whatever their names, the library's own do what they did."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Tensor, elementwise, op
from cunet.autograd import operators
from cunet.kernels import KERNELS


def everything(x):
    """Return the results of all operators and methods that run an op."""
    y = x.reshape(2, 2)
    results = [x + x, x - 1, 3 * x, 1 / x, x**2, 2**x, y @ y, -x, abs(x), y.T, y[0], y[:, 1]]
    results += [x.exp(), x.log(), x.sqrt(), x.tanh(), x.abs(), x.sin(), x.cos(), x.square(), x.cumsum(), y.flatten()]
    results += [getattr(x, name)() for name in ("sum", "mean", "var", "std", "max", "min", "prod", "logsumexp")]
    results += [
        x % 2,
        x // 2,
        2 % x,
        2 // x,
        *divmod(x, 2),
        *divmod(2, x),
        x.round(1),
        x.cumprod(),
        y.diagonal(),
        y.trace(),
    ]
    results += [x.argmax(), x.argmin(), x.argsort(), x.all(), x.any()]
    results += [x.clip(1, 2), x.repeat(2), y.swapaxes(0, 1), y.transpose(1, 0), x.squeeze(), x.astype(np.float64)]
    return [*results, x.to(x.device)]


@pytest.mark.parametrize("name", sorted(vars(operators.ops)))
def test_a_users_op_of_any_name_changes_nothing(name, dev):
    data = dev([0.5, 1.5, 2.0, 3.0], np.float32)
    before = [host(y).tobytes() for y in everything(Tensor(data))]

    def body(*arrays, **static):
        raise AssertionError(f"{name} of the library called a user's {name}")

    body.__name__ = body.__qualname__ = name
    op(body)
    assert [host(y).tobytes() for y in everything(Tensor(data))] == before


def test_a_users_op_named_like_an_operator_is_that_users_alone(dev):
    x = Tensor(dev([1.0, 2.0], np.float32), requires_grad=True)

    @op
    def add(x, y):
        return x - y, lambda gy: (gy, lambda: -gy)

    @op
    def exp(x):
        return x * 0, lambda gy: (gy * 0,)

    assert host(add(x, x)).tolist() == [0, 0]
    assert host(exp(x)).tolist() == [0, 0]
    (x + x.exp()).sum().backward()
    np.testing.assert_allclose(host(x.grad), 1 + np.exp([1, 2]), rtol=1e-6)
    assert host(cunet.add(x, x)).tolist() == [2, 4]


def test_a_users_kernel_of_the_librarys_name_changes_nothing(dev, monkeypatch):
    x = Tensor(dev([0.5, -1.0, 2.0], np.float32), requires_grad=True)
    for name in ("tanh_forward", "tanh_backward"):
        monkeypatch.setitem(KERNELS, name, KERNELS[name])  # puts them back after the test

    @elementwise("T x", "T y", "y = x * 0")
    def tanh_forward(x):
        return x * 0

    @elementwise("T gy, T x", "T gx", "gx = gy * 0")
    def tanh_backward(gy, x):
        return gy * 0

    @op
    def tanh(x):
        return tanh_forward(x), lambda gy: (tanh_backward(gy, x),)

    assert not host(tanh(x)).any()
    y = cunet.tanh(x)
    y.sum().backward()
    np.testing.assert_allclose(host(y), np.tanh(host(x)), rtol=1e-6)
    np.testing.assert_allclose(host(x.grad), 1 - np.tanh(host(x)) ** 2, rtol=1e-5)
