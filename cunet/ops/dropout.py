"""Dropout of elements, of channels, and the kind that fits SELU. No mask is ever stored.

A mask is a function of (seed, stream, call, element): each element of the logical array, in C order, has
a 16-bit lane of Philox4x64-10 with key ``(seed, stream)`` and counter ``(0, call, 0, 0)``, and is kept if
``lane >= threshold`` with ``threshold = round(p * 65536)``. So it is the same on every device, for every
dtype and memory layout, and the way back computes it again from three numbers.

Lanes lie in tiles of 512 elements, of which thread t = 0 ... 31 makes 16 from one Philox block: element
``128 w + 4 t + l`` of the tile takes bits ``16 l ... 16 l + 15`` of word w. A warp then reads and writes
whole rows of 128 elements, 4 at once per thread.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from ..autograd.op import Result, op
from ..autograd.tensor import Tensor
from ..device import Array, array_module, is_floating
from ..kernels import Warps, elementwise, grid
from ..kernels.philox import PHILOX_CUDA
from ..random import Draw, Generator, default_generator

LEVELS = 65536  # of the drop probability
_TILE, _WARP = 512, 32  # elements, made of 128 words, and the threads that make them
_CHUNK = 128 * _TILE  # elements whose lanes are made at once on the CPU: they stay in its cache


def _keep(bits: np.random.Philox, count: int, threshold: int) -> np.ndarray:
    """Return which of the next `count` elements are kept, bool."""
    words = bits.random_raw(-(-count // _TILE) * (_TILE // 4))
    if sys.byteorder == "big":
        words = words.byteswap()
    kept = words.view("<u2") >= threshold
    # Four lanes of a word move together: transpose them as one 32-bit item.
    return kept.view(np.uint32).reshape(-1, 32, 4).transpose(0, 2, 1).reshape(-1).view(np.bool_)[:count]


@grid(
    "raw T x, uint64 seed, uint64 stream, uint64 call, uint32 threshold, A scale, A shift, A low, int64 count",
    "raw T y",
    """
    const philox_words lanes = philox4x64(seed, stream, 0, call, 0, 0, (unsigned long long)i);
    const long long base = ((long long)i >> 5) * 512 + ((long long)i & 31) * 4;
    struct __align__(4 * sizeof(T)) four { T v[4]; };
    bool whole = base + 388 <= count;
    if (whole) whole = ((unsigned long long)&x[base] | (unsigned long long)&y[base]) % sizeof(four) == 0;
    if (whole) {
      const T* from = &x[base];
      T* to = &y[base];
      #pragma unroll
      for (int w = 0; w < 4; ++w) {
        four part = *(const four*)(from + w * 128);
        #pragma unroll
        for (int l = 0; l < 4; ++l) {
          const bool keep = (unsigned)(lanes.word[w] >> (16 * l) & 0xffff) >= threshold;
          part.v[l] = (T)(keep ? (A)part.v[l] * scale + shift : low);
        }
        *(four*)(to + w * 128) = part;
      }
    } else {
      for (int w = 0; w < 4; ++w) {
        for (int l = 0; l < 4; ++l) {
          const long long at = base + w * 128 + l;
          const bool keep = (unsigned)(lanes.word[w] >> (16 * l) & 0xffff) >= threshold;
          if (at < count) y[at] = (T)(keep ? (A)x[at] * scale + shift : low);
        }
      }
    }
    """,
    preamble=PHILOX_CUDA,
)
def drop_elements(x, seed, stream, call, threshold, scale, shift, low, count, *, shape):
    y = np.empty_like(x)
    bits = Draw(int(seed), int(stream), int(call)).bit_generator()
    for start in range(0, count, _CHUNK):
        part = slice(start, min(start + _CHUNK, count))
        keep = _keep(bits, part.stop - start, threshold)
        out = np.multiply(x[part], scale, out=y[part])
        if shift:
            out += shift
        # Selection by bits: several times as fast as np.where, and inf is dropped too.
        out_bits = out.view(f"i{out.itemsize}")
        out_bits &= -keep.astype(out_bits.dtype)
        if low:
            out += low * ~keep
    return y


drop_elements.native(
    Warps("""
    unsigned short lanes[4][32][4];
    for (int t = 0; t < 32; ++t) {
      const philox_words made = philox4x64(seed, stream, 0, call, 0, 0, (unsigned long long)(i * 32 + t));
      for (int w = 0; w < 4; ++w) memcpy(lanes[w][t], &made.word[w], 8);
    }
    const long long base = i * 512;
    const int size = count - base < 512 ? (int)(count - base) : 512;
    const unsigned short* lane = lanes[0][0];
    const T* from = &x[base];
    T* to = &y[base];
    #pragma GCC ivdep
    for (int j = 0; j < size; ++j) to[j] = lane[j] >= threshold ? from[j] * scale + shift : low;
    """)
)


@elementwise("T x, A keep, A scale, A shift, A low", "T y", "y = keep != A(0) ? x * scale + shift : low")
def drop_channels(x, keep, scale, shift, low):
    y = x * scale
    if shift:
        y += shift
    np.copyto(y, low, where=keep == 0)
    return y


def threshold_of(who: str, p: float) -> int:
    """Return how many of the 65536 lanes mean "drop", or raise an error in the name of `who`."""
    if not isinstance(p, (int, float, np.floating)) or not 0 <= p <= 1:
        raise ValueError(f"{who}: p must be a probability to drop in [0, 1], got {p!r}")
    return round(p * LEVELS)


def _inverted(threshold: int) -> tuple[float, float, float]:
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


def _draw_elements(x: Array, draw: Draw, threshold: int, factors: tuple[float, float, float]) -> Array:
    seed, stream, call = (np.uint64(k) for k in draw)
    flat = array_module(x).ascontiguousarray(x.reshape(-1))
    threads = -(-x.size // _TILE) * _WARP  # whole warps share tiles
    y = drop_elements(flat, seed, stream, call, threshold, *factors, x.size, shape=flat.shape, threads=threads)
    return y.reshape(x.shape)


@op
def _dropout(x, *, draw, threshold, factors) -> Result:
    y = _draw_elements(x, draw, threshold, factors)
    return y, lambda gy: (_draw_elements(gy, draw, threshold, (factors[0], 0.0, 0.0)),)


@op
def _channel_dropout(x, *, draw, threshold, factors, axis) -> Result:
    xp = array_module(x)
    shape = [n if k in (0, axis) else 1 for k, n in enumerate(x.shape)]

    def kept():
        wide = np.float64 if x.dtype == np.float64 else np.float32
        return _draw_elements(xp.ones(math.prod(shape), wide), draw, threshold, (1.0, 0.0, 0.0)).reshape(shape)

    y = drop_channels(x, kept(), *factors)
    return y, lambda gy: (drop_channels(gy, kept(), factors[0], 0.0, 0.0),)


def _apply(who: str, x: Any, p: float, training: bool, generator: Generator | None, law: Any, **static: Any) -> Tensor:
    """Draw and drop; without a draw, return x itself where nothing can be dropped."""
    threshold = threshold_of(who, p)
    dtype = None if isinstance(x, list) else x.dtype
    if dtype is not None and not is_floating(dtype):
        raise TypeError(f"{who}: x must have a floating dtype, got {dtype}")
    if not training or threshold == 0:
        return x if isinstance(x, Tensor) else Tensor(x)
    draw = (generator or default_generator("dropout")).next()
    run = _channel_dropout if static else _dropout
    return run(x, draw=draw, threshold=threshold, factors=law(threshold), **static)


def dropout(x: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Tensor:
    """Drop each element with probability `p`, and scale the others so that the expected value stays.

    ``y = x / (1 - p)`` where kept, else 0. p counts in steps of 1/65536: it is ``round(p * 65536) / 65536``
    that elements are dropped with and scaled for.

    Args:
        x: floating, any shape.
        p: probability to drop, 0 to 1 (Srivastava's p is the probability to keep).
        training: False returns x as it is.
        generator: where the mask is drawn from; by default the stream "dropout" of `cunet.manual_seed`.
            Each call draws a fresh mask.

    Returns:
        Tensor like x. The gradient is dropped and scaled in the same places.

    Source: Srivastava et al. 2014, JMLR 15, section 4, with the scaling in training.
    """
    return _apply("dropout", x, p, training, generator, _inverted)


def _channels(who: str, x: Any, ndim: int | None, axis: int) -> int:
    shape = np.shape(x) if isinstance(x, list) else x.shape
    if ndim is not None and len(shape) != ndim:
        raise ValueError(f"{who}: x must have {ndim} axes, (N, C, ...), got shape {shape}")
    if len(shape) < 2 or not -len(shape) <= axis < len(shape) or axis % len(shape) == 0:
        raise ValueError(f"{who}: x must be (N, ...) with a channel axis other than 0, got axis {axis}, shape {shape}")
    return axis % len(shape)


def dropout_channel(
    x: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None, *, axis: int = 1
) -> Tensor:
    """Drop whole channels of samples: one draw per (sample, channel), for all its positions.

    Neighbouring positions of a feature map say nearly the same, so that dropping single ones would remove little.

    Args:
        x: floating, shape (N, C, ...), or (N, ..., C) with ``axis=-1``.
        p, training, generator: see `dropout`.
        axis: channel axis.

    Returns:
        Tensor like x.

    Source: Tompson et al. 2014, arXiv:1411.4280, section 3.2.
    """
    return _apply(
        "dropout_channel", x, p, training, generator, _inverted, axis=_channels("dropout_channel", x, None, axis)
    )


def dropout1d(x: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Tensor:
    """Drop channels of x (N, C, L); see `dropout_channel`."""
    return _apply("dropout1d", x, p, training, generator, _inverted, axis=_channels("dropout1d", x, 3, 1))


def dropout2d(x: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Tensor:
    """Drop channels of x (N, C, H, W); see `dropout_channel`."""
    return _apply("dropout2d", x, p, training, generator, _inverted, axis=_channels("dropout2d", x, 4, 1))


def dropout3d(x: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Tensor:
    """Drop channels of x (N, C, D, H, W); see `dropout_channel`."""
    return _apply("dropout3d", x, p, training, generator, _inverted, axis=_channels("dropout3d", x, 5, 1))


def alpha_dropout(x: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Tensor:
    """Set each element with probability `p` to SELU's lower limit, so that mean 0 and variance 1 stay.

    ``y = a * (x if kept else alpha') + b`` with ``alpha' = -1.7580993``, ``a = (q + alpha'**2 q (1 - q))**-0.5``,
    ``b = -a (1 - q) alpha'`` and ``q = 1 - p``. For layers of SELU with `cunet.init.lecun_normal` weights.

    Args:
        x: floating, any shape.
        p, training, generator: see `dropout`. p = 1 gives 0.

    Returns:
        Tensor like x.

    Source: Klambauer et al. 2017, arXiv:1706.02515, section "New Dropout Technique".
    """
    return _apply("alpha_dropout", x, p, training, generator, _self_normalizing)


def feature_alpha_dropout(
    x: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None, *, axis: int = 1
) -> Tensor:
    """Alpha dropout of whole channels of samples; see `alpha_dropout` and `dropout_channel`."""
    channel = _channels("feature_alpha_dropout", x, None, axis)
    return _apply("feature_alpha_dropout", x, p, training, generator, _self_normalizing, axis=channel)
