"""Functions made into ops: users' own, arguments, wrong gradients, mixed devices."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Tensor, elementwise, op
from cunet import device as backend
from cunet.testing import gradcheck


def test_a_users_own_kernel_and_op(leaf, dev):
    @elementwise("T x, A k", "T y", "y = x * x * k")
    def my_forward(x, k):
        return x * x * k

    @elementwise("T gy, T x, A k", "T gx", "gx = gy * 2 * x * k")
    def my_backward(gy, x, k):
        return gy * 2 * x * k

    @op
    def scaled_square(x, *, k=1.0):
        """Return ``k * x * x``."""
        return my_forward(x, k), lambda gy: (my_backward(gy, x, k),)

    x = leaf([[1.0], [2.0]])
    y = scaled_square(x + cunet.tensor(dev([0.0, 1.0], np.float32)), k=0.5)
    assert host(y).tolist() == [[0.5, 2], [2, 4.5]]
    y.sum().backward()
    assert host(x.grad).tolist() == [[3], [5]]
    assert scaled_square.__doc__.startswith("Return")
    half = leaf([3.0], np.float16)
    z = scaled_square(half)
    z.backward()
    assert z.dtype == half.grad.dtype == np.float16
    gradcheck(lambda t: scaled_square(t, k=3.0), dev([0.3, -2.0]))


def test_an_op_takes_arrays_by_name_and_static_arguments_by_position(leaf):
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    assert host(cunet.sum(x, 0)).tolist() == [4, 6]
    assert host(cunet.sum(x, 0, True)).tolist() == [[4, 6]]
    assert host(cunet.add(y=x, x=1)).tolist() == [[2, 3], [4, 5]]
    assert host(cunet.reshape(x, (1, 4))).tolist() == [[1, 2, 3, 4]]
    with pytest.raises(TypeError, match=r"add\(\) got multiple values for argument 'x'"):
        cunet.add(x, x=1)
    with pytest.raises(TypeError, match=r"add\(\) missing required argument 'x'"):
        cunet.add(y=x)
    with pytest.raises(TypeError, match=r"sum\(\) got multiple values for argument 'axis'"):
        cunet.sum(x, 0, axis=1)
    with pytest.raises(TypeError, match=r"sum\(\) takes"):
        cunet.sum(x, 0, True, None, 5)


@pytest.mark.parametrize(
    ("vjp", "words"),
    [
        (lambda gy: gy, "vjp must return a tuple"),
        (lambda gy: (), "one entry for each array"),
        (lambda gy: (gy[:1],), r"of shape \(1,\) for an input of shape \(2,\)"),
        (lambda gy: (gy.sum(),), r"of shape \(\) for an input of shape \(2,\)"),
    ],
)
def test_a_wrong_vjp_is_named(vjp, words, leaf):
    @op
    def careless(x):
        return x * 1, vjp

    with pytest.raises((TypeError, ValueError), match=f"careless: .*{words}"):
        careless(leaf([1.0, 2.0])).sum().backward()


class Elsewhere:
    """Stands for an array of another device: refuses to mix with NumPy's, as CuPy's do."""

    def __init__(self, array):
        self.array = array
        self.ndim, self.shape, self.dtype, self.size = array.ndim, array.shape, array.dtype, array.size

    __array_ufunc__ = None

    def __radd__(self, other):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")


@pytest.mark.cpu_only
def test_mixed_devices_are_named(monkeypatch):
    monkeypatch.setattr(backend, "is_gpu_array", lambda x: isinstance(x, Elsewhere))
    x, y = Tensor(np.ones(2, np.float32)), Tensor(Elsewhere(np.ones(2, np.float32)))
    with pytest.raises(
        TypeError, match=r"add: all arrays must be on one device, got \(cpu, gpu\); move them with \.to"
    ):
        x + y
