"""Which kernels are compiled together, and what becomes of them."""

from __future__ import annotations

import ctypes as c
from collections.abc import Iterable
from typing import Any

import numpy as np

from ...spec import KERNELS, Definition
from . import ahead, builtin, compiler, launch, reduction, text
from . import elementwise as elementwise_text
from .launch import Host
from .launch_reduction import ReductionLauncher

#: The files that make the text of the runtime.
RUNTIME = (
    "tuning.h", "threads.cpp", "tasks.h", "tasks.cpp", "arrays.cpp", "calls.h", "copies.cpp", "elementwise.cpp",
    "reduction.cpp", "calls.cpp", "assign.cpp", "panels.h", "packed.cpp", "products.cpp", "recurrence.cpp", "python.h",
    "builtin.cpp",
)  # fmt: skip
_TEXTS: dict[str, Any] = {
    "elementwise": elementwise_text.text_of,
    "inplace": elementwise_text.text_of,
    "grid": elementwise_text.text_of,
    "reduction": reduction.text_of,
}
_LAUNCHERS: dict[str, Any] = {
    "elementwise": launch.ElementwiseLauncher,
    "inplace": launch.InplaceLauncher,
    "reduction": ReductionLauncher,
    "grid": launch.GridLauncher,
}

_Seen = c.c_int64 * 40  # one type for all: ctypes would make it again, and types are garbage in cycles


def runtime_unit() -> text.Unit:
    """Return what compiles the library that runs compiled kernels."""
    return text.single("runtime", text.source(*RUNTIME))


def check_runtime(library: Any) -> None:
    """Declare the functions of the runtime, and see that it reads arrays as NumPy does.

    Raises:
        OSError: it does not.
    """
    library.cunet_run.argtypes = [c.c_char_p]
    library.cunet_reduce.argtypes = [c.c_char_p, c.c_char_p, c.c_int, c.c_int]
    library.cunet_together.argtypes = [c.c_char_p, c.c_int64, c.c_int64, c.c_int64]
    library.cunet_assign.argtypes = [c.c_uint64, c.c_uint64, c.c_int]
    library.cunet_probe.argtypes = [c.c_uint64, c.POINTER(c.c_int64)]
    library.cunet_start.argtypes = [c.c_int64]
    if library.cunet_start(object.__basicsize__):
        raise OSError("pthread_atfork failed")
    if c.string_at(id(b"bytes") + bytes.__basicsize__ - 1, 5) != b"bytes":
        raise OSError("bytes lie in memory in an unknown way")
    for a in (
        np.zeros((3, 4, 5), np.float32)[::2, :, ::-1],
        np.zeros(7),
        np.zeros((), np.int64),
        np.zeros(2, np.bool_),
    ):
        seen = _Seen()
        library.cunet_probe(id(a), seen)
        flags = a.flags.c_contiguous + 0x100 * a.flags.aligned
        pairs = [n for pair in zip(a.shape, a.strides, strict=True) for n in pair]
        if list(seen[: 4 + 2 * a.ndim]) != [a.ctypes.data, a.ndim, ord(a.dtype.char), flags, *pairs]:
            raise OSError(f"arrays of NumPy {np.__version__} lie in memory in an unknown way")


def family(kernel: Definition, wide: np.dtype) -> list[Definition]:
    """Return the kernels that are compiled with this one, itself first.

    Those of its module: but a function's ``_forward`` and ``_backward`` are a matter of their own, because who uses one
    function of many need not wait for the others.
    """
    if not kernel.ours:
        return [kernel]
    one = (kernel.spec.module, _function(kernel))
    others = [k for k in KERNELS.values() if (k.spec.module, _function(k)) == one and k is not kernel]
    return [kernel, *(k for k in others if compilable(k, wide))]


def compilable(kernel: Definition, wide: np.dtype) -> bool:
    """Tell whether a kernel has a text that can be compiled for the CPU."""
    attached = kernel.attached.get("native", False)
    if attached is None or callable(attached) or kernel.spec.kind not in _TEXTS:
        return False
    return text.supported(kernel, wide)


def _function(kernel: Definition) -> str:
    """Return the name of the function that a kernel is the way forward or back of, if it has both, or ""."""
    name = kernel.name.removesuffix("_forward").removesuffix("_backward")
    return name if {f"{name}_forward", f"{name}_backward"} <= KERNELS.keys() else ""


def part(kernel: Definition, wide: np.dtype) -> text.Part:
    """Return the text of a kernel, as it stands behind `text.header`; remembered in the kernel."""
    key = f"text {wide.char}"
    if key not in kernel.prepared:
        made = _TEXTS[kernel.spec.kind](kernel, wide)
        kernel.prepared[key] = text.Part(f"{kernel.name}_{wide.char}", made)
    return kernel.prepared[key]


def unit(kernels: Iterable[Definition], wide: np.dtype) -> text.Unit:
    """Return what compiles kernels as one library."""
    return text.Unit(text.header(), tuple(part(k, wide) for k in kernels))


def load(kernel: Definition, wide: np.dtype, native: Host) -> None:
    """Find a compiled kernel, or compile it with those that belong to it, and at its first need the runtime too."""
    own = unit([kernel], wide)
    error: compiler.CompileError | None = None
    if not ahead.settled(own):
        together = unit(family(kernel, wide), wide)
        if native.runtime(together) is not None:
            (error,) = ahead.compile_now([together])
            if error is not None and len(together.parts) > 1:  # another one may be to blame
                (error,) = ahead.compile_now([own])
    if native.runtime() is not None:
        _report(kernel, error, native) if error is not None else _bind(kernel, wide, own.text(), native)


def expected(kernels: Iterable[Definition], wide: np.dtype) -> list[text.Unit]:
    """Return what compiles those of the library's kernels that have not been used yet, each by itself."""
    return [unit([k], wide) for k in kernels if wide.char not in k.prepared and k.ours and compilable(k, wide)]


def _bind(kernel: Definition, wide: np.dtype, source: str, native: Host) -> None:
    try:
        library = compiler.load(source)
    except OSError as error:
        _report(kernel, error, native)
        return
    kind = kernel.spec.kind
    launcher = kernel.prepared[f"launcher {wide.char}"] = _LAUNCHERS[kind](kernel, wide, library, native)
    kernel.prepared[wide.char] = builtin.of(launcher, kind, native.runtime(), launcher.address)


def _report(kernel: Definition, error: Exception, native: Host) -> None:
    native.report(f"kernel {kernel.name!r} ({kernel.spec.module})", error)
