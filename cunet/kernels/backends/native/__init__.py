"""The kernels' own text, compiled for this machine's processor: the fast route of the CPU.

On by default where a C++ compiler is found; elsewhere, and for what it does not cover (half types, other layouts,
kernels that need a GPU), the NumPy bodies run. Kernels that belong together are compiled when the first of them is
called with a dtype: half a second, once per machine, then they lie in a cache (``~/.cache/cunet/native``). The call
waits for it instead of running on NumPy meanwhile, so that a first and a later run give the same bits.

``CUNET_NATIVE=0`` in the environment, or `disable`, switches it off.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ....system.locks import ForkSafeLock
from ....system.messages import say, warn

#: Whether kernels ask for their compiled bodies; see `enable` and `disable`.
active = os.environ.get("CUNET_NATIVE", "1") != "0"
threads = 0  # set with the runtime
#: Begins a body that knows which row and column of a matrix of width `row_width`, a number, element `i` is: for
#: kernels whose ``raw`` arrays have rows of other widths. On the CPU the loop knows that without a division.
ROWS = "const long long row = (long long)i / row_width, column = (long long)i - row * row_width;"
_UNKNOWN = object()
_runtime: Any = _UNKNOWN
_told = False  # that nothing more is compiled
_lock = ForkSafeLock()


def enabled() -> bool:
    """Tell whether compiled kernels are used: wanted, and a compiler works. Compiles nothing but a few lines."""
    return active and runtime() is not None


def enable() -> None:
    """Use compiled kernels where they can be had."""
    global active
    active = True


def disable() -> None:
    """Use the NumPy bodies only."""
    global active
    active = False


def describe() -> str:
    """Say how kernels run on this CPU: compiled, by what and where they are kept, or on NumPy, and why."""
    from . import cache, compiler

    if not active:
        return "on NumPy, as CUNET_NATIVE=0 or cunet.native.disable() asks"
    if compiler.compiler() is None:
        return "on NumPy: no C++ compiler found" + (", g++ would make them faster" if compiler.SUPPORTED else "")
    if runtime() is None:
        return f"on NumPy: {compiler.compiler()} makes no libraries that run here"
    return f"compiled by {compiler.compiler()} into {cache.folder()}"


def runtime() -> Any:
    """Return the library that runs compiled kernels, or None if there is no compiler that works."""
    global _runtime
    if _runtime is _UNKNOWN:
        with _lock:
            if _runtime is _UNKNOWN:
                _runtime = _start()
    return _runtime


def _start() -> Any:
    global threads
    from ....system.cpu import cores
    from . import compiler, elementwise

    if compiler.compiler() is None:
        if compiler.SUPPORTED:
            say("cunet: no C++ compiler (g++ or clang++) found, so kernels run on NumPy, slower")
        return None
    source = elementwise.runtime()
    (error,) = compiler.compile_all([source])
    try:
        if error is not None:
            raise error
        library = compiler.load(source)
        _check(library)
    except (compiler.CompileError, OSError) as problem:
        warn(
            f"cunet: kernels cannot be compiled with {compiler.compiler()}, so they run on NumPy, slower\n"
            f"(CUNET_NATIVE=0 does so without this warning):\n{problem}"
        )
        return None
    threads = cores()
    return library


def _check(library: Any) -> None:
    """Declare the functions of the runtime, and see that it reads arrays as NumPy does."""
    import ctypes as c

    from . import functions

    library.cunet_run.argtypes = [c.c_char_p]
    library.cunet_reduce.argtypes = [c.c_char_p, c.c_char_p, c.c_int, c.c_int]
    library.cunet_together.argtypes = [c.c_char_p, c.c_int64, c.c_int64, c.c_int64]
    library.cunet_probe.argtypes = [c.c_uint64, c.POINTER(c.c_int64)]
    library.cunet_start.argtypes = [c.c_int64]
    for name in ("run", "reduce", "together", "product", "recur"):
        getattr(library, f"cunet_{name}").restype = functions.result
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
        seen = (c.c_int64 * 40)()
        library.cunet_probe(id(a), seen)
        flags = a.flags.c_contiguous + 0x100 * a.flags.aligned
        pairs = [n for pair in zip(a.shape, a.strides, strict=True) for n in pair]
        if list(seen[: 4 + 2 * a.ndim]) != [a.ctypes.data, a.ndim, ord(a.dtype.char), flags, *pairs]:
            raise OSError(f"arrays of NumPy {np.__version__} lie in memory in an unknown way")


def compiled(kernel: Any, char: str) -> Any:
    """Return the compiled form of a kernel for float32 ("f") or float64 ("d"), or False; remembered in the kernel."""
    with _lock:
        if char not in kernel.compiled:
            if char in "fd" and _runtime is _UNKNOWN:
                _ahead(kernel, np.dtype(char))
            if char in "fd" and runtime() is not None:
                _load(kernel, np.dtype(char))
            kernel.compiled.setdefault(char, False)
    return kernel.compiled[char]


def run_together(packed: Sequence[Any], lead: np.ndarray) -> bool:
    """Run packed calls on a block of the first axis of `lead` at a time; return whether they could be run."""
    from . import launch

    return launch.together(packed, lead, runtime())


def _ahead(kernel: Any, wide: np.dtype) -> None:
    """Compile the runtime and the first kernels side by side; what goes wrong shows when they are asked for."""
    from . import compiler, elementwise

    if compiler.compiler() is not None:
        header = elementwise.header()
        groups = _groups(kernel, wide)
        compiler.compile_all([elementwise.runtime(), *(_text(header, g, wide) for g in groups)])


def _groups(kernel: Any, wide: np.dtype) -> list[list[Any]]:
    """Return the kernels that are compiled with this one, in two texts for two processors.

    Those of its module: but a function's ``_forward`` and ``_backward`` are a matter of their own, because who uses one
    function of many need not wait for the others.
    """
    from . import elementwise

    ours = kernel.__module__.startswith("cunet.") and kernel.registry.get(kernel.name) is kernel
    one = (kernel.__module__, _function(kernel))
    group = [k for k in kernel.registry.values() if (k.__module__, _function(k)) == one] if ours else [kernel]
    group = [k for k in group if k.native and elementwise.supported(k, wide)]
    return [part for part in (group[::2], group[1::2]) if part]


def _function(kernel: Any) -> str:
    """Return the name of the function that a kernel is the way forward or back of, or ""."""
    name, _, way = kernel.name.rpartition("_")
    return name if way in ("forward", "backward") else ""


def _load(kernel: Any, wide: np.dtype) -> None:
    """Compile a kernel, with those that belong to it."""
    from . import compiler, elementwise

    kernels = _groups(kernel, wide)
    header = elementwise.header()
    texts = [_text(header, group, wide) for group in kernels]
    for group, source, error in zip(kernels, texts, compiler.compile_all(texts), strict=True):
        if error is None:
            _bind(group, wide, source)
        elif len(group) > 1:  # find the one that fails
            singles = [_text(header, [k], wide) for k in group]
            for k, single, problem in zip(group, singles, compiler.compile_all(singles), strict=True):
                _bind([k], wide, single) if problem is None else _report(k, problem)
        else:
            _report(group[0], error)
        for k in group:
            k.compiled.setdefault(wide.char, False)  # and does not try again


def _text(header: str, group: Sequence[Any], wide: np.dtype) -> str:
    from . import elementwise, reduction

    make = (reduction.reduction_text if hasattr(k, "reduce") else elementwise.elementwise_text for k in group)
    return header + "".join(f(k, wide) for f, k in zip(make, group, strict=True))


def _bind(group: Sequence[Any], wide: np.dtype, source: str) -> None:
    from . import compiler, launch

    try:
        library = compiler.load(source)
    except OSError as error:
        _report(group[0], error)
        return
    for k in group:
        kind: Any = launch.ReductionCall if hasattr(k, "reduce") else launch.ElementwiseCall
        if k.in_place:
            kind = launch.UpdateCall
        elif ROWS in getattr(k, "operation", ""):
            kind = launch.StepCall
        k.compiled[wide.char] = kind(k, wide, library, runtime())


def _report(kernel: Any, error: Exception) -> None:
    report(f"kernel {kernel.name!r} ({kernel.__module__})", error)


def report(what: str, error: Exception) -> None:
    """Warn that NumPy has to do something, and why; that nothing can be compiled any more is said once."""
    from . import compiler

    global _told
    if not isinstance(error, compiler.CompilerProblem):
        warn(
            f"cunet: {what} runs on NumPy, slower: its text\n"
            f"cannot be compiled with {compiler.compiler()}.\n"
            f"If it is cunet's, please report this, with what the compiler said:\n{error}"
        )
    elif not _told:
        _told = True
        warn(
            "cunet: no more kernels are compiled in this process; those that were not compiled\n"
            f"before run on NumPy, slower:\n{error}"
        )
