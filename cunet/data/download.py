"""Download files whose content is known: mirrors in turn, checked, unpacked, then moved into place at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..system.files import write_whole
from .idx import CorruptFile, chunks

_CHUNK = 1 << 16
_TRIES = 2  # per mirror that answers; one that does not answer is left at once


class DownloadFailed(OSError):
    """No mirror gave the file; the message says why for each."""


def content_sha256(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 (hex) of a file's content, decompressed if it is gzip.

    Raises:
        CorruptFile: the gzip stream is truncated or damaged.
    """
    import hashlib  # here and below, so that importing cunet does not load it

    digest = hashlib.sha256()
    for chunk in chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    import hashlib

    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(
    urls: Sequence[str], target: Path, sha256: str, *, max_bytes: int, timeout: float = 10.0, as_sent: bool = False
) -> None:
    """Download the first good copy of a file among `urls` to `target`, with a progress bar.

    `target` appears whole and checked or not at all: the copy is written beside it under a name of its own
    and renamed, so an interrupted run leaves nothing and two processes cannot disturb each other.

    Args:
        urls: where the file is, best first.
        target: where it goes; its folder must exist.
        sha256: hex digest of the decompressed content.
        max_bytes: a transfer longer than this is given up.
        timeout: seconds without any answer after which a mirror is given up.
        as_sent: whether `sha256` is that of the file as it comes, be it compressed.

    Raises:
        DownloadFailed: no mirror gave the file.
    """
    reasons: list[str] = []
    for url in urls:
        for _ in range(_TRIES):
            reason, again = _attempt(url, target, sha256, max_bytes, timeout, as_sent)
            if reason is None:
                return
            reasons.append(f"{url}: {reason}")
            if not again:
                break
    raise DownloadFailed("; ".join(reasons) or "no mirrors given")


def _attempt(
    url: str, target: Path, sha256: str, max_bytes: int, timeout: float, as_sent: bool
) -> tuple[str | None, bool]:
    """Download one copy into place; return why that failed (None: it did not), and whether to ask once more."""
    # here, not at the top: these take longer to import than the rest of cunet
    import tempfile
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError

    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        _transfer(url, part, max_bytes, timeout)
        _check(part, sha256, as_sent)
        os.replace(part, target)
        return None, False
    except (URLError, DownloadFailed) as error:  # refused, unknown, or not the file: no use asking again
        if isinstance(error, HTTPError):
            error.close()
        return str(error), False
    except (OSError, HTTPException) as error:  # broke off: may work the next time
        return f"broke off ({error or type(error).__name__})", True
    finally:
        part.unlink(missing_ok=True)


def unpack(archive: Path, members: Mapping[str, str], folder: Path) -> None:
    """Write members of a tar or zip archive into a folder, each whole or not at all.

    Args:
        archive: the file; one whose content was verified.
        members: their names in the archive, and those they get.
        folder: where they go.

    Raises:
        DownloadFailed: there is no such member.
    """
    import tarfile
    import zipfile

    opened: Any = zipfile.ZipFile if zipfile.is_zipfile(archive) else tarfile.open
    with opened(archive) as packed:
        for member, name in members.items():
            try:
                content = packed.open(member) if isinstance(packed, zipfile.ZipFile) else packed.extractfile(member)
            except KeyError as error:
                raise DownloadFailed(f"there is no {member} in {archive.name}") from error
            with content:
                write_whole(folder / name, content.read())


def _transfer(url: str, part: Path, max_bytes: int, timeout: float) -> None:
    from urllib.request import urlopen

    with urlopen(url, timeout=timeout) as answer, open(part, "wb") as file:
        length = answer.headers.get("Content-Length", "")
        total = int(length) if length.isdigit() else None
        received = 0
        with _progress(url.rsplit("/", 1)[-1], total) as bar:
            while chunk := answer.read(_CHUNK):
                received += len(chunk)
                if received > max_bytes:
                    raise DownloadFailed(f"sent more than the {max_bytes} bytes the file can have")
                file.write(chunk)
                bar.update(len(chunk))
    if total is not None and received != total:  # read(size) does not complain about a short body by itself
        raise ConnectionError(f"{received} of {total} bytes arrived")


def _check(part: Path, sha256: str, as_sent: bool) -> None:
    try:
        digest = _sha256(part) if as_sent else content_sha256(part)
    except CorruptFile as error:
        raise DownloadFailed("sent a damaged file") from error
    if digest != sha256:
        raise DownloadFailed(f"sent other content (SHA-256 {digest[:12]}..., required {sha256[:12]}...)")


def _progress(name: str, total: int | None) -> Any:
    from tqdm.auto import tqdm

    # disable=None: a bar in a terminal, nothing in a log file
    return tqdm(desc=name, total=total, unit="B", unit_scale=True, unit_divisor=1024, disable=None)
