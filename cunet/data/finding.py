"""Where the files of data sets lie, and how they come there."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..system.paths import user_cache
from .download import fetch, unpack
from .images import DatasetUnavailable

Found = TypeVar("Found")


@dataclass(frozen=True)
class Archive:
    """A data set in one file.

    Attributes:
        name: of the file.
        size: in bytes.
        sha256: hex digest of it.
    """

    name: str
    size: int
    sha256: str

    def bring(self, folder: Path, members: Mapping[str, str], mirrors: Sequence[str]) -> None:
        """Download the file, and leave its members in a folder, under the names that they get.

        Raises:
            DownloadFailed: no mirror gave it.
        """
        target = folder / f".{self.name}"
        try:
            urls = [f"{mirror.rstrip('/')}/{self.name}" for mirror in mirrors]
            fetch(urls, target, self.sha256, max_bytes=self.size, as_sent=True)
            unpack(target, members, folder)
        finally:
            target.unlink(missing_ok=True)


def found(
    who: str,
    root: str | os.PathLike[str] | None,
    folders: Sequence[str],
    names: Sequence[str],
    look: Callable[[Path], Found | None],
    bring: Callable[[Path], None] | None,
) -> Found:
    """Return what is found of a data set, in `root` or else where one keeps it, or when it was downloaded.

    Args:
        who: looks for it.
        root: the only place, if it is given.
        folders: names of the data set's own folder.
        names: of its files, for the error.
        look: returns what is found in a folder, or None.
        bring: downloads into a folder; None: nothing is downloaded.

    Raises:
        DatasetUnavailable: it is in none of the places and could not be downloaded.
    """
    looked = places(root, folders)
    if (it := first(looked, look)) is not None:
        return it
    why = ""
    if root is None and bring is not None:
        try:
            cache = private(user_cache(folders[0]))
            bring(cache)
            if (it := look(cache)) is not None:
                return it
        except OSError as error:
            why = f", and the download failed ({error})"
    raise DatasetUnavailable(
        f"{who}: there is no {' and no '.join(names)} in {', '.join(map(str, looked)) or 'any place'}{why}; put the"
        " files there, set CUNET_DATA to the folder above, or pass root="
    )


def first(looked: Sequence[Path], look: Callable[[Path], Found | None]) -> Found | None:
    """Return what is found in the first of some folders that has it, or None."""
    return next((it for place in looked if (it := look(place)) is not None), None)


def private(cache: Path) -> Path:
    """Make the folder of a data set in the user's cache, for this user alone, and return it."""
    for folder in (cache.parent, cache):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return cache


def places(root: str | os.PathLike[str] | None, folders: Sequence[str]) -> list[Path]:
    """Return the folders in which a data set is looked for: with a `root` there alone, else where one keeps it."""
    if root is not None:
        base = Path(root).expanduser()
        return [base, *(base / name for name in folders)]
    data, kept = os.environ.get("CUNET_DATA"), []
    if data:
        kept += [Path(data).expanduser() / name for name in folders]
    try:
        return [*kept, user_cache(folders[0])]
    except OSError:
        return kept
