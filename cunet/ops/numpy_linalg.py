"""The functions of `numpy.linalg` that run ops on Tensors; see `numpy_signatures`."""

from __future__ import annotations

import functools
import math as numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from . import array, linalg, math, numpy_arithmetic, products, rearrange
from .matrix import determinant, equations, norms, spectral, triangular
from .numpy_arguments import Unsupported, unsupported
from .numpy_shapes import matrix_transpose
from .operands import lifted


def _svd(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    return spectral.svd(a, full_matrices=full_matrices) if compute_uv else spectral.svdvals(a)


LINALG: dict[Callable[..., Any], Callable[..., Any]] = {
    np.linalg.cholesky: triangular.cholesky,
    np.linalg.det: determinant.det,
    np.linalg.eigh: spectral.eigh,
    np.linalg.eigvalsh: spectral.eigvalsh,
    np.linalg.inv: equations.inv,
    np.linalg.lstsq: equations.lstsq,
    np.linalg.matrix_power: equations.matrix_power,
    np.linalg.norm: norms.norm,
    np.linalg.pinv: equations.pinv,
    np.linalg.qr: triangular.qr,
    np.linalg.slogdet: determinant.slogdet,
    np.linalg.solve: equations.solve,
    np.linalg.svd: _svd,
    np.linalg.svdvals: spectral.svdvals,
}


def cond(x: Any, p: Any = None) -> Tensor:
    """Return how far the inverse makes errors larger, in a norm of matrices."""
    if p in (None, 2, -2):
        s = spectral.svdvals(x)
        ends = (s[..., -1], s[..., 0]) if p == -2 else (s[..., 0], s[..., -1])
        return math.divide(*ends)
    return math.multiply(norms.norm(x, p, (-2, -1)), norms.norm(equations.inv(x), p, (-2, -1)))


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Tensor:
    """Return the vector at right angles to two of length 3."""
    return numpy_arithmetic.cross(x1, x2, axis=axis)


def diagonal(x: Any, /, *, offset: int = 0) -> Tensor:
    """Return a diagonal of the last two axes."""
    return rearrange.diagonal(x, offset, -2, -1)


def matmul(x1: Any, x2: Any, /) -> Tensor:
    """Return the product of matrices."""
    return linalg.matmul(x1, x2)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    """Return the norm of each matrix in the last two axes."""
    return norms.norm(x, ord, (-2, -1), keepdims)


def multi_dot(arrays: Sequence[Any], *, out: Any = None) -> Tensor:
    """Return the product of several matrices; the first and the last may be vectors."""
    unsupported(out=out)
    return functools.reduce(linalg.matmul, arrays)


def outer(x1: Any, x2: Any, /) -> Tensor:
    """Return all products of elements of two vectors."""
    return products.outer(x1, x2)


def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Tensor:
    """Return the sum of products over pairs of axes."""
    return products.tensordot(x1, x2, axes)


def tensorinv(a: Any, ind: int = 2) -> Tensor:
    """Return the inverse of an array as a map from its last axes to its first."""
    x = lifted(a)
    if ind <= 0:
        raise ValueError(f"tensorinv: ind must be at least 1, got {ind}")
    rows, columns = x.shape[:ind], x.shape[ind:]
    matrix = array.reshape(x, (numbers.prod(rows), numbers.prod(columns)))
    return array.reshape(equations.inv(matrix), (*columns, *rows))


def tensorsolve(a: Any, b: Any, axes: Any = None) -> Tensor:
    """Return x with ``tensordot(a, x, x.ndim) == b``."""
    if axes is not None:
        raise Unsupported("axes=")
    a, b = lifted(a, b), lifted(b, a)
    rest = a.shape[b.ndim :]
    matrix = array.reshape(a, (b.size, numbers.prod(rest)))
    return array.reshape(equations.solve(matrix, array.reshape(b, (-1,))), rest)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Tensor:
    """Return the sum over a diagonal of the last two axes."""
    return rearrange.trace(x, offset, -2, -1, dtype)


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Tensor:
    """Return products of vectors along an axis."""
    x, y = (rearrange.moveaxis(lifted(a, x1, x2), axis, -1) for a in (x1, x2))
    return numpy_arithmetic.vecdot(x, y)


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Tensor:
    """Return the norm of vectors over axes, which are taken as one."""
    x = lifted(x)
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(a % x.ndim for a in axes)
    kept = [k for k in range(x.ndim) if k not in axes]
    rows = array.reshape(array.transpose(x, (*kept, *axes)), (*(x.shape[k] for k in kept), -1))
    y = norms.norm(rows, ord, -1)
    return array.reshape(y, [1 if k in axes else n for k, n in enumerate(x.shape)]) if keepdims else y


#: Those made of others.
COMPOSED: dict[Callable[..., Any], Callable[..., Any]] = {
    getattr(np.linalg, own.__name__): own
    for own in (
        *(cond, cross, diagonal, matmul, matrix_norm, matrix_transpose, multi_dot, outer, tensordot, tensorinv),
        *(tensorsolve, trace, vecdot, vector_norm),
    )
}
