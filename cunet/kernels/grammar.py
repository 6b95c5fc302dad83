"""The words of kernel texts: parameters ``[raw|row|col] type name``, and calls such as ``fold(...)`` inside a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

PLACES = ("raw", "row", "col")


class Param(NamedTuple):
    """One parameter of a kernel.

    Attributes:
        place: "raw", the array itself; "row", one value a row; "col", one for each place in a row; "", one an element.
        type: ``T``, ``A``, another placeholder of one capital letter, or a CUDA type.
        name: as the text knows it.
    """

    place: str
    type: str
    name: str

    @property
    def raw(self) -> bool:
        """Whether the text gets the array itself."""
        return self.place == "raw"


def parse(text: str) -> tuple[Param, ...]:
    """Read a list of parameters.

    Raises:
        ValueError: a parameter does not read ``[raw|row|col] type name``, or has a name that CuPy uses.
    """
    return tuple(_param(part) for part in text.split(",") if part.strip())


def _param(text: str) -> Param:
    words = text.split()
    place = words[0] if words[0] in PLACES and len(words) > 2 else ""
    if len(words) != 2 + bool(place):
        raise ValueError(f'kernel parameter must read "[raw|row|col] type name", got {text!r}')
    kind, name = words[-2:]
    if name in ("i", "n", "in0", "out0") or name.startswith("_"):
        raise ValueError(f"kernel parameter may not be called {name!r}: CuPy uses that name")
    return Param(place, kind, name)


def calls(text: str, names: Sequence[str]) -> Iterator[tuple[int, int, str, list[str]]]:
    """Yield (start, end, name, arguments) of each call of one of `names` in a text; calls inside a call are skipped."""
    at = 0
    while True:
        found = [(k, n) for n in names if (k := _word(text, n + "(", at)) >= 0]
        if not found:
            return
        start, name = min(found)
        end, arguments = _arguments(text, start + len(name))
        yield start, end, name, arguments
        at = end


def _arguments(text: str, opening: int) -> tuple[int, list[str]]:
    """Return where the bracket at `opening` has closed, and the arguments between."""
    depth, first, arguments = 0, opening + 1, []
    for k in range(opening, len(text)):
        c = text[k]
        depth += (c in "([{") - (c in ")]}")
        if depth == 0 or (c == "," and depth == 1):
            arguments.append(text[first:k].strip())
            first = k + 1
        if depth == 0:
            return k + 1, arguments
    raise ValueError(f"a bracket is not closed in {text!r}")


def _word(text: str, word: str, at: int) -> int:
    """Return where `word` begins from `at` on, not as the end of a longer one; -1 if nowhere."""
    k = text.find(word, at)
    while k > 0 and (text[k - 1].isalnum() or text[k - 1] in "_."):
        k = text.find(word, k + 1)
    return k
