"""Which records of a plan wait for which, and in what order they begin where threads do several at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

_WORTH = 50_000  # nanoseconds of calls that are worth other threads: it takes some 50 us to wake one
_GAIN = 0.05  # of them, which must not lie on the longest chain


class Access(NamedTuple):
    """Bytes [low, high) that a record reads or writes, in a space whose addresses can be compared."""

    record: int
    space: object
    low: int
    high: int
    written: bool


class Schedule(NamedTuple):
    """Records in the order of their urgency, for how many each waits, and, by number in that order, who waits for it.

    ``followers[begins[k] : begins[k + 1]]`` wait for the k-th.
    """

    records: list[int]
    waits: list[int]
    begins: list[int]
    followers: list[int]


def waits_of(accesses: Iterable[Access], barriers: Iterable[int], count: int) -> list[set[int]]:
    """Return for each record those before it that must be done first; all must before a barrier, and it before all."""
    waits: list[set[int]] = [set() for _ in range(count)]
    known: dict[object, list[Access]] = {}
    for new in accesses:
        others = known.setdefault(new.space, [])
        kept = []
        for old in others:
            meets = old.low < new.high and new.low < old.high
            if meets and (new.written or old.written) and old.record != new.record:
                waits[new.record].add(old.record)
            if not (new.written and new.low <= old.low and old.high <= new.high):
                kept.append(old)  # else who waits for it waits for the new one
        known[new.space] = [*kept, new]
    last = -1
    for barrier in [*barriers, count]:
        for k in range(last + 1, barrier):
            if last >= 0:
                waits[k].add(last)
        if barrier < count:
            waits[barrier] |= set(range(max(last, 0), barrier))
        last = barrier
    return waits


def ancestors(waits: Sequence[set[int]]) -> list[int]:
    """Return for each record, and for the end behind all, a bit for each record that is done before it begins."""
    found: list[int] = []
    for others in waits:
        bits = 0
        for k in others:
            bits |= found[k] | 1 << k
        found.append(bits)
    return [*found, (1 << len(found)) - 1]


def with_those_far_before(before: Sequence[int], far: int) -> list[int]:
    """Return `ancestors`, with all records added that are more than `far` before the record."""
    return [bits | (1 << max(k - far, 0)) - 1 for k, bits in enumerate(before)]


def schedule(waits: Sequence[set[int]], first: int, end: int, times: Sequence[int]) -> Schedule | None:
    """Return in which order the records [first, end) begin if there are threads for more than one; None: not worth it.

    Those come first behind which most is still to do, by the `times` that records take (ns).
    """
    behind: dict[int, list[int]] = {k: [] for k in range(first, end)}
    for k in range(first, end):
        for other in waits[k]:
            if other >= first:
                behind[other].append(k)
    chain: dict[int, int] = {}
    for k in reversed(range(first, end)):
        chain[k] = times[k] + max([chain[other] for other in behind[k]], default=0)
    total = sum(times[first:end])
    if total < _WORTH or total - max(chain.values(), default=0) < _GAIN * total:
        return None
    records = sorted(chain, key=lambda k: (-chain[k], k))
    number = {k: n for n, k in enumerate(records)}
    begins, followers = [0], []
    for k in records:
        followers += [number[other] for other in behind[k]]
        begins.append(len(followers))
    return Schedule(records, [sum(other >= first for other in waits[k]) for k in records], begins, followers)
