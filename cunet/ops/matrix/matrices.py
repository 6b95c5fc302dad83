"""What the functions of matrices share: checks of shapes, the dtype to compute in, transposes, equations."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

from ...device import Array, accumulator, array_module, is_floating, is_gpu_array
from ..linalg import product


def wide(a: Array) -> Array:
    """Return `a` in the dtype to compute in: float32 for half types, which no LAPACK has, float64 for integers."""
    return a.astype(np.float64 if a.dtype.kind in "biu" else accumulator(a.dtype), copy=False)


def narrow(y: Array, dtype: np.dtype) -> Array:
    """Return a result in the dtype of its input; that of integers stays float64."""
    return y.astype(dtype, copy=False) if is_floating(dtype) else y


def flipped(a: Array) -> Array:
    """Return the transposes of matrices."""
    return a.swapaxes(-1, -2)


def check_matrices(who: str, a: Array) -> None:
    """Raise ValueError unless `a` has the two axes of a matrix."""
    if a.ndim < 2:
        raise ValueError(f"{who}: a must have shape (..., M, N), got {a.shape}")


def check_square(who: str, a: Array) -> None:
    """Raise ValueError unless `a` holds square matrices."""
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ValueError(f"{who}: a must have shape (..., N, N), got {a.shape}")


def check_finite(who: str, a: Array) -> None:
    """Raise NumPy's error for infinities and NaN on the CPU, before LAPACK does, or goes round for ever."""
    if not is_gpu_array(a) and not np.isfinite(a).all():
        raise np.linalg.LinAlgError(f"{who}: a must be finite, got inf or nan")


@contextlib.contextmanager
def requiring(text: str) -> Iterator[None]:
    """Let LAPACK's error, which the CPU alone raises, say by whom what is required, and what came."""
    try:
        yield
    except np.linalg.LinAlgError as error:
        raise np.linalg.LinAlgError(text) from error


def solved(a: Array, b: Array) -> Array:
    """Return the solution of ``a @ x = b`` for matrices `b`; leading axes broadcast, which CuPy's does not."""
    xp = array_module(a, b)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = xp.broadcast_to(a, batch + a.shape[-2:]), xp.broadcast_to(b, batch + b.shape[-2:])
    return xp.linalg.solve(a, b) if b.size else xp.zeros(b.shape, np.result_type(a.dtype, b.dtype))


def times(*factors: Array) -> Array:
    """Return the product of matrices, from left to right."""
    y = factors[0]
    for factor in factors[1:]:
        y = product(y, factor)
    return y
