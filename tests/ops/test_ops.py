"""Generic tests of every op, made from the table in tests/cases."""

import ast
import builtins
import importlib
import inspect
import math
import pkgutil

import cases
import ml_dtypes
import numpy as np
import pytest
from helpers import assert_ulp, host, ulp_distance

import cunet
from cunet import device as backend
from cunet.autograd import tape
from cunet.autograd.tensor import Tensor
from cunet.kernels import KERNELS, listening
from cunet.ops.conv import primitives
from cunet.parity.row import library_ops
from cunet.testing import gradcheck

TABLE = [
    case
    for module in sorted(m.name for m in pkgutil.iter_modules(cases.__path__))
    for case in importlib.import_module(f"cases.{module}").CASES
]
every_case = pytest.mark.parametrize("case", TABLE, ids=lambda case: case.id)
every_elementwise_case = pytest.mark.parametrize("case", [c for c in TABLE if c.scalar], ids=lambda case: case.id)
every_case_of_arrays = pytest.mark.parametrize("case", [c for c in TABLE if not c.scalar], ids=lambda case: case.id)
FLOATS = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]
every_float = pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: np.dtype(d).name)
wide_floats = pytest.mark.parametrize("dtype", FLOATS[2:], ids=lambda d: np.dtype(d).name)


def is_floating(a):
    return isinstance(a, np.ndarray) and backend.is_floating(a.dtype)


def skip_half(case, dtype):
    if np.dtype(dtype).itemsize == 2 and not (case.half and (case.bfloat16 or dtype == np.float16)):
        pytest.skip(f"the row is not for {np.dtype(dtype).name}")


def draw(case, rng, dtype, shape=(4, 7)):
    """Return NumPy inputs of a case in `dtype`, away from its kinks."""
    if case.scalar is None:
        return [a.astype(dtype) if is_floating(a) else a for a in case.inputs(rng)]
    x = rng.uniform(*case.domain, shape)
    for kink in case.kinks:
        x = np.where(np.abs(x - kink) < 0.05, kink + 0.05 + np.abs(x - kink), x)
    return [x.astype(dtype)]


def oracle(case, arrays):
    """Return the float64 results, as a tuple."""
    arrays = [a.astype(np.float64) if is_floating(a) else a for a in arrays]
    if case.scalar:
        x = arrays[0]
        return (np.array([case.scalar(v, **case.kwargs) for v in x.ravel().tolist()]).reshape(x.shape),)
    y = case.reference(*arrays, **case.kwargs)
    return y if isinstance(y, tuple) else (y,)


def slopes(case, x):
    """Return the derivative of the scalar oracle by five points."""
    h = 5e-4 * np.maximum(np.abs(x), 0.1)  # 1e-3 is 2e-8 off for arccos at 0.95

    def f(step):
        return oracle(case, [x + step * h])[0]

    return (8 * (f(1) - f(-1)) - (f(2) - f(-2))) / (12 * h)


def run(case, arrays):
    """Run the op with a fixed seed, so that ops that draw numbers always draw the same; results as a tuple."""
    cunet.manual_seed(0)
    with np.errstate(all="ignore"):
        y = case.op(*arrays, **case.kwargs)
    return y if isinstance(y, tuple) else (y,)


def which(case, arrays):
    return (
        [i for i, a in enumerate(arrays) if backend.is_array(a) and backend.is_floating(a.dtype)]
        if (case.differentiable is None)
        else list(case.differentiable)
    )


def lift(case, arrays):
    """Return Tensors that require gradients for the differentiable inputs, all others as they are."""
    wanted = which(case, arrays)
    return [Tensor(a, requires_grad=True) if i in wanted else a for i, a in enumerate(arrays)]


def cotangents(outputs, rng, dev):
    """Return a random gradient for each floating result."""
    return [
        dev(rng.uniform(0.5, 2, y.shape) * rng.choice([-1, 1], y.shape)).astype(y.dtype)
        if backend.is_floating(y.dtype)
        else None
        for y in outputs
    ]


