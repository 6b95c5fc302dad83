"""The device to compare with the CPU: a GPU, or the simulated device of the source tree."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..device import gpu, gpu_problem, resolve_device


@contextlib.contextmanager
def target_device(choice: str) -> Iterator[str]:
    """Make the device to compare with answer to "gpu" in the block; give its kind, "gpu" or "sim".

    Raises:
        RuntimeError: there is none.
    """
    if choice == "gpu" or (choice == "auto" and gpu() is not None):
        resolve_device("gpu")
        yield "gpu"
        return
    sim, why = _simulator()
    if sim is None:
        raise RuntimeError(why if choice == "sim" else f"{gpu_problem()}; {why}")
    sim.install()
    try:
        yield "sim"
    finally:
        sim.uninstall()


def _simulator() -> tuple[Any, str]:
    """Return the simulated device of the source tree this file lies in, or None and why not."""
    root = Path(__file__).parents[2]
    if not (root / "sim" / "__init__.py").is_file():
        return None, "the simulated device is in cunet's source tree only (sim/), not in the installed package"
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    sim = importlib.import_module("sim")
    reason = sim.unavailable_reason()
    return (None, f"no simulated device: {reason}") if reason else (sim, "")
