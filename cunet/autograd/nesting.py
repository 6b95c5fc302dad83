"""Where a transform is called: what it differentiates by has the axes of all samples."""

from __future__ import annotations

from typing import Any

from .mapped import Mapped, levels, stretched
from .tensor import Tensor, as_array


class Nesting:
    """Where a transform is called: within which calls of `vmap`.

    Attributes:
        levels: these, from the outermost to the innermost.
    """

    def __init__(self) -> None:
        self.levels = levels.get()

    def full(self, x: Any) -> Any:
        """Return what a function was given, or returned, with an axis for each level in front."""
        if self.levels and not isinstance(x, (Tensor, Mapped)):
            x = as_array(x)
        for level in reversed(self.levels):
            x = x.value if isinstance(x, Mapped) and x.level is level else stretched(x, level.size)
        return x

    def seen(self, x: Any) -> Any:
        """Undo `full`: return it as the function sees it."""
        for level in self.levels:
            x = Mapped(level, x)
        return x

    def shape(self, x: Any) -> tuple[int, ...]:
        """Return the shape that what has all axes of samples has in a sample."""
        return x.shape[len(self.levels) :]
