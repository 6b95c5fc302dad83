"""Channels to pixels and back: pixel_shuffle, pixel_unshuffle."""

from __future__ import annotations

import numpy as np

from ..autograd.op import Result, op
from ..device import Array


def _check(who: str, name: str, x: Array, factor: int) -> None:
    if not isinstance(factor, (int, np.integer)) or isinstance(factor, bool) or factor < 1:
        raise ValueError(f"{who}: {name} must be an int of at least 1, got {factor!r}")
    if x.ndim < 3:
        raise ValueError(f"{who}: input must have at least 3 axes (..., C, H, W), got shape {x.shape}")


def _spread(x: Array, r: int) -> Array:
    """Move r * r neighbouring channels side by side into each pixel."""
    *lead, c, h, w = x.shape
    k = len(lead)
    y = x.reshape(*lead, c // (r * r), r, r, h, w)
    return y.transpose(*range(k + 1), k + 3, k + 1, k + 4, k + 2).reshape(*lead, c // (r * r), h * r, w * r)


def _gather(y: Array, r: int) -> Array:
    """Undo `_spread`."""
    *lead, c, h, w = y.shape
    k = len(lead)
    x = y.reshape(*lead, c, h // r, r, w // r, r)
    return x.transpose(*range(k + 1), k + 2, k + 4, k + 1, k + 3).reshape(*lead, c * r * r, h // r, w // r)


@op(arrays=1)
def pixel_shuffle(input, upscale_factor: int) -> Result:
    """Make images larger by taking each block of pixels from as many channels.

    ``y[..., c, h * r + i, w * r + j] = input[..., c * r * r + i * r + j, h, w]`` for the factor r.

    Args:
        input: shape (..., C * r * r, H, W).
        upscale_factor: r, at least 1.

    Returns:
        Shape (..., C, H * r, W * r).

    Raises:
        ValueError: the number of channels is no multiple of r * r, or `input` has fewer than 3 axes.

    Source: Shi et al. 2016, arXiv:1609.05158, equation 4.

    Example:
        >>> F.pixel_shuffle(np.arange(4.0).reshape(1, 4, 1, 1), 2)
        Tensor([[[[0., 1.],
                  [2., 3.]]]], dtype=float64)
        >>> F.pixel_shuffle(np.ones((1, 12, 5, 5)), 2).shape
        (1, 3, 10, 10)
    """
    _check("pixel_shuffle", "upscale_factor", input, upscale_factor)
    if input.shape[-3] % upscale_factor**2:
        raise ValueError(
            f"pixel_shuffle: the number of channels must be a multiple of upscale_factor**2 = {upscale_factor**2}, "
            f"got {input.shape[-3]} in shape {input.shape}"
        )
    return _spread(input, upscale_factor), lambda gy: (_gather(gy, upscale_factor),)


@op(arrays=1)
def pixel_unshuffle(input, downscale_factor: int) -> Result:
    """Undo `pixel_shuffle`: make images smaller by giving each pixel of a block a channel of its own.

    Args:
        input: shape (..., C, H * r, W * r).
        downscale_factor: r, at least 1.

    Returns:
        Shape (..., C * r * r, H, W).

    Raises:
        ValueError: height or width is no multiple of r, or `input` has fewer than 3 axes.

    Example:
        >>> F.pixel_unshuffle(np.ones((1, 3, 10, 10)), 2).shape
        (1, 12, 5, 5)
    """
    _check("pixel_unshuffle", "downscale_factor", input, downscale_factor)
    if input.shape[-2] % downscale_factor or input.shape[-1] % downscale_factor:
        raise ValueError(
            f"pixel_unshuffle: height and width must be multiples of downscale_factor = {downscale_factor}, "
            f"got shape {input.shape}"
        )
    return _gather(input, downscale_factor), lambda gy: (_spread(gy, downscale_factor),)
