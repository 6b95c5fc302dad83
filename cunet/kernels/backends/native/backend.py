"""The native backend: whether there is one here, and what it runs for a kernel."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ....system.locks import ForkSafeLock
from ....system.messages import say, warn
from ...spec import Definition, Plainly
from ..agreement import compare
from .text import Unit

_UNKNOWN = object()


class Native:
    """Compiled kernels, as far as they can be had on this machine.

    Attributes:
        active: whether kernels ask for their compiled bodies; see `enable` and `disable`.
    """

    def __init__(self) -> None:
        self.active = os.environ.get("CUNET_NATIVE", "1") != "0"
        self._threads = ctypes.c_int64(0)
        self._runtime: Any = _UNKNOWN
        self._expected: set[tuple[Definition, str] | Unit] = set()
        self._told = False  # that nothing more is compiled
        self._lock = ForkSafeLock()

    @property
    def threads(self) -> int:
        """How many threads share a call; 0 before the runtime is there. The runtime reads it where it lies."""
        return self._threads.value

    @threads.setter
    def threads(self, threads: int) -> None:
        self._threads.value = threads

    def run(self, kernel: Definition, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Return what the compiled body of a kernel returns, or NotImplemented where another backend has to do it.

        The leading argument is a plain NumPy array.
        """
        if not self.active:
            return NotImplemented
        call: Any = kernel.prepared.get(args[kernel.lead].dtype)
        if call is None:
            call = self.first(kernel, args, options)
        return call(*args, **options) if call else NotImplemented

    def first(self, kernel: Definition, args: Sequence[Any], options: dict[str, Any]) -> Callable[..., Any] | bool:
        """Prepare a kernel for its first call in a dtype, and see whether a user's text and body agree."""
        dtype = args[kernel.lead].dtype
        call: Any = self.prepare(kernel, dtype.char)
        if dtype.char in kernel.prepared:
            kernel.prepared[dtype] = call  # NumPy takes longer to make a dtype's character than to find it
        if not kernel.ours and self.launcher(kernel, dtype.char):
            compare(kernel, args, options, call, "compiled for this processor")
        return call

    def launcher(self, kernel: Definition, char: str) -> Any:
        """Return what packs calls of a kernel that is compiled from its text, or None."""
        return kernel.prepared.get(f"launcher {char}")

    def prepare(self, kernel: Definition, char: str) -> Callable[..., Any] | bool:
        """Return what runs a kernel on float32 ("f") or float64 ("d"), or False; remembered in the kernel."""
        with self._lock:
            if char not in kernel.prepared and char in "fd":
                attached = kernel.attached.get("native", False)
                if isinstance(attached, Plainly):
                    return self._plainly(kernel, char, attached)
                if callable(attached):
                    kernel.prepared[char] = attached if self.hopeful() else False
                elif kernel.spec.kind == "primitive" and not kernel.attached.keys() & {"native", "numpy"}:
                    kernel.prepared[char] = kernel.spec.body  # at once: on a CPU nobody does it in another way
                elif attached is not None and kernel.spec.kind not in ("rowwise", "primitive"):
                    self._load(kernel, np.dtype(char))
            return kernel.prepared.setdefault(char, False)

    def _plainly(self, kernel: Definition, char: str, attached: Plainly) -> Callable[..., Any] | bool:
        """Return what does such calls; remembered only where the runtime is there, or known not to come."""
        from . import builtin

        call: Any = attached.function if self.hopeful() else False
        if self._runtime is not _UNKNOWN:
            call = kernel.prepared[char] = call and builtin.of(call, attached.builtin, self._runtime)
        return call

    def _load(self, kernel: Definition, wide: np.dtype) -> None:
        from . import build

        if self.hopeful():
            build.load(kernel, wide, self)
        else:
            self.runtime()  # which says why there is none

    def expect(
        self,
        kernels: Iterable[Definition],
        char: str,
        at_once: bool = False,
        besides: Iterable[Unit] = (),
        later: bool = False,
    ) -> None:
        """Compile in the background what will be needed soon.

        Args:
            kernels: those that are the library's count.
            char: "f" or "d", of the dtype.
            at_once: whether a call follows, which then compiles the runtime itself.
            besides: what else will be needed.
            later: whether other things are needed before: ways back, optimisers.
        """
        if not self.active or char not in "fd":
            return
        new = [kernel for kernel in kernels if (kernel, char) not in self._expected]
        units = [unit for unit in besides if unit not in self._expected]
        if (new or units) and self.hopeful():
            from . import ahead, build

            self._expected |= {*units, *((kernel, char) for kernel in new)}
            runtime = [build.runtime_unit()] if self._runtime is _UNKNOWN and not at_once else []
            ahead.queue.add(runtime)
            ahead.queue.add([*units, *build.expected(new, np.dtype(char))], later)

    def hopeful(self) -> bool:
        """Tell whether there is a compiler, of which nothing bad is known yet. Compiles nothing."""
        from . import compiler

        return self._runtime is not None and compiler.compiler() is not None

    def started(self) -> bool:
        """Tell whether the runtime is there. Compiles nothing."""
        return self._runtime is not _UNKNOWN and self._runtime is not None

    def enabled(self) -> bool:
        """Tell whether compiled kernels are used: wanted, and a compiler works. Compiles nothing but a few lines.

        Example:
            >>> cunet.native.disable()
            >>> cunet.native.enabled()
            False
            >>> cunet.native.enable()
        """
        return self.active and self.runtime() is not None

    def enable(self) -> None:
        """Use compiled kernels where they can be had.

        Example:
            >>> cunet.native.disable()  # to compare, or to look for a bug
            >>> cunet.native.enable()
            >>> cunet.native.describe().startswith("on NumPy, as")
            False
        """
        self.active = True

    def disable(self) -> None:
        """Use the NumPy bodies only.

        Example:
            >>> cunet.native.disable()
            >>> cunet.native.describe()
            'on NumPy, as CUNET_NATIVE=0 or cunet.native.disable() asks'
            >>> cunet.native.enable()
        """
        self.active = False

    def describe(self) -> str:
        """Say how kernels run on this CPU: compiled, by what and where they are kept, or on NumPy, and why.

        Example:
            >>> said = cunet.native.describe()  # such as "compiled by /usr/bin/g++ into /home/ada/.cache/cunet/native"
            >>> said.split()[0] in ("compiled", "on")
            True
        """
        from . import cache, compiler

        if not self.active:
            return "on NumPy, as CUNET_NATIVE=0 or cunet.native.disable() asks"
        if compiler.compiler() is None:
            return "on NumPy: no C++ compiler found" + (", g++ would make them faster" if compiler.SUPPORTED else "")
        if self.runtime() is None:
            return f"on NumPy: {compiler.compiler()} makes no libraries that run here"
        return f"compiled by {compiler.compiler()} into {cache.folder()}"

    def runtime(self, *besides: Unit) -> Any:
        """Return the library that runs compiled kernels, or None if there is no compiler that works.

        What comes `besides` is compiled at the same time, if it has to be made; what goes wrong with it shows later.
        """
        if self._runtime is _UNKNOWN:
            with self._lock:
                if self._runtime is _UNKNOWN:
                    self._runtime = self._start(besides)
        return self._runtime

    def _start(self, besides: Sequence[Unit]) -> Any:
        from ....system.cpu import cores
        from . import ahead, build, builtin, compiler

        if compiler.compiler() is None:
            if compiler.SUPPORTED:
                say("cunet: no C++ compiler (g++ or clang++) found, so kernels run on NumPy, slower")
            return None
        unit = build.runtime_unit()
        error, *_ = ahead.compile_now([unit, *besides])
        try:
            if error is not None:
                raise error
            library = compiler.load(unit.text())
            build.check_runtime(library)
            builtin.start(library, self._threads)
        except (compiler.CompileError, OSError) as problem:
            warn(
                f"cunet: kernels cannot be compiled with {compiler.compiler()}, so they run on NumPy, slower\n"
                f"(CUNET_NATIVE=0 does so without this warning):\n{problem}"
            )
            return None
        self.threads = cores()
        return library

    def report(self, what: str, error: Exception) -> None:
        """Warn that NumPy has to do something, and why; that nothing can be compiled any more is said once."""
        from . import compiler

        if not isinstance(error, compiler.CompilerProblem):
            warn(
                f"cunet: {what} runs on NumPy, slower: its text\n"
                f"cannot be compiled with {compiler.compiler()}.\n"
                f"If it is cunet's, please report this, with what the compiler said:\n{error}"
            )
        elif not self._told:
            self._told = True
            warn(
                "cunet: no more kernels are compiled in this process; those that were not compiled\n"
                f"before run on NumPy, slower:\n{error}"
            )

    def deferred(self, kernel: Definition, args: Sequence[Any], options: dict[str, Any]) -> Any:
        """Return a call yet to be run with others, tile by tile, and its outputs; None if it cannot wait.

        NotImplemented where the kernel has no compiled body, and another backend may have.
        """
        lead = args[kernel.lead]
        if type(lead) is not np.ndarray or not self.active:
            return NotImplemented
        call: Any = kernel.prepared.get(lead.dtype)
        if call is None:
            call = self.first(kernel, args, options)
        if not call:
            return NotImplemented
        launcher = self.launcher(kernel, lead.dtype.char)
        return launcher.pack(*args, **options) if launcher else None

    def run_tiled(self, packed: Sequence[Any], lead: np.ndarray) -> bool:
        """Run deferred calls on a block of the first axis of `lead` at a time; return whether they could be run."""
        from . import launch

        return launch.together(packed, lead, self.runtime())


native = Native()
