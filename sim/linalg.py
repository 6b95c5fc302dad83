"""Functions of CuPy's linear algebra that are not NumPy's.

In ``cupy.linalg`` shapes are not broadcast, and no matrix is refused: CuPy does not look at what cuSOLVER says of
singular matrices, unless it is told to, and their results are not finite. Its `matmul` takes few types in batches.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .state import stats


def batches_as_cupy(plain: Callable[..., Any]) -> Callable[..., Any]:
    """Return `matmul` with what CuPy 14.2 does beyond matrices.

    bfloat16 goes to a kernel for integers, which does not know it. float16 goes through float32 and back, and every
    operand that is not contiguous is copied: launches that `stats` counts.
    """

    @functools.wraps(plain)
    def matmul(x: np.ndarray, y: np.ndarray, *args: Any, **kwargs: Any) -> Any:
        if max(x.ndim, y.ndim) > 2:
            dtype = np.promote_types(x.dtype, y.dtype)
            if dtype.name == "bfloat16":
                raise TypeError("data type 'E' not understood")
            stats.ops += sum(not a.flags.c_contiguous or a.dtype != dtype or dtype.char == "e" for a in (x, y))
            stats.ops += dtype.char == "e"
        return plain(x, y, *args, **kwargs)

    return matmul


def solve(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Solve equations whose vectors or matrices `b` are one for each matrix, or one vector for all."""
    if b.ndim == 1:
        b = np.broadcast_to(b, a.shape[:-1])
    if a.shape[:-1] != b.shape[: a.ndim - 1]:
        raise ValueError("a must have (..., M, M) shape and b must have (..., M, K) for multidimensional b")
    if b.ndim == a.ndim:
        return _silent(np.linalg.solve)(a, b)
    return _silent(np.linalg.solve)(a, b[..., None])[..., 0]


def _silent(plain: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of matrices that gives NaN for those that NumPy's refuses for their values."""

    @functools.wraps(plain)
    def function(*matrices: np.ndarray) -> Any:
        try:
            return plain(*matrices)
        except np.linalg.LinAlgError as error:
            if not any(word in str(error) for word in ("Singular", "positive definite")):
                raise
        if matrices[0].ndim > 2:
            return np.stack([function(*parts) for parts in zip(*matrices, strict=True)])
        return np.full(matrices[-1].shape, np.nan, matrices[-1].dtype)

    return function


def _of_finite(plain: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of matrices that gives NaN for those that are not finite: NumPy's may never return."""

    @functools.wraps(plain)
    def function(a: np.ndarray, *args: Any, **kwargs: Any) -> Any:
        finite = np.isfinite(a).all(axis=(-1, -2))
        if finite.all():
            return plain(a, *args, **kwargs)
        result = plain(np.where(finite[..., None, None], a, 0), *args, **kwargs)
        parts = result if isinstance(result, tuple) else (result,)
        kept = [np.where(finite.reshape(finite.shape + (1,) * (p.ndim - finite.ndim)), p, np.nan) for p in parts]
        made = [part.astype(p.dtype) for part, p in zip(kept, parts, strict=True)]
        return type(result)(*made) if isinstance(result, tuple) else made[0]

    return function


#: What stands for a function of NumPy.
INSTEAD: dict[Callable[..., Any], Callable[..., Any]] = {
    np.linalg.cholesky: _silent(np.linalg.cholesky),
    np.linalg.eigh: _of_finite(np.linalg.eigh),
    np.linalg.eigvalsh: _of_finite(np.linalg.eigvalsh),
    np.linalg.inv: _silent(np.linalg.inv),
    np.linalg.pinv: _of_finite(np.linalg.pinv),
    np.linalg.solve: solve,
    np.linalg.svd: _of_finite(np.linalg.svd),
}
