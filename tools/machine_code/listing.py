"""Reads machine code as nvdisasm lists it: instructions, loops, memory accesses, calls of slow paths."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

_LABEL = re.compile(r"^([.$\w]+):\s*$")
_INSTRUCTION = re.compile(r"^\s*/\*([0-9a-f]{4,})\*/\s+(@!?U?P\w+\s+)?([A-Z][\w.]*)\s*(.*?)\s*;")
_TARGET = re.compile(r"`\(([.$\w]+)\)")
_BYTES = {"U8": 1, "S8": 1, "U16": 2, "S16": 2, "64": 8, "128": 16}


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        at: its address.
        guarded: whether a predicate decides if it is executed.
        name: with all its modifiers, as in ``LDG.E.128``.
        target: the label that it names, or "".
    """

    at: int
    guarded: bool
    name: str
    target: str

    @property
    def parts(self) -> list[str]:
        """The name and its modifiers."""
        return self.name.split(".")

    def moved(self, kind: str) -> int:
        """Return the bytes that it loads ("LDG") or stores ("STG") in the device's memory, for one thread."""
        if self.parts[0] != kind:
            return 0
        return next((_BYTES[part] for part in self.parts[1:] if part in _BYTES), 4)


@dataclass(frozen=True)
class Loop:
    """Instructions between the target of a branch back and the branch, both included."""

    first: int
    last: int

    def holds(self, at: int) -> bool:
        """Tell whether an address lies in it."""
        return self.first <= at <= self.last


class Listing:
    """The code of one kernel that a thread may run; functions beside it, which slow paths call, are left out.

    Args:
        text: what ``nvdisasm -c`` prints.

    Attributes:
        instructions: those that a thread may run and that belong to no slow path.
        calls: how many places call a slow path.
    """

    def __init__(self, text: str) -> None:
        self._labels: dict[str, int] = {}
        found, pending = [], []
        for line in text.splitlines():
            label, instruction = _LABEL.match(line), _INSTRUCTION.match(line)
            if label:
                pending.append(label[1])
            elif instruction:
                at = int(instruction[1], 16)
                self._labels.update(dict.fromkeys(pending, at))
                if any(name[0] == "$" for name in pending):
                    break  # a slow path: all behind it is called
                pending = []
                target = _TARGET.search(instruction[4])
                found.append(Instruction(at, bool(instruction[2]), instruction[3], target[1] if target else ""))
        found = self._reachable(found)
        self.calls = sum(one.parts[0] == "CALL" for one in found)
        self.instructions = self._usual(found)

    def _reachable(self, found: list[Instruction]) -> list[Instruction]:
        """Return what can be reached from the first instruction by other ways than a warp that has fallen apart."""
        place = {instruction.at: k for k, instruction in enumerate(found)}
        seen: set[int] = set()
        todo = [0] if found else []
        while todo:
            k = todo.pop()
            if k in seen or k >= len(found):
                continue
            seen.add(k)
            one = found[k]
            ends = one.parts[0] in ("EXIT", "BRA", "RET", "BRX", "JMP") and not one.guarded and "P" not in one.parts
            if one.parts[0] == "BRA" and "DIV" not in one.parts and self._labels.get(one.target) in place:
                todo.append(place[self._labels[one.target]])
            if not ends or "DIV" in one.parts or one.parts[:2] == ["BRA", "U"]:
                todo.append(k + 1)
        return [one for k, one in enumerate(found) if k in seen and one.parts[0] != "NOP"]

    def _usual(self, found: list[Instruction]) -> list[Instruction]:
        """Leave out the blocks that call a slow path: few numbers take them."""
        labelled, rare = set(self._labels.values()), set()
        block: list[int] = []
        for one in found:
            if one.at in labelled:
                block = []
            block.append(one.at)
            if one.parts[0] == "CALL" or (block[0] in rare and one.parts[0] != "BRA"):
                rare.update(block)
            if one.parts[0] in ("BRA", "EXIT"):
                block = []
        return [one for one in found if one.at not in rare]

    @functools.cached_property
    def loops(self) -> list[Loop]:
        """The loops, the shorter ones first; one that only branches to itself is where code ends."""
        found: dict[int, int] = {}
        for one in self.instructions:
            first = self._labels.get(one.target, one.at)
            if one.parts[0] == "BRA" and first < one.at:
                found[first] = max(found.get(first, 0), one.at)
        return sorted((Loop(first, last) for first, last in found.items()), key=lambda loop: loop.last - loop.first)

    def innermost(self, at: int) -> Loop | None:
        """Return the smallest loop that holds an address."""
        return next((loop for loop in self.loops if loop.holds(at)), None)

    def outer(self, loop: Loop) -> Loop | None:
        """Return the smallest loop that holds another one."""
        return next(
            (other for other in self.loops if other != loop and other.holds(loop.first) and other.holds(loop.last)),
            None,
        )

    def body(self, loop: Loop | None) -> Iterator[Instruction]:
        """Yield the instructions that have a loop as their innermost one; None: those in no loop."""
        return (one for one in self.instructions if self.innermost(one.at) == loop)

    def moved(self, loop: Loop | None, kind: str) -> int:
        """Return the bytes that one turn of a loop loads or stores, for one thread."""
        return sum(one.moved(kind) for one in self.body(loop))

    def widths(self, kind: str = "LDG") -> list[int]:
        """Return the different numbers of bytes of loads, the widest first."""
        return sorted({one.moved(kind) for one in self.instructions} - {0}, reverse=True)
