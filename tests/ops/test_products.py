"""Products as NumPy has them: empty axes, numbers, and what does not fit."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, Tensor
from cunet.testing import gradcheck


@pytest.mark.parametrize("axes", [0, 1, np.int64(2), ((0,), (1,)), (1, 0), (np.int64(1), 0), ([0, 1], [1, 0])], ids=str)
@pytest.mark.parametrize("n", [0, 1, 3])
def test_tensordot_is_numpys(axes, n, rng, dev):
    a, b = rng.standard_normal((n, n)), rng.standard_normal((n, n))
    y = cunet.tensordot(Tensor(dev(a)), dev(b), axes)
    np.testing.assert_allclose(host(y), np.tensordot(a, b, axes), rtol=1e-12)


@pytest.mark.parametrize("f", ["dot", "inner", "outer"])
@pytest.mark.parametrize("shapes", [((), (3,)), ((3,), ()), ((), ()), ((2, 3), (3, 3)), ((4, 0), (0, 0))], ids=str)
def test_products_are_numpys(f, shapes, rng, dev):
    a, b = (rng.standard_normal(s) for s in shapes)
    y = getattr(cunet, f)(dev(a), dev(b))
    np.testing.assert_allclose(host(y), getattr(np, f)(a, b), rtol=1e-12)
    gradcheck(getattr(cunet, f), dev(a), dev(b))


@pytest.mark.cpu_only
@pytest.mark.parametrize("other", [np.float32, np.float16, np.int64])
def test_a_product_of_two_dtypes_is_that_of_the_wider_one(other, rng):
    """NumPy's own loop for two dtypes adds in another order, and takes several times as long."""
    a, b = rng.standard_normal((60, 300)), (8 * rng.standard_normal((300, 50))).astype(other)
    wide = a @ b.astype(np.float64)
    for y in (cunet.matmul(a, b), cunet.matmul(b.T, a.T).T, F.linear(a, b.T), cunet.einsum("ij,jk->ik", a, b)):
        assert y.dtype == np.float64
        np.testing.assert_allclose(y.data, wide, rtol=1e-13, atol=1e-13)
    assert cunet.matmul(a, b).data.tobytes() == wide.tobytes()
    x, w = Tensor(a, requires_grad=True), Tensor(b.astype(np.float32), requires_grad=True)
    (x @ w).sum().backward()
    assert (x.grad.dtype, w.grad.dtype) == (np.float64, np.float32)


def test_numbers_and_lists():
    assert cunet.dot(2.0, Tensor([1.0, 2.0])).data.tolist() == [2, 4]
    assert cunet.inner([1.0, 2.0], [3.0, 4.0]).item() == 11
    assert cunet.outer([1.0, 2.0], (3.0, 4.0)).data.tolist() == [[3, 4], [6, 8]]


@pytest.mark.parametrize("axes", [3, ((0,), (0,)), ((0, 1), (1,)), (2, 0), ((0,), (5,))], ids=str)
def test_axes_that_do_not_fit_are_named(axes):
    with pytest.raises(ValueError, match=r"tensordot: axes must be pairs of equal length.*\(2, 3\) and \(3, 2\)"):
        cunet.tensordot(np.ones((2, 3)), np.ones((3, 2)), axes)
    with pytest.raises(ValueError, match="dot: axes must be pairs of equal length"):
        cunet.dot(np.ones((2, 2, 3)), np.ones((2, 2, 3)))


NUMBERS = [0.1, 2, True, np.float64(2), np.float32(2), np.int64(2)]


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    "f",
    [cunet.outer, cunet.inner, cunet.dot, lambda x, y: cunet.tensordot(x, y, 0)],
    ids=["outer", "inner", "dot", "tensordot"],
)
def test_a_number_takes_the_dtype_and_the_device_of_the_array_it_meets(f, dtype, number, dev):
    x = Tensor(dev([1.0, 2.0, 3.0], dtype), requires_grad=True)
    for y in (f(number, x), f(x, number), f(number, x.data)):
        assert y.dtype == dtype
        assert y.device == x.device
        np.testing.assert_array_equal(host(y).ravel(), np.array([1, 2, 3], dtype) * dtype(number))


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_einsum_of_a_number_and_an_array(number, dev):
    x = Tensor(dev([1.0, 2.0], np.float32), requires_grad=True)
    y = cunet.einsum(",i->i", number, x)
    assert (y.dtype, y.device) == (np.float32, x.device)
    np.testing.assert_array_equal(host(y), np.array([1, 2], np.float32) * np.float32(number))


def test_lists_meet_arrays_of_any_device(dev):
    x = Tensor(dev([1.0, 2.0], np.float32), requires_grad=True)
    for y in (x + [1.0, 1.0], (1.0, 1.0) + x, cunet.concatenate([x, [3.0]])[1:], cunet.outer([1.0], x)[0] + 1):
        assert (y.dtype, y.device) == (np.float32, x.device)
        np.testing.assert_array_equal(host(y), [2, 3])


def test_a_0d_numpy_array_beside_one_of_the_device_is_told_what_it_is(dev, device):
    x = Tensor(dev([1.0, 2.0]))
    if device == "cpu":
        assert cunet.outer(np.array(2.0), x).shape == (1, 2)
        return
    for f in (cunet.add, cunet.outer, cunet.maximum):
        with pytest.raises(TypeError, match=r"all arrays must be on one device, got \(cpu, gpu\)"):
            f(np.array(2.0), x)
