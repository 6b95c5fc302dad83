"""Triangular factors: Cholesky and QR."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...autograd.op import Result, Results, op
from ...autograd.tensor import Tensor
from ...device import array_module
from .matrices import check_matrices, check_square, flipped, narrow, requiring, solved, times, wide


@op
def cholesky(a) -> Result:
    """Return the lower triangular L of ``a = L @ L.T``.

    The lower triangle of `a` is read. The gradient is that of a symmetric matrix: a_ij and a_ji have equal parts.

    Args:
        a: symmetric, positive definite, shape (..., N, N). Half types are computed in float32.

    Raises:
        ValueError: the matrices are not square.
        numpy.linalg.LinAlgError: a matrix is not positive definite, on the CPU; a GPU says nothing.

    Source: Murray 2016, "Differentiation of the Cholesky decomposition", arXiv:1602.07527.

    Example:
        >>> covariance = np.array([[4.0, 2.0], [2.0, 5.0]])
        >>> cunet.linalg.cholesky(covariance)
        Tensor([[2., 0.],
                [1., 2.]], dtype=float64)
    """
    check_square("cholesky", a)
    xp = array_module(a)
    with requiring("cholesky: a must be positive definite, got a matrix that is not"):
        y = xp.linalg.cholesky(wide(a))

    def vjp(gy):
        inner = xp.tril(times(flipped(y), xp.tril(wide(gy))))
        inner = inner - xp.eye(y.shape[-1], dtype=y.dtype) * inner / 2
        outer = solved(flipped(y), flipped(solved(flipped(y), inner)))
        return ((outer + flipped(outer)) / 2,)

    return narrow(y, a.dtype), vjp


class QRResult(NamedTuple):
    """What `qr` returns.

    Example:
        >>> q, r = cunet.linalg.qr(np.ones((3, 2)))
        >>> q.shape, r.shape
        ((3, 2), (2, 2))
    """

    Q: Tensor  #: orthonormal columns, (..., M, K)
    R: Tensor  #: upper triangular, (..., K, N)


@op
def _qr(a) -> Results:
    check_matrices("qr", a)
    xp = array_module(a)
    full = wide(a)
    q, r = xp.linalg.qr(full)
    width = min(full.shape[-2:])  # of the part whose columns decide q

    def vjp(gys):
        gq = xp.zeros_like(q) if gys[0] is None else wide(gys[0])
        gr = xp.zeros_like(r) if gys[1] is None else xp.triu(wide(gys[1]))
        right = gr[..., width:]
        gq = gq + times(full[..., width:], flipped(right))
        m = times(r[..., :width], flipped(gr[..., :width])) - times(flipped(gq), q)
        m = xp.tril(m) + flipped(xp.tril(m, -1))
        with requiring(
            f"qr: the gradient needs the first {width} columns of a linearly independent, which they are not"
        ):
            left = flipped(solved(r[..., :width], flipped(gq + times(q, m))))
        return (xp.concatenate([left, times(q, right)], axis=-1),)

    return (narrow(q, a.dtype), narrow(r, a.dtype)), vjp


def qr(a: Any) -> QRResult:
    """Return Q with orthonormal columns and an upper triangular R, ``a = Q @ R``, of the least size that holds a.

    Args:
        a: shape (..., M, N), whose first min(M, N) columns are linearly independent where a gradient is wanted. Half
            types are computed in float32.

    Returns:
        ``Q`` (..., M, K) and ``R`` (..., K, N) with ``K = min(M, N)``.

    Raises:
        ValueError: `a` has fewer than two axes.
        numpy.linalg.LinAlgError: (in backward, on the CPU) those columns are not independent.

    Source: Walter, Lehmann 2010, "Algorithmic differentiation of linear algebra functions", arXiv:1001.1654; for
    M < N Roberts, Roberts 2020, "QR and LQ decomposition matrix backpropagation algorithms", arXiv:2009.10071.

    Example:
        >>> a = np.array([[3.0, 1.0], [4.0, 2.0]])
        >>> q, r = cunet.linalg.qr(a)
        >>> abs(r).round(4)  # rows of R, and columns of Q, have signs of LAPACK's choice
        Tensor([[5. , 2.2],
                [0. , 0.4]], dtype=float64)
        >>> (q @ r).round(4)
        Tensor([[3., 1.],
                [4., 2.]], dtype=float64)
    """
    q, r = _qr(a)
    return QRResult(q, r)
