"""Which kernels are compiled together, and what becomes of them."""

from __future__ import annotations

import ctypes as c
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...spec import KERNELS, Definition
from . import compiler, launch, reduction, text
from . import elementwise as elementwise_text
from .launch import Host
from .launch_reduction import ReductionLauncher

#: The files that make the text of the runtime.
RUNTIME = (
    "tuning.h", "threads.cpp", "arrays.cpp", "copies.cpp", "elementwise.cpp", "reduction.cpp", "calls.cpp",
    "products.cpp", "recurrence.cpp",
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


def runtime_text() -> str:
    """Return the text of the library that runs compiled kernels."""
    return text.source(*RUNTIME)


def check_runtime(library: Any) -> None:
    """Declare the functions of the runtime, and see that it reads arrays as NumPy does.

    Raises:
        OSError: it does not.
    """
    library.cunet_run.argtypes = [c.c_char_p]
    library.cunet_reduce.argtypes = [c.c_char_p, c.c_char_p, c.c_int, c.c_int]
    library.cunet_together.argtypes = [c.c_char_p, c.c_int64, c.c_int64, c.c_int64]
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


def ahead(kernel: Definition, wide: np.dtype) -> None:
    """Compile the runtime and the first kernels side by side; what goes wrong shows when they are asked for."""
    if compiler.compiler() is not None:
        compiler.compile_all([runtime_text(), *(_text(group, wide) for group in groups(kernel, wide))])


def groups(kernel: Definition, wide: np.dtype) -> list[list[Definition]]:
    """Return the kernels that are compiled with this one, in two texts for two processors.

    Those of its module: but a function's ``_forward`` and ``_backward`` are a matter of their own, because who uses one
    function of many need not wait for the others.
    """
    ours = KERNELS.get(kernel.name) is kernel
    one = (kernel.spec.module, _function(kernel))
    group = [k for k in KERNELS.values() if (k.spec.module, _function(k)) == one] if ours else [kernel]
    group = [k for k in group if compilable(k, wide)]
    return [part for part in (group[::2], group[1::2]) if part]


def compilable(kernel: Definition, wide: np.dtype) -> bool:
    """Tell whether a kernel has a text that can be compiled for the CPU."""
    attached = kernel.attached.get("native", False)
    if attached is None or callable(attached) or kernel.spec.kind not in _TEXTS:
        return False
    return text.supported(kernel, wide)


def _function(kernel: Definition) -> str:
    """Return the name of the function that a kernel is the way forward or back of, or ""."""
    name, _, way = kernel.name.rpartition("_")
    return name if way in ("forward", "backward") else ""


def load(kernel: Definition, wide: np.dtype, native: Host) -> None:
    """Compile a kernel, with those that belong to it."""
    kernels = groups(kernel, wide)
    texts = [_text(group, wide) for group in kernels]
    for group, source, error in zip(kernels, texts, compiler.compile_all(texts), strict=True):
        if error is None:
            _bind(group, wide, source, native)
        elif len(group) > 1:  # find the one that fails
            singles = [_text([k], wide) for k in group]
            for k, single, problem in zip(group, singles, compiler.compile_all(singles), strict=True):
                _bind([k], wide, single, native) if problem is None else _report(k, problem, native)
        else:
            _report(group[0], error, native)
        for k in group:
            k.prepared.setdefault(wide.char, False)  # and does not try again


def _text(group: Sequence[Definition], wide: np.dtype) -> str:
    return text.header() + "".join(_TEXTS[k.spec.kind](k, wide) for k in group)


def _bind(group: Sequence[Definition], wide: np.dtype, source: str, native: Host) -> None:
    try:
        library = compiler.load(source)
    except OSError as error:
        _report(group[0], error, native)
        return
    for k in group:
        k.prepared[wide.char] = _LAUNCHERS[k.spec.kind](k, wide, library, native)


def _report(kernel: Definition, error: Exception, native: Host) -> None:
    native.report(f"kernel {kernel.name!r} ({kernel.spec.module})", error)
