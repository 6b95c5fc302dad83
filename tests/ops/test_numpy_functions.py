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


@pytest.fixture
def a(rng):
    return rng.uniform(0.5, 1.5, (3, 2))


def test_numpy_code_differentiates_as_it_stands(a, dev):
    def loss(p, b):
        return np.mean(np.log(1 + np.exp(-p * b))) + np.sum(np.where(p > 1, p**2, np.abs(p))) / np.size(p)

    gradcheck(lambda p: loss(p, dev(B)), dev(a))
    value, gradient = cunet.value_and_grad(loss)(dev(a), dev(B))
    np.testing.assert_allclose(host(value), loss(a, B), rtol=1e-12)
    assert gradient.shape == a.shape


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: np.i0(x), r"np\.i0 would lose .*cunet has no op of that name"),
        (lambda x: np.piecewise(x, [x > 1], [0.0, 1.0]), r"np\.piecewise would lose"),
        (lambda x: np.pad(x, 1, mode="mean"), r"np\.pad would lose .*takes no mode='mean'"),
        (lambda x: np.insert(x, 1, 1.0), r"np\.insert would lose .*cunet\.concatenate"),
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
        (lambda x: np.einsum(x, [0, 1], [0], dtype="f8"), r"takes no dtype="),
        (lambda x: np.einsum("ij->j", x, out=np.empty(2)), r"takes no out="),
        (lambda x: np.clip(x, 0, 1, out=np.empty((3, 2))), r"takes no out="),
        (lambda x: np.full_like(x, x[0, 0], subok=False, order="F"), r"np\.full_like would lose .*takes no order="),
        (lambda x: np.copyto(np.empty((3, 2)), x), r"np\.copyto would lose"),
        (lambda x: np.nextafter(x, 2.0), r"np\.nextafter would lose"),
        (lambda x: np.median(x, overwrite_input=True), r"np\.median would lose .*takes no overwrite_input="),
        (lambda x: np.fft.hfft(x, out=np.empty((3, 2))), r"np\.fft\.hfft would lose .*takes no out="),
        (lambda x: np.linalg.eigvals(x[:2]), r"np\.linalg\.eigvals would lose .*: cunet has no op of that name"),
        (lambda x: np.linalg.qr(x, mode="r"), r"np\.linalg\.qr would lose .*takes no mode="),
        (lambda x: np.linalg.cholesky(x.T @ x, upper=True), r"np\.linalg\.cholesky would lose .*takes no upper="),
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
    shared = [
        name for name in public_ops() if hasattr(np, name) and name in cunet.__all__ or name.startswith("linalg.")
    ]
    own = {operator.attrgetter(name)(np): name for name in shared}
    missing = [name for f, name in own.items() if f not in UFUNCS and f not in CONSTANT and not has_op(f)]
    assert len(shared) > 100 and not missing, f"no line in cunet/ops/numpy_functions.py for {missing}"


def test_every_hint_names_a_function_of_numpy():
    for name in INSTEAD:
        operator.attrgetter(name.removeprefix("np."))(np)


#: Those that need a second argument.
TWO = {
    *(np.equal, np.greater, np.greater_equal, np.less, np.less_equal, np.not_equal, np.logical_and),
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
    extra = ([0.7, 1.1],) if f is np.digitize else (1,) if f in TWO else ()
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


def test_of_complex_tensors_functions_are_numpys_own(rng, dev):
    """They have no gradient; what is made of ops takes numbers for real: the conjugate would be the number."""
    z = rng.standard_normal((3, 3)) + 1j * rng.standard_normal((3, 3))
    wave = Tensor(dev(z.real)) + dev(1j * z.imag)
    assert wave.dtype == np.complex128
    for f in (np.real, np.imag, np.conjugate, np.var, np.std, np.sum, np.exp, np.abs, lambda z: np.vdot(z, z)):
        found = f(wave)
        np.testing.assert_allclose(host(found), f(z), rtol=1e-12)
    x = Tensor(dev(np.ones((3, 3))), requires_grad=True)
    with pytest.raises(TypeError, match="np.vdot would lose the gradient"):
        np.vdot(wave, x)
