"""Where an array lives: NumPy on the CPU, CuPy on the GPU. The only module that imports CuPy.

Everything else asks `array_module(x)` for the namespace of an array and never names a device.
CuPy is imported at the first question about a GPU, so `import cunet` costs nothing for it.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Sequence
from contextvars import ContextVar
from types import ModuleType
from typing import Any, Literal

import numpy as np

Array = Any  # numpy.ndarray or cupy.ndarray: NumPy's type would be a lie for one of them
Device = Literal["cpu", "gpu", "auto", "cuda", "cuda:0"]

_UNKNOWN = object()
_gpu: Any = _UNKNOWN  # the CuPy module, None (no usable GPU), or _UNKNOWN (not asked yet)
_problem = ""  # why there is no usable GPU, in words


def gpu() -> ModuleType | None:
    """Return the CuPy module if CuPy imports and a device computes, else None.

    The answer is found once per process. A machine without CuPy or without a GPU is silent;
    a CuPy that is installed but broken gives one warning that says why.
    """
    global _gpu, _problem
    if _gpu is _UNKNOWN:
        _gpu, _problem, broken = _find_gpu()
        if broken:
            warnings.warn(f"{_problem}; cunet runs on NumPy (python -m cunet.doctor tells more)", stacklevel=3)
    return _gpu


def gpu_problem() -> str:
    """Return why no GPU is used, in words; "" if one is."""
    gpu()
    return _problem


def _find_gpu() -> tuple[ModuleType | None, str, bool]:
    """Return CuPy or None, what is wrong, and whether that is worth a warning."""
    try:
        import cupy
    except Exception as error:  # a CuPy for another CUDA fails to import in many ways, none of them ours
        if isinstance(error, ModuleNotFoundError) and error.name == "cupy":
            return None, "CuPy is not installed", False
        # CuPy wraps the cause in a page of general advice.
        return None, f"CuPy is installed but does not import ({_brief(error.__cause__ or error)})", True
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        # Without a driver or a device this is an ordinary CPU machine; anything else is worth a word.
        if "cudaErrorInsufficientDriver" in str(error):
            return None, *_driver_problem(cupy.cuda.runtime)
        if "cudaErrorNoDevice" not in str(error):
            return None, f"CuPy is installed, but CUDA does not start ({_brief(error)})", True
        count = 0
    if not count:
        return None, "CuPy and the driver are installed, but there is no GPU", False
    try:  # a device that merely exists is not enough: compile a kernel, run it, and load cuBLAS
        x = cupy.zeros((2, 2), "float32") + 1
        (x @ x).sum().item()
    except Exception as error:
        return None, f"CuPy sees a GPU but cannot compute on it ({_brief(error)})", True
    return cupy, "", False


def _driver_problem(runtime: Any) -> tuple[str, bool]:
    """Return what CUDA means by "insufficient driver", and whether that is worth a warning."""
    driver = runtime.driverGetVersion()
    if not driver:
        return "CuPy is installed, but there is no NVIDIA driver", False
    needed = runtime.runtimeGetVersion() // 1000
    return f"the installed CuPy is for CUDA {needed}, the NVIDIA driver supports CUDA {driver // 1000} at most", True


def _brief(error: BaseException) -> str:
    """Return an error in one line of bounded length."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text if len(text) <= 300 else text[:297] + '...'}"


def is_gpu_array(x: object) -> bool:
    """Tell whether `x` is an array on the GPU."""
    module = _gpu
    if module is _UNKNOWN:  # nobody imported CuPy, so nobody made a CuPy array
        module = gpu() if type(x) is not np.ndarray and "cupy" in sys.modules else None
    return module is not None and isinstance(x, module.ndarray)


#: What else stands for an array here and now: Tensors, in ops that run on Tensors to have their gradients
#: differentiated.
standing: ContextVar[tuple[type, ...]] = ContextVar("cunet_standing", default=())
_stood = False  # whether anything ever did: who never asks for second derivatives does not pay for the question


