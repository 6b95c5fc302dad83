"""Where an array lives: NumPy on the CPU, CuPy on the GPU. The only module that imports CuPy.

Everything else asks `array_module(x)` for the namespace of an array and never names a device.
CuPy is imported at the first question about a GPU, so `import cunet` costs nothing for it.
"""

from __future__ import annotations

import sys
import warnings
from types import ModuleType
from typing import Any, Literal

import numpy as np

Array = Any  # numpy.ndarray or cupy.ndarray: NumPy's type would be a lie for one of them
Device = Literal["cpu", "gpu", "auto"]

_UNKNOWN = object()
_gpu: Any = _UNKNOWN  # the CuPy module, None (no usable GPU), or _UNKNOWN (not asked yet)


def gpu() -> ModuleType | None:
    """Return the CuPy module if CuPy imports and a device answers, else None.

    The answer is found once per process. A machine without CuPy or without a GPU is silent;
    a CuPy that is installed but broken gives one warning that says why.
    """
    global _gpu
    if _gpu is _UNKNOWN:
        _gpu = _find_gpu()
    return _gpu


def _find_gpu() -> ModuleType | None:
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name == "cupy":
            return None
        _warn_broken(error)
        return None
    except Exception as error:  # a CuPy for another CUDA fails in many ways, none of them ours
        _warn_broken(error)
        return None
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        # No driver, or no device: an ordinary CPU machine. Anything else is worth a word.
        if "cudaErrorInsufficientDriver" in str(error) or "cudaErrorNoDevice" in str(error):
            return None
        _warn_broken(error)
        return None
    return cupy if count > 0 else None


def _warn_broken(error: Exception) -> None:
    warnings.warn(
        f"CuPy is installed but cannot be used ({type(error).__name__}: {error}); cunet runs on NumPy",
        RuntimeWarning,
        stacklevel=4,
    )


def is_gpu_array(x: object) -> bool:
    """Tell whether `x` is an array on the GPU."""
    if type(x) is np.ndarray:
        return False
    if _gpu is _UNKNOWN and "cupy" not in sys.modules:
        return False  # nobody imported CuPy, so nobody made a CuPy array
    module = gpu()
    return module is not None and isinstance(x, module.ndarray)


def is_array(x: object) -> bool:
    """Tell whether `x` is a NumPy or CuPy array (not a NumPy scalar, list or Tensor)."""
    return isinstance(x, np.ndarray) or is_gpu_array(x)


def array_module(*xs: object) -> Any:
    """Return the namespace of the arrays among `xs`: CuPy if any is on the GPU, else NumPy."""
    for x in xs:
        if type(x) is not np.ndarray and is_gpu_array(x):
            return gpu()
    return np


def device_of(x: object) -> str:
    """Return "cpu" or "gpu" for an array."""
    return "gpu" if is_gpu_array(x) else "cpu"


def resolve_device(device: str) -> str:
    """Turn "auto" into "gpu" where one is usable, else "cpu"; check the other two.

    Raises:
        ValueError: `device` is none of "cpu", "gpu", "auto".
        RuntimeError: "gpu" was asked for and none is usable.
    """
    if device not in ("cpu", "gpu", "auto"):
        raise ValueError(f'device must be "cpu", "gpu" or "auto", got {device!r}')
    if device == "auto":
        return "gpu" if gpu() is not None else "cpu"
    if device == "gpu" and gpu() is None:
        raise RuntimeError(
            'device "gpu" was asked for, but no usable GPU was found: install cunet[cuda12] or cunet[cuda13]'
            " on a machine with an NVIDIA driver"
        )
    return device


def to_device(x: Array, device: str) -> Array:
    """Return `x` as an array on `device`; the same object if it is there already.

    Moving to the CPU waits for the GPU; moving to the GPU is one upload.
    """
    if resolve_device(device) == "cpu":
        return x.get() if is_gpu_array(x) else np.asarray(x)
    return x if is_gpu_array(x) else gpu().asarray(x)  # type: ignore[union-attr]


def like(x: Array, reference: Array) -> Array:
    """Return `x` as an array on the device of `reference`."""
    return to_device(x, device_of(reference))


def asnumpy(x: Array) -> np.ndarray:
    """Return `x` as a NumPy array (a copy if it was on the GPU)."""
    return to_device(x, "cpu")


def synchronize() -> None:
    """Wait until the GPU has done all it was given; nothing on the CPU."""
    if _gpu is not _UNKNOWN and _gpu is not None:
        _gpu.cuda.get_current_stream().synchronize()


def is_floating(dtype: Any) -> bool:
    """Tell whether `dtype` can carry a gradient: float16, bfloat16, float32 or float64."""
    return dtype.kind == "f" or dtype.name == "bfloat16"


def is_half(dtype: Any) -> bool:
    """Tell whether `dtype` is one of the two 16-bit floats, whose arithmetic is done in float32."""
    return dtype.itemsize == 2 and is_floating(dtype)


def accumulator(dtype: Any) -> np.dtype:
    """Return the dtype in which sums over `dtype` are kept: float32 for half types, else `dtype`."""
    return np.dtype(np.float32) if is_half(dtype) else np.dtype(dtype)