def gradients(case, arrays, rng, dev, weights=None):
    """Run forward and backward; return the results, the weights they were given, and the gradients on the host."""
    leaves = lift(case, arrays)
    outputs = run(case, leaves)
    weights = weights or cotangents(outputs, rng, dev)
    pairs = [(y, w) for y, w in zip(outputs, weights, strict=True) if w is not None]
    for k, (y, w) in enumerate(pairs):
        y.backward(w, retain_graph=k < len(pairs) - 1)
    wanted = which(case, arrays)
    for i in wanted:
        assert backend.is_array(leaves[i].grad), f"input {i} got no gradient"
        assert leaves[i].grad.dtype.newbyteorder("=") == arrays[i].dtype.newbyteorder("=")
        assert leaves[i].grad.shape == arrays[i].shape
        assert backend.device_of(leaves[i].grad) == backend.device_of(arrays[i])
    return outputs, weights, [host(leaves[i].grad) for i in wanted]


def assert_close(actual, expected, dtype, ulp, elementwise):
    """Assert closeness in ulp: of each element, or of the largest one where terms may cancel."""
    if elementwise:
        assert_ulp(actual, expected, dtype, ulp)
        return
    actual, expected = host(actual), np.asarray(expected, np.float64)
    assert actual.dtype == dtype
    assert actual.shape == expected.shape
    if actual.size == 0:
        return
    assert (np.isfinite(actual.astype(np.float64)) == np.isfinite(expected)).all()
    finite = np.where(np.isfinite(expected), expected, 0)
    top = np.abs(finite).max()
    unit = float(np.finfo(dtype).eps if dtype != ml_dtypes.bfloat16 else 2**-7) * 2.0 ** math.floor(
        math.log2(top) if top else 0
    )
    off = np.abs(np.where(np.isfinite(expected), actual.astype(np.float64), 0) - finite) / unit
    assert off.max() <= ulp, f"{off.max():.3g} ulp of the largest element, {ulp} allowed"


@every_float
@every_case
def test_value(case, dtype, rng, dev):
    skip_half(case, dtype)
    arrays = draw(case, rng, dtype)
    results = run(
        case, [Tensor(dev(a)) if is_floating(a) else dev(a) if isinstance(a, np.ndarray) else a for a in arrays]
    )
    for y, expected in zip(results, oracle(case, arrays), strict=True):
        if not backend.is_floating(y.dtype):
            np.testing.assert_array_equal(host(y), expected)
            continue
        assert_close(y, expected, dtype, case.ulp, case.scalar or case.elementwise)


@every_case
def test_gradient_in_float64(case, rng, dev):
    arrays = [dev(a) if isinstance(a, np.ndarray) else a for a in draw(case, rng, np.float64)]
    gradcheck(lambda *xs: run(case, xs), *arrays, rng=rng, rtol=1e-6, atol=1e-7, differentiable=case.differentiable)


@wide_floats
@every_elementwise_case
def test_gradient_against_the_scalar_oracle(case, dtype, rng, dev):
    (x,) = draw(case, rng, dtype)
    outputs, weights, (gx,) = gradients(case, [dev(x)], rng, dev)
    expected = slopes(case, x.astype(np.float64)) * host(weights[0]).astype(np.float64)
    if dtype == np.float64:  # differences are not exact to the last places
        np.testing.assert_allclose(gx, expected, rtol=1e-8, atol=1e-10)
    else:
        off = ulp_distance(gx, expected, dtype)
        off = np.where(np.abs(gx - expected) < 1e-10, 0, off)  # what differences cannot see
        assert off.max() <= case.grad_ulp, f"{off.max():.3g} ulp at x = {x.ravel()[off.argmax()]!r}"


@pytest.mark.parametrize("dtype", FLOATS[:3], ids=lambda d: np.dtype(d).name)
@every_case
def test_gradient_in_lower_precision(case, dtype, rng, dev):
    """The float64 gradient, tested by differences above, is the reference."""
    skip_half(case, dtype)
    arrays = draw(case, rng, dtype)
    low = [dev(a) if isinstance(a, np.ndarray) else a for a in arrays]
    _, weights, grads = gradients(case, low, rng, dev)
    high = [a.astype(np.float64) if backend.is_array(a) and backend.is_floating(a.dtype) else a for a in low]
    weights = [None if w is None else w.astype(np.float64) for w in weights]
    _, _, expected = gradients(case, high, rng, dev, weights)
    for g, e in zip(grads, expected, strict=True):
        assert_close(g, e, dtype, case.grad_ulp, False)


