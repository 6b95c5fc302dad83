"""The kernels of pooling, forward and backward: NumPy body and CUDA body side by side.

Arrays are (planes, D, H, W). The way back gathers: each element asks the windows that cover it, in one order,
so overlapping windows need no atomics. Among equal largest elements the first in the window has won; a NaN
beats every number, and the first NaN wins.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ...kernels import grid
from ...kernels.backends.native import pooling
from ...kernels.backends.numpy import tuning as settings
from ..windows import WINDOWS, Windows

# Where a window begins and ends along one axis, and the first and last window over an element. Stride 0: adaptive.
_SPANS_CUDA = """
__device__ inline int span_start(int o, int x, int y, int s, int p) {
  return s ? o * s - p : (int)((long long)o * x / y);
}
__device__ inline int span_stop(int o, int x, int y, int k, int s, int p, int l) {
  return s ? o * s - p + (k - 1) * l + 1 : (int)(((long long)(o + 1) * x + y - 1) / y);
}
__device__ inline int first_over(int q, int x, int y, int k, int s, int p, int l) {
  if (!s) return (int)((long long)q * y / x);
  const int r = q + p - (k - 1) * l;
  return r <= 0 ? 0 : (r + s - 1) / s;
}
__device__ inline int last_over(int q, int x, int y, int s, int p) {
  if (!s) return (int)(((long long)(q + 1) * y + x - 1) / x) - 1;
  return (q + p) / s < y ? (q + p) / s : y - 1;
}
"""


def _decode(letter: str) -> str:
    """Return CUDA text that splits the index into a plane and the position (a, b, c) in it."""
    d, h, w = (letter + axis for axis in "dhw")
    return f"""
    const int area = {d} * {h} * {w};
    const long long plane = (long long)i / area;
    const int at = (int)((long long)i - plane * area);
    const int a = at / ({h} * {w}), b = at / {w} % {h}, c = at % {w};
    """


#: Over the elements (d, h, w) of window (a, b, c) that exist, in order; the loops are the caller's to close.
_EACH_ELEMENT = """
    const int d1 = span_stop(a, xd, yd, kd, sd, pd, ld), h1 = span_stop(b, xh, yh, kh, sh, ph, lh);
    const int w1 = span_stop(c, xw, yw, kw, sw, pw, lw);
    const int h0 = span_start(b, xh, yh, sh, ph), w0 = span_start(c, xw, yw, sw, pw);
    for (int d = span_start(a, xd, yd, sd, pd); d < d1; d += ld) {
      if (d < 0 || d >= xd) continue;
      for (int h = h0; h < h1; h += lh) {
        if (h < 0 || h >= xh) continue;
        for (int w = w0; w < w1; w += lw) {
          if (w < 0 || w >= xw) continue;
          const int position = (d * xh + h) * xw + w;
"""
_END = "}}}"

#: Over the windows (od, oh, ow) that have element (a, b, c) among theirs, in order.
_EACH_WINDOW = """
    const int od1 = last_over(a, xd, yd, sd, pd), oh1 = last_over(b, xh, yh, sh, ph);
    const int ow1 = last_over(c, xw, yw, sw, pw);
    const int oh0 = first_over(b, xh, yh, kh, sh, ph, lh), ow0 = first_over(c, xw, yw, kw, sw, pw, lw);
    for (int od = first_over(a, xd, yd, kd, sd, pd, ld); od <= od1; ++od) {
      const int d0 = span_start(od, xd, yd, sd, pd);
      if ((a - d0) % ld) continue;
      for (int oh = oh0; oh <= oh1; ++oh) {
        const int h0 = span_start(oh, xh, yh, sh, ph);
        if ((b - h0) % lh) continue;
        for (int ow = ow0; ow <= ow1; ++ow) {
          const int w0 = span_start(ow, xw, yw, sw, pw);
          if ((c - w0) % lw) continue;
          const long long o = ((plane * yd + od) * yh + oh) * yw + ow;
"""


def _blocks(x: np.ndarray) -> Iterator[slice]:
    step = max(1, settings.tuning.planes // max(1, math.prod(x.shape[1:])))
    return (slice(k, k + step) for k in range(0, x.shape[0], step))


def _is_global(windows: Windows) -> bool:
    """Tell whether there is one window, over everything: NumPy folds that at once."""
    return windows.total == 1 and windows.kernel == windows.sizes and not any(windows.padding)


@grid(
    f"raw T x, {WINDOWS}",
    "T y",
    _decode("y")
    + "A best = A(0); bool empty = true;"
    + _EACH_ELEMENT
    + """
          const A v = (A)x[plane * xd * xh * xw + position];
          if (empty || (!(v <= best) && best == best)) best = v;
          empty = false;
    """
    + _END
    + "y = empty ? -A(1) / A(0) : best",
    preamble=_SPANS_CUDA,
)
def max_pool_forward(x, *numbers, shape):
    windows = Windows.of(numbers)
    if _is_global(windows):
        return x.reshape(len(x), windows.taps).max(axis=1).reshape(shape)
    meetings = list(windows.meetings())
    y = np.full(shape, -np.inf, x.dtype)
    for part in _blocks(x):
        for _, at, met in meetings:
            out = y[part][at]
            np.maximum(out, x[part][met], out=out)
    return y


def _is_first(x: np.ndarray, y: np.ndarray, taken: np.ndarray, nan: bool) -> np.ndarray:
    """Return where an element is the first that made the maximum, and mark those windows as taken."""
    hit = x != x if nan else x == y
    hit = hit > taken
    taken |= hit
    return hit


def _where(hit: np.ndarray, gy: np.ndarray) -> np.ndarray:
    """Return `gy` where `hit`, else 0. By their bits: inf times 0 is NaN, and `np.where` takes ten times as long."""
    bits = hit.astype(np.int64 if gy.itemsize == 8 else np.int32)
    np.negative(bits, out=bits)
    np.bitwise_and(bits, gy.view(bits.dtype), out=bits)
    return bits.view(gy.dtype)


@grid(
    f"raw T gy, raw T x, raw T y, {WINDOWS}",
    "T gx",
    _decode("x")
    + "const A v = (A)x[i]; A total = A(0);"
    + _EACH_WINDOW
    + """
          const A best = (A)y[o];
          bool won = v == best || (v != v && best != best);
          const int h1 = span_stop(oh, xh, yh, kh, sh, ph, lh), w1 = span_stop(ow, xw, yw, kw, sw, pw, lw);
          for (int d = d0; won && d <= a; d += ld) {
            if (d < 0) continue;
            for (int h = h0; won && h < h1 && (d < a || h <= b); h += lh) {
              if (h < 0 || h >= xh) continue;
              for (int w = w0; won && w < w1 && (d < a || h < b || w < c); w += lw) {
                if (w < 0 || w >= xw) continue;
                const A u = (A)x[((plane * xd + d) * xh + h) * xw + w];
                won = !(u == best || (u != u && best != best));
              }
            }
          }
          if (won) total += (A)gy[o];
    """
    + _END
    + "gx = total",
    preamble=_SPANS_CUDA,
)
def max_pool_backward(gy, x, y, *numbers, shape):
    windows = Windows.of(numbers)
    gx = np.zeros(shape, x.dtype)
    if _is_global(windows):
        where = x.reshape(len(x), windows.taps).argmax(axis=1)  # the first of equals, or the first NaN
        gx.reshape(len(x), windows.taps)[np.arange(len(x)), where] = gy.reshape(len(x))
        return gx
    meetings = list(windows.meetings())
    for part in _blocks(x):
        taken = np.zeros(y[part].shape, bool)
        for nan in (False, True):
            if not nan or not taken.all():
                for _, at, met in meetings:
                    gx[part][met] += _where(_is_first(x[part][met], y[part][at], taken[at], nan), gy[part][at])
    return gx


@grid(
    f"raw T x, {WINDOWS}",
    "int64 where",
    _decode("y")
    + "A best = A(0); where = -1;"
    + _EACH_ELEMENT
    + """
          const A v = (A)x[plane * xd * xh * xw + position];
          if (where < 0 || (!(v <= best) && best == best)) { best = v; where = position; }
    """
    + _END,
    preamble=_SPANS_CUDA,
)
def max_pool_indices(x, *numbers, shape):
    windows = Windows.of(numbers)
    y = max_pool_forward.body(x, *numbers, shape=shape)
    positions = np.arange(math.prod(windows.sizes)).reshape(windows.sizes)
    where, taken = np.full(shape, -1), np.zeros(shape, bool)
    for nan in (False, True):
        for _, at, met in windows.meetings():
            hit = _is_first(x[met], y[at], taken[at], nan)
            np.copyto(where[at], positions[met], where=hit)
    return where


# With padding counted, a window counts what it covers of the padded axis.
_COUNT_CUDA = """
__device__ inline int span_count(int o, int x, int y, int k, int s, int p, int l, int padded) {
  int start = span_start(o, x, y, s, p), stop = span_stop(o, x, y, k, s, p, l);
  const int end = padded ? x + p : x;
  if (!padded && start < 0) start = 0;
  return (stop < end ? stop : end) - start;
}
"""


def _counts(windows: Windows, padded: bool, divisor: float) -> np.ndarray | float:
    """Return what the sum over each window is divided by: shape of the windows."""
    if divisor:
        return divisor
    along = []
    for x, y, k, s, p, step in zip(*windows, strict=True):
        o = np.arange(y)
        start = o * s - p if s else o * x // y
        stop = start + (k - 1) * step + 1 if s else -(-(o + 1) * x // y)
        along.append(np.minimum(stop, x + p if padded else x) - (start if padded else np.maximum(start, 0)))
    return along[0][:, None, None] * along[1][:, None] * along[2]


@grid(
    f"raw T x, int32 padded, A divisor, {WINDOWS}",
    "T y",
    _decode("y")
    + "A total = A(0);"
    + _EACH_ELEMENT
    + "total += (A)x[plane * xd * xh * xw + position];"
    + _END
    + """
    const A count = (A)span_count(a, xd, yd, kd, sd, pd, ld, padded) * (A)span_count(b, xh, yh, kh, sh, ph, lh, padded)
      * (A)span_count(c, xw, yw, kw, sw, pw, lw, padded);
    y = total / (divisor != A(0) ? divisor : count)
    """,
    preamble=_SPANS_CUDA + _COUNT_CUDA,
)
def avg_pool_forward(x, padded, divisor, *numbers, shape):
    windows = Windows.of(numbers)
    counts = np.asarray(_counts(windows, padded, divisor), x.dtype)
    if _is_global(windows):
        return (x.reshape(len(x), windows.taps).sum(axis=1) / counts.ravel()).reshape(shape)
    meetings = list(windows.meetings())
    y = np.zeros(shape, x.dtype)
    for part in _blocks(x):
        for _, at, met in meetings:
            y[part][at] += x[part][met]
        y[part] /= counts
    return y


@grid(
    f"raw T gy, int32 padded, A divisor, {WINDOWS}",
    "T gx",
    _decode("x")
    + "A total = A(0);"
    + _EACH_WINDOW
    + """
          const A count = (A)span_count(od, xd, yd, kd, sd, pd, ld, padded)
            * (A)span_count(oh, xh, yh, kh, sh, ph, lh, padded) * (A)span_count(ow, xw, yw, kw, sw, pw, lw, padded);
          total += (A)gy[o] / (divisor != A(0) ? divisor : count);
    """
    + _END
    + "gx = total",
    preamble=_SPANS_CUDA + _COUNT_CUDA,
)
def avg_pool_backward(gy, padded, divisor, *numbers, shape):
    windows = Windows.of(numbers)
    share = gy / np.asarray(_counts(windows, padded, divisor), gy.dtype)
    if _is_global(windows):
        return np.broadcast_to(share, shape).copy()
    meetings = list(windows.meetings())
    gx = np.zeros(shape, gy.dtype)
    for part in _blocks(gx):
        for _, at, met in meetings:
            gx[part][met] += share[part][at]
    return gx


for _kernel, _roles in (
    (max_pool_forward, "x"),
    (max_pool_backward, "gy x y"),
    (max_pool_indices, "x"),
    (avg_pool_forward, "x"),
    (avg_pool_backward, "gy"),
):
    _kernel.native(pooling.attached(_kernel.name, _roles.split()))
