"""The masks of dropout, and the kernels that apply them. No mask is ever stored.

A mask is a function of (seed, stream, call, element): each element of the logical array, in C order, has
a 16-bit lane of Philox4x64-10 with key ``(seed, stream)`` and counter ``(0, call, 0, 0)``, and is kept if
``lane >= threshold`` with ``threshold = round(p * 65536)``. So it is the same on every device, for every
dtype and memory layout, and the way back computes it again from three numbers.

Lanes lie in tiles of 512 elements, of which thread t = 0 ... 31 makes 16 from one Philox block: element
``128 w + 4 t + l`` of the tile takes bits ``16 l ... 16 l + 15`` of word w. A warp then reads and writes
whole rows of 128 elements, 4 at once per thread.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from ..device import Array, array_module
from ..kernels import Warps, elementwise, grid
from ..kernels.philox import PHILOX_CUDA
from ..random import Draw
from ..random.generator import call_of

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


def threshold_of(who: str, p: float, name: str = "p") -> int:
    """Return how many of the 65536 lanes mean "drop", or raise an error in the name of `who`."""
    if not isinstance(p, (int, float, np.floating)) or not 0 <= p <= 1:
        raise ValueError(f"{who}: {name} must be a probability to drop in [0, 1], got {p!r}")
    return round(p * LEVELS)


def draw_elements(x: Array, draw: Draw, threshold: int, factors: tuple[float, float, float]) -> Array:
    """Return `x` with the mask of `draw`; `factors` are scale, shift, and the value of what is dropped."""
    key: tuple[Any, ...] = draw
    if type(x) is not np.ndarray:
        key = np.uint64(draw.seed), np.uint64(draw.stream), call_of(draw)
    flat = array_module(x).ascontiguousarray(x.reshape(-1))
    threads = -(-x.size // _TILE) * _WARP  # whole warps share tiles
    y = drop_elements(flat, *key, threshold, *factors, x.size, shape=flat.shape, threads=threads)
    return y.reshape(x.shape)
