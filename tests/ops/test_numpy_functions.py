"""NumPy's functions on Tensors: they differentiate, or say what would; what has no gradient gives arrays."""

import operator

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Tensor
from cunet import device as backend
from cunet.ops.numpy_functions import CONSTANT, INSTEAD, UFUNCS
from cunet.ops.numpy_signatures import has_op
from cunet.parity.row import public_ops
from cunet.testing import gradcheck

B = np.array([[0.5, 2.0], [1.5, 0.25], [3.0, 1.0]])

#: name, expression of an array (3, 2) of positive numbers and of NumPy with B on the same device
SAME = {
    "absolute": lambda x, b: np.absolute(-x),
    "add": lambda x, b: np.add(x, b),
    "add of an array": lambda x, b: np.add(b, x),
    "add.accumulate": lambda x, b: np.add.accumulate(x, axis=1),
    "add.reduce": lambda x, b: np.add.reduce(x),
    "add.reduce over all": lambda x, b: np.add.reduce(x, axis=None),
    "add.reduce kept": lambda x, b: np.add.reduce(x, axis=1, keepdims=True),
    "add.reduce by position": lambda x, b: np.add.reduce(x, 1),
    "add everywhere": lambda x, b: np.add(x, b, where=True),
    "astype": lambda x, b: np.astype(x, np.float64) * 2 if hasattr(np, "astype") else x * 2,
    "amax": lambda x, b: np.amax(x, 0),
    "arcsinh": lambda x, b: np.arcsinh(x),
    "broadcast_to": lambda x, b: np.broadcast_to(x, (2, 3, 2)),
    "clip": lambda x, b: np.clip(x, 0.7, 1.2),
    "clip by name": lambda x, b: np.clip(x, a_min=0.7, a_max=None),
    "clip by new name": lambda x, b: np.clip(x, min=0.7),
    "concatenate": lambda x, b: np.concatenate([x, b, x], axis=1),
    "concatenate flat": lambda x, b: np.concatenate((b, x), axis=None),
    "cos": lambda x, b: np.cos(x),
    "cumsum": lambda x, b: np.cumsum(x, axis=0),
    "cumsum flat": lambda x, b: np.cumsum(x),
    "diagonal": lambda x, b: np.diagonal(x),
    "divide": lambda x, b: np.divide(b, x),
    "dot": lambda x, b: np.dot(x, b.T),
    "einsum": lambda x, b: np.einsum("ij,kj->ik", x, b, optimize=True),
    "exp": lambda x, b: np.exp(x),
    "expand_dims": lambda x, b: np.expand_dims(x, 1),
    "expm1": lambda x, b: np.expm1(x),
    "flip": lambda x, b: np.flip(x, 0),
    "hstack": lambda x, b: np.hstack([x, b]),
    "hstack of rows": lambda x, b: np.hstack((x[0], b[1])),
    "inner": lambda x, b: np.inner(x, b),
    "log": lambda x, b: np.log(x),
    "log1p": lambda x, b: np.log1p(x),
    "matmul": lambda x, b: np.matmul(x, b.T),
    "matmul of an array": lambda x, b: b.T @ x,
    "max": lambda x, b: np.max(x, axis=1, keepdims=True),
    "maximum": lambda x, b: np.maximum(x, b),
    "maximum.reduce": lambda x, b: np.maximum.reduce(x, axis=1),
    "mean": lambda x, b: np.mean(x, 1),
    "min": lambda x, b: np.min(x),
    "minimum": lambda x, b: np.minimum(x, 1.0),
    "moveaxis": lambda x, b: np.moveaxis(x.reshape(1, 3, 2), 0, -1),
    "moveaxis of two": lambda x, b: np.moveaxis(x.reshape(3, 1, 2), (2, 0), (0, 1)),
    "multiply": lambda x, b: np.multiply(x, b),
    "multiply.reduce": lambda x, b: np.multiply.reduce(x, axis=0),
    "negative": lambda x, b: np.negative(x),
    "outer": lambda x, b: np.outer(x, b),
    "pad": lambda x, b: np.pad(x, ((1, 0), (0, 2)), constant_values=3),
    "power": lambda x, b: np.power(x, b),
    "prod": lambda x, b: np.prod(x, axis=(0, 1)),
    "ravel": lambda x, b: np.ravel(x),
    "repeat": lambda x, b: np.repeat(x, 2, axis=1),
    "reshape": lambda x, b: np.reshape(x, (2, 3)),
    "split": lambda x, b: np.split(x, [1], axis=0)[1],
    "sqrt": lambda x, b: np.sqrt(x),
    "square": lambda x, b: np.square(x),
    "squeeze": lambda x, b: np.squeeze(x[:1], axis=0),
    "stack": lambda x, b: np.stack([x, b], axis=-1),
    "std": lambda x, b: np.std(x, axis=0, ddof=1),
    "subtract": lambda x, b: np.subtract(b, x),
    "sum": lambda x, b: np.sum(x, axis=-1),
    "sum of all": lambda x, b: np.sum(x),
    "swapaxes": lambda x, b: np.swapaxes(x, 0, 1),
    "tanh": lambda x, b: np.tanh(x),
    "tensordot": lambda x, b: np.tensordot(x, b, axes=([0], [0])),
    "tile": lambda x, b: np.tile(x, (2, 1)),
    "transpose": lambda x, b: np.transpose(x, (1, 0)),
    "var": lambda x, b: np.var(x, axis=1, keepdims=True),
    "vstack": lambda x, b: np.vstack([x, b]),
    "vstack of rows": lambda x, b: np.vstack([x[0], b[1]]),
    "where": lambda x, b: np.where(b > 1, x, b),
    "array += through out of place": lambda x, b: b + x - b * x / (b**x),
}


