"""Files people exchange: named arrays in safetensors format, written atomically."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np

from .backend import Array, asnumpy


def _safetensors() -> ModuleType:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError('weight files need the safetensors package: pip install "cunet[safetensors]"') from error
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
    """
    module = _safetensors()
    path = Path(path)
    payload = module.save({k: np.ascontiguousarray(asnumpy(v)) for k, v in arrays.items()}, metadata=metadata)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(payload)
        umask = os.umask(0)  # mkstemp makes a private file; give it what open() would have
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def load_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read the named arrays of a safetensors file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not safetensors, or is truncated.
        ImportError: safetensors is not installed.
    """
    module = _safetensors()
    data = Path(path).read_bytes()
    try:
        return module.load(data)
    except Exception as error:
        raise ValueError(
            f"{os.fspath(path)} is not a whole safetensors file ({error}); write or fetch it again"
        ) from error
