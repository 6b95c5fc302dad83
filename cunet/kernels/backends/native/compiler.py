"""C++ text to loaded libraries, by the system's compiler; `cache` says where they lie."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ....system.cpu import cores
from ....system.messages import say
from . import cache
from .text import Unit, single

# -O2 with loops vectorised whatever their length: -O3 takes half as long again for code that runs no faster, but for
# conv.cpp. No flag that would break NaN, inf or -0; fused multiplication only where the text asks for it, so that a
# result does not depend on its place in an array.
FLAGS = (
    "-std=c++17", "-O2", "-ftree-vectorize", "-fvect-cost-model", "-march=native", "-ffp-contract=off",
    "-fno-math-errno", "-fno-trapping-math", "-fno-strict-aliasing", "-fno-semantic-interposition", "-shared", "-fPIC",
    "-pthread", "-w",
)  # fmt: skip
SLOW = "// compiled with -O3\n"  # begins a text that is worth it
TIMEOUT = 120.0  # seconds for a text that takes one or two on the machines we know
PATIENCE = 1.0  # seconds of compiling after which a person is told what the program waits for
COMPILING = "cunet: compiling kernels for this processor, once; it takes a few seconds"
#: Whether arrays lie in memory here as the C++ text expects.
SUPPORTED = sys.platform != "win32" and sys.byteorder == "little" and ctypes.sizeof(ctypes.c_void_p) == 8


class CompileError(Exception):
    """The compiler refused a text."""


class CompilerProblem(CompileError):
    """There is nothing wrong with the text: nothing can be compiled here."""


class LoadProblem(CompilerProblem, OSError):
    """What the compiler makes cannot be loaded here."""


class Progress:
    """How compiling went so far in this process.

    Attributes:
        waited: seconds that it took.
        told: whether a person was told what the program waits for.
        problem: why nothing more is compiled, or None.
    """

    def __init__(self) -> None:
        self.waited = 0.0
        self.told = False
        self.problem: CompilerProblem | None = None

    def tell(self) -> None:
        """Tell a person, once, what the program waits for."""
        if not self.told:
            say(COMPILING)
        self.told = True


progress = Progress()


@functools.cache
def compiler() -> str | None:
    """Return the path of the C++ compiler: ``$CXX``, g++, clang++ or c++; None if there is none."""
    for name in (os.environ.get("CXX", ""), "g++", "clang++", "c++"):
        path = shutil.which(name) if name and SUPPORTED else None
        if path:
            return os.path.abspath(path)  # not what a link leads to: clang++ and ccache act on the name they go by
    return None


def _machine() -> str:
    """Return what tells processors apart that need different code."""
    parts = [platform.machine(), sys.platform]
    try:
        with open("/proc/cpuinfo") as file:
            head = file.read(16384)
    except OSError:
        head = platform.processor()
    parts += [
        line for line in head.split("\n\n")[0].splitlines() if line.startswith(("model", "flags", "Features", "CPU"))
    ]
    return "\n".join(parts)


@functools.cache
def _fingerprint() -> str:
    """Return a digest of all that a library depends on besides its text."""
    path = compiler() or ""
    status = os.stat(path)
    facts = (path, status.st_size, status.st_mtime_ns, FLAGS, _machine())
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def key(text: str) -> str:
    """Return what the library of a text is found by."""
    return hashlib.sha256((_fingerprint() + text).encode()).hexdigest()[:40]


def keys(unit: Unit) -> list[str]:
    """Return what a library is found by: each of its texts by itself, whatever was compiled with it."""
    return [key(unit.head + part.text) for part in unit.parts]


def only(unit: Unit, wanted: Callable[[str], bool]) -> Unit:
    """Return the parts of a unit whose keys are wanted."""
    pairs = zip(unit.parts, keys(unit), strict=True)
    return unit._replace(parts=tuple(part for part, key in pairs if wanted(key)))


def compile_all(units: Sequence[Unit], aside: list[Any] | None = None) -> list[CompileError | None]:
    """Make the libraries of what is not in the cache, side by side; return an error or None for each unit.

    Args:
        units: what to compile.
        aside: where nobody waits: a list for the compilers' processes, so that they can be stopped.
    """
    todo = {unit: unit for unit in units}
    errors: dict[Unit, CompileError | None] = {}
    try:
        todo = {unit: rest for unit in todo if (rest := missing(unit)).parts}
        if todo and progress.problem is not None:
            raise progress.problem
        waiting = list(todo)
        for k in range(0, len(waiting), cores()):
            batch = waiting[k : k + cores()]
            errors.update(zip(batch, _compile([todo[unit] for unit in batch], aside), strict=True))
    except CompilerProblem as error:
        progress.problem = error
    except OSError as error:  # no room on the disk, or the compiler cannot be started
        progress.problem = CompilerProblem(f"{error}" if error.filename else f"{error} (in {tempfile.tempdir})")
    return [errors.get(unit, progress.problem if unit in todo else None) for unit in units]


def missing(unit: Unit) -> Unit:
    """Return what of a unit is not in the cache."""
    return only(unit, lambda key: cache.find(key) is None)


def _compile(units: Sequence[Unit], aside: list[Any] | None) -> list[CompileError | None]:
    """Compile units at the same time; whatever happens, no compiler stays behind."""
    began = time.monotonic()
    running: list[Any] = [] if aside is None else aside
    # No TemporaryDirectory: a child that was forked meanwhile would remove it when it ends.
    work = tempfile.mkdtemp(prefix="cunet-")
    try:
        stems = [Path(work, key(unit.text())) for unit in units]  # a name of its own: it gets into the library
        try:
            for stem, unit in zip(stems, units, strict=True):
                with _no_interrupt():
                    running.append(_start(stem, unit.text()))
            said = [_wait(process, began, aside is None) for process in running]
        finally:
            for process in running:
                _stop(process)
            progress.waited += 0.0 if running is aside else time.monotonic() - began
        results = [
            _result(unit, stem, process.returncode, words)
            for unit, stem, process, words in zip(units, stems, running, said, strict=True)
        ]
        _note(units, results, time.monotonic() - began, ahead=running is aside)
        return results
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """Hold Ctrl-C back, lest a process is started that nobody knows of."""
    before = signal.getsignal(signal.SIGINT)
    if before is None or threading.current_thread() is not threading.main_thread():
        yield  # Python interrupts the main thread only
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)


def _note(units: Sequence[Unit], results: Sequence[CompileError | None], seconds: float, ahead: bool) -> None:
    """Write into the log what was compiled; what fails ahead of its need is tried again when it is needed."""
    for unit, error in zip(units, results, strict=True):
        what = "compiled ahead" if ahead else "refused" if error else "compiled"
        if not (ahead and error):
            cache.note(f"{what} in {seconds:.2f} s: {' '.join(part.name for part in unit.parts)}")


def _start(stem: Path, text: str) -> Any:
    import subprocess

    source = stem.with_suffix(".cpp")
    source.write_text(text, encoding="utf-8")
    command = [
        compiler() or "",
        *FLAGS,
        *(["-O3"] if text.startswith(SLOW) else []),
        str(source),
        "-o",
        str(stem.with_suffix(".so")),
    ]
    # A group of its own: a wrapper is stopped with what it started.
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, process_group=0
    )


def _wait(process: Any, began: float, somebody_waits: bool) -> str:
    """Return what a compiler said, when it has ended; tell a person once if that takes noticeable time."""
    import subprocess

    for limit in (PATIENCE - progress.waited, TIMEOUT):
        try:
            said = process.communicate(timeout=max(0.0, began + limit - time.monotonic()))[1]
            return str(said, errors="replace").strip()
        except subprocess.TimeoutExpired:
            if somebody_waits:
                progress.tell()
    raise CompilerProblem(f"{compiler()} did not end within {TIMEOUT:.0f} s and was stopped")


def _stop(process: Any) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.stderr.close()
    process.wait()


def _result(unit: Unit, stem: Path, status: int, said: str) -> CompileError | None:
    made = stem.with_suffix(".so")
    if status or not made.exists():
        try:
            stem.write_bytes(bytes(1 << 20))
        except OSError as error:  # the disk is full: the text is not to blame
            raise CompilerProblem(f"{error} (in {tempfile.tempdir})") from error
        return CompileError(said[:2000] or f"{compiler()} returned {status} and no library")
    cache.keep(made, keys(unit))
    return None


def load(text: str) -> Any:
    """Return the loaded library of a text that was compiled.

    Raises:
        CompilerProblem: nothing that is compiled can be loaded here, not even when it is compiled again.
        OSError: it cannot be loaded, which is its own fault.
    """
    try:
        return _open(text)
    except OSError as problem:  # another process may have removed it; or it needs what is not here any more
        path = cache.find(key(text))
        if path is not None:
            path.unlink(missing_ok=True)
        (error,) = compile_all([single("again", text)])
        if isinstance(error, CompilerProblem):
            raise error from problem
        if error is not None:
            raise OSError(f"{problem}; and when it was compiled again: {error}") from error
    try:
        return _open(text)
    except OSError as problem:
        if "undefined symbol" in str(problem):
            raise
        what = f"what {compiler()} makes cannot be loaded (is it for another kind of processor?): {problem}"
        progress.problem = LoadProblem(what)
        raise progress.problem from problem


def _open(text: str) -> Any:
    path = cache.find(key(text))
    if path is None:
        raise OSError("the library is gone")
    return ctypes.CDLL(str(path))