@pytest.fixture
def a(rng):
    return rng.uniform(0.5, 1.5, (3, 2))


@pytest.mark.parametrize("name", SAME)
def test_a_function_of_numpy_runs_the_op(name, a, dev):
    f, b = SAME[name], dev(B)
    x = Tensor(dev(a), requires_grad=True)
    y = f(x, b)
    assert isinstance(y, Tensor) and y.requires_grad
    np.testing.assert_allclose(host(y), f(a, B), rtol=1e-12)
    gradcheck(lambda t: f(t, b), dev(a))
    assert isinstance(f(x.detach(), b), Tensor)  # whether recorded or not


def test_numpy_code_differentiates_as_it_stands(a, dev):
    def loss(p, b):
        return np.mean(np.log(1 + np.exp(-p * b))) + np.sum(np.where(p > 1, p**2, np.abs(p))) / np.size(p)

    gradcheck(lambda p: loss(p, dev(B)), dev(a))
    value, gradient = cunet.value_and_grad(loss)(dev(a), dev(B))
    np.testing.assert_allclose(host(value), loss(a, B), rtol=1e-12)
    assert gradient.shape == a.shape


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_dtype_is_honoured(dtype, a, dev):
    x = Tensor(dev(a), requires_grad=True)
    for f in (
        lambda x: np.add(x, 1, dtype=dtype),
        lambda x: np.exp(x, dtype=dtype),
        lambda x: np.sum(x, axis=0, dtype=dtype),
        lambda x: np.mean(x, dtype=dtype),
        lambda x: np.cumsum(x, dtype=dtype),
        lambda x: np.add.reduce(x, dtype=dtype),
        lambda x: np.concatenate([x, x], dtype=dtype),
    ):
        y = f(x)
        assert y.dtype == dtype and y.requires_grad
        np.testing.assert_allclose(host(y).astype(float), f(a).astype(float), rtol=3e-3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: np.linalg.norm(x), r"np\.linalg\.norm would lose .*: use cunet\.sqrt"),
        (lambda x: np.roll(x, 1), r"np\.roll would lose .*: use cunet\.concatenate"),
        (lambda x: np.diff(x), r"np\.diff would lose .*x\[1:\] - x\[:-1\]"),
        (lambda x: np.sort(x), r"np\.sort would lose"),
        (lambda x: np.interp(x[0], [0, 1], [0, 1]), r"np\.interp would lose .*cunet has no op of that name"),
        (lambda x: np.interp([0.5], [0, 1], x[0]), r"np\.interp would lose"),
        (lambda x: np.pad(x, 1, mode="edge"), r"np\.pad would lose .*takes no mode='edge'"),
        (lambda x: np.fmax(x, 1), r"np\.fmax would lose .*cunet\.maximum"),
        (lambda x: np.hypot(x, 1.0), r"np\.hypot would lose"),
        (lambda x: np.remainder(x, 2.0), r"np\.remainder would lose"),
        (lambda x: np.multiply.outer(x, x), r"np\.multiply\.outer would lose"),
        (lambda x: np.add.at(x, [0], 1), r"np\.add\.at would lose"),
        (lambda x: np.sum(x, initial=1.0), r"np\.sum would lose .*takes no initial="),
        (lambda x: np.sum(x, where=x > 0), r"np\.sum would lose .*takes no where="),
        (lambda x: np.mean(x, out=np.empty(())), r"np\.mean would lose .*takes no out="),
        (lambda x: np.exp(x, out=np.empty((3, 2))), r"np\.exp would lose .*takes no out="),
        (lambda x: np.exp(x, out=np.zeros((3, 2)), where=x > 1), r"np\.exp would lose .*takes no \w+="),
        (lambda x: np.reshape(x, -1, order="F"), r"np\.reshape would lose .*takes no order="),
        (lambda x: np.concatenate([x, x], out=np.empty((6, 2))), r"takes no out="),
        (lambda x: np.dot(x, x.T, out=np.empty((3, 3))), r"takes no out="),
        (lambda x: np.einsum(x, [0, 1]), r"takes no subscripts in lists"),
        (lambda x: np.einsum("ij->j", x, out=np.empty(2)), r"takes no out="),
        (lambda x: np.diagonal(x, 1), r"takes no offset="),
        (lambda x: np.clip(x, 0, 1, out=np.empty((3, 2))), r"takes no out="),
        (lambda x: np.full_like(x, x[0, 0]), r"np\.full_like would lose .*broadcast_to"),
        (lambda x: np.copyto(np.empty((3, 2)), x), r"np\.copyto would lose"),
        (lambda x: np.fft.fft(x), r"np\.fft\.fft would lose"),
        (lambda x: np.linalg.solve(x[:2], x[1:]), r"np\.linalg\.solve would lose"),
        (lambda x: np.median(x), r"np\.median would lose"),
    ],
)
@pytest.mark.cpu_only
def test_what_would_lose_a_gradient_is_refused_and_named(call, words, a):
    x = Tensor(a.copy(), requires_grad=True)
    with pytest.raises(TypeError, match=words) as caught:
        call(x)
    assert "x.detach()" in str(caught.value)
    expected = call(a.copy())
    with cunet.no_grad():
        in_no_grad = call(x)
    for y in (in_no_grad, call(Tensor(a.copy()))):  # nothing to lose: NumPy's own result
        assert type(y) is type(expected)
        np.testing.assert_array_equal(y, expected)


