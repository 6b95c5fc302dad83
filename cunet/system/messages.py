"""What a person is told beside the results: lines at a terminal, and warnings that point at the caller's own line."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np


def somebody_looks() -> bool:
    """Tell whether a person reads stderr: a terminal or a notebook."""
    return (sys.stderr is not None and sys.stderr.isatty()) or in_notebook()


def in_notebook() -> bool:
    """Tell whether this runs in a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def say(text: str) -> None:
    """Show a line on stderr, above tqdm's bars, where a person reads it; elsewhere log it as INFO of "cunet"."""
    tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
    if not somebody_looks():
        import logging

        logging.getLogger("cunet").info(text)
    elif tqdm is not None:
        tqdm.write(text, file=sys.stderr)
    else:
        print(text, file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """Issue a warning that names the line outside cunet from which the call came."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "cunet":
        level, frame = level + 1, frame.f_back
    warnings.warn(text, stacklevel=level)


def shown(value: Any) -> str:
    """Return what stands for a wrong argument in an error: a number or a string itself, else its type."""
    if value is None or isinstance(value, (int, float, str)):
        return repr(value)
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def named_error(who: str, error: Exception, arguments: Iterable[Any]) -> Exception | None:
    """Return an error that says who was called and of which shapes, or None if `error` says who does.

    Of NumPy's errors most do not, as "repeated axis in transpose".
    """
    kind, text = type(error), str(error)
    said = text.partition(":")[0].isidentifier() and kind is not np.exceptions.AxisError
    if kind not in (TypeError, ValueError, np.exceptions.AxisError) or text.startswith(who) or said:
        return None
    shapes = " and ".join(str(tuple(a.shape)) for a in arguments if hasattr(a, "shape"))
    got = f", got shape{'s' * (' and ' in shapes)} {shapes}" if shapes and "(" not in text and "got" not in text else ""
    return kind(f"{who}: {text.rstrip()}{got}")


def foreign(value: Any) -> str:
    """Return what stands in an error for a value that is no array, and how to make an array of it if it can."""
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    got = shown(value) if library in ("builtins", "cunet", "numpy", "__main__") else f"{library} {kind.__name__}"
    if hasattr(value, "to_numpy"):
        return f"{got}; pass its .to_numpy()"
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        return f"{got}; pass its .detach().cpu().numpy()"
    return f"{got}; pass np.asarray of it" if hasattr(value, "__array__") else got
