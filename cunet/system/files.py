"""Files people exchange: named arrays in safetensors format, written atomically."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..device import Array, asnumpy

#: Under which name the checksum stands in a file's metadata.
_CHECKSUM = "cunet.blake2b"
#: Age in seconds from which on a temporary file is what a killed save left: no save takes that long between two writes.
_STALE = 3600


def save_arrays(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: dict[str, str] | None = None
) -> None:
    """Write named arrays to a safetensors file, with a checksum; the file appears whole or not at all.

    Args:
        path: where to write; an existing file is replaced and keeps its mode, a link is written through.
        arrays: NumPy or CuPy arrays by name.
        metadata: strings to keep with them.

    Raises:
        FileNotFoundError: there is no such folder.
        IsADirectoryError: `path` is one.
    """
    import json  # here and below, so that importing cunet does not load it

    import safetensors.numpy

    check_target(path)  # before the work
    payload = safetensors.numpy.save({k: np.asarray(asnumpy(v), order="C") for k, v in arrays.items()})
    header, data = _split(payload)
    head = json.dumps({"__metadata__": {**(metadata or {}), _CHECKSUM: _digest(header, data)}, **header})
    encoded = head.encode() + b" " * (-len(head.encode()) % 8)  # the data begin at a multiple of 8 bytes
    write_whole(path, len(encoded).to_bytes(8, "little"), encoded, data)


def write_whole(path: str | os.PathLike[str], *parts: bytes | memoryview) -> None:
    """Write a file that appears whole or not at all; one that is there keeps its mode, a link is written through.

    Raises:
        FileNotFoundError: there is no such folder.
        IsADirectoryError: `path` is one.
    """
    path = check_target(path)
    sweep(path.parent, re.escape(path.name))
    part = path.with_name(f"{path.name}.{os.urandom(16).hex()}.part")  # beside it: a rename within one disk is atomic
    try:
        with open(part, "xb") as file:
            for piece in parts:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())  # else a crash may leave the new name on an empty file
        if path.exists():
            part.chmod(stat.S_IMODE(path.stat().st_mode))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def check_target(path: str | os.PathLike[str]) -> Path:
    """Return the file that is to be written at `path`, with ``~`` expanded and links followed.

    Raises:
        FileNotFoundError: there is no such folder.
        IsADirectoryError: `path` is one.
    """
    target = Path(os.path.realpath(Path(path).expanduser()))
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent} to write {target.name} to; make it first")
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; give the name of a file in it")
    return target


def _split(payload: bytes) -> tuple[dict[str, Any], memoryview]:
    """Return the header and the data of a safetensors file."""
    import json

    end = 8 + int.from_bytes(payload[:8], "little")
    return json.loads(payload[8:end]), memoryview(payload)[end:]


def _digest(header: dict[str, Any], data: memoryview) -> str:
    """Return the checksum of data, and of their names, dtypes, shapes and places."""
    import hashlib
    import json

    entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
    digest = hashlib.blake2b(json.dumps(entries, sort_keys=True).encode(), digest_size=16)
    digest.update(data)
    return digest.hexdigest()


def sweep(folder: Path, name: str) -> None:
    """Remove what saves that were killed left in a folder; that of another process that writes now is young.

    Args:
        folder: where to look.
        name: regular expression of the names of the files that were to be written.
    """
    ours = re.compile(rf"{name}\.[0-9a-f]{{32}}\.part")
    with contextlib.suppress(OSError):  # another process sweeps too, or the folder may not be listed
        for other in folder.iterdir():
            if ours.fullmatch(other.name) and time.time() - other.stat().st_mtime > _STALE:
                other.unlink(missing_ok=True)


def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read the strings that are kept in a safetensors file; none if the file is no such.

    Raises:
        FileNotFoundError: there is no such file.
    """
    import json

    path = Path(path).expanduser()
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        head = file.read(size) if size <= os.path.getsize(path) else b""
    try:
        found = json.loads(head).get("__metadata__", {})
    except (ValueError, AttributeError):
        return {}
    return {str(k): str(v) for k, v in found.items() if k != _CHECKSUM} if isinstance(found, dict) else {}


def load_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read the named arrays of a safetensors file; see `load_file`."""
    return load_file(path)[0]


def load_file(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read the named arrays of a safetensors file, and the strings that are kept beside them.

    bfloat16 comes as float32, which holds its values exactly.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not safetensors, is truncated, does not fit its checksum (where it has one, as those of
            `save_arrays` have), or has a dtype that NumPy has not.
    """
    from safetensors import SafetensorError, deserialize

    path = Path(path).expanduser()
    payload = path.read_bytes()
    try:
        entries = deserialize(payload)
    except SafetensorError as error:
        if payload[:2] in (b"PK", b"\x80\x02"):  # a zip archive, or a pickle as older versions of PyTorch wrote them
            raise ValueError(
                f"{path} is no safetensors file but a zip archive or a pickle, such as PyTorch's .pt: load it there "
                'and write safetensors.torch.save_file(state_dict, "weights.safetensors")'
            ) from error
        raise ValueError(f"{path} is not a whole safetensors file ({error}); write or fetch it again") from error
    header, data = _split(payload)
    metadata = header.get("__metadata__", {})
    expected = metadata.get(_CHECKSUM)
    if expected is not None and expected != _digest(header, data):
        raise ValueError(
            f"{path} does not fit the checksum in it: it is damaged, or was changed by a program that kept"
            " the old checksum; write or fetch it again"
        )
    unknown = sorted({entry["dtype"] for _, entry in entries} - _DTYPES.keys())
    if unknown:
        raise ValueError(f"{path} holds arrays of dtype {', '.join(unknown)}; known are {', '.join(_DTYPES)}")
    return {name: _array(entry) for name, entry in entries}, metadata


_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "?"}
_DTYPES |= {f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)}


def _array(entry: dict[str, Any]) -> np.ndarray:
    array = np.frombuffer(entry["data"], _DTYPES[entry["dtype"]])
    # The upper half of a float32 is a bfloat16.
    array = (array.astype(np.uint32) << 16).view(np.float32) if entry["dtype"] == "BF16" else array.copy()
    return array.reshape(entry["shape"])