def test_every_op_that_numpy_has_too_is_run_by_its_function():
    shared = [name for name in public_ops() if name in cunet.__all__ and hasattr(np, name)]
    missing = [name for name in shared if getattr(np, name) not in UFUNCS and not has_op(getattr(np, name))]
    assert len(shared) > 60 and not missing, f"no line in cunet/ops/numpy_functions.py for {missing}"


def test_every_hint_names_a_function_of_numpy():
    for name in INSTEAD:
        operator.attrgetter(name.removeprefix("np."))(np)


#: Those that need a second argument.
TWO = {
    *(np.equal, np.greater, np.greater_equal, np.less, np.less_equal, np.not_equal, np.floor_divide, np.logical_and),
    *(np.logical_or, np.logical_xor, np.allclose, np.array_equal, np.array_equiv, np.isclose, np.isin),
    *(np.may_share_memory, np.shares_memory, np.result_type, np.argpartition, np.searchsorted),
}


@pytest.mark.cpu_only
@pytest.mark.parametrize("f", sorted(CONSTANT, key=lambda f: f.__name__), ids=lambda f: f.__name__)
def test_what_has_no_gradient_gives_numpys_result(f, a):
    x = Tensor(a, requires_grad=True)
    if f in (np.can_cast, np.min_scalar_type):
        return  # of dtypes and numbers
    if f is np.searchsorted:
        x, a = x[:, 0], np.sort(a[:, 0])
    extra = (1,) if f in TWO else ()
    y, expected = f(x, *extra), f(a, *extra)
    assert not isinstance(y, Tensor)
    if f is not np.empty_like:
        np.testing.assert_array_equal(y, expected)
    assert type(y) is type(expected)


