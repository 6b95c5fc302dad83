"""Convolution of stride 1 on the CPU: with the padded image as one long row, each tap is a shifted run of it.

A row of columns is then copied in one run however narrow the image is, and the way back is a sum over a
strided view. The price: between two rows of the image some windows are computed that do not exist; they are
dropped on the way out, and are zeros on the way back. Only NumPy arrays come here.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from ..windows import Sizes, Windows


class Buffers(dict[Any, Any]):
    """Arrays that the parts of a batch share: new ones for each part would cost more than the work in them."""

    def zeros(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        """Return the array of this name and shape: zeros, wherever nothing was written into it before."""
        key = (name, shape)
        if key not in self:
            self[key] = np.zeros(shape, dtype)
        return self[key]


class _Row(NamedTuple):
    """The padded image as a row: its three lengths, their pitches, how far taps shift, and the number of windows."""

    padded: Sizes
    pitch: Sizes
    shifts: Sizes
    length: int

    @classmethod
    @functools.lru_cache(256)  # asked for several times for each part of a batch
    def of(cls, windows: Windows) -> _Row:
        padded = tuple(y + (k - 1) * d for y, k, d in zip(windows.out, windows.kernel, windows.dilation, strict=True))
        pitch = (padded[1] * padded[2], padded[2], 1)
        shifts = tuple(d * p for d, p in zip(windows.dilation, pitch, strict=True))
        length = 1 + sum((y - 1) * p for y, p in zip(windows.out, pitch, strict=True))
        return cls(padded, pitch, shifts, length)  # type: ignore[arg-type]

    @property
    def size(self) -> int:
        return math.prod(self.padded)


def row_length(windows: Windows) -> int:
    """Return how many columns a sample takes."""
    return _Row.of(windows).length


def forward(x: Any, w: Any, bias: Any, windows: Windows, y: Any, buffers: Buffers) -> None:
    """Write the convolution of the samples `x` (n, C, D, H, W) into `y` (n, O, ...)."""
    row = _Row.of(windows)
    columns = _columns(x, windows, row, buffers).reshape(*w.shape[::2], len(x) * row.length)
    products = np.matmul(w, columns, out=buffers.zeros("products", (*w.shape[:2], columns.shape[2]), x.dtype))
    found = _windows(products, y.shape, row, row.length)
    if bias is None:
        y[...] = found
    else:
        np.add(found, bias[:, None, None, None], out=y)


def weight_gradient(x: Any, gy: Any, windows: Windows, total: Any, buffers: Buffers) -> None:
    """Add the part of samples to the gradient of the weight: shape (groups, C/groups * taps, O/groups)."""
    row = _Row.of(windows)
    columns = _columns(x, windows, row, buffers).reshape(*total.shape[:2], len(x) * row.length)
    rows = _spread(gy, len(total), row, row.length, buffers)
    total += np.matmul(columns, rows.swapaxes(1, 2), out=buffers.zeros("products", total.shape, x.dtype))


def input_gradient(gy: Any, w: Any, windows: Windows, gx: Any, buffers: Buffers) -> None:
    """Write the gradient of the samples into `gx` (n, C, D, H, W)."""
    row = _Row.of(windows)
    n, channels = gx.shape[:2]
    step = n * row.size
    # With the zeros at the end of each row of gy, a tap that is shifted back finds zeros before its row.
    rows = _spread(gy, len(w), row, row.size, buffers)
    columns = np.matmul(w.swapaxes(1, 2), rows, out=buffers.zeros("columns", (len(w), w.shape[2], step), gy.dtype))
    taps = [math.prod(windows.kernel[axis + 1 :]) * step - row.shifts[axis] for axis in range(3)]
    shifted = _view(columns, (channels, *windows.kernel, n, row.size), (windows.taps * step, *taps, row.size, 1))
    image = buffers.zeros("image", (channels, n, row.size), gy.dtype)
    np.add.reduce(shifted, axis=(1, 2, 3), out=image)
    inner, kept = _overlap(windows, row)
    if any(size > length - pad for size, length, pad in zip(gx.shape[2:], row.padded, windows.padding, strict=True)):
        gx[...] = 0
    gx[kept] = image.reshape(channels, n, *row.padded).swapaxes(0, 1)[inner]


def _columns(x: Any, windows: Windows, row: _Row, buffers: Buffers) -> Any:
    """Return (C, *kernel, n, columns); a view of `x` where one sample has but one tap."""
    n, channels = x.shape[:2]
    if any(windows.padding) or x.shape[2:] != row.padded:
        inner, kept = _overlap(windows, row)
        image = buffers.zeros("image", (n, channels, *row.padded), x.dtype)
        image[inner] = x[kept]
        x = image
    x = np.ascontiguousarray(x)
    shape = (channels, *windows.kernel, n, row.length)
    view = _view(x, shape, (row.size, *row.shifts, channels * row.size, 1))
    if view.flags.c_contiguous:
        return view
    columns = buffers.zeros("columns", shape, x.dtype)
    np.copyto(columns, view)
    return columns


@functools.lru_cache(256)
def _overlap(windows: Windows, row: _Row) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return where the elements lie in the padded image, and which these are (a stretch at the end may be unused)."""
    sizes = [min(x, n - p) for x, n, p in zip(windows.sizes, row.padded, windows.padding, strict=True)]
    inner = tuple(slice(p, p + n) for p, n in zip(windows.padding, sizes, strict=True))
    return (..., *inner), (..., *(slice(n) for n in sizes))


def _spread(gy: Any, groups: int, row: _Row, length: int, buffers: Buffers) -> Any:
    """Return `gy` (n, O, ...) as rows with zeros for the windows that do not exist: (groups, O/groups, n * length)."""
    n, channels = gy.shape[:2]
    rows = buffers.zeros("rows", (groups, channels // groups, n * length), gy.dtype)
    _windows(rows, gy.shape, row, length)[...] = gy
    return rows


def _windows(rows: Any, shape: tuple[int, ...], row: _Row, length: int) -> Any:
    """View rows of all windows as (n, O, ...): only those that exist."""
    return _view(rows, shape, (length, shape[0] * length, *row.pitch))


def _view(x: Any, shape: tuple[int, ...], steps: tuple[int, ...]) -> Any:
    """View a contiguous array with other strides, counted in elements; `as_strided` takes five times as long."""
    item = x.itemsize
    return np.ndarray(shape, x.dtype, x, 0, [step * item for step in steps])
