"""Windows as columns of a matrix, so that a convolution is a product: kernels with two bodies.

``columns[(channel, tap), (sample, window)]``. The way back gathers: each element adds up the columns it went
to, in one order, so results do not depend on the timing of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...device import Array, array_module
from ...kernels import grid
from ..linalg import product
from ..windows import WINDOWS, Windows


@grid(
    f"raw T x, int32 samples, int32 channels, {WINDOWS}",
    "raw T columns",
    """
    const int count = yd * yh * yw, taps = kd * kh * kw;
    const long long plane = (long long)i / count;
    const int window = (int)((long long)i - plane * count), channel = (int)(plane / samples);
    const int sample = (int)(plane - (long long)channel * samples);
    const int d0 = window / (yh * yw) * sd - pd, h0 = window / yw % yh * sh - ph, w0 = window % yw * sw - pw;
    const long long from = ((long long)sample * channels + channel) * xd * xh * xw;
    const long long pitch = (long long)samples * count;
    long long to = (long long)channel * taps * pitch + (long long)sample * count + window;
    for (int d = d0; d < d0 + kd * ld; d += ld) {
      for (int h = h0; h < h0 + kh * lh; h += lh) {
        for (int w = w0; w < w0 + kw * lw; w += lw, to += pitch) {
          const bool inside = d >= 0 && d < xd && h >= 0 && h < xh && w >= 0 && w < xw;
          columns[to] = inside ? x[from + ((long long)d * xh + h) * xw + w] : (T)A(0);
        }
      }
    }
    """,
)
def im2col(x, samples, channels, *numbers, shape):
    windows = Windows.of(numbers)
    columns = np.zeros((channels, *windows.kernel, samples, *windows.out), x.dtype)
    x = x.reshape(samples, channels, *windows.sizes).swapaxes(0, 1)
    for (a, b, c), at, met in windows.meetings():
        columns[:, a, b, c][at] = x[met]
    return columns.reshape(shape)


@grid(
    f"raw T columns, int32 samples, int32 channels, {WINDOWS}",
    "T x",
    """
    const int area = xd * xh * xw, taps = kd * kh * kw;
    const long long plane = (long long)i / area;
    const int at = (int)((long long)i - plane * area), sample = (int)(plane / channels);
    const int channel = (int)(plane - (long long)sample * channels);
    const int d = at / (xh * xw) + pd, h = at / xw % xh + ph, w = at % xw + pw;
    const long long pitch = (long long)samples * yd * yh * yw;
    const long long from = (long long)channel * taps * pitch + (long long)sample * yd * yh * yw;
    A total = A(0);
    for (int a = 0; a < kd; ++a) {
      const int od = d - a * ld;
      if (od < 0 || od % sd || od / sd >= yd) continue;
      for (int b = 0; b < kh; ++b) {
        const int oh = h - b * lh;
        if (oh < 0 || oh % sh || oh / sh >= yh) continue;
        for (int c = 0; c < kw; ++c) {
          const int ow = w - c * lw;
          if (ow < 0 || ow % sw || ow / sw >= yw) continue;
          const long long tap = (a * kh + b) * kw + c;
          total += (A)columns[from + tap * pitch + ((long long)(od / sd) * yh + oh / sh) * yw + ow / sw];
        }
      }
    }
    x = total
    """,
)
def col2im(columns, samples, channels, *numbers, shape):
    windows = Windows.of(numbers)
    x = np.zeros(shape, columns.dtype)
    columns = columns.reshape(channels, *windows.kernel, samples, *windows.out)
    for (a, b, c), at, met in windows.meetings():
        x.swapaxes(0, 1)[met] += columns[:, a, b, c][at]
    return x


def forward(x: Array, w: Array, bias: Array | None, windows: Windows, y: Array, buffers: Any) -> None:
    """Write the convolution of the samples `x` (n, C, D, H, W) into `y` (n, O, ...)."""
    xp = array_module(x)
    groups, _, length = w.shape
    n, channels = x.shape[:2]
    columns = _columns(x, windows).reshape(groups, length, n * windows.total)
    products = product(w, columns).reshape(-1, n, *windows.out).swapaxes(0, 1)
    if bias is None:
        y[...] = products
    else:
        xp.add(products, bias[:, None, None, None], out=y)


def weight_gradient(x: Array, gy: Array, windows: Windows, total: Array, buffers: Any) -> None:
    """Add the part of samples to the gradient of the weight: shape (groups, C/groups * taps, O/groups)."""
    columns = _columns(x, windows).reshape(*total.shape[:2], len(x) * windows.total)
    product(columns, _rows(gy, len(total)).swapaxes(1, 2), out=total, add=True)


def input_gradient(gy: Array, w: Array, windows: Windows, gx: Array, buffers: Any) -> None:
    """Write the gradient of the samples into `gx` (n, C, D, H, W)."""
    n, channels = gx.shape[:2]
    columns = product(w.swapaxes(1, 2), _rows(gy, w.shape[0]))
    gx[...] = col2im(array_module(gy).ascontiguousarray(columns), n, channels, *windows.numbers(), shape=gx.shape)


def _columns(x: Array, windows: Windows) -> Array:
    n, channels = x.shape[:2]
    return im2col(
        array_module(x).ascontiguousarray(x),
        n,
        channels,
        *windows.numbers(),
        shape=(channels * windows.taps, n * windows.total),
        threads=channels * n * windows.total,
    )


def _rows(gy: Array, groups: int) -> Array:
    """Return (n, O, ...) as (groups, O/groups, n * windows)."""
    n, channels = gy.shape[:2]
    return gy.swapaxes(0, 1).reshape(groups, channels // groups, gy.size // max(channels, 1))
