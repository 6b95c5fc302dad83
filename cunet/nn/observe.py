"""A seam through which diagnostics see the output of every layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Observer = Callable[[Any, Any, Any, str], Any]
_observer: Observer | None = None


@contextmanager
def observing(observer: Observer) -> Iterator[None]:
    """Within a ``with`` block, hand every layer's output to ``observer(layer, output, owner, key)``.

    What the observer returns goes on in the output's place. A plain function in a container comes with the
    module that holds it and its key there; a module with None and "". For diagnostics; one observer at a time.
    """
    global _observer
    if _observer is not None:
        raise RuntimeError("observing: an observer is active already")
    _observer = observer
    try:
        yield
    finally:
        _observer = None


def is_observed() -> bool:
    """Tell whether an observer is active."""
    return _observer is not None


def observed(layer: Any, out: Any, owner: Any = None, key: str = "") -> Any:
    """Show an output to the observer, if there is one; return what goes on in its place."""
    return out if _observer is None else _observer(layer, out, owner, key)
