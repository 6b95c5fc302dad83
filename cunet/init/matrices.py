"""Matrices: orthogonal ones and the identity, their forms for convolutions, which keep what passes; and sparse ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .initializer import Initializer, Request, factory


@factory
def orthogonal(gain: float = 1.0) -> Initializer:
    """Draw ``gain * Q``, Q uniform (Haar) among matrices with orthonormal rows, or columns if rows > columns.

    Axes after the first are flattened to columns. The last bits depend on the machine's LAPACK.

    Source: Saxe et al. 2013, arXiv:1312.6120; Mezzadri 2006, arXiv:math-ph/0609050, section 5 (sign of R).

    Example:
        >>> weight = init.orthogonal()((4, 64))
        >>> np.linalg.svd(weight)[1].round(4)
        array([1., 1., 1., 1.], dtype=float32)
    """

    def fill(r: Request) -> np.ndarray:
        r.need_axes(2)
        rows, columns = r.shape[0], math.prod(r.shape[1:])
        q, triangle = np.linalg.qr(r.rng().standard_normal((max(rows, columns), min(rows, columns))))
        q *= gain * np.copysign(1.0, np.diagonal(triangle))
        return (q.T if rows < columns else q).reshape(r.shape)

    return Initializer("orthogonal", fill, gain=gain)


@factory
def delta_orthogonal(gain: float = 1.0) -> Initializer:
    """Fill a convolution's weight with ``gain * Q`` in the kernel's centre, Q as of `orthogonal`, and 0 elsewhere.

    Such a layer keeps norms, whatever its depth in a net without residuals; plain orthogonal kernels do not.
    It needs at least as many channels out as in. The centre is ``k // 2``, right for odd kernels with "same" padding.

    Source: Xiao et al. 2018, arXiv:1806.05393, algorithm 1.

    Example:
        >>> weight = init.delta_orthogonal()((8, 8, 3, 3))
        >>> np.linalg.svd(weight[:, :, 1, 1])[1].round(4)
        array([1., 1., 1., 1., 1., 1., 1., 1.], dtype=float32)
        >>> weight.any(axis=(0, 1))  # where not all is 0
        array([[False, False, False],
               [False,  True, False],
               [False, False, False]])
    """

    def fill(r: Request) -> np.ndarray:
        r.need_axes(3, 5)
        out, channels, *kernel = r.shape
        if out < channels:
            raise ValueError(f"delta_orthogonal: weight must have out >= in, got shape {r.shape}")
        weight = np.zeros(r.shape)
        q, triangle = np.linalg.qr(r.rng().standard_normal((out, channels)))
        if 0 not in kernel:
            centre: tuple[Any, ...] = (..., *[k // 2 for k in kernel])
            weight[centre] = gain * q * np.copysign(1.0, np.diagonal(triangle))
        return weight

    return Initializer("delta_orthogonal", fill, gain=gain)


@factory
def eye(gain: float = 1.0) -> Initializer:
    """Fill with ``gain`` on the main diagonal of a matrix ``(out, in)`` and 0 elsewhere.

    Example:
        >>> init.eye(0.5)((2, 3))
        array([[0.5, 0. , 0. ],
               [0. , 0.5, 0. ]], dtype=float32)
    """

    def fill(r: Request) -> np.ndarray:
        r.need_axes(2, 2, "(out, in)")
        return gain * np.eye(r.shape[0], r.shape[1])

    return Initializer("eye", fill, gain=gain)


@factory
def dirac(groups: int = 1) -> Initializer:
    """Fill a convolution's weight so that it passes as many channels of each group as it can unchanged.

    ``w[g * out/groups + c, c, centre] = 1``; centre is ``k // 2``, right for odd kernels with "same" padding.

    Args:
        groups: of the convolution; divides the first axis.

    Example:
        >>> x = cunet.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]])
        >>> F.conv1d(x, init.dirac()((2, 2, 3)), padding=1)
        Tensor([[[1., 2., 3.],
                 [4., 5., 6.]]])
    """

    def fill(r: Request) -> np.ndarray:
        r.need_axes(3, 5, "(out, in/groups, *kernel)")
        out, channels, *kernel = r.shape
        if groups < 1 or out % groups:
            raise ValueError(f"dirac: groups must be >= 1 and divide the first axis {out}, got {groups}")
        weight = np.zeros(r.shape)
        passed = np.arange(min(out // groups, channels))
        if 0 not in kernel:
            centre = tuple(k // 2 for k in kernel)
            for start in range(0, out, out // groups or 1):
                index: tuple[Any, ...] = (start + passed, passed, *centre)
                weight[index] = 1.0
        return weight

    return Initializer("dirac", fill, groups=groups)


@factory
def sparse(sparsity: float, std: float = 0.01) -> Initializer:
    """Draw a matrix from N(0, std**2), with ``ceil(sparsity * rows)`` elements of each column, chosen at random, 0.

    Raises:
        ValueError: sparsity is not in [0, 1], or std is below 0.

    Source: Martens 2010, "Deep learning via Hessian-free optimization", section 5.

    Example:
        >>> weight = init.sparse(0.75)((8, 5))
        >>> np.count_nonzero(weight, axis=0)
        array([2, 2, 2, 2, 2])
    """
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparse: sparsity must be within [0, 1], got {sparsity}")
    if not std >= 0:
        raise ValueError(f"sparse: std must be >= 0, got {std}")

    def fill(r: Request) -> np.ndarray:
        r.need_axes(2, 2, "(out, in)")
        rng = r.rng()
        weight = std * rng.standard_normal(r.shape)
        order = rng.random(r.shape).argsort(axis=0)  # of each column an order of its own
        np.put_along_axis(weight, order[: math.ceil(sparsity * r.shape[0])], 0.0, axis=0)
        return weight

    return Initializer("sparse", fill, sparsity=sparsity, std=std)
