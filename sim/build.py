"""From CUDA text to something that can be called: g++ against ``include/sim.h``, with a cache on disk.

A kernel becomes a small shared library. What all of them share, the headers and the machine, is compiled once: a
precompiled header and ``libruntime.so``, in a folder named after the hash of all that went into them.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cupy.cuda.compiler import CompileException

from .state import options, stats

HERE = Path(__file__).parent
FLAGS = ("-std=c++17", "-O1", "-w", "-fPIC", "-U_FORTIFY_SOURCE")
#: At -O1 g++ fuses only with the third option.
ROUNDING = {False: ("-ffp-contract=off",), True: ("-ffp-contract=fast", "-mfma", "-fexpensive-optimizations")}
GEOMETRY = 10  # numbers that describe a launch, see `sim::run`

_ENTRY = """
extern "C" char __start_sim_shared[] __attribute__((weak, visibility("hidden")));
extern "C" char __stop_sim_shared[] __attribute__((weak, visibility("hidden")));
extern "C" long sim_launch(void** arguments, const unsigned* geometry, const char** problem) {
  return sim::run([](void** a) { sim::call(%(name)s, a); }, arguments, geometry,
                  __start_sim_shared, __stop_sim_shared, problem);
}
extern "C" int sim_sizes(int* sizes) { return sim::sizes(%(name)s, sizes); }
"""
_INCLUDE = re.compile(r'#\s*include\s*[<"](cupy/|cuda|cub/|cooperative_groups|math_constants).*')
_DYNAMIC_SHARED = re.compile(r"extern\s+__shared__\s+(?:__align__\(\d+\)\s+)?([\w ]+?)\s+(\w+)\s*\[\s*\]\s*;")
_DOUBLE = re.compile(r"(?<!__shared__ )\bdouble\b")  # of which CuPy's options flush nothing
_BARRIER = re.compile(r"__sync|__shfl|__ballot|__any_sync|__all_sync")


_runtimes: list[ctypes.CDLL] = []
# Types and libraries of ctypes are cycles of references: they are kept, not made in every launch.
_Geometry = ctypes.c_uint * GEOMETRY
_Sizes = ctypes.c_int * 1024  # of as many parameters as the 4 KiB of a kernel can hold


@functools.cache
def _pointers(count: int) -> Any:
    return ctypes.c_char_p * count


class Program:
    """One compiled kernel.

    Attributes:
        sizes: the size in bytes of each of its parameters.
    """

    def __init__(self, name: str, library: Path, needs_fibers: bool, flushes: bool) -> None:
        self.name = name
        self._needs_fibers, self._flushes = needs_fibers, flushes
        loaded = self._library = ctypes.CDLL(str(library))
        self._launch = loaded.sim_launch
        self._launch.restype = ctypes.c_long
        sizes = _Sizes()
        self.sizes = list(sizes[: loaded.sim_sizes(sizes)])

    def __call__(
        self,
        arguments: Sequence[bytes],
        grid: Sequence[int],
        block: Sequence[int],
        shared: int = 0,
        reverse: bool = False,
    ) -> None:
        """Run it; the arguments are the bytes that are passed by value."""
        got = [len(a) for a in arguments]
        if got != self.sizes:
            raise TypeError(
                f"kernel {self.name} takes parameters of {self.sizes} bytes, but got arguments of {got} bytes"
            )
        pointers = _pointers(len(arguments))(*arguments)
        switches = int(reverse), int(self._needs_fibers), int(self._flushes)
        full = [*grid, 1, 1][:3] + [*block, 1, 1][:3] + [shared, *switches]
        problem = ctypes.c_char_p()
        errors = self._launch(pointers, _Geometry(*full), ctypes.byref(problem))
        stats.launches += 1
        if errors:
            raise IndexError(f"kernel {self.name}: {(problem.value or b'').decode()} ({errors} times)")


@functools.cache
def load(source: str, name: str) -> Program:
    """Return the kernel `name` of a CUDA source, compiled or from the cache.

    Raises:
        cupy.cuda.compiler.CompileException: g++ refused the source.
    """
    body = _DYNAMIC_SHARED.sub(r"\1* \2 = (\1*)sim::dynamic_shared;", _INCLUDE.sub("", source))
    body += _ENTRY % {"name": name}
    base = _prepare()
    library = base / (hashlib.sha256(body.encode()).hexdigest()[:32] + ".so")
    if not library.exists():
        _compile(body, name, library)
    flushes = options.gpu_floats and not _DOUBLE.search(source)
    return Program(name, library, bool(_BARRIER.search(source)), flushes)


def _flags() -> list[str]:
    """Return the options of g++ that all compilations share."""
    return [*FLAGS, *ROUNDING[options.gpu_floats], *options.flags]


def _compile(body: str, name: str, library: Path) -> None:
    start = time.perf_counter()
    own = library.with_suffix(f".{os.getpid()}")
    text = own.with_suffix(own.suffix + ".cpp")
    text.write_text(body)
    command = [
        "g++",
        *_flags(),
        "-shared",
        "-nostdlib",  # what a kernel calls was loaded with the runtime; to link libraries again is a sixth of the time
        "-Wl,-Bsymbolic-functions",  # a kernel may be called as a function of the C library is, such as ``step``
        "-include",
        str(library.parent / "sim.h"),
        str(text),
        "-lgcc",  # conversions of float16
        "-o",
        str(own),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise CompileException(done.stderr[:4000], body, str(text), tuple(command), "g++")
    text.unlink()
    os.replace(own, library)  # another process may do the same: the last one wins, with the same bytes
    stats.compiled += 1
    stats.compile_seconds += time.perf_counter() - start


@functools.cache
def _prepare() -> Path:
    """Return the folder that holds the precompiled header and the runtime, made if needed; load the runtime."""
    version = subprocess.run(["g++", "--version"], capture_output=True, text=True, check=True).stdout
    digest = hashlib.sha256((version + " ".join(_flags())).encode())
    files = sorted([*(HERE / "include").iterdir(), HERE / "runtime.cpp"])
    for file in files:
        digest.update(file.read_bytes())
    base = options.cache / digest.hexdigest()[:16]
    runtime = base / "libruntime.so"
    if not runtime.exists():
        _make_base(base, files)
    _runtimes.append(ctypes.CDLL(str(runtime), mode=ctypes.RTLD_GLOBAL))  # the kernels find their machine here
    return base


def _make_base(base: Path, files: Sequence[Path]) -> None:
    own = base.with_name(f"{base.name}.{os.getpid()}")
    own.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy(file, own)
    common = _flags()
    for arguments in (
        ["-x", "c++-header", "sim.h", "-o", "sim.h.gch"],
        ["-O2", "-shared", "runtime.cpp", "-o", "libruntime.so"],
    ):
        done: Any = subprocess.run(["g++", *common, *arguments], cwd=own, capture_output=True, text=True)
        if done.returncode:
            raise CompileException(done.stderr[:4000], "", str(own), tuple(arguments), "g++")
    try:
        os.replace(own, base)
    except OSError:  # another process was faster
        shutil.rmtree(own)
