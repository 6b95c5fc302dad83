"""Pooling by compiled code: the kernels of `cunet.ops.pool.kernels`, for windows of one stride."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import functions
from .backend import native
from .functions import address, admit, parallel
from .recorder import called
from .status import refused

_pack = struct.Struct("<6Qq18qqdq").pack
_KINDS = {
    name: k
    for k, name in enumerate(
        ("max_pool_forward", "max_pool_backward", "max_pool_indices", "avg_pool_forward", "avg_pool_backward")
    )
}


def attached(name: str, roles: Sequence[str]) -> Callable[..., Any]:
    """Return what the native backend runs for the kernel `name`, whose first arguments are arrays of these `roles`."""

    def run(*args: Any, shape: tuple[int, ...]) -> Any:
        arrays = dict(zip(roles, args, strict=False))
        return pool(name, arrays, args[-18:], shape, *args[len(roles) : -18] or (0, 0.0))

    return run


def pool(
    name: str, arrays: dict[str, Any], numbers: Sequence[int], shape: tuple[int, ...], padded: int, divisor: float
) -> Any:
    """Return the result of the kernel `name`, of this `shape`, or NotImplemented where NumPy has to do it.

    Args:
        name: of the kernel.
        arrays: "x", "y" and "gy" as the kernel needs them, each (planes, D, H, W).
        numbers: 18, of the windows of a plane: lengths before and after, kernel, stride, padding, dilation.
        shape: of the result.
        padded, divisor: see the kernels of the mean.
    """
    first, *_ = found = admit(*arrays.values()) or [None]
    is_global = math.prod(numbers[3:6]) == 1 < math.prod(numbers[6:9])  # which NumPy folds at once
    if first is None or is_global or 0 in numbers[9:12] or not first.size or not math.prod(shape):
        return NotImplemented
    run = functions.function("cunet_pool", first.dtype.char)
    if run is None:
        return NotImplemented
    arrays = {key: np.ascontiguousarray(a) for key, a in zip(arrays, found, strict=True)}
    result = np.empty(shape, np.int64 if name == "max_pool_indices" else first.dtype)
    pointers = [address(arrays.get(key)) for key in ("x", "y", "gy")]
    call = _pack(
        _KINDS[name], *pointers, address(result), parallel(), len(first), *numbers, padded, divisor, native.threads
    )
    given = [(8 * k + 8, arrays.get(key), False) for k, key in enumerate(("x", "y", "gy"))]
    code = called(run, call, [*given, (32, result, True)])
    return refused(code) if code else result
