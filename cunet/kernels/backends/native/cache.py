"""Where compiled kernels are kept: a folder on disk that only the user can write to, or one that ends with the process.

Code is loaded from it, so what another user could have written is refused.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

from ....system.messages import warn
from ....system.paths import user_cache

_chosen: Path | None = None
_temporary = False
_STRAY = 3600  # seconds after which a file with no final name is left over from a process that was killed


def folder() -> Path:
    """Return the folder of compiled kernels; a temporary one, after a warning, if the user's cannot be used.

    Raises:
        OSError: there is no place for a temporary one.
    """
    global _chosen
    if _chosen is None:
        try:
            _chosen = _of_user()
        except OSError as error:
            _chosen = _another(error)
    return _chosen


def _of_user() -> Path:
    wanted = user_cache("native")
    for each in (wanted.parent, wanted):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    problem = refusal(wanted)
    if problem:
        raise OSError(f"{problem}: {wanted}")
    if wanted.parent.stat().st_mode & 0o022:
        raise OSError(f"others may write to it: {wanted.parent}")
    return wanted


def refusal(path: Path) -> str:
    """Return why libraries must not be kept in the folder `path`, or ""."""
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode):
        return "it is no folder"
    if status.st_uid != os.getuid():
        return "it belongs to another user"
    if status.st_mode & 0o022:
        return "others may write to it"
    return "" if os.access(path, os.W_OK | os.X_OK) else "it is read-only"


def _another(problem: OSError) -> Path:
    """Return a new folder that is removed when this process ends, and say why."""
    import atexit

    global _temporary
    warn(
        "cunet: compiled kernels cannot be kept, so each process compiles them again:\n"
        f"{problem}\n"
        "XDG_CACHE_HOME may name a folder of your own; CUNET_NATIVE=0 compiles nothing."
    )
    made = Path(tempfile.mkdtemp(prefix="cunet-"))
    owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(made, ignore_errors=True) if os.getpid() == owner else None)
    _temporary = True
    return made


def keep(made: Path, name: str) -> None:
    """Put a new library into the folder, whole or not at all; choose another folder if this one is full.

    Raises:
        OSError: it cannot be kept anywhere.
    """
    global _chosen
    try:
        _place(made, folder() / name)
    except OSError as error:
        if _temporary:
            raise
        _chosen = _another(OSError(f"{error.strerror}: {_chosen}"))
        _place(made, _chosen / name)


def _place(made: Path, target: Path) -> None:
    for stray in target.parent.glob("new-*"):
        with contextlib.suppress(OSError):  # its process may have given it its name since it was listed
            if time.time() - stray.stat().st_mtime > _STRAY:
                stray.unlink()
    handle, near = tempfile.mkstemp(prefix="new-", dir=target.parent)  # for this user only, whatever the umask
    try:
        with os.fdopen(handle, "wb") as out, made.open("rb") as source:
            shutil.copyfileobj(source, out)
            out.flush()
            os.fsync(out.fileno())  # a machine that loses its power must not find the name without the content
        os.replace(near, target)  # another process may do the same: the last one wins, with the same code
    except BaseException:
        os.unlink(near)
        raise


def trusted(path: Path) -> bool:
    """Tell whether a library is a file that this user alone could have written."""
    status = os.lstat(path)
    return status.st_uid == os.getuid() and stat.S_ISREG(status.st_mode) and not status.st_mode & 0o022
