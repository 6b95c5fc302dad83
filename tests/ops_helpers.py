"""What the generic tests of every op share: the table in tests/cases, and how a case is drawn, run and judged."""

import importlib
import math
import pkgutil

import cases
import ml_dtypes
import numpy as np
import pytest
from helpers import assert_ulp, host

import cunet
from cunet import device as backend
from cunet.autograd.tensor import Tensor

TABLE = [
    case
    for module in sorted(m.name for m in pkgutil.iter_modules(cases.__path__))
    for case in importlib.import_module(f"cases.{module}").CASES
]
every_case = pytest.mark.parametrize("case", TABLE, ids=lambda case: case.id)
every_op = pytest.mark.parametrize(
    "case",
    {(case.op.__module__, case.op.__name__): case for case in reversed(TABLE)}.values(),
    ids=lambda case: case.id,
)
every_elementwise_case = pytest.mark.parametrize("case", [c for c in TABLE if c.scalar], ids=lambda case: case.id)
FLOATS = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]


def is_floating(a):
    return isinstance(a, np.ndarray) and backend.is_floating(a.dtype)


def floats_of(case):
    """Return the dtypes that a row is for."""
    return [
        d
        for d in FLOATS
        if np.dtype(d).itemsize > 2 or (case.half and (case.bfloat16 or np.dtype(d).name == "float16"))
    ]


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
    info = ml_dtypes.finfo(dtype)
    unit = max(float(info.eps) * 2.0 ** math.floor(math.log2(top) if top else 0), float(info.smallest_subnormal))
    off = np.abs(np.where(np.isfinite(expected), actual.astype(np.float64), 0) - finite) / unit
    assert off.max() <= ulp, f"{off.max():.3g} ulp of the largest element, {ulp} allowed"


def number_of(case, arrays, rng, dev):
    """Return a smooth function of the differentiable inputs, with curvature where the op has none."""
    wanted = which(case, arrays)
    outputs = run(case, [Tensor(a) if i in wanted else a for i, a in enumerate(arrays)])
    weights = [
        dev(rng.uniform(0.5, 2, y.shape) * rng.choice([-1, 1], y.shape)) if backend.is_floating(y.dtype) else None
        for y in outputs
    ]

    def f(*xs):
        full = list(arrays)
        for i, x in zip(wanted, xs, strict=True):
            full[i] = x
        pairs = zip(run(case, full), weights, strict=True)
        return sum((y * w + y * y * (w * 0.7)).sum() for y, w in pairs if w is not None and y.requires_grad)

    return f, [arrays[i] for i in wanted]


def along(f, directions):
    """Return the derivative of a function along directions, as a function."""

    def slope(*xs):
        gradients = cunet.grad(f, tuple(range(len(xs))))(*xs)
        return sum((g * v).sum() for g, v in zip(gradients, directions, strict=True))

    return slope
