"""Equations: solve, inverses, least squares, powers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...autograd.op import Result, Results, op
from ...autograd.tensor import Tensor, array_of
from ...device import Array, array_module, is_gpu_array
from ..array import broadcast_to
from ..linalg import matmul
from ..operands import lifted
from .matrices import check_finite, check_matrices, check_square, flipped, narrow, requiring, solved, times, wide
from .spectral import svd_gradient


@op
def solve(a, b) -> Result:
    """Return the solution x of ``a @ x = b``.

    With ``gb = inv(a).T @ gx`` the gradient of b is gb, that of a ``-gb @ x.T``.

    Args:
        a: shape (..., N, N). Half types are computed in float32.
        b: shape (N,), one vector for all matrices, or (..., N, K); leading axes broadcast.

    Returns:
        Shape (..., N) or (..., N, K).

    Raises:
        ValueError: shapes do not fit together.
        numpy.linalg.LinAlgError: a matrix is singular, on the CPU; on a GPU its solution is not finite.

    Source: Giles 2008, "An extended collection of matrix derivative results", section 2.3.1.

    Example:
        >>> a, b = np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([2.0, 2.0])
        >>> cunet.linalg.solve(a, b)
        Tensor([1. , 0.5], dtype=float64)
        >>> cunet.linalg.solve(np.zeros((2, 2)), b)
        Traceback (most recent call last):
            ...
        numpy.linalg.LinAlgError: solve: a must be invertible, got a singular matrix
    """
    check_square("solve", a)
    vector = b.ndim == 1
    if not b.ndim or b.shape[0 if vector else -2] != a.shape[-1]:
        raise ValueError(
            f"solve: a and b must have shapes (..., N, N) and (N,) or (..., N, K), got {a.shape}, {b.shape}"
        )
    left, right = wide(a), wide(b[:, None] if vector else b)
    with requiring("solve: a must be invertible, got a singular matrix"):
        x = solved(left, right)

    def vjp(gx):
        gb = solved(flipped(left), wide(gx[..., None] if vector else gx))
        return lambda: -times(gb, flipped(x)), lambda: gb[..., 0] if vector else gb

    return narrow(x[..., 0] if vector else x, np.result_type(a.dtype, b.dtype)), vjp


@op
def inv(a) -> Result:
    """Return the inverse of a square matrix; its gradient is ``-y.T @ gy @ y.T``.

    To solve equations take `solve`, which is faster and loses fewer digits.

    Args:
        a: shape (..., N, N). Half types are computed in float32.

    Raises:
        ValueError: the matrices are not square.
        numpy.linalg.LinAlgError: a matrix is singular, on the CPU; on a GPU its inverse is not finite.

    Source: Giles 2008, section 2.2.3.

    Example:
        >>> cunet.linalg.inv(np.array([[2.0, 1.0], [1.0, 1.0]])).round(4)
        Tensor([[ 1., -1.],
                [-1.,  2.]], dtype=float64)
    """
    check_square("inv", a)
    with requiring("inv: a must be invertible, got a singular matrix"):
        y = array_module(a).linalg.inv(wide(a))
    return narrow(y, a.dtype), lambda gy: (-times(flipped(y), wide(gy), flipped(y)),)


def _cutoff(a: Array, rcond: float | None) -> float:
    """Return the part of the largest singular value below which one counts as 0."""
    return float(np.finfo(a.dtype).eps) * max(a.shape[-2:]) if rcond is None else rcond


@op(arrays=1)
def pinv(a, rcond: float | None = None) -> Result:
    """Return the pseudoinverse of Moore and Penrose.

    Its gradient holds as long as the rank stays what it is; where it changes the pseudoinverse jumps.

    Args:
        a: shape (..., M, N). Half types are computed in float32.
        rcond: singular values below this part of the largest count as 0; by default ``max(M, N)`` times the spacing
            of numbers at 1 in the dtype.

    Returns:
        Shape (..., N, M).

    Raises:
        ValueError: `a` has fewer than two axes.
        numpy.linalg.LinAlgError: a matrix is not finite, on the CPU.

    Source: Golub, Pereyra 1973, "The differentiation of pseudo-inverses", equation 4.12.

    Example:
        >>> cunet.linalg.pinv(np.array([[1.0], [1.0]])).round(4)
        Tensor([[0.5, 0.5]], dtype=float64)
        >>> cunet.linalg.pinv(np.array([[2.0, 2.0], [2.0, 2.0]])).round(4)  # singular
        Tensor([[0.125, 0.125],
                [0.125, 0.125]], dtype=float64)
    """
    check_matrices("pinv", a)
    full = wide(a)
    check_finite("pinv", full)
    y = array_module(a).linalg.pinv(full, _cutoff(full, rcond))

    def vjp(gy):
        g, gt, yt = wide(gy), flipped(wide(gy)), flipped(y)
        outside, hidden = gt - times(full, y, gt), gt - times(gt, y, full)
        return (times(outside, y, yt) + times(yt, y, hidden) - times(yt, g, yt),)

    return narrow(y, a.dtype), vjp


class LstsqResult(NamedTuple):
    """What `lstsq` returns.

    Example:
        >>> found = cunet.linalg.lstsq(np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([3.0, 4.0]))
        >>> found.x.round(4), found.rank
        (Tensor([3., 2.], dtype=float64), Tensor(2, dtype=int64))
    """

    x: Tensor  #: the solution, (N,) or (N, K)
    residuals: Tensor  #: sums of squares that are left, (1,) or (K,); empty unless M > N
    rank: Tensor  #: of a; an integer
    singular_values: Tensor  #: of a, the largest first, (min(M, N),)


def _if_full_rank(g: Array, rank: Any, full: int) -> Array:
    """Return the gradient `g`; without full rank raise ValueError, or on a GPU, to wait for nothing, return NaN."""
    if is_gpu_array(g):
        return array_module(g).where(rank < full, np.nan, g)
    if rank < full:
        raise ValueError(
            f"lstsq: the solution has a gradient where a has full rank min(M, N) = {full}, got rank {int(rank)}"
        )
    return g


@op(arrays=2)
def _lstsq(a, b, rcond: float | None = None) -> Results:
    # Not by NumPy's lstsq, which gives no factors for the way back, nor by CuPy's, which waits for the rank.
    xp = array_module(a, b)
    full, columns = wide(a), wide(b[:, None] if b.ndim == 1 else b)
    check_finite("lstsq", full)
    u, s, vh = xp.linalg.svd(full, full_matrices=False)
    kept = s > s[:1] * _cutoff(full, rcond)
    parts = xp.where(kept, 1 / xp.where(kept, s, 1), 0)[:, None]

    def inverse(b: Array) -> Array:
        return times(flipped(vh), parts * times(flipped(u), b))

    def transposed_inverse(x: Array) -> Array:
        return times(u, parts * times(vh, x))

    x, rank = inverse(columns), kept.sum()
    rest = columns - times(full, x)
    residuals = (rest * rest).sum(axis=0) if full.shape[0] > full.shape[1] else rest[:0, 0]

    def vjp(gys):
        gx, g_residuals, _, gs = gys
        ga, gb = xp.zeros_like(full), xp.zeros_like(columns)
        if gx is not None:
            g = _if_full_rank(wide(gx).reshape(x.shape), rank, len(s))
            gb = transposed_inverse(g)
            hidden = g - times(flipped(vh), vh, g)
            ga = times(rest, flipped(inverse(gb))) + times(transposed_inverse(x), flipped(hidden))
            ga = ga - times(gb, flipped(x))
        if g_residuals is not None and g_residuals.size:
            twice = 2 * wide(g_residuals) * rest  # x moves along, but for the least squares that costs nothing
            ga, gb = ga - times(twice, flipped(x)), gb + twice
        if gs is not None:
            ga = ga + svd_gradient((u, s, vh), None, wide(gs), None)
        return ga, gb.reshape(b.shape)

    dtype = np.result_type(a.dtype, b.dtype)
    solution = narrow(x[:, 0] if b.ndim == 1 else x, dtype)
    return (solution, narrow(residuals, dtype), xp.asarray(rank), narrow(s, a.dtype)), vjp


def lstsq(a: Any, b: Any, rcond: float | None = None) -> LstsqResult:
    """Return the x that makes ``sum((b - a @ x) ** 2)`` least; of several the shortest.

    Args:
        a: shape (M, N). Half types are computed in float32.
        b: shape (M,) or (M, K).
        rcond: singular values of a below this part of the largest count as 0; by default ``max(M, N)`` times the
            spacing of numbers at 1 in the dtype.

    Returns:
        As `numpy.linalg.lstsq`: ``x`` (N,) or (N, K); ``residuals`` (1,) or (K,), the sums of squares that are left,
        empty unless ``M > N``; ``rank``; ``singular_values`` (min(M, N),) of a. All have gradients but the rank.

    Raises:
        ValueError: shapes do not fit together; in backward, for x, where a has not full rank, so that x jumps (on a
            GPU, which is not waited for, that gradient is NaN).
        numpy.linalg.LinAlgError: a is not finite, on the CPU.

    Source: Golub, Pereyra 1973, "The differentiation of pseudo-inverses", equation 4.12.

    Example:
        >>> t = np.array([0.0, 1.0, 2.0, 3.0])  # a line through 4 points
        >>> found = cunet.linalg.lstsq(np.stack([t, np.ones(4)], axis=1), 2 * t + 1 + np.array([0.0, 0.5, -0.5, 0.0]))
        >>> found.x.round(4), found.residuals.round(4)
        (Tensor([1.9 , 1.15], dtype=float64), Tensor([0.45], dtype=float64))
    """
    a, b = lifted(a, b), lifted(b, a)
    if a.ndim != 2 or b.ndim not in (1, 2) or a.shape[0] != b.shape[0]:
        raise ValueError(f"lstsq: a and b must have shapes (M, N) and (M,) or (M, K), got {a.shape} and {b.shape}")
    return LstsqResult(*_lstsq(a, b, rcond=rcond))


def matrix_power(a: Any, n: int) -> Tensor:
    """Return the product of n factors `a`: the identity for 0, of the inverse for negative n.

    Args:
        a: shape (..., N, N).
        n: a whole number.

    Raises:
        TypeError: n is no whole number.
        ValueError: the matrices are not square.

    Example:
        >>> fibonacci = np.array([[1.0, 1.0], [1.0, 0.0]])
        >>> cunet.linalg.matrix_power(fibonacci, 10)
        Tensor([[89., 55.],
                [55., 34.]], dtype=float64)
    """
    a = lifted(a)
    check_square("matrix_power", a)
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise TypeError(f"matrix_power: n must be a whole number, got {n!r}")
    if n == 0:
        one = array_module(array_of(a)).eye(a.shape[-1], dtype=a.dtype)
        return broadcast_to(one, a.shape)
    with requiring(f"matrix_power: a must be invertible for n = {n}, got a singular matrix"):
        square, left = inv(a) if n < 0 else a, abs(int(n))
    while left % 2 == 0:
        square, left = matmul(square, square), left // 2
    y = square
    while left := left // 2:
        square = matmul(square, square)
        y = matmul(y, square) if left % 2 else y
    return y
