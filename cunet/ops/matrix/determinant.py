"""Determinants, also of singular matrices."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...autograd.op import Result, Results, op
from ...autograd.tensor import Tensor
from ...device import Array, array_module
from ..reduce import products_of_others
from .matrices import check_square, flipped, narrow, times, wide


def _cofactors(a: Array) -> Array:
    """Return the matrices of cofactors: ``det(u) det(vh) u @ diag(products of the other singular values) @ vh``.

    That holds for every rank, where ``det(a) * inv(a).T`` divides by 0.
    """
    xp = array_module(a)
    if not a.size:
        return a
    finite = xp.isfinite(a).all(axis=(-1, -2), keepdims=True)  # of others NumPy computes no singular values
    u, s, vh = xp.linalg.svd(xp.where(finite, a, 0))
    sign = xp.linalg.slogdet(u)[0] * xp.linalg.slogdet(vh)[0]
    others = products_of_others(s) * sign[..., None]
    return xp.where(finite, times(u * others[..., None, :], vh), xp.nan)


@op
def det(a) -> Result:
    """Return the determinant; its gradient is the matrix of cofactors, of singular matrices too.

    Args:
        a: shape (..., N, N). Half types are computed in float32.

    Returns:
        Shape (...).

    Raises:
        ValueError: the matrices are not square.

    Source: Giles 2008, "An extended collection of matrix derivative results", section 2.2.4 (Jacobi's formula).

    Example:
        >>> a = np.array([[2.0, 1.0], [4.0, 3.0]])
        >>> cunet.linalg.det(a).round(4)
        Tensor(2., dtype=float64)
        >>> cunet.grad(cunet.linalg.det)(a).round(4)  # the cofactors
        array([[ 3., -4.],
               [-1.,  2.]])
    """
    check_square("det", a)
    full = wide(a)
    y = array_module(a).linalg.det(full)
    return narrow(y, a.dtype), lambda gy: (wide(gy)[..., None, None] * _cofactors(full),)


class SlogdetResult(NamedTuple):
    """What `slogdet` returns.

    Example:
        >>> sign, logabsdet = cunet.linalg.slogdet(np.eye(3))
        >>> sign, logabsdet
        (Tensor(1., dtype=float64), Tensor(0., dtype=float64))
    """

    sign: Tensor  #: -1, 0 or 1, (...)
    logabsdet: Tensor  #: logarithm of the absolute value, (...)


@op
def _slogdet(a) -> Results:
    check_square("slogdet", a)
    xp = array_module(a)
    full = wide(a)
    sign, y = xp.linalg.slogdet(full)

    def vjp(gys):
        if gys[1] is None or not full.size:
            return (xp.zeros_like(full),)
        g, singular = wide(gys[1])[..., None, None], (sign == 0)[..., None, None]
        inverse = xp.linalg.inv(xp.where(singular, xp.eye(full.shape[-1], dtype=full.dtype), full))
        slope = xp.where(singular, xp.nan, flipped(inverse))
        return (xp.where(g == 0, 0, g * slope),)

    return (narrow(sign, a.dtype), narrow(y, a.dtype)), vjp


def slogdet(a: Any) -> SlogdetResult:
    """Return the sign of the determinant and the logarithm of its absolute value, which leave no range.

    The gradient of the logarithm is ``inv(a).T``. A singular matrix has sign 0 and logarithm -inf, and the gradient is
    NaN there, or 0 where none arrives.

    Args:
        a: shape (..., N, N). Half types are computed in float32.

    Returns:
        ``sign`` and ``logabsdet``, each of shape (...).

    Raises:
        ValueError: the matrices are not square.

    Source: Giles 2008, section 2.2.4.

    Example:
        >>> found = cunet.linalg.slogdet(1e-3 * np.eye(200))  # whose determinant, 1e-600, is 0 in float64
        >>> found.sign, found.logabsdet.round(4)
        (Tensor(1., dtype=float64), Tensor(-1381.5511, dtype=float64))
    """
    sign, y = _slogdet(a)
    return SlogdetResult(sign, y)
