"""Libraries that not everybody needs: imported where they are used, by an error that names the extra."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .messages import in_notebook

_headless: ContextVar[bool] = ContextVar("cunet_headless", default=False)


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


@contextmanager
def headless() -> Iterator[None]:
    """Within a ``with`` block, make figures that no notebook shows."""
    token = _headless.set(True)
    try:
        yield
    finally:
        _headless.reset(token)


def new_figure(who: str, width: float, height: float) -> Any:
    """Return a figure of matplotlib of so many inches, which has no window and needs no closing.

    In a notebook it is one of pyplot's, which the notebook shows at the end of the cell, and closes; not so within
    ``with headless():``.
    """
    options = {"figsize": (width, height), "layout": "constrained"}
    if in_notebook() and not _headless.get():
        return extra("matplotlib.pyplot", "plot", who).figure(**options)
    return extra("matplotlib.figure", "plot", who).Figure(**options)


def new_axes(who: str, width: float, height: float) -> Any:
    """Return axes in a new figure of so many inches."""
    return new_figure(who, width, height).add_subplot()
