"""NumPy without a word about infinities and NaN, which are results here, on the GPU as on the CPU.

`np.errstate` costs as much as a small op. What it does is to set a context variable; what ops need is to set that
variable to one known value, and that costs a tenth.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import Any, Protocol

import numpy as np


class Errors(Protocol):
    """What NumPy does about floating-point errors, in this thread or async task."""

    def set(self, value: Any, /) -> Any:
        """Set it; return what `reset` takes."""

    def reset(self, token: Any, /) -> None:
        """Set it to what it was."""


class _Errstate:
    """The same by the public way, for a NumPy that keeps it elsewhere."""

    def set(self, value: Any, /) -> np.errstate:
        state = np.errstate(all="ignore")
        state.__enter__()
        return state

    def reset(self, token: np.errstate, /) -> None:
        token.__exit__(None, None, None)


def _found() -> tuple[Errors, Any]:
    """Return where NumPy keeps it, and the value for: nothing."""
    before = copy_context()
    with np.errstate(all="ignore"):
        inside = copy_context()
    changed = [variable for variable in inside if before.get(variable) is not inside[variable]]
    return (changed[0], inside[changed[0]]) if len(changed) == 1 else (_Errstate(), None)


#: ``token = errors.set(IGNORED)``, and afterwards ``errors.reset(token)``.
errors, IGNORED = _found()


class quiet:  # noqa: N801 (lower case, as `np.errstate`)
    """``with quiet():`` NumPy says nothing, in this thread or async task."""

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        """Begin."""
        self._token = errors.set(IGNORED)

    def __exit__(self, *error: object) -> None:
        """Go back to what was."""
        errors.reset(self._token)
