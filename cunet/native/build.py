"""C++ text to loaded libraries: the system's compiler, and a cache on disk that is private to the user."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import stat
import sys
import tempfile
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# No flag that would break NaN, inf or -0; fused multiplication only where the text asks for it, so that a result
# does not depend on its place in an array.
FLAGS = (
    "-std=c++17", "-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math",
    "-fno-strict-aliasing", "-fno-semantic-interposition", "-shared", "-fPIC", "-pthread", "-w",
)  # fmt: skip
_lock = threading.Lock()


class CompileError(Exception):
    """The compiler refused a text."""


@functools.cache
def compiler() -> str | None:
    """Return the path of the C++ compiler: ``$CXX``, g++, clang++ or c++; None if there is none."""
    if sys.platform == "win32" or sys.byteorder != "little" or ctypes.sizeof(ctypes.c_long) != 8:
        return None
    for name in (os.environ.get("CXX", ""), "g++", "clang++", "c++"):
        path = shutil.which(name) if name else None
        if path:
            return os.path.realpath(path)
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


def _refusal(folder: Path) -> str:
    """Return why libraries must not be loaded from `folder`, or ""."""
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode):
        return "it is no folder"
    if status.st_uid != os.getuid():
        return "it belongs to another user"
    if status.st_mode & 0o022:
        return "others may write to it"
    return "" if os.access(folder, os.W_OK | os.X_OK) else "it is read-only"


@functools.cache
def folder() -> Path:
    """Return the folder of compiled kernels; a temporary one, with a warning, if the user's cannot be used."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    wanted = Path(base) / "cunet" / "native"
    try:
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
        problem = _refusal(wanted) or (_refusal(wanted.parent) if (wanted.parent.stat().st_mode & 0o022) else "")
    except OSError as error:
        problem = str(error)
    if not problem:
        return wanted
    warnings.warn(
        f"cunet: compiled kernels cannot be kept in {wanted} ({problem}), so each process compiles them again; "
        "set XDG_CACHE_HOME to a folder of your own, or CUNET_NATIVE=0 to use NumPy",
        stacklevel=2,
    )
    return _temporary()


@functools.cache
def _temporary() -> Path:
    import atexit

    made = Path(tempfile.mkdtemp(prefix="cunet-"))
    owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(made, ignore_errors=True) if os.getpid() == owner else None)
    return made


def path_of(text: str) -> Path:
    """Return where the library of a text is or will be."""
    return folder() / (hashlib.sha256((_fingerprint() + text).encode()).hexdigest()[:40] + ".so")


def compile_all(texts: Sequence[str]) -> list[CompileError | None]:
    """Make the libraries of all texts that are not in the cache, side by side; return an error or None for each."""
    missing = [text for text in dict.fromkeys(texts) if not path_of(text).exists()]
    if not missing:
        return [None] * len(texts)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max(1, os.cpu_count() or 1)) as pool:
        errors = dict(zip(missing, pool.map(_compile, missing), strict=True))
    return [errors.get(text) for text in texts]


def _compile(text: str) -> CompileError | None:
    import subprocess

    target = path_of(text)
    with tempfile.TemporaryDirectory(prefix="cunet-") as work:  # private to the user, and never half a library
        source, made = Path(work) / "kernels.cpp", Path(work) / "kernels.so"
        source.write_text(text)
        try:
            done = subprocess.run(
                [compiler() or "", *FLAGS, str(source), "-o", str(made)], capture_output=True, text=True, timeout=300
            )
        except (OSError, subprocess.SubprocessError) as error:
            return CompileError(str(error))
        if done.returncode or not made.exists():
            return CompileError(done.stderr.strip()[:2000] or f"{compiler()} returned {done.returncode}")
        try:
            near = target.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
            shutil.copyfile(made, near)
            os.replace(near, target)  # another process may do the same: the last one wins, with the same code
        except OSError as error:
            return CompileError(str(error))
    return None


def load(text: str) -> Any:
    """Return the loaded library of a text that was compiled.

    Raises:
        OSError: it cannot be loaded.
    """
    path = path_of(text)
    status = os.lstat(path)
    if status.st_uid != os.getuid() or not stat.S_ISREG(status.st_mode) or status.st_mode & 0o022:
        raise OSError(f"{path} is not this user's own file")
    return ctypes.CDLL(str(path))
