"""Dropout of elements, of channels, and the kind that fits SELU."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.op import Result, op
from ..autograd.tensor import Tensor
from ..device import array_module, is_floating
from ..random import Generator, default_generator
from ..system.messages import warn
from .dropout_mask import LEVELS, draw_elements, drop_channels, threshold_of
from .operands import lifted


def inverted(threshold: int) -> tuple[float, float, float]:
    """Return (scale, shift, value where dropped) that keep the expected value."""
    return (LEVELS / (LEVELS - threshold) if threshold < LEVELS else 0.0), 0.0, 0.0


# What SELU tends to for x -> -inf: -scale * alpha of Klambauer et al. 2017.
_SELU_LOW = -1.0507009873554805 * 1.6732632423543772


def _self_normalizing(threshold: int) -> tuple[float, float, float]:
    """Return (scale, shift, value where dropped) that keep mean 0 and variance 1."""
    q = 1 - threshold / LEVELS
    if q == 0:
        return 0.0, 0.0, 0.0
    a = (q + _SELU_LOW**2 * q * (1 - q)) ** -0.5
    b = -a * (1 - q) * _SELU_LOW
    return a, b, a * _SELU_LOW + b


@op
def _dropout(x, *, draw, threshold, factors) -> Result:
    y = draw_elements(x, draw, threshold, factors)
    return y, lambda gy: (draw_elements(gy, draw, threshold, (factors[0], 0.0, 0.0)),)


@op
def _channel_dropout(x, *, draw, threshold, factors, axis) -> Result:
    xp = array_module(x)
    shape = [n if axis is not None and k in (0, axis) else 1 for k, n in enumerate(x.shape)]

    def kept():
        wide = np.float64 if x.dtype == np.float64 else np.float32
        return draw_elements(xp.ones(math.prod(shape), wide), draw, threshold, (1.0, 0.0, 0.0)).reshape(shape)

    y = drop_channels(x, kept(), *factors)
    return y, lambda gy: (drop_channels(gy, kept(), factors[0], 0.0, 0.0),)


def _apply(
    who: str, x: Any, p: float, training: bool, inplace: bool, generator: Generator | None, law: Any, **static: Any
) -> Tensor:
    """Draw and drop; without a draw, return x itself where nothing can be dropped."""
    threshold = threshold_of(who, p)
    if type(inplace) is not bool:
        raise TypeError(f"{who}: inplace must be True or False, got {inplace!r}; a generator is given by name")
    dtype = None if isinstance(x, list) else x.dtype
    if dtype is not None and not is_floating(dtype):
        raise TypeError(f"{who}: input must have a floating dtype, got {dtype}")
    if not training or threshold == 0:
        return lifted(x)
    draw = (generator or default_generator("dropout")).next()
    run = _channel_dropout if static else _dropout
    return run(x, draw=draw, threshold=threshold, factors=law(threshold), **static)


def dropout(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Drop each element with probability `p`, and scale the others so that the expected value stays.

    ``y = input / (1 - p)`` where kept, else 0. p counts in steps of 1/65536: it is ``round(p * 65536) / 65536``
    that elements are dropped with and scaled for.

    Args:
        input: floating, any shape.
        p: probability to drop, 0 to 1 (Srivastava's p is the probability to keep).
        training: False returns `input` as it is.
        inplace: see `cunet.functional`.
        generator: where the mask is drawn from; by default the stream "dropout" of `cunet.manual_seed`.
            Each call draws a fresh mask.

    Returns:
        Tensor like x. The gradient is dropped and scaled in the same places.

    Raises:
        ValueError: p is not in [0, 1].
        TypeError: `input` is not of floating dtype.

    Source: Srivastava et al. 2014, JMLR 15, section 4, with the scaling in training.

    Example:
        >>> F.dropout(cunet.tensor(np.ones(8, np.float32)), p=0.5)
        Tensor([0., 0., 2., 0., 2., 2., 0., 0.])
        >>> F.dropout(cunet.tensor(np.ones(8, np.float32)), p=0.5, training=False)
        Tensor([1., 1., 1., 1., 1., 1., 1., 1.])
    """
    return _apply("dropout", input, p, training, inplace, generator, inverted)


def _shape(x: Any) -> tuple[int, ...]:
    return np.shape(x) if isinstance(x, list) else x.shape


def _channels(who: str, x: Any, ndim: int | None, axis: int) -> int:
    shape = _shape(x)
    if ndim is not None and len(shape) != ndim:
        raise ValueError(f"{who}: input must have {ndim} axes, (N, C, ...), got shape {shape}")
    if len(shape) < 2 or not -len(shape) <= axis < len(shape) or axis % len(shape) == 0:
        raise ValueError(
            f"{who}: input must be (N, ...) with a channel axis other than 0, got axis {axis}, shape {shape}"
        )
    return axis % len(shape)


def dropout_channel(
    input: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None, *, axis: int = 1
) -> Tensor:
    """Drop whole channels of samples: one draw per (sample, channel), for all its positions.

    Neighbouring positions of a feature map say nearly the same, so that dropping single ones would remove little.

    Args:
        input: floating, shape (N, C, ...), or (N, ..., C) with ``axis=-1``.
        p, training, generator: see `dropout`.
        axis: channel axis.

    Returns:
        Tensor like x.

    Source: Tompson et al. 2014, arXiv:1411.4280, section 3.2.

    Example:
        >>> F.dropout_channel(cunet.tensor(np.ones((1, 4, 3), np.float32)))
        Tensor([[[0., 0., 0.],
                 [0., 0., 0.],
                 [2., 2., 2.],
                 [0., 0., 0.]]])
    """
    return _apply(
        "dropout_channel",
        input,
        p,
        training,
        False,
        generator,
        inverted,
        axis=_channels("dropout_channel", input, None, axis),
    )


