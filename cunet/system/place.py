"""Draws of random numbers that depend on where they are made, and not on how many were made before elsewhere."""

from __future__ import annotations

from contextvars import ContextVar, Token


class At:
    """``with At(3, 17):`` draws depend on these numbers, on their seed and their stream alone.

    The draws that a stream makes there are numbered from 0, and are not counted as its calls. So a sample of a dataset
    is the same whatever was drawn before it, in whichever process.

    Args:
        numbers: what names the place.
    """

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers
        self._counts: dict[tuple[int, str], int] = {}

    def call(self, seed: int, stream: str) -> int:
        """Return the number, of 64 bits, of the next draw here of a stream."""
        from hashlib import blake2b

        count = self._counts.get((seed, stream), 0)
        self._counts[seed, stream] = count + 1
        name = "/".join(map(str, (*self.numbers, count)))
        return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")

    def __enter__(self) -> At:
        """Begin."""
        self._token: Token[At | None] = here.set(self)
        return self

    def __exit__(self, *error: object) -> None:
        """Go back to where this was before."""
        here.reset(self._token)


#: Where draws of this thread or async task are made; None: nowhere special.
here: ContextVar[At | None] = ContextVar("cunet_here", default=None)
