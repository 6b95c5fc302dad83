"""Where compiled kernels are kept: a folder on disk that only the user can write to, or one that ends with the process.

Code is loaded from it, so what another user could have written is refused; and what does not have the checksum that
stands in its name: ``KEY-CHECKSUM.so``. Name and content appear together, so they cannot be of two writers.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ....system.messages import say, warn
from ....system.paths import user_cache

_LONG = 1 << 20  # bytes of a log
_STRAY = 3600  # seconds after which a file with no final name is left over from a process that was killed


class Place:
    """The folder of compiled kernels.

    Attributes:
        chosen: it, once it was needed.
        temporary: whether it ends with this process.
    """

    def __init__(self) -> None:
        self.chosen: Path | None = None
        self.temporary = False
        self._seen: dict[str, list[str]] = {}

    def folder(self) -> Path:
        """Return it: the user's, or, after a warning, a temporary one if the user's cannot be used."""
        if self.chosen is None:
            try:
                self.chosen = _of_user()
            except OSError as error:
                return self.change(error)
        return self.chosen

    def change(self, problem: OSError) -> Path:
        """Choose a new folder that is removed when this process ends, and say why."""
        warn(
            "cunet: compiled kernels cannot be kept, so each process compiles them again:\n"
            f"{problem}\n"
            "XDG_CACHE_HOME may name a folder of your own; CUNET_NATIVE=0 compiles nothing."
        )
        self.chosen = _ending_with_process()
        self.temporary = True
        return self.chosen

    def named(self, key: str) -> list[Path]:
        """Return the libraries of a key. All names are read only where none is known: thousands may lie there."""
        folder = self.folder()
        if not any((folder / name).exists() for name in self._seen.get(f"{folder}/{key}", ())):
            self._seen = {}
            for name in sorted(os.listdir(folder)):
                if name.endswith(".so"):
                    self._seen.setdefault(f"{folder}/{name.partition('-')[0]}", []).append(name)
        return [folder / name for name in self._seen.get(f"{folder}/{key}", ()) if (folder / name).exists()]


place = Place()


def folder() -> Path:
    """Return the folder of compiled kernels; a temporary one, after a warning, if the user's cannot be used.

    Raises:
        OSError: there is no place for a temporary one.
    """
    return place.folder()


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


def _ending_with_process() -> Path:
    import atexit

    made = Path(tempfile.mkdtemp(prefix="cunet-"))
    owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(made, ignore_errors=True) if os.getpid() == owner else None)
    return made


def find(key: str) -> Path | None:
    """Return the library of a key, or None; one that is damaged, or may be another user's, is removed first.

    Raises:
        OSError: there is no place for libraries.
    """
    for path in place.named(key):
        if whole(path):
            return path
        say(f"cunet: a compiled library was damaged and is compiled again: {path.name[:12]}...")
        path.unlink(missing_ok=True)
    return None


def whole(path: Path) -> bool:
    """Tell whether a library is what was put there, and by this user."""
    with contextlib.suppress(OSError):
        return trusted(path) and path.stem.rpartition("-")[2] == _checksum(path)
    return False


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32]


def verify() -> tuple[int, list[Path]]:
    """Return how many libraries are kept, and those that are damaged; these are compiled again when they are needed.

    Raises:
        OSError: there is no place for libraries.
    """
    found = sorted(folder().glob("*-*.so"))  # others are of versions before there were checksums
    libraries = {path.stat().st_ino: path for path in found}
    return len(libraries), [path for path in libraries.values() if not whole(path)]


def kept() -> set[str]:
    """Return the keys of all libraries, be they damaged or not.

    Raises:
        OSError: there is no place for libraries.
    """
    names = (name.partition("-") for name in os.listdir(folder()) if name.endswith(".so"))
    return {key for key, dash, _ in names if dash}


def log() -> Path | None:
    """Return the file in which `note` writes; None where the folder ends with this process."""
    return None if place.temporary else folder().with_name("native.log")


def note(line: str) -> None:
    """Add a line to the log, with the time; a log that became long begins anew."""
    with contextlib.suppress(OSError):
        path = log()
        if path is not None:
            long = path.exists() and path.stat().st_size > _LONG
            with path.open("w" if long else "a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {os.getpid()} {line}\n")


def clear() -> int:
    """Remove all libraries, and what was left of others; return how many files. Processes that run keep theirs.

    Raises:
        OSError: one cannot be removed.
    """
    found = [path for pattern in ("*.so", "new-*") for path in folder().glob(pattern)]
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


def keep(made: Path, keys: Sequence[str]) -> None:
    """Put a new library into the folder under each of its keys; choose another folder if this one is full.

    Raises:
        OSError: it cannot be kept anywhere.
    """
    names = [f"{key}-{_checksum(made)}.so" for key in keys]
    try:
        _place(made, folder(), names)
    except OSError as error:
        if place.temporary:
            raise
        _place(made, place.change(OSError(f"{error.strerror}: {place.chosen}")), names)


def _place(made: Path, target: Path, names: Sequence[str]) -> None:
    """Give a library its names, which are links to one file; each appears with all of the content."""
    for stray in target.glob("new-*"):
        with contextlib.suppress(OSError):  # its process may have given it its name since it was listed
            if time.time() - stray.stat().st_mtime > _STRAY:
                stray.unlink()
    near = _copied(made, target)
    try:
        *others, last = names
        for name in others:
            link = f"{near}-{name[:8]}"
            try:
                os.link(near, link)
            except OSError:  # a disk that has no links
                os.replace(_copied(made, target), link)
            os.replace(link, target / name)
        os.replace(near, target / last)  # another process may do the same: the last one wins, with the same code
    except BaseException:
        os.unlink(near)
        raise


def _copied(made: Path, target: Path) -> str:
    """Return the path of a copy in the folder `target` that has no name yet."""
    handle, near = tempfile.mkstemp(prefix="new-", dir=target)  # for this user only, whatever the umask
    try:
        with os.fdopen(handle, "wb") as out, made.open("rb") as source:
            shutil.copyfileobj(source, out)
            out.flush()
            os.fsync(out.fileno())  # a machine that loses its power must not find the name without the content
    except BaseException:
        os.unlink(near)
        raise
    return near


def trusted(path: Path) -> bool:
    """Tell whether a library is a file that this user alone could have written."""
    status = os.lstat(path)
    return status.st_uid == os.getuid() and stat.S_ISREG(status.st_mode) and not status.st_mode & 0o022
