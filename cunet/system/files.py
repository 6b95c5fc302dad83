"""Files people exchange: named arrays in safetensors format, written atomically."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..device import Array, asnumpy


def _safetensors() -> ModuleType:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError('weight files need the safetensors package: pip install "cunet[examples]"') from error
    return safetensors.numpy


def save_arrays(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], metadata: dict[str, str] | None = None
) -> None:
    """Write named arrays to a safetensors file; the file appears whole or not at all.

    Args:
        path: where to write; an existing file is replaced.
        arrays: NumPy or CuPy arrays by name.
        metadata: strings to keep with them.

    Raises:
        ImportError: safetensors is not installed.
        FileNotFoundError: there is no such folder.
    """
    module = _safetensors()
    path = Path(path)
    payload = module.save({k: np.asarray(asnumpy(v), order="C") for k, v in arrays.items()}, metadata=metadata)
    part = path.with_name(f"{path.name}.{os.urandom(16).hex()}.part")  # beside it: a rename within one disk is atomic
    try:
        with open(part, "xb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())  # else a crash may leave the new name on an empty file
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def load_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read the named arrays of a safetensors file; bfloat16 comes as float32, which holds its values exactly.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not safetensors, is truncated, or has a dtype that NumPy has not.
        ImportError: safetensors is not installed.
    """
    _safetensors()
    from safetensors import SafetensorError, deserialize

    try:
        entries = deserialize(Path(path).read_bytes())
    except SafetensorError as error:
        raise ValueError(
            f"{os.fspath(path)} is not a whole safetensors file ({error}); write or fetch it again"
        ) from error
    unknown = sorted({entry["dtype"] for _, entry in entries} - _DTYPES.keys())
    if unknown:
        raise ValueError(
            f"{os.fspath(path)} holds arrays of dtype {', '.join(unknown)}; known are {', '.join(_DTYPES)}"
        )
    return {name: _array(entry) for name, entry in entries}


_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "?"}
_DTYPES |= {f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)}


def _array(entry: dict[str, Any]) -> np.ndarray:
    array = np.frombuffer(entry["data"], _DTYPES[entry["dtype"]])
    # The upper half of a float32 is a bfloat16.
    array = (array.astype(np.uint32) << 16).view(np.float32) if entry["dtype"] == "BF16" else array.copy()
    return array.reshape(entry["shape"])
