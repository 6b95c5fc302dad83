"""Eigenvalues of symmetric matrices, and singular values.

Eigenvectors of equal eigenvalues, and singular vectors of equal singular values, are any basis of the space that they
share. No formula knows what a loss of such vectors does when the matrix moves and they part: that gradient is NaN. The
gradient by the values themselves, and by the other vectors, is right there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...autograd.op import Result, Results, op
from ...autograd.tensor import Tensor
from ...device import Array, array_module
from .matrices import check_finite, check_matrices, check_square, flipped, narrow, times, wide


def _turns(xp: Any, m: Array, gaps: Array) -> Array:
    """Return how vectors turn into each other: the antisymmetric part of `m` over twice the gaps of their values.

    Where there is no gap that is NaN, or 0 if `m` asks for nothing there.
    """
    n = m.shape[-1]
    diagonal = xp.eye(n, dtype=bool)
    m = xp.where(diagonal, 0, m)
    tied = xp.abs(gaps) <= n * np.finfo(m.dtype).eps
    asked = (m != 0) | (flipped(m) != 0)
    turns = (m - flipped(m)) / xp.where(tied, 1, 2 * gaps)
    return xp.where(tied & asked, xp.nan, xp.where(tied, 0, turns))


def _scale(xp: Any, values: Array) -> Array:
    """Return the largest absolute value of each row, as a matrix of one element; 1 if all are 0."""
    largest = xp.abs(values).max(axis=-1)[..., None, None]
    return xp.where(largest == 0, 1, largest)


def _eigen_gradient(w: Array, v: Array, gw: Array | None, gv: Array | None) -> Array:
    """Return the gradient of a symmetric matrix from those of its eigenvalues and eigenvectors."""
    xp = array_module(v)
    if not v.size:
        return xp.zeros_like(v)
    inner = xp.zeros_like(v)
    if gv is not None:
        scale = _scale(xp, w)
        unit = w[..., None] / scale
        inner = _turns(xp, times(flipped(v), gv), flipped(unit) - unit) / scale
    if gw is not None:
        inner = inner + xp.eye(w.shape[-1], dtype=v.dtype) * gw[..., None, :]
    return times(v, inner, flipped(v))


class EighResult(NamedTuple):
    """What `eigh` returns.

    Example:
        >>> values, vectors = cunet.linalg.eigh(np.diag([1.0, 2.0]))
        >>> values
        Tensor([1., 2.], dtype=float64)
    """

    eigenvalues: Tensor  #: the smallest first, (..., N)
    eigenvectors: Tensor  #: in columns, (..., N, N)


@op(arrays=1)
def _eigh(a, UPLO: str = "L") -> Results:
    full = _symmetric("eigh", a, UPLO)
    w, v = array_module(a).linalg.eigh(full, UPLO)

    def vjp(gys):
        gw, gv = (None if g is None else wide(g) for g in gys)
        return (_eigen_gradient(w, v, gw, gv),)

    return (narrow(w, a.dtype), narrow(v, a.dtype)), vjp


def eigh(a: Any, UPLO: str = "L") -> EighResult:
    """Return eigenvalues, the smallest first, and eigenvectors of symmetric matrices: ``a @ v = v * w``.

    The gradient is that of a symmetric matrix: a_ij and a_ji have equal parts. It is NaN where a loss depends on
    eigenvectors whose eigenvalue is there twice (to rounding): these are any basis of a plane. Nor has the sign of an
    eigenvector a meaning.

    Args:
        a: shape (..., N, N). Half types are computed in float32.
        UPLO: which triangle of `a` is read, "L" or "U".

    Returns:
        ``eigenvalues`` (..., N) and ``eigenvectors`` (..., N, N), in columns.

    Raises:
        ValueError: the matrices are not square, or `UPLO` is another one.
        numpy.linalg.LinAlgError: a matrix is not finite, on the CPU.

    Source: Giles 2008, "An extended collection of matrix derivative results", section 3.1.

    Example:
        >>> a = np.array([[2.0, 1.0], [1.0, 2.0]])
        >>> w, v = cunet.linalg.eigh(a)
        >>> w.round(4)
        Tensor([1., 3.], dtype=float64)
        >>> (v @ np.diag(w.data) @ v.T).round(4)
        Tensor([[2., 1.],
                [1., 2.]], dtype=float64)
    """
    w, v = _eigh(a, UPLO=UPLO)
    return EighResult(w, v)


def _symmetric(who: str, a: Array, uplo: str) -> Array:
    """Return matrices in the dtype to compute in, if these and `uplo` fit."""
    check_square(who, a)
    if uplo not in ("L", "U"):
        raise ValueError(f'{who}: UPLO must be "L" or "U", got {uplo!r}')
    full = wide(a)
    check_finite(who, full)
    return full


@op(arrays=1)
def eigvalsh(a, UPLO: str = "L") -> Result:
    """Return the eigenvalues of symmetric matrices, the smallest first; see `eigh`.

    They have a gradient where they are equal too: of a function that does not depend on their order.

    Args:
        a: shape (..., N, N).
        UPLO: which triangle of `a` is read, "L" or "U".

    Example:
        >>> cunet.linalg.eigvalsh(np.array([[2.0, 1.0], [1.0, 2.0]])).round(4)
        Tensor([1., 3.], dtype=float64)
    """
    full = _symmetric("eigvalsh", a, UPLO)
    xp = array_module(a)

    def vjp(gw):
        w, v = xp.linalg.eigh(full, UPLO)
        return (_eigen_gradient(w, v, wide(gw), None),)

    return narrow(xp.linalg.eigvalsh(full, UPLO), a.dtype), vjp


class SVDResult(NamedTuple):
    """What `svd` returns.

    Example:
        >>> found = cunet.linalg.svd(np.ones((3, 2)), full_matrices=False)
        >>> found.U.shape, found.S.shape, found.Vh.shape
        ((3, 2), (2,), (2, 2))
    """

    U: Tensor  #: left vectors, in columns, (..., M, K)
    S: Tensor  #: singular values, the largest first, (..., K)
    Vh: Tensor  #: right vectors, in rows, (..., K, N)


def _divided(xp: Any, a: Array, s: Array) -> Array:
    """Return ``a / s``, and 0 where `a` is 0 whatever `s` is."""
    return xp.where(a == 0, 0, a / xp.where((a == 0) & (s == 0), 1, s))


def svd_gradient(factors: tuple[Array, Array, Array], gu: Array | None, gs: Array | None, gvh: Array | None) -> Array:
    """Return the gradient of a matrix from those of its factors of least size."""
    u, s, vh = factors
    xp = array_module(u)
    inner = xp.zeros((*s.shape, s.shape[-1]), s.dtype)
    if not inner.size:
        return times(u, inner, vh)
    scale = _scale(xp, s)
    column = s[..., None] / scale
    row = flipped(column)
    gaps = (row - column) * (row + column)
    if gs is not None:
        inner = xp.eye(s.shape[-1], dtype=s.dtype) * gs[..., None, :]
    if gu is not None:
        inner = inner + 2 * _turns(xp, times(flipped(u), gu), gaps) * row / scale
    if gvh is not None:
        inner = inner + 2 * column * _turns(xp, times(vh, flipped(gvh)), gaps) / scale
    y = times(u, inner, vh)
    if gu is not None and u.shape[-2] > u.shape[-1]:
        y = y + times(_divided(xp, gu - times(u, flipped(u), gu), s[..., None, :]), vh)
    if gvh is not None and vh.shape[-1] > vh.shape[-2]:
        y = y + times(u, _divided(xp, gvh - times(gvh, flipped(vh), vh), s[..., None]))
    return y


def singular_gradient(a: Array, gs: Array) -> Array:
    """Return the gradient of a matrix from that of its singular values."""
    u, s, vh = array_module(a).linalg.svd(a, full_matrices=False)
    return svd_gradient((u, s, vh), None, gs, None)


@op(arrays=1)
def _svd(a, full_matrices: bool = True) -> Results:
    check_matrices("svd", a)
    full = wide(a)
    check_finite("svd", full)
    u, s, vh = array_module(a).linalg.svd(full, full_matrices=full_matrices)
    count = s.shape[-1]

    def vjp(gys):
        gu, gs, gvh = (None if g is None else wide(g) for g in gys)
        if (gu is not None and u.shape[-1] > count) or (gvh is not None and vh.shape[-2] > count):
            raise ValueError(
                "svd: vectors beyond the min(M, N) = "
                f"{count} that belong to singular values have no gradient; pass full_matrices=False"
            )
        return (svd_gradient((u[..., :count], s, vh[..., :count, :]), gu, gs, gvh),)

    return (narrow(u, a.dtype), narrow(s, a.dtype), narrow(vh, a.dtype)), vjp


def svd(a: Any, full_matrices: bool = True) -> SVDResult:
    """Return the singular value decomposition ``a = U @ diag(S) @ Vh``, the largest value first.

    The gradient is NaN where a loss depends on singular vectors whose value is there twice (to rounding), or is 0
    while the matrix is not square: they are any basis of a plane. Nor have the signs of a pair of vectors a meaning.

    Args:
        a: shape (..., M, N). Half types are computed in float32.
        full_matrices: return M and N vectors too, of which those beyond ``K = min(M, N)`` have no gradient.

    Returns:
        ``U`` (..., M, K), ``S`` (..., K) and ``Vh`` (..., K, N); with `full_matrices` (..., M, M) and (..., N, N).

    Raises:
        ValueError: `a` has fewer than two axes; in backward, for vectors that `full_matrices` added.
        numpy.linalg.LinAlgError: a matrix is not finite, on the CPU.

    Source: Townsend 2016, "Differentiating the singular value decomposition".

    Example:
        >>> a = np.array([[3.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
        >>> u, s, vh = cunet.linalg.svd(a, full_matrices=False)
        >>> s.round(4)
        Tensor([3., 2.], dtype=float64)
        >>> abs(a - u[:, :1] * s[:1] @ vh[:1]).max().round(4)  # the nearest matrix of rank 1 misses by the next value
        Tensor(2., dtype=float64)
    """
    u, s, vh = _svd(a, full_matrices=full_matrices)
    return SVDResult(u, s, vh)


@op
def svdvals(a) -> Result:
    """Return the singular values, the largest first; see `svd`.

    They have a gradient where they are equal, or 0, too: of a function that does not depend on their order.

    Args:
        a: shape (..., M, N). Half types are computed in float32.

    Returns:
        Shape (..., min(M, N)).

    Example:
        >>> cunet.linalg.svdvals(np.array([[3.0, 0.0], [0.0, -2.0]])).round(4)
        Tensor([3., 2.], dtype=float64)
    """
    check_matrices("svdvals", a)
    full = wide(a)
    check_finite("svdvals", full)
    s = array_module(a).linalg.svd(full, compute_uv=False)
    return narrow(s, a.dtype), lambda gs: (singular_gradient(full, wide(gs)),)
