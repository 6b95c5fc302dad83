"""Compiled elementwise kernels agree with the NumPy bodies, whatever the shape and the layout."""

import itertools

import numpy as np
import pytest
from compiled_helpers import SHAPES, close, launcher, ours, values
from helpers import turn, ulp_distance
from native_helpers import needs_compiler

from cunet.kernels import KERNELS
from cunet.kernels.backends.numpy import backend as numpy_backend

pytestmark = pytest.mark.cpu_only


#: Kernels whose target is 1 or -1; for others they give NaN.
SIGNED = {"cosine_hinge", "hinge_embedding_backward", "hinge_embedding_forward"}


def arguments(kernel, other, shape, dtype, rng):
    args = []
    for k, p in enumerate(kernel.spec.ins):
        a = values(p, shape if p.type == "T" else SHAPES[other](shape), dtype, rng)
        if p.name == "t" and kernel.name in SIGNED:
            a = np.where(a < 0.5, -1, 1).astype(dtype)
        if p.type == "A":
            a = a / 16 + dtype(0.0625 * k)  # low before high
        args.append(a if np.ndim(a) else float(a))
    return args


#: Bodies that look along an axis, and those whose factors are numbers only, are run by the cases of test_ops.
ELEMENTWISE = [
    n for n in ours("elementwise") if numpy_backend.cuttable(KERNELS[n].spec) and n not in ("drop_channels",)
]
#: Statistics are arrays of as many axes as the data.
NEVER = {
    ("normalize", "number"),
    ("normalize", "vector"),
    ("normalize_backward", "vector"),
    ("logsumexp_backward", "number"),
}


DTYPES = (np.float32, np.float64)
#: Shapes of the data.
DATA = [(1,), (7,), (5, 3), (3, 257), (2, 3, 5), (2, 300, 2), (1500, 1), (0, 4)]


@needs_compiler
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_agrees_with_numpy(name, on, rng):
    kernel = KERNELS[name]
    for dtype, shape, other in itertools.product(DTYPES, DATA, SHAPES):
        if (name, other) in NEVER:
            continue
        with turn(dtype, shape, other), np.errstate(all="ignore"):
            args = arguments(kernel, other, shape, dtype, rng)
            got = launcher(kernel, dtype)(*args)
            assert got is not NotImplemented
            close(got, kernel.body(*args), dtype)


EDGES = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e-38, 3e38, -3e38, 20.0, -20.0, 90.0, -90.0, -104.5]


@needs_compiler
@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if n.endswith("_forward") and len(KERNELS[n].spec.ins) <= 2])
def test_edges_agree_with_numpy(name, on):
    kernel = KERNELS[name]
    for dtype in DTYPES:
        with np.errstate(all="ignore"):
            x = np.array(EDGES * 3, dtype)
            args = [x if p.type == "T" else 0.5 for p in kernel.spec.ins]
            got, expected = launcher(kernel, dtype)(*args), kernel.body(*args)
            off = ulp_distance(got, expected.astype(np.float64), dtype)
        least = np.finfo(dtype).smallest_subnormal
        small = np.abs(expected) < 8 * least  # NumPy's vectors may round them to 0
        assert np.where(small, np.abs(got) >= 16 * least, off > 16).sum() == 0, (dtype, got, expected)


def layouts(a):
    wide = np.zeros([2 * n for n in a.shape], a.dtype)
    spread = wide[(slice(1, None, 2),) * a.ndim]
    spread[...] = a
    packed = np.zeros(a.shape, [("skip", "i1"), ("value", a.dtype)])
    packed["value"] = a
    frozen = a.copy()
    frozen.flags.writeable = False
    back = a[(slice(None, None, -1),) * a.ndim].copy()[(slice(None, None, -1),) * a.ndim]
    return {
        "transposed": np.asfortranarray(a),
        "spread": spread,
        "reversed": back,
        "unaligned": packed["value"],
        "read-only": frozen,
        "swapped bytes": a.astype(a.dtype.newbyteorder()),
        "subclass": np.ma.masked_array(a),
    }


@needs_compiler
@pytest.mark.parametrize("shape", [(6,), (7, 5), (3, 4, 300), (300, 3, 4)], ids=str)
def test_any_layout(shape, on, rng):
    kernel = KERNELS["normalize"]
    x = rng.normal(size=shape).astype(np.float32)
    column, row = (rng.uniform(0.5, 1, SHAPES[s](shape)).astype(np.float32) for s in ("column", "row"))
    expected = kernel(x, column, column, row, row)
    for name, odd in layouts(x).items():
        got = kernel(odd, column, column, row, row)
        np.testing.assert_array_equal(np.asarray(got), expected, err_msg=name, strict=False)
    got = kernel(x, *(layouts(a)["reversed"] for a in (column, column, row, row)))
    np.testing.assert_array_equal(got, expected)
