"""Which files of a folder are checkpoints, and which of them a run goes on from."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..system import trees
from ..system.messages import warn

NAME = re.compile(r"step-(\d{9,})\.safetensors")


def listed(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, the newest last; what is no file, or a link to none, is passed over."""
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found) if path.is_file()]


def newest_state(folder: Path) -> Any:
    """Return the state in the newest whole checkpoint of a folder; None if there is no checkpoint.

    One that is damaged, or cannot be read, is named in a warning, and the one before it taken.

    Raises:
        ValueError: none is whole.
    """
    files = listed(folder) if folder.is_dir() else []
    for k in reversed(range(len(files))):
        try:
            return trees.load_tree(files[k])
        except (OSError, ValueError) as problem:  # OSError: another process may have removed it since
            if not k:
                raise ValueError(f"Trainer.fit: no whole checkpoint in {folder}: {problem}") from problem
            warn(f"Trainer.fit: {problem}; trying the one before it, {files[k - 1].name}")
    return None


def state_to_resume(where: str | os.PathLike[str]) -> Any:
    """Return the state in a file, or the newest whole one in a folder; None for a folder without any.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: what is there is damaged, or no state of a run.
    """
    path = Path(where).expanduser()
    if path.suffix != ".safetensors" or path.is_dir():
        return newest_state(path)
    try:
        return trees.load_tree(path)
    except ValueError as problem:
        before = [p.name for p in listed(path.parent) if p < path]
        hint = f"; the checkpoint before it is {before[-1]}" if before else ""
        raise ValueError(f"Trainer.fit: {problem}{hint}") from problem


def folder_of(callbacks: Iterable[Any]) -> Path:
    """Return the folder of the `Checkpoint` among a trainer's callbacks."""
    for callback in callbacks:
        if callback.folder is not None:
            return callback.folder
    raise ValueError('Trainer.fit: resume="auto" needs a Checkpoint among the callbacks, which names the folder')