EDGES = [
    pytest.param(case, x, value, slope, id=f"{case.id}-at-{x:.4g}") for case in TABLE for x, value, slope in case.edges
]


@wide_floats
@pytest.mark.parametrize(("case", "x", "value", "slope"), EDGES)
def test_edge(case, x, value, slope, dtype, dev):
    with np.errstate(all="ignore"):
        at = np.array([x], dtype)
    if math.isfinite(x) and (np.isinf(at[0]) or (at[0] == 0) != (x == 0)):
        pytest.skip(f"{x} is no {np.dtype(dtype).name}")
    slack = 0 if at[0] == x or x != x else 2  # x itself was rounded
    leaf = Tensor(dev(at), requires_grad=True)
    (y,) = run(case, [leaf])
    y.backward(dev(np.ones(1, dtype)))
    if value is not None:
        assert_ulp(y, [value], dtype, case.ulp + slack)
    if slope is not None:
        assert_ulp(leaf.grad, [slope], dtype, case.grad_ulp + slack)


@pytest.mark.layouts
@wide_floats
@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1, 2, 1, 3)], ids=str)
@every_elementwise_case
def test_any_shape(case, shape, dtype, rng, dev):
    (x,) = draw(case, rng, dtype, shape)
    (y,), _, (gx,) = gradients(case, [dev(x)], rng, dev)
    assert y.shape == shape
    assert y.dtype == dtype
    assert gx.shape == shape
    assert_ulp(y, oracle(case, [x])[0], dtype, case.ulp)


def transposed(a):
    return a.T.copy().T


def strided(a, xp):
    wide = xp.zeros([2 * n for n in a.shape], a.dtype)
    view = wide[(slice(1, None, 2),) * a.ndim]
    view[...] = a
    return view


def reversed_view(a):
    return a[(slice(None, None, -1),) * a.ndim].copy()[(slice(None, None, -1),) * a.ndim]


def read_only(a):
    a = a.copy()
    if isinstance(a, np.ndarray):  # CuPy has no such flag
        a.flags.writeable = False
    return a


def big_endian(a):
    if not isinstance(a, np.ndarray):  # no GPU has such arrays
        pytest.skip("on the CPU only")
    return a.astype(a.dtype.newbyteorder(">"))


def native_order(a):
    a = host(a)
    return a.astype(a.dtype.newbyteorder("="), copy=False)


@pytest.mark.layouts
@pytest.mark.parametrize("layout", ["transposed", "strided", "reversed", "read-only", "big-endian"])
@every_case
def test_any_layout(case, layout, rng, dev):
    plain = [dev(a) if isinstance(a, np.ndarray) else a for a in draw(case, rng, np.float32)]
    change = {
        "transposed": transposed,
        "strided": lambda a: strided(a, backend.array_module(a)),
        "reversed": reversed_view,
        "read-only": read_only,
        "big-endian": big_endian,
    }[layout]
    outputs, weights, expected = gradients(case, plain, rng, dev)
    odd = [change(a) if backend.is_array(a) and a.ndim else a for a in plain]
    odd_weights = [w if w is None or not w.ndim else change(w) for w in weights]
    results, _, grads = gradients(case, odd, rng, dev, odd_weights)
    for y, e in zip(results, outputs, strict=True):
        if backend.is_floating(e.dtype):
            assert_close(native_order(y), host(e), e.dtype, case.ulp, False)
    for g, e in zip(grads, expected, strict=True):
        assert_close(native_order(g), e, np.float32, case.grad_ulp, False)


