"""Read and write IDX files, the format in which MNIST and its relatives are handed out."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..system.files import check_target

_CODES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}
_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20
_LONGEST_HEADER = 4 + 4 * 64


class CorruptFile(ValueError):
    """A file is truncated or does not hold what its name or header promises.

    Example:
        >>> from pathlib import Path
        >>> from cunet.data import CorruptFile, read_idx
        >>> size = Path("labels.idx").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 9, 42]))
        >>> try:
        ...     read_idx("labels.idx")
        ... except CorruptFile as error:
        ...     print(error)
        labels.idx: truncated: its header promises shape (9,) of uint8, 17 bytes in all, but it holds 9;
        delete this file and fetch it again
    """

    def __init__(self, path: str | os.PathLike[str], what: str) -> None:
        """Say what is wrong with the file and what to do."""
        self._made_of = path, what
        super().__init__(f"{os.fspath(path)}: {what}; delete this file and fetch it again")

    def __reduce__(self) -> tuple[Any, ...]:
        """Go from process to process, with the notes."""
        return type(self), self._made_of, vars(self)


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an IDX file, raw or gzip-compressed (told apart by content, not by name).

    Args:
        path: the file.

    Returns:
        A new writable array in native byte order, of the shape and dtype in the file's header.

    Raises:
        FileNotFoundError: there is no such file.
        CorruptFile: the file is truncated, too long, damaged, or no IDX file.

    Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits", section on file formats.

    Example:
        >>> from cunet.data import read_idx, write_idx
        >>> write_idx("labels.gz", np.array([3, 1, 4], np.uint8))
        >>> read_idx("labels.gz")
        array([3, 1, 4], dtype=uint8)
    """
    return parse_idx(read_announced(path), path)


def read_announced(path: str | os.PathLike[str]) -> bytes:
    """Return the decompressed content of an IDX file, but of one that is longer than its header says not much more.

    A small compressed file can hold any amount; only what the header announces is worth the memory.
    """
    content = bytearray()
    for chunk in chunks(path):
        content += chunk
        if len(content) > _announced(bytes(content[:_LONGEST_HEADER]), path)[0]:
            break
    return bytes(content)


def _announced(content: bytes, path: str | os.PathLike[str]) -> tuple[int, int, tuple[int, ...], np.dtype]:
    """Return the size in bytes that a header announces, its own size, and the array's shape and dtype."""
    if len(content) < 4:
        raise CorruptFile(path, f"truncated: an IDX file has at least 4 bytes, this one has {len(content)}")
    zeros, code, ndim = struct.unpack_from(">HBB", content)
    if zeros != 0 or code not in _CODES or ndim > 64:
        raise CorruptFile(path, f"not an IDX file: it begins with the bytes {content[:4].hex(' ')}")
    start = 4 + 4 * ndim
    if len(content) < start:
        raise CorruptFile(path, f"truncated: the IDX header has {start} bytes, the file {len(content)}")
    shape = struct.unpack_from(f">{ndim}I", content, 4)
    dtype = np.dtype(">" + _CODES[code])
    return start + math.prod(shape) * dtype.itemsize, start, shape, dtype


def parse_idx(content: bytes, path: str | os.PathLike[str]) -> np.ndarray:
    """Return the array in the decompressed content of an IDX file; `path` is for error messages."""
    required, start, shape, dtype = _announced(content, path)
    if len(content) != required:
        what, holds = ("truncated", str(len(content))) if len(content) < required else ("wrong size", "more")
        promise = f"its header promises shape {shape} of {dtype.name}, {required} bytes in all"
        raise CorruptFile(path, f"{what}: {promise}, but it holds {holds}")
    # astype copies, so the array is writable and does not keep `content` alive
    return np.frombuffer(content, dtype, offset=start).astype(dtype.newbyteorder("=")).reshape(shape)


def write_idx(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Write an array as an IDX file, gzip-compressed if `path` ends in ``.gz``.

    Args:
        path: the file to write or replace.
        array: any shape; uint8, int8, int16, int32, float32 or float64. Equal arrays give equal bytes.

    Raises:
        TypeError: IDX has no code for the array's dtype.
        ValueError: the array has an axis of 2**32 or more.

    Example:
        >>> import os
        >>> from cunet.data import write_idx
        >>> write_idx("images.idx", np.zeros((2, 28, 28), np.uint8))
        >>> os.path.getsize("images.idx")  # 4 bytes of header, 4 an axis, and the pixels
        1584
    """
    array = np.asarray(array)
    codes = {name: code for code, name in _CODES.items()}
    kind = f"{array.dtype.kind}{array.dtype.itemsize}"
    if kind not in codes:
        raise TypeError(
            f"write_idx: dtype must be uint8, int8, int16, int32, float32 or float64, got {array.dtype.name}"
        )
    if any(size >= 1 << 32 for size in array.shape):
        raise ValueError(f"write_idx: every axis must be shorter than 2**32, got shape {array.shape}")
    header = struct.pack(f">HBB{array.ndim}I", 0, codes[kind], array.ndim, *array.shape)
    content = header + array.astype(">" + kind).tobytes()
    if os.fspath(path).endswith(".gz"):
        import gzip  # here and below, so that importing cunet does not load it

        content = gzip.compress(content, mtime=0)
    check_target(path).write_bytes(content)


def chunks(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Yield the decompressed content of a raw or gzip file, a piece at a time.

    Raises:
        CorruptFile: the gzip stream is truncated or damaged.
    """
    import gzip
    import zlib

    with open(Path(path).expanduser(), "rb") as file:
        compressed = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if compressed else file
        try:
            while chunk := stream.read(_CHUNK):
                yield chunk
        except EOFError as error:
            raise CorruptFile(path, "truncated: the gzip stream stops before its end") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise CorruptFile(path, f"damaged gzip stream ({error})") from error