def standing_for_arrays(*kinds: type) -> tuple[ContextVar[tuple[type, ...]], tuple[type, ...]]:
    """Return what `system.context.bound` takes, where objects of some classes stand for arrays, and no others."""
    global _stood
    _stood = True
    return standing, kinds


def is_array(x: object) -> bool:
    """Tell whether `x` is a NumPy or CuPy array (not a NumPy scalar, list or Tensor)."""
    return isinstance(x, np.ndarray) or is_gpu_array(x) or (_stood and isinstance(x, standing.get()))


#: Kinds of dtypes that are numbers. That of bfloat16, whose kind is that of records, is told by its name.
NUMBERS = frozenset("fiubc")
_NO_NUMBERS = dict(O="objects", S="bytes", U="strings", T="strings", V="records", M="dates", m="time spans")


def not_numbers(x: Array) -> str:
    """Return in words what an array is in place of plain numbers, and what helps; "" for numbers."""
    if isinstance(x, np.matrix):
        return "a matrix, to which * and shapes mean something else; pass np.asarray(x)"
    masked = sys.modules.get("numpy.ma")  # imported by who makes one
    if masked is not None and isinstance(x, masked.MaskedArray):
        return "a masked array, whose mask would be lost; pass x.filled(...)"
    if x.dtype.kind in NUMBERS or is_floating(x.dtype):
        return ""
    remedy = {"O": "; pass x.astype(np.float32)", "V": "; pass one field of them"}.get(x.dtype.kind, "")
    return f"an array of {_NO_NUMBERS.get(x.dtype.kind, x.dtype)}{remedy}"


def array_module(*xs: object) -> Any:
    """Return the namespace of the arrays among `xs`: CuPy if any is on the GPU, else NumPy."""
    module: Any = _gpu
    if module is _UNKNOWN:
        module = gpu() if "cupy" in sys.modules and not all([type(x) is np.ndarray for x in xs]) else None
    if module is not None:
        if _stood and any(isinstance(x, standing.get()) and is_gpu_array(_held(x)) for x in xs):
            return _ForBoth(np, module)
        kind = module.ndarray
        for x in xs:
            if isinstance(x, kind):
                return module
    return np


def _held(x: Any) -> Array:
    """Return the array of what stands for one, or for a sample of many, which has a `value`."""
    kinds: tuple[Any, ...] = standing.get()
    return _held(x.value) if hasattr(x, "value") else x.data if isinstance(x, kinds) else x


class _ForBoth:
    """The namespace of what stands for arrays on the GPU: NumPy's functions for these, CuPy's for arrays themselves."""

    def __init__(self, functions: Any, arrays: Any) -> None:
        self._functions, self._arrays = functions, arrays

    def __getattr__(self, name: str) -> Any:
        """Return a function that looks at what it is given, or the namespace within this one."""
        function, own = getattr(self._functions, name, None), getattr(self._arrays, name)
        if isinstance(function, ModuleType):
            return _ForBoth(function, own)
        if not callable(function) or isinstance(function, type):
            return own
        return lambda *args, **options: (function if _stands((args, options)) else own)(*args, **options)


def _stands(tree: Any) -> bool:
    """Tell whether something in nested tuples, lists and dicts stands for an array."""
    if isinstance(tree, (tuple, list)):
        return any(map(_stands, tree))
    return any(map(_stands, tree.values())) if isinstance(tree, dict) else isinstance(tree, standing.get())


def device_of(x: object) -> str:
    """Return "cpu" or "gpu" for an array."""
    if _stood and isinstance(x, standing.get()):
        x = _held(x)
    return "gpu" if is_gpu_array(x) else "cpu"