@every_case
def test_inputs_are_left_alone(case, rng, dev):
    arrays = [dev(a) if isinstance(a, np.ndarray) else a for a in draw(case, rng, np.float32)]
    before = [host(a).tobytes() if backend.is_array(a) else None for a in arrays]
    leaves = lift(case, arrays)
    outputs = run(case, leaves)
    values = [host(y).tobytes() for y in outputs]
    for y, w in zip(outputs, cotangents(outputs, rng, dev), strict=True):
        if w is None:
            continue
        kept = host(w).tobytes()
        y.backward(w, retain_graph=True)
        first = [host(leaf.grad).tobytes() if isinstance(leaf, Tensor) else None for leaf in leaves]
        for leaf in leaves:
            if isinstance(leaf, Tensor):
                leaf.grad = None
        y.backward(w, retain_graph=True)  # the same again: nothing that was saved has changed
        again = [host(leaf.grad).tobytes() if isinstance(leaf, Tensor) else None for leaf in leaves]
        assert host(w).tobytes() == kept
        assert first == again
        for leaf in leaves:
            if isinstance(leaf, Tensor):
                leaf.grad = None
    assert [host(a).tobytes() if backend.is_array(a) else None for a in arrays] == before
    assert [host(y).tobytes() for y in outputs] == values


@every_case
def test_the_value_does_not_depend_on_recording(case, rng, dev):
    arrays = [dev(a) if isinstance(a, np.ndarray) else a for a in draw(case, rng, np.float32)]
    recorded = run(case, lift(case, arrays))
    with cunet.no_grad():
        plain = run(case, lift(case, arrays))
    for a, b in zip(recorded, plain, strict=True):
        assert b.is_leaf
        assert host(a).tobytes() == host(b).tobytes()


@pytest.fixture(scope="session")
def exercised(dev):
    """The names of all ops and kernels that the table runs, forward and backward."""
    ops, kernels = set(), set()
    with pytest.MonkeyPatch.context() as patch:

        class SpyNode(tape.Node):
            __slots__ = ()

            def __init__(self, name, *rest):
                ops.add(name)
                super().__init__(name, *rest)

        patch.setattr(importlib.import_module("cunet.autograd.op"), "Node", SpyNode)

        def note(kernel, args, options, proceed):
            kernels.update(kernel.name.split("+"))
            return proceed()

        # Code by hand stands for some kernels: they shall run themselves.
        for kernel in (*KERNELS.values(), *(getattr(primitives, name) for name in BY_HAND)):
            if callable(kernel.attached.get("native")):
                patch.setitem(kernel.attached, "native", None)
                patch.setattr(kernel, "prepared", {})
        rng = np.random.default_rng(0)
        with listening(note):
            for case in TABLE:
                # NumPy has shortcuts for one of the dtypes.
                for dtype in (np.float32, np.float16) if case.half else (np.float32,):
                    arrays = [dev(a) if isinstance(a, np.ndarray) else a for a in draw(case, rng, dtype)]
                    gradients(case, arrays, rng, dev)
    return ops, kernels


#: Primitives that compiled code does without the kernels that others run.
BY_HAND = ["convolve", "convolve_input_gradient", "convolve_weight_gradient"]
#: Norms with an activation have kernels that are made when somebody asks for them: they have a test of their own.
OURS = sorted(
    name
    for name, k in KERNELS.items()
    if k.spec.module.startswith("cunet.ops.") and not k.spec.module.startswith("cunet.ops.norm.epilogue.")
)


def test_every_op_has_a_case(exercised):
    missing = set(library_ops()) - exercised[0]
    assert not missing, f"no case in tests/cases runs {sorted(missing)}"


@pytest.mark.parametrize("name", OURS)
def test_every_kernel_has_a_case(name, exercised):
    assert name in exercised[1], f"no case in tests/cases runs the kernel {name}"


def test_no_two_rows_have_the_same_name():
    names = [case.id for case in TABLE]
    assert sorted(names) == sorted(set(names))


@pytest.mark.cpu_only
@pytest.mark.parametrize("name", ["array", "linalg", "math", "reduce"])
def test_no_module_uses_a_builtin_that_it_redefines(name):
    module = importlib.import_module(f"cunet.ops.{name}")
    tree = ast.parse(inspect.getsource(module))
    shadowed = {f.name for f in tree.body if isinstance(f, ast.FunctionDef)} & set(vars(builtins))
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    assert not shadowed & used
