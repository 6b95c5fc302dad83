"""Tensor as an array: making one, operators, comparisons, conversions, copies."""

import copy
import operator
import pickle

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Tensor, tensor
from cunet import device as backend


@pytest.fixture
def x(dev):
    return Tensor(dev([[1.0, -2.0], [3.0, 4.0]], np.float32), requires_grad=True)


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.5, np.float32),
        ([1.0, 2], np.float32),
        ([[1, 2]], np.int64),
        (True, bool),
        ([True, False], bool),
        (3, np.int64),
        ([], np.float32),
        (np.float64(2), np.float64),
        (np.float16(2), np.float16),
        ([np.float64(2)], np.float64),
        (np.zeros(2), np.float64),
        ([np.zeros(2, np.float16)], np.float16),
    ],
    ids=str,
)
def test_dtypes_of_new_tensors(data, dtype):
    assert tensor(data).dtype == dtype
    assert Tensor(data).dtype == dtype


def test_tensor_copies_and_the_class_does_not(dev):
    a = dev([1.0, 2.0])
    assert Tensor(a).data is a
    for source in (a, Tensor(a), a[:1]):
        t = tensor(source)
        t.data[...] = 9
        assert host(a).tolist() == [1, 2]
    assert tensor(a, dtype=np.float32).dtype == np.float32
    assert tensor(a, requires_grad=True).requires_grad


def test_what_is_no_array_is_refused():
    for bad in (None, "text", {"a": 1}, object()):
        with pytest.raises(TypeError):
            Tensor(bad)
    with pytest.raises(TypeError, match="Tensor already"):
        Tensor(Tensor(1.0))


BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]


@pytest.mark.parametrize("f", BINARY, ids=lambda f: f.__name__)
def test_operators_take_arrays_and_scalars_on_either_side(f, dev):
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([2.0, 0.5])
    x = Tensor(dev(a), requires_grad=True)
    for result, expected in [
        (f(x, dev(b)), f(a, b)),
        (f(dev(b), x), f(b, a)),
        (f(x, Tensor(dev(b))), f(a, b)),
        (f(x, 2), f(a, 2)),
        (f(2, x), f(2, a)),
        (f(x, 2.5), f(a, 2.5)),
        (f(2.5, x), f(2.5, a)),
        (f(np.float64(2.5), x), f(2.5, a)),
        (f(x, np.float64(2.5)), f(a, 2.5)),
        (f(x, np.int64(2)), f(a, 2)),
    ]:
        assert isinstance(result, Tensor)
        assert result.requires_grad
        np.testing.assert_allclose(host(result), expected, rtol=1e-14)


def test_matrix_products_take_arrays_on_either_side(dev):
    a, b = np.arange(4.0).reshape(2, 2), np.array([[2.0, 1.0], [0.0, 3.0]])
    x = Tensor(dev(a), requires_grad=True)
    np.testing.assert_array_equal(host(x @ dev(b)), a @ b)
    np.testing.assert_array_equal(host(dev(b) @ x), b @ a)
    assert (dev(b) @ x).requires_grad


@pytest.mark.cpu_only
def test_an_array_does_not_swallow_a_tensor_in_place():
    a = np.ones(2)
    with pytest.raises(TypeError):
        a += Tensor(np.ones(2), requires_grad=True)
    assert a.tolist() == [1, 1]


@pytest.mark.parametrize(
    "f", [operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne], ids=lambda f: f.__name__
)
def test_comparisons_give_plain_arrays(f, x, dev):
    a = host(x)
    for other in (1.0, dev([[1.0, 5.0], [3.0, 0.0]], np.float32)):
        result = f(x, other)
        assert backend.is_array(result) and result.dtype == bool
        np.testing.assert_array_equal(host(result), f(a, host(other)))
    np.testing.assert_array_equal(host(f(x, Tensor(x.data))), f(a, a))
    np.testing.assert_array_equal(host(f(2, x)), f(2, a))


def test_tensors_are_keys(x, dev):
    other = Tensor(x.data)
    assert {x: 1, other: 2}[x] == 1


def test_shape_and_friends(x):
    assert (x.shape, x.ndim, x.size, x.dtype) == ((2, 2), 2, 4, np.float32)
    assert host(x.T).tolist() == [[1, 3], [-2, 4]]
    assert len(x) == 2
    assert [host(row).tolist() for row in x] == [[1, -2], [3, 4]]
    rows = list(x)
    (rows[1] * 2).sum().backward()
    assert host(x.grad).tolist() == [[0, 0], [2, 2]]


def test_a_0d_tensor_has_no_length(dev):
    t = Tensor(dev(1.0))
    with pytest.raises(TypeError, match="0-d"):
        len(t)
    with pytest.raises(TypeError, match="0-d"):
        iter(t)


def test_conversions_of_one_element(dev):
    one = Tensor(dev([[2.5]], np.float32), requires_grad=True)
    assert one.item() == float(one) == 2.5
    assert int(one) == 2
    assert type(one.item()) is float
    assert type(Tensor(dev(3)).item()) is int
    assert bool(one) and not bool(Tensor(dev(0.0)))
    with pytest.raises(ValueError):
        bool(Tensor(dev([1.0, 2.0])))
    with pytest.raises(ValueError):
        Tensor(dev([1.0, 2.0])).item()