def test_arrays_and_numpys_numbers_come_first(a, dev):
    x = Tensor(dev(a, np.float32), requires_grad=True)
    b = dev(B, np.float32)
    for f in (operator.add, operator.sub, operator.mul, operator.truediv, operator.pow):
        for left in (b, np.float64(2), np.float32(2), np.int64(2), 2, 2.0):
            y = f(left, x)
            assert isinstance(y, Tensor) and y.requires_grad and y.dtype == np.float32
            np.testing.assert_allclose(host(y), f(host(left) if left is b else float(left), a), rtol=1e-5)
    for f in (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne):
        y = f(b, x)
        assert backend.is_array(y) and y.dtype == bool
        np.testing.assert_array_equal(host(y), f(B.astype(np.float32), a.astype(np.float32)))


@pytest.mark.cpu_only
def test_an_array_takes_a_tensor_in_place_where_nothing_is_lost(a):
    total = np.zeros((3, 2))
    with pytest.raises(TypeError, match="np.add would lose the gradient"):
        total += Tensor(a, requires_grad=True)
    assert not total.any()
    before = total
    total += Tensor(a)
    assert total is before and (total == a).all()
    with pytest.raises(TypeError, match=r"np\.add: out must be an array, got a Tensor"):
        np.add(a, a, out=Tensor(total))


def test_a_tensor_is_joined_with_arrays_on_its_device(a, dev):
    x = Tensor(dev(a), requires_grad=True)
    b = dev(B)
    for y in (np.concatenate([b, x]), np.stack((b, x)), np.where(b > 1, b, x), np.maximum(b, x)):
        assert isinstance(y, Tensor) and y.requires_grad
        assert backend.device_of(y.data) == backend.device_of(b)


def cupys(xp, x, b):
    """Calls of the functions of CuPy; every one of them names what it does to a Tensor, or differentiates."""
    yield from (lambda f=f: f(x) for f in (xp.exp, xp.sqrt, xp.sum, xp.mean, xp.max, xp.cumsum, xp.ravel, xp.sort))
    yield from (lambda f=f: f(x, b) for f in (xp.add, xp.multiply, xp.maximum, xp.dot, xp.tensordot))
    yield from (lambda f=f: f(b, x) for f in (xp.add, xp.multiply, xp.maximum, xp.dot))
    yield from (lambda f=f: f([x, b]) for f in (xp.concatenate, xp.stack, xp.vstack))
    yield from (lambda: xp.where(b > 1, x, b), lambda: xp.clip(x, 0, 1), lambda: xp.reshape(x, (2, 3)))
    yield from (lambda: xp.asarray(x), lambda: xp.array([x, x]), lambda: xp.linalg.norm(x), lambda: xp.roll(x, 1))
    yield from (lambda: xp.transpose(x), lambda: xp.einsum("ij->j", x), lambda: xp.abs(x), lambda: xp.diff(x))


def test_no_function_of_the_arrays_own_namespace_loses_a_gradient(a, dev):
    x, b = Tensor(dev(a), requires_grad=True), dev(B)
    for call in cupys(backend.array_module(b), x, b):
        try:
            y = call()
        except (TypeError, AttributeError, ValueError):
            continue
        assert isinstance(y, Tensor) and y.requires_grad


def test_an_array_of_the_device_in_place(a, dev):
    total = dev(np.zeros((3, 2)))
    with pytest.raises(TypeError):
        total += Tensor(dev(a), requires_grad=True)
    assert not host(total).any()
