"""Convolution by compiled code: what `cunet.ops.conv.convolution` does with columns, done on shifted runs of the image.

Each function returns NotImplemented where NumPy has to do it: no compiler, half types, nothing to compute.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from . import functions
from .backend import native
from .functions import address, admit, parallel
from .recorder import called
from .status import refused

_pack = struct.Struct("<8Q5q4q18qq").pack
_FORWARD, _INPUT, _WEIGHT = range(3)


def convolve(x: Any, weight: Any, bias: Any, windows: Any, groups: int) -> Any:
    """Return the convolution of `x` (N, C, D, H, W) with `weight` (O, C/groups, kd, kh, kw)."""
    shape = (x.shape[0], weight.shape[0], *windows.out)
    counts = (x.shape[0], groups, x.shape[1] // groups, weight.shape[0] // groups)
    return _run(_FORWARD, x, None, weight, bias, shape, windows, counts)


def input_gradient(gy: Any, weight: Any, windows: Any, groups: int) -> Any:
    """Return the gradient of the input (N, C, D, H, W)."""
    shape = (gy.shape[0], weight.shape[1] * groups, *windows.sizes)
    counts = (gy.shape[0], groups, weight.shape[1], weight.shape[0] // groups)
    return _run(_INPUT, gy, None, weight, None, shape, windows, counts)


def weight_gradient(x: Any, gy: Any, windows: Any, groups: int, sums: Any = None) -> Any:
    """Return the gradient of the weight, shape (O, C/groups, taps); that of the bias is written into `sums`."""
    shape = (gy.shape[1], x.shape[1] // groups, windows.taps)
    counts = (x.shape[0], groups, x.shape[1] // groups, gy.shape[1] // groups)
    return _run(_WEIGHT, x, gy, None, None, shape, windows, counts, sums)


def _run(
    what: int,
    read: Any,
    gy: Any,
    weight: Any,
    bias: Any,
    shape: tuple[int, ...],
    windows: Any,
    counts: tuple[int, ...],
    sums: Any = None,
) -> Any:
    """Return the result, of this `shape`; `read` is the array whose windows are taken, of any layout."""
    nothing = 0 in (*read.shape, *shape, *windows.out, *windows.stride)  # to compute, or to divide by
    arrays = admit(read, gy, weight, bias, written=sums)
    if nothing or arrays is None:
        return NotImplemented
    run = functions.function("cunet_convolve", read.dtype.char)
    if run is None:
        return NotImplemented
    read, *others = arrays
    steps = [s // read.itemsize for s in read.strides]
    others = [None if a is None else np.ascontiguousarray(a) for a in others]
    result = np.empty(shape, read.dtype)
    pointers = [address(a) for a in (read, *others, result, sums)]
    call = _pack(what, *pointers, parallel(), *steps, *counts, *windows.numbers(), native.threads)
    given = zip(range(8, 56, 8), (read, *others, result, sums), strict=True)
    code = called(run, call, [(place, a, a is result or a is sums) for place, a in given])
    return refused(code) if code else result
