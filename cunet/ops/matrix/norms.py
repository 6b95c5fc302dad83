"""Norms of vectors and matrices, over any axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autograd.op import Result, op
from ...autograd.pytorch import numpy_words
from ...autograd.tensor import Tensor
from ...device import array_module
from ...kernels.axes import folded_axes, reduced_shape
from ...kernels.sum_to import sum_over
from .. import reduce
from ..array import astype, reshape, transpose
from ..operands import lifted
from ..selection import abs as absolute
from .matrices import narrow, wide
from .spectral import svdvals

#: Orders that are a smallest something, or a power of a reciprocal: of nothing there is none.
_NEEDS_ELEMENTS = (-math.inf, -1, -2)


@op
def _power_norm(x, *, p, axis, keepdims) -> Result:
    xp = array_module(x)
    full = wide(x)
    size = xp.abs(full)
    shape = reduced_shape(x.shape, axis, True)
    # Beside the largest element, or for negative p the smallest, no power that counts leaves the range.
    scale = size.max(axis=axis, keepdims=True) if p > 0 else size.min(axis=axis, keepdims=True)
    info = np.finfo(full.dtype)
    scale = xp.minimum(xp.maximum(scale, info.tiny), info.max)  # within finite numbers: inf / inf is nan
    unit = size / scale
    powers = unit * unit if p == 2 else unit**p
    root = sum_over(powers, folded_axes(x.ndim, axis), keepdims=True) ** (1 / p)
    y = narrow(scale * root, x.dtype)

    def vjp(gy):
        slope = xp.sign(full) * (unit / root if p == 2 else (unit / root) ** (p - 1))
        return (wide(gy).reshape(shape) * xp.where(full == 0, 0, slope),)

    return y.reshape(reduced_shape(x.shape, axis, keepdims)), vjp


@numpy_words
def norm(x: Any, ord: Any = None, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Return a norm of vectors (over one axis) or matrices (over two).

    =========  =======================================  ================================================
    ord        vectors                                  matrices
    =========  =======================================  ================================================
    None       as 2                                     as "fro"
    2, any p   ``sum(|x| ** p) ** (1 / p)``             largest singular value (2 alone)
    -2         as p                                     smallest singular value
    1, -1      as p                                     largest, smallest sum of ``|x|`` over a column
    inf, -inf  largest, smallest ``|x|``                largest, smallest sum of ``|x|`` over a row
    0          how many are not 0; it has no gradient   none
    "fro"      none                                     ``sqrt(sum(x ** 2))``
    "nuc"      none                                     sum of singular values
    =========  =======================================  ================================================

    Where a norm has a corner the gradient is one of its subgradients: 0 for what is 0, and equal parts among equal
    extremes. Powers of large or small elements do not leave the range: only the norm itself may.

    Args:
        x: any shape; half types are computed in float32, integers in float64.
        ord: the order.
        axis: of vectors, or two of matrices; None: all of `x`, which must have 1 or 2 axes unless `ord` is None.
        keepdims: leave the axes that are folded, with length 1.

    Raises:
        ValueError: axes or order do not fit; a smallest element of none.

    Example:
        >>> x = np.array([[3.0, 4.0], [0.0, 0.0]])
        >>> cunet.linalg.norm(x), cunet.linalg.norm(x, 1), cunet.linalg.norm(x, np.inf)
        (Tensor(5., dtype=float64), Tensor(4., dtype=float64), Tensor(7., dtype=float64))
        >>> cunet.linalg.norm(x, axis=1)  # of each row
        Tensor([5., 0.], dtype=float64)
        >>> cunet.grad(cunet.linalg.norm)(np.zeros(2))  # no NaN
        array([0., 0.])
    """
    x = lifted(x)
    if x.dtype.kind in "biu":
        x = astype(x, np.float64)
    axes = folded_axes(x.ndim, tuple(axis) if isinstance(axis, Sequence) else axis)
    if not (len(axes) in (1, 2) or (axis is None and ord is None)):
        raise ValueError(f"norm: axis must name 1 or 2 axes where ord={ord!r} is given, got {axis} of shape {x.shape}")
    if 0 in [x.shape[a] for a in axes]:
        if ord in _NEEDS_ELEMENTS:
            raise ValueError(f"norm: ord={ord} needs an element, got shape {x.shape} and axis {axis}")
        return reduce.sum(x, axis=axes, keepdims=keepdims)
    if ord is None or (len(axes) == 2 and ord in ("fro", "f")):
        return _power_norm(x, p=2, axis=axes, keepdims=keepdims)
    return _of_vectors(x, ord, axes, keepdims) if len(axes) == 1 else _of_matrices(x, ord, axes, keepdims)


def _of_vectors(x: Tensor, ord: float, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    if not isinstance(ord, (int, float, np.number)):
        raise ValueError(f"norm: ord must be None or a number for vectors, got {ord!r}")
    if ord == 0:
        count = (x.data != 0).sum(axis=axes, keepdims=keepdims)
        return Tensor(array_module(count).asarray(count).astype(x.dtype))
    if ord in (math.inf, -math.inf):
        return _extreme(ord)(absolute(x), axis=axes, keepdims=keepdims)
    return _power_norm(x, p=float(ord), axis=axes, keepdims=keepdims)


def _extreme(ord: float) -> Any:
    return reduce.max if ord > 0 else reduce.min


def _of_matrices(x: Tensor, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    kept = reduced_shape(x.shape, axes, keepdims)
    if ord in (1, -1, math.inf, -math.inf):
        summed, compared = axes if ord in (1, -1) else axes[::-1]
        sums = reduce.sum(absolute(x), axis=summed, keepdims=True)
        return reshape(_extreme(ord)(sums, axis=compared, keepdims=True), kept)
    if ord not in (2, -2, "nuc"):
        raise ValueError(f'norm: ord must be None, "fro", "nuc", 1, -1, 2, -2, inf or -inf for matrices, got {ord!r}')
    s = absolute(
        svdvals(transpose(x, [a for a in range(x.ndim) if a not in axes] + list(axes)))
    )  # whose slope at 0 is 0
    return reshape(reduce.sum(s, axis=-1) if ord == "nuc" else _extreme(ord)(s, axis=-1), kept)
