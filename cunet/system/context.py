"""Context variables, bound for as long as a block runs."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

#: A variable, and the value that it is to have.
Binding = tuple[ContextVar[Any], Any]


class bound:  # noqa: N801 (lower case, as `contextlib.suppress`)
    """``with bound((variable, value), ...):`` the variables have these values, in this thread or async task.

    Managers that are written as generators cost several times as much, one for each variable.
    """

    __slots__ = ("bindings", "_tokens")

    def __init__(self, *bindings: Binding) -> None:
        self.bindings = bindings

    def __enter__(self) -> None:
        """Bind them."""
        self._tokens = [variable.set(value) for variable, value in self.bindings]

    def __exit__(self, *error: object) -> None:
        """Go back to what was."""
        for token in reversed(self._tokens):
            token.var.reset(token)