def resolve_device(device: str) -> str:
    """Turn "auto" into "gpu" where one is usable, else "cpu", and PyTorch's "cuda" and "cuda:0" into "gpu"; check all.

    Raises:
        ValueError: `device` is none of "cpu", "gpu", "auto".
        RuntimeError: "gpu" was asked for and none is usable.
    """
    if device in ("cuda", "cuda:0"):
        device = "gpu"
    if device not in ("cpu", "gpu", "auto"):
        raise ValueError(f'device must be "cpu", "gpu" or "auto", got {device!r}')
    if device == "auto":
        return "gpu" if gpu() is not None else "cpu"
    if device == "gpu" and gpu() is None:
        raise RuntimeError(
            f'device "gpu" was asked for, but no GPU can be used: {_problem}. '
            "python -m cunet.doctor says what to install"
        )
    return device


def to_device(x: Array, device: str) -> Array:
    """Return `x` as an array on `device`; the same object if it is there already.

    Moving to the CPU waits for the GPU; moving to the GPU is one upload.

    Raises:
        ValueError, RuntimeError: see `resolve_device`.
        MemoryError: the GPU has no room for it.
    """
    if resolve_device(device) == "cpu":
        return x.get() if is_gpu_array(x) else np.asarray(x)
    if is_gpu_array(x):
        return x
    try:
        return gpu().asarray(x)  # type: ignore[union-attr]
    except Exception as error:
        clearer = clearer_error("to_device", error)
        if clearer is None:
            raise
        raise clearer from error


def like(x: Array, reference: Array) -> Array:
    """Return `x` as an array on the device of `reference`."""
    return to_device(x, device_of(reference))


def asnumpy(x: Array) -> np.ndarray:
    """Return `x` as a NumPy array (a copy if it was on the GPU)."""
    return to_device(x, "cpu")


def synchronize() -> None:
    """Wait until the GPU has done all it was given; nothing on the CPU.

    Example:
        >>> y = cunet.matmul(np.ones((64, 64)), np.ones((64, 64)))
        >>> cunet.synchronize()  # on a GPU the product is done only now: read the clock here
    """
    if _gpu is not _UNKNOWN and _gpu is not None:
        _gpu.cuda.get_current_stream().synchronize()


def is_floating(dtype: Any) -> bool:
    """Tell whether `dtype` can carry a gradient: float16, bfloat16, float32 or float64."""
    kind = dtype.kind
    return kind == "f" or (kind == "V" and dtype.name == "bfloat16")  # NumPy takes long to make a name


def is_half(dtype: Any) -> bool:
    """Tell whether `dtype` is one of the two 16-bit floats, whose arithmetic is done in float32."""
    return dtype.itemsize == 2 and is_floating(dtype)


@functools.cache
def accumulator(dtype: Any) -> np.dtype:
    """Return the dtype in which sums over `dtype` are kept: float32 for half types, else `dtype`, in native order."""
    return np.dtype(np.float32) if is_half(dtype) else np.dtype(dtype).newbyteorder("=")


def clearer_error(who: str, error: Exception, arrays: Sequence[Any] = ()) -> Exception | None:
    """Return an error that says what happened on the device and what to do, or None if `error` does already.

    Args:
        who: the op that failed.
        error: what came out of NumPy or CuPy.
        arrays: the op's arguments.
    """
    kind = type(error).__name__
    if kind == "OutOfMemoryError":
        return MemoryError(f"{who}: the GPU is out of memory ({error}); use a smaller batch or model, or free arrays")
    if kind == "CompileException":
        return RuntimeError(f"{who}: its CUDA kernel does not compile on this machine; please report this:\n{error}")
    unsupported = str(error).startswith("Unsupported type")  # CuPy's, of NumPy's arrays; others may mean 0-d ones
    if len({device_of(a) for a in arrays if is_array(a) and (a.ndim or unsupported)}) > 1:
        where = ", ".join(device_of(a) if is_array(a) else type(a).__name__ for a in arrays)
        return TypeError(f"{who}: all arrays must be on one device, got ({where}); move them with .to(device)")
    return None
