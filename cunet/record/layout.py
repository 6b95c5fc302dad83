"""Where blocks of memory lie that a plan needs for a while, so that they share bytes where they can."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

LINE = 64  # bytes; blocks begin at multiples of it


class Blocks:
    """Memory that a plan uses: of each block its size and the records that use it.

    Args:
        sizes: bytes of each block.
        users: of each block; what is there behind the last record is used by a record behind it.
        fixed: blocks that have memory of their own, in which others may lie before they are written.
    """

    def __init__(self, sizes: dict[int, int], users: dict[int, list[int]], fixed: Iterable[int]) -> None:
        self._bytes, self._sizes = sizes, {k: -(-n // LINE) * LINE for k, n in sizes.items()}
        self._users, self._fixed = users, [k for k in fixed if k in users]

    def fullest(self) -> int:
        """Return how many bytes are needed at the same time, if records are done one after the other."""
        change: dict[int, int] = {}
        for k, users in self._users.items():
            change[min(users)] = change.get(min(users), 0) + self._sizes[k]
            change[max(users) + 1] = change.get(max(users) + 1, 0) - self._sizes[k]
        now = most = 0
        for record in sorted(change):
            now += change[record]
            most = max(most, now)
        return most

    def own(self) -> int:
        """Return how many bytes the blocks have that have memory of their own."""
        return sum(self._sizes[k] for k in self._fixed)

    def place(self, before: Sequence[int]) -> tuple[dict[int, tuple[int | None, int]], int]:
        """Return in whose memory each other block begins, and where; and how much is needed beside that.

        Blocks share bytes where one is done before the other is begun.

        Args:
            before: of each record a bit for each that is done before it.
        """
        masks = {k: sum({1 << user for user in users}) for k, users in self._users.items()}
        common = {k: _all_of([before[user] for user in users]) for k, users in self._users.items()}
        starts: dict[int, tuple[int | None, int]] = {k: (k, 0) for k in self._fixed}
        lengths: dict[int | None, int] = {k: self._bytes[k] for k in self._fixed}
        lengths[None] = 1 << 62
        for k in sorted(self._users.keys() - starts.keys(), key=lambda k: (-self._sizes[k], k)):
            taken: dict[int | None, list[tuple[int, int]]] = {}
            for j, (room, start) in starts.items():
                if masks[j] & ~common[k] and masks[k] & ~common[j]:
                    taken.setdefault(room, []).append((start, start + self._sizes[j]))
            for room, length in lengths.items():
                at = _gap(self._sizes[k], taken.get(room, ()))
                if at + self._bytes[k] <= length:
                    starts[k] = room, at
                    break
        inner = {k: found for k, found in starts.items() if k not in self._fixed}
        return inner, max([at + self._sizes[k] for k, (room, at) in inner.items() if room is None], default=0)


def _gap(size: int, taken: Iterable[tuple[int, int]]) -> int:
    """Return where the first gap of this size begins between what is taken."""
    at = 0
    for start, end in sorted(taken):
        if at + size <= start:
            break
        at = max(at, end)
    return at


def _all_of(bits: Sequence[int]) -> int:
    found = bits[0]
    for more in bits:
        found &= more
    return found
