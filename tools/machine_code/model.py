"""Instructions an element, and the share of a copy's speed that they leave: estimated from the code alone.

A thread runs what stands outside of loops once, and a loop as often as its loads and stores need to get through the
thread's elements. Loops without them, such as those that pass sums among threads, count once, and so do both sides of a
branch; of loops that do the same with more and with fewer elements at a time the latter gets what the former leaves.
"""

from __future__ import annotations

from dataclasses import dataclass

from .listing import Listing, Loop


@dataclass(frozen=True)
class Chip:
    """What bounds a kernel.

    Attributes:
        name: of a GPU.
        rate: instructions a second, of whole warps: processors, 4 schedulers, the clock, and 85 % of that.
        bandwidth: bytes a second that a copy reads and writes.
    """

    name: str
    rate: float
    bandwidth: float


#: architecture: a GPU. The bandwidths are what copies reach, of 4.8 and 2.0 TB/s.
CHIPS = {
    "80": Chip("A100, 80 GB", 108 * 4 * 1.41e9 * 0.85, 1.75e12),
    "90": Chip("H200", 132 * 4 * 1.755e9 * 0.85, 4.3e12),
}


@dataclass(frozen=True)
class Work:
    """What a launch has to do.

    Attributes:
        elements: of the whole launch.
        threads: that share them.
        read, written: bytes an element.
    """

    elements: int
    threads: int
    read: float
    written: float

    @property
    def bytes(self) -> float:
        """The bytes an element that cross the memory bus at least."""
        return self.read + self.written


def instructions(code: Listing, work: Work) -> float:
    """Return the instructions of a thread for each element."""
    share = work.elements / work.threads
    count = float(sum(1 for _ in code.body(None)))
    for loop, turns in _turns(code, work, share):
        count += turns * sum(1 for _ in code.body(loop))
    return count / share


def _turns(code: Listing, work: Work, share: float) -> list[tuple[Loop, float]]:
    """Return how often each loop runs in a thread with that many elements."""
    found: list[tuple[Loop, float]] = []
    passes: dict[tuple[Loop | None, float, float], list[tuple[float, Loop]]] = {}
    for loop in sorted(code.loops, key=lambda loop: loop.first):
        loads, stores = code.moved(loop, "LDG"), code.moved(loop, "STG")
        each = stores / work.written if stores and work.written else loads / work.read if loads and work.read else 0
        if each:
            kind = (code.outer(loop), round(loads / each, 3), round(stores / each, 3))
            passes.setdefault(kind, []).append((each, loop))
        else:
            found.append((loop, 1.0))
    for loops in passes.values():
        left = share
        for each in sorted({each for each, _ in loops}, reverse=True):
            smallest = each == min(each for each, _ in loops)
            turns = left / each if smallest else left // each
            if len({each for each, _ in loops}) == 1:
                turns = max(turns, 1.0)
            left -= turns * each
            found += [(loop, turns) for own, loop in loops if own == each]
    return found


def fraction(count: float, moved: float, chip: Chip) -> float:
    """Return the share of a copy's speed at `count` instructions and `moved` bytes an element.

    Formula: ``memory / (memory ** 4 + issue ** 4) ** (1 / 4)``: the longer of the two times, rounded at the corner.
    """
    memory, issue = moved / chip.bandwidth, count / 32 / chip.rate
    return memory / (memory**4 + issue**4) ** 0.25
