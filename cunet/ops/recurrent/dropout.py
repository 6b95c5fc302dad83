"""Dropout for sequences: variational dropout drops units, DropConnect drops weights; each under its own name."""

from __future__ import annotations

from typing import Any

from ...autograd.tensor import Tensor
from ...device import Array, array_module
from ...random import Generator
from ..array import swapaxes
from ..dropout import dropout, dropout_channel
from ..operands import lifted


def variational_dropout(
    input: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None, *, batch_first: bool = False
) -> Tensor:
    """Drop units of a sequence with one mask for all of its steps, and scale the others by ``1 / (1 - p)``.

    Args:
        input: floating, shape (T, N, C), or (N, T, C) with `batch_first`. Each sequence has a mask of its own.
        p, training, generator: see `cunet.functional.dropout`.
        batch_first: whether the batch is the first axis.

    Returns:
        Tensor like `input`.

    Raises:
        ValueError: `input` has not 3 axes.

    Source: Gal and Ghahramani 2016, arXiv:1512.05287, section 4.

    Example:
        >>> x = cunet.tensor(np.ones((3, 1, 6), np.float32))  # three steps of one sequence
        >>> F.variational_dropout(x)[:, 0]
        Tensor([[0., 0., 2., 0., 2., 2.],
                [0., 0., 2., 0., 2., 2.],
                [0., 0., 2., 0., 2., 2.]])
    """
    input = lifted(input)
    if input.ndim != 3:
        raise ValueError(
            f"variational_dropout: input must have 3 axes, time, batch and channels, got shape {input.shape}"
        )
    if batch_first:
        return dropout_channel(input, p, training, generator=generator, axis=-1)
    y = dropout_channel(swapaxes(input, axis1=0, axis2=1), p, training, generator=generator, axis=-1)
    return swapaxes(y, axis1=0, axis2=1)


def state_mask(like: Array, shape: tuple[int, int], p: float, generator: Generator | None) -> Array:
    """Return what a recurrent state (N, H) is multiplied by at every step: 0 or ``1 / (1 - p)``."""
    return dropout(Tensor(array_module(like).ones(shape, like.dtype)), p, True, generator=generator).data


def drop_connect(weight: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Tensor:
    """Return `weight` with each element set to 0 with probability `p`, the others scaled by ``1 / (1 - p)``.

    It drops connections, where dropout drops units. On a recurrent weight, with one mask for all steps, it is
    the weight drop of Merity et al. 2017 (arXiv:1708.02182, section 2). The weight itself is left as it is.

    Args:
        weight: floating, any shape.
        p, training, generator: see `cunet.functional.dropout`.

    Source: Wan et al. 2013, "Regularization of neural networks using DropConnect", section 3; evaluation uses
        the mean of the weights, where the paper samples.

    Example:
        >>> x, weight = cunet.tensor(np.ones((1, 4), np.float32)), cunet.tensor(np.ones((3, 4), np.float32))
        >>> F.drop_connect(weight)
        Tensor([[0., 0., 2., 0.],
                [2., 2., 0., 0.],
                [2., 0., 2., 2.]])
        >>> F.linear(x, F.drop_connect(weight, training=False))
        Tensor([[4., 4., 4.]])
    """
    return dropout(weight, p, training, generator=generator)
