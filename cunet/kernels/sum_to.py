"""Sums over axes that keep a GPU busy: what gradients of biases, factors and broadcast arrays need.

CuPy folds the rows of a (65536, 768) gradient in 24 blocks, whatever the GPU has; see
`cunet.kernels.backends.cuda.reduction`.
"""

from __future__ import annotations

from ..device import Array, accumulator, is_gpu_array
from . import reduction
from .spec import reduced_shape


@reduction("T in_x", "A out_total", map="A(in_x)", reduce="a + b", post="out_total = a", identity="0")
def sum_elements(x, axis, keepdims):
    return x.sum(axis=axis, keepdims=keepdims)


def total(x: Array, axes: tuple[int, ...], keepdims: bool = True) -> Array:
    """Return the sums over `axes` (counted from 0), kept in float32 for half types."""
    if not is_gpu_array(x) or x.size == 0 or not axes:
        return x.sum(axis=axes, keepdims=keepdims, dtype=accumulator(x.dtype))
    kept = reduced_shape(x.shape, axes, keepdims)
    # Neighbours that share a fate are one axis; those of length 1 do not count.
    lengths: list[int] = []
    folded: list[bool] = []
    for k, n in enumerate(x.shape):
        if n > 1 and folded and folded[-1] == (k in axes):
            lengths[-1] *= n
        elif n > 1:
            lengths.append(n)
            folded.append(k in axes)
    x, wide = x.reshape(lengths), accumulator(x.dtype)
    if folded == [True]:
        return x.sum(dtype=wide).reshape(kept)
    if folded and folded.pop():  # the last axes first: each of their sums is of one row
        x = sum_elements(x, axis=len(folded), keepdims=False)
    left = tuple(k for k, fold in enumerate(folded) if fold)
    if left:
        x = sum_elements(x, axis=0, keepdims=False) if left == (0,) else x.sum(axis=left, dtype=wide)
    x = x.astype(wide, copy=False)
    return x if x.shape == kept else x.reshape(kept)  # no view where none is needed: gradients have owners
