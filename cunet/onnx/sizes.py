"""What two traces of one model say together: which lengths follow the batch, and how."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from ..device import is_array


class Size(NamedTuple):
    """A length that depends on the batch: ``factor * batch + offset``."""

    factor: int
    offset: int


class Differs(ValueError):
    """Two traces differ in another way than a size does."""


class Batch(NamedTuple):
    """The lengths of the batch in two traces."""

    first: int
    second: int

    def size(self, a: int, b: int) -> int | Size:
        """Return the length that was `a` in the first trace and `b` in the second.

        Raises:
            Differs: it is no multiple of the batch and a constant.
        """
        if a == b:
            return a
        factor, rest = divmod(b - a, self.second - self.first)
        if rest:
            raise Differs(f"a number was {a} for a batch of {self.first}, and {b} for one of {self.second}")
        return Size(factor, a - factor * self.first)

    def joined(self, a: Any, b: Any) -> Any:
        """Return an option that was `a` and `b`, numbers in which follow the batch.

        Raises:
            Differs: they differ otherwise.
        """
        if type(a) is not type(b):
            raise Differs(f"an option was {a!r:.80}, then {b!r:.80}")
        if isinstance(a, (tuple, list)):
            if len(a) != len(b):
                raise Differs(f"an option was {a!r:.80}, then {b!r:.80}")
            parts = [self.joined(p, q) for p, q in zip(a, b, strict=True)]
            return type(a)(*parts) if hasattr(a, "_fields") else type(a)(parts)
        if isinstance(a, dict):
            return {key: self.joined(a[key], b[key]) for key in a.keys() | b.keys()}
        if isinstance(a, functools.partial):
            if a.func is not b.func:
                raise Differs(f"an option was {a!r:.80}, then {b!r:.80}")
            return functools.partial(a.func, *self.joined(a.args, b.args), **self.joined(a.keywords, b.keywords))
        if isinstance(a, slice):
            return slice(*(self.joined(getattr(a, k), getattr(b, k)) for k in ("start", "stop", "step")))
        if is_array(a):
            if a.shape != b.shape or not bool((a == b).all()):
                raise Differs("an array among the options was not the same twice")
            return a
        if isinstance(a, (int, np.integer)) and not isinstance(a, bool):
            return self.size(int(a), int(b))
        if a is not b and not a == b:
            raise Differs(f"an option was {a!r:.80}, then {b!r:.80}")
        return a

    def shape(self, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int | Size, ...]:
        """Return the shape that was `a` and `b`.

        Raises:
            Differs: they differ otherwise.
        """
        if len(a) != len(b):
            raise Differs(f"an array had shape {a}, then {b}")
        return tuple(map(self.size, a, b))
