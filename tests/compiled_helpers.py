"""What the tests of compiled kernels against their NumPy bodies share: which there are, arguments, closeness."""

import numpy as np

from cunet.kernels import KERNELS
from cunet.kernels.backends.native import build, native


def ours(kind):
    return sorted(name for name, k in KERNELS.items() if k.spec.kind == kind and build.compilable(k, np.dtype("f")))


def launcher(kernel, dtype):
    return native.prepare(kernel, np.dtype(dtype).char)


SHAPES = {
    "number": lambda shape: (),
    "full": lambda shape: shape,
    "row": lambda shape: (*(1,) * (len(shape) - 1), shape[-1]),
    "vector": lambda shape: shape[-1:],
    "column": lambda shape: (*shape[:-1], 1),
    "first": lambda shape: (shape[0], *(1,) * (len(shape) - 1)),
}


def values(param, shape, dtype, rng):
    if param.type in ("T", "A"):
        return rng.uniform(0.25, 0.75, shape).astype(dtype)
    return rng.integers(0, 3, shape)


def close(got, expected, dtype, ulp=16):
    """Compare in units of the largest element: where terms cancel, a small one cannot have all its places right."""
    several = isinstance(expected, tuple)
    for g, e in zip(got if several else [got], expected if several else [expected], strict=True):
        e = np.asarray(e)
        assert g.shape == e.shape
        assert g.dtype == e.dtype
        if g.size:
            top = np.abs(e).max()
            assert np.abs(g - e).max() <= ulp * np.finfo(dtype).eps * max(top, 0.1)
