"""Pooling by compiled code: the kernels of `cunet.ops.pool.pooling.kernels`, for windows of one stride."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np

from .. import native
from . import functions
from .functions import address, admit, parallel

_pack = struct.Struct("<6Qq18qqdq").pack
_KINDS = {
    name: k
    for k, name in enumerate(
        ("max_pool_forward", "max_pool_backward", "max_pool_indices", "avg_pool_forward", "avg_pool_backward")
    )
}


def pool(name: str, arrays: dict[str, Any], windows: Any, shape: tuple[int, ...], padded: int, divisor: float) -> Any:
    """Return the result of the kernel `name`, of this `shape`, or None where NumPy has to do it.

    Args:
        name: of the kernel.
        arrays: "x", "y" and "gy" as the kernel needs them, each (planes, D, H, W).
        windows: the windows of a plane.
        shape: of the result.
        padded, divisor: see the kernels of the mean.
    """
    first, *_ = found = admit(*arrays.values()) or [None]
    is_global = windows.total == 1 and windows.taps > 1  # which NumPy folds at once
    if first is None or is_global or 0 in windows.stride or not first.size or not math.prod(shape):
        return None
    run = functions.function("cunet_pool", first.dtype.char)
    if run is None:
        return None
    arrays = {key: np.ascontiguousarray(a) for key, a in zip(arrays, found, strict=True)}
    result = np.empty(shape, np.int64 if name == "max_pool_indices" else first.dtype)
    pointers = [address(arrays.get(key)) for key in ("x", "y", "gy")]
    call = _pack(
        _KINDS[name], *pointers, address(result), parallel(), len(first), *windows.numbers(), padded, divisor,
        native.threads,
    )  # fmt: skip
    return None if run(call) else result