def _spatial(
    who: str, ndim: int, x: Any, p: float, training: bool, inplace: bool, generator: Generator | None
) -> Tensor:
    """Drop channels of samples with `ndim` spatial axes, or of one sample."""
    axis = 0 if len(_shape(x)) == ndim + 1 else _channels(who, x, ndim + 2, 1)
    return _apply(who, x, p, training, inplace, generator, inverted, axis=axis)


def dropout1d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Drop channels of `input` (N, C, L), or (C, L) of one sample; see `dropout_channel`.

    Example:
        >>> F.dropout1d(cunet.tensor(np.ones((1, 4, 3), np.float32)))
        Tensor([[[0., 0., 0.],
                 [0., 0., 0.],
                 [2., 2., 2.],
                 [0., 0., 0.]]])
    """
    return _spatial("dropout1d", 1, input, p, training, inplace, generator)


def dropout2d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Drop channels of `input` (N, C, H, W); see `dropout_channel`.

    Three axes are (N, C, L), as in PyTorch, with a warning: for (C, H, W) of one sample give ``input[None]``.

    Example:
        >>> y = F.dropout2d(cunet.tensor(np.ones((2, 4, 5, 5), np.float32)))
        >>> y.mean((2, 3))  # each channel is dropped or kept as a whole
        Tensor([[0., 0., 2., 0.],
                [2., 2., 0., 0.]])
    """
    ndim = 2
    if len(_shape(input)) == 3:
        warn("dropout2d: input of 3 axes is taken for (N, C, L), as in PyTorch; give (C, H, W) as input[None]")
        ndim = 1
    return _spatial("dropout2d", ndim, input, p, training, inplace, generator)


def dropout3d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Drop channels of `input` (N, C, D, H, W), or (C, D, H, W) of one sample; see `dropout_channel`.

    Example:
        >>> y = F.dropout3d(cunet.tensor(np.ones((2, 4, 5, 5, 5), np.float32)))
        >>> y.mean((2, 3, 4))
        Tensor([[0., 0., 2., 0.],
                [2., 2., 0., 0.]])
    """
    return _spatial("dropout3d", 3, input, p, training, inplace, generator)


def alpha_dropout(
    input: Any, p: float = 0.5, training: bool = False, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Set each element with probability `p` to SELU's lower limit, so that mean 0 and variance 1 stay.

    ``y = a * (x if kept else alpha') + b`` with ``alpha' = -1.7580993``, ``a = (q + alpha'**2 q (1 - q))**-0.5``,
    ``b = -a (1 - q) alpha'`` and ``q = 1 - p``. For layers of SELU with `cunet.init.lecun_normal` weights.

    Args:
        input: floating, any shape.
        p, inplace, generator: see `dropout`. p = 1 gives 0.
        training: False, PyTorch's default of this one, returns `input` as it is.

    Returns:
        Tensor like x.

    Source: Klambauer et al. 2017, arXiv:1706.02515, section "New Dropout Technique".

    Example:
        >>> x = cunet.tensor(np.zeros(6, np.float32))
        >>> F.alpha_dropout(x, 0.25, training=True).round(4)
        Tensor([-1.1435, -1.1435,  0.3812,  0.3812,  0.3812,  0.3812])
        >>> F.alpha_dropout(x, 0.25)  # PyTorch's default of `training` is False here
        Tensor([0., 0., 0., 0., 0., 0.])
    """
    return _apply("alpha_dropout", input, p, training, inplace, generator, _self_normalizing)


def feature_alpha_dropout(
    input: Any,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    generator: Generator | None = None,
    axis: int = 1,
) -> Tensor:
    """Alpha dropout of whole channels of samples; see `alpha_dropout` and `dropout_channel`.

    Example:
        >>> F.feature_alpha_dropout(cunet.tensor(np.zeros((1, 4, 3), np.float32)), training=True).round(4)
        Tensor([[[-0.7792, -0.7792, -0.7792],
                 [-0.7792, -0.7792, -0.7792],
                 [ 0.7792,  0.7792,  0.7792],
                 [-0.7792, -0.7792, -0.7792]]])
    """
    channel = _channels("feature_alpha_dropout", input, None, axis)
    return _apply("feature_alpha_dropout", input, p, training, inplace, generator, _self_normalizing, axis=channel)


def stochastic_depth(
    input: Any, p: float = 0.5, mode: str = "row", training: bool = True, *, generator: Generator | None = None
) -> Tensor:
    """Drop what a residual branch adds, of whole samples, with probability `p`: ``x + stochastic_depth(branch(x), p)``.

    ``y = input / (1 - p)`` where kept, else 0. In a net of L blocks p often grows with depth: of block l ``l / L * p``.

    Args:
        input: floating, shape (N, ...).
        p, training, generator: see `dropout`.
        mode: "row" draws for each sample by itself, "batch" once for all.

    Returns:
        Tensor like x.

    Raises:
        ValueError: another mode, or an input without axes.

    Source: Huang et al. 2016, arXiv:1603.09382, equations 2 and 5, with the scaling in training.

    Example:
        >>> branch = cunet.tensor(np.ones((4, 3), np.float32))
        >>> F.stochastic_depth(branch, p=0.5)
        Tensor([[0., 0., 0.],
                [0., 0., 0.],
                [2., 2., 2.],
                [0., 0., 0.]])
    """
    if mode not in ("row", "batch"):
        raise ValueError(f'stochastic_depth: mode must be "row" or "batch", got {mode!r}')
    if not _shape(input):
        raise ValueError("stochastic_depth: input must be (N, ...), got shape ()")
    axis = 0 if mode == "row" else None
    return _apply("stochastic_depth", input, p, training, False, generator, inverted, axis=axis)