def test_to_the_device_where_it_is(x, device):
    y = x.to(device)
    y.sum().backward()
    assert y.device == x.device == device
    assert host(x.grad).tolist() == [[1, 1], [1, 1]]


def test_repr_shows_what_matters(dev, device):
    where = "" if device == "cpu" else f", device={device!r}"
    assert repr(Tensor(dev([1.0, 2.5], np.float32))) == f"Tensor([1. , 2.5]{where})"
    assert repr(Tensor(dev([1, 2]))) == f"Tensor([1, 2], dtype=int64{where})"
    assert repr(Tensor(dev(1.0, np.float32), requires_grad=True)) == f"Tensor(1.{where}, requires_grad=True)"
    assert "shape=(0, 3)" in repr(Tensor(dev(np.zeros((0, 3), np.float32))))
    long = repr(Tensor(dev(np.zeros(10_000, np.float32))))
    assert len(long) < 200 and "shape=(10000,)" in long


def test_one_element_is_formatted_as_a_number(dev):
    loss = Tensor(dev(0.123456, np.float32))
    assert f"{loss:.4f}" == f"{Tensor(dev([[0.123456]], np.float32)):.4f}" == "0.1235"
    assert f"{Tensor(dev(7)):3d}" == "  7"
    assert f"{loss}" == repr(loss)
    with pytest.raises(ValueError):
        f"{Tensor(dev([1.0, 2.0])):.4f}"


def test_leaves_can_be_copied_and_pickled(x):
    x.grad = x.data * 2
    for y in (copy.deepcopy(x), copy.copy(x), pickle.loads(pickle.dumps(x))):
        assert y is not x
        assert y.requires_grad and y.is_leaf
        np.testing.assert_array_equal(host(y), host(x))
    y = copy.deepcopy(x)
    y.data[...] = 0
    assert host(x).tolist() == [[1, -2], [3, 4]]


def test_results_of_recorded_ops_are_not_copied_with_their_graph(x):
    y = x * 2
    for f in (copy.deepcopy, copy.copy, pickle.dumps):
        with pytest.raises(TypeError, match=r"detach\(\)"):
            f(y)
    np.testing.assert_array_equal(host(copy.deepcopy(y.detach())), host(y))


def calls(a):
    """Return methods, their arguments and what they give for an array."""
    return [
        ("sum", (0,), {}, a.sum(0)),
        ("mean", (), {"axis": 1, "keepdims": True}, a.mean(1, keepdims=True)),
        ("var", (), {"ddof": 1}, a.var(ddof=1)),
        ("std", (), {"axis": -1}, a.std(-1)),
        ("max", (), {"axis": 0}, a.max(0)),
        ("min", (1,), {}, a.min(1)),
        ("prod", (), {}, a.prod()),
        ("cumsum", (1,), {}, a.cumsum(1)),
        ("logsumexp", (), {"axis": 1, "keepdims": True}, np.log(np.exp(a).sum(1, keepdims=True))),
        ("cumprod", (), {"axis": 0}, a.cumprod(0)),
        ("clip", (0, 3), {}, a.clip(0, 3)),
        ("clip", (), {"min": 0}, a.clip(0)),
        ("clip", (), {"max": 2}, a.clip(max=2)),
        ("round", (1,), {}, a.round(1)),
        ("diagonal", (1,), {}, a.diagonal(1)),
        ("trace", (), {"offset": -1}, a.trace(-1)),
        ("reshape", (4,), {}, a.reshape(4)),
        ("reshape", ((1, -1),), {}, a.reshape(1, -1)),
        ("reshape", (1, 4), {}, a.reshape(1, 4)),
        ("flatten", (), {}, a.ravel()),
        ("transpose", (), {}, a.T),
        ("transpose", (1, 0), {}, a.T),
        ("transpose", ((1, 0),), {}, a.T),
        ("swapaxes", (0, 1), {}, a.T),
        ("squeeze", (), {}, a),
        ("repeat", (2,), {"axis": 0}, a.repeat(2, 0)),
        ("exp", (), {}, np.exp(a)),
        ("tanh", (), {}, np.tanh(a)),
        ("abs", (), {}, np.abs(a)),
        ("sin", (), {}, np.sin(a)),
        ("cos", (), {}, np.cos(a)),
        ("square", (), {}, a * a),
        ("astype", (np.float64,), {}, a),
    ]


def test_methods_are_the_functions_of_that_name(x):
    a = host(x).astype(np.float64)
    for name, args, kwargs, expected in calls(a):
        y = getattr(x, name)(*args, **kwargs)
        assert y.requires_grad, name
        np.testing.assert_allclose(host(y), expected, rtol=1e-6, err_msg=name)
    np.testing.assert_array_equal(host(x.argmax(axis=1)), [0, 1])
    np.testing.assert_array_equal(host(x.argmin()), 1)
    np.testing.assert_array_equal(host(abs(x)), np.abs(a))
    np.testing.assert_array_equal(host(-x), -a)
    assert host(x[:1, :1].squeeze()).shape == ()
    assert cunet.log(x * x).requires_grad
