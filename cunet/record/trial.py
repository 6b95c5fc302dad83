"""Whether replays take less time than the step as it is written: they are measured in turns."""

from __future__ import annotations

LONG = 0.02  # seconds of a step as written; in shorter ones Python's part is one that a replay saves
_FIRST = 4  # replays that are not counted: calls are timed in them one by one, and memory is touched first
_PAIRS = 4  # that are
_GAIN = 0.05  # of the time, for which memory is held


class Trial:
    """The first calls of a step that has a plan."""

    def __init__(self) -> None:
        self._written: list[float] = []
        self._replayed: list[float] = []

    @property
    def asks_for_written(self) -> bool:
        """Whether the next call is to run as it is written."""
        return len(self._replayed) - _FIRST > len(self._written)

    def note(self, seconds: float) -> None:
        """Take note of how long the call took that it asked for."""
        (self._written if self.asks_for_written else self._replayed).append(seconds)

    @property
    def over(self) -> bool:
        """Whether all calls were measured."""
        return len(self._written) == _PAIRS

    def verdict(self) -> str:
        """Return why the step is to run as it is written from here on, or "": the least of both times decides."""
        replayed, written = min(self._replayed[_FIRST:]), min(self._written)
        if replayed <= (1 - _GAIN) * written:
            return ""
        return f"a replay takes {1e3 * replayed:.0f} ms, the step as written {1e3 * written:.0f} ms"
