"""Trees of plain values and arrays as one safetensors file: what a run needs to go on, without pickle."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..device import Array, is_array
from .files import load_file, save_arrays

#: Under which names the tree and its checksum stand in a file's metadata.
_KEY, _CHECKSUM = "cunet.tree", "cunet.tree.blake2b"
_PLAIN = (str, bool, int, float, type(None))


def save_tree(path: str | os.PathLike[str], tree: Any, metadata: dict[str, str] | None = None) -> None:
    """Write a tree to a safetensors file, whole or not at all: its arrays by their places, all else as JSON.

    Args:
        path: where to write; see `cunet.system.files.save_arrays`.
        tree: dicts, lists and tuples of strings, numbers, None and NumPy or CuPy arrays, nested.
        metadata: strings to keep beside it.

    Raises:
        TypeError: there is something else in it; the place is named, and nothing is written.
    """
    import json

    arrays: dict[str, Array] = {}
    text = json.dumps(_pack(tree, "", arrays))
    save_arrays(path, arrays, {**(metadata or {}), _KEY: text, _CHECKSUM: _digest(text)})


def load_tree(path: str | os.PathLike[str]) -> Any:
    """Read a tree that `save_tree` wrote; its arrays are NumPy's.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or is no tree.
    """
    import json

    arrays, kept = load_file(path)
    text = kept.get(_KEY)
    if text is None:
        raise ValueError(f"{os.fspath(path)} holds arrays alone, not the state of a run")
    if kept.get(_CHECKSUM) != _digest(text):
        raise ValueError(f"{os.fspath(path)} does not fit the checksum in it: it is damaged; fetch it again")
    return _unpack(json.loads(text), arrays)


def _digest(text: str) -> str:
    import hashlib

    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _pack(value: Any, place: str, arrays: dict[str, Array]) -> Any:
    """Return a value for JSON, with its arrays put into `arrays` under their places."""
    if is_array(value):
        while place in arrays:  # keys may hold dots
            place += "'"
        arrays[place] = value
        return {"$array": place}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, (list, tuple)):
        items = [_pack(item, f"{place}.{i}" if place else str(i), arrays) for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}
    if isinstance(value, dict):
        return {"$dict": [[k, _pack(v, f"{place}.{k}" if place else str(k), arrays)] for k, v in value.items()]}
    raise TypeError(f"save: {place or 'the state'} must be made of dicts, lists, numbers, strings and arrays, got "
                    f"{type(value).__name__}")  # fmt: skip


def _unpack(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_unpack(item, arrays) for item in value]
    if isinstance(value, dict):
        ((kind, inner),) = value.items()
        if kind == "$array":
            return arrays[inner]
        if kind == "$tuple":
            return tuple(_unpack(item, arrays) for item in inner)
        return {key: _unpack(item, arrays) for key, item in inner}
    return value
