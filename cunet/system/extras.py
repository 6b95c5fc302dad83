"""Libraries that not everybody needs: imported where they are used, by an error that names the extra."""

from __future__ import annotations

import importlib
from typing import Any


def extra(module: str, name: str, who: str) -> Any:
    """Return a module of an optional library.

    Args:
        module: its name, such as "matplotlib.figure".
        name: the extra of cunet that installs it.
        who: asks for it.

    Raises:
        ImportError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise ImportError(f'{who} needs {library}, which is not installed: pip install "cunet[{name}]"') from error


def new_axes(who: str, width: float, height: float) -> Any:
    """Return axes of matplotlib in a figure of so many inches, which has no window and needs no closing."""
    figure = extra("matplotlib.figure", "plot", who).Figure(figsize=(width, height), layout="constrained")
    return figure.add_subplot()
