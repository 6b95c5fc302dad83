"""What a compiled step says of itself."""

from __future__ import annotations

from typing import NamedTuple

_SHOWN = 6  # kernels


class Report(NamedTuple):
    """How the calls of a compiled step were run.

    Attributes:
        plans: how many ways of calling it are replayed.
        replays: calls that were replayed.
        recorded: calls that ran as written while they were recorded or compared.
        eager: calls that ran as written for other reasons.
        refusals: why, and how often; a reason stands here also where a first look was all that was missing.
        bytes: memory that plans keep for what a step makes on its way.
        peak: memory that the largest plan holds, gradients and results included.
        peak_eager: the least that this step needs at a time as it is written.
        times: seconds that the calls of each kernel take in a replay, as the plan used last was measured in its first
            replays, in one thread; the longest first.
    """

    plans: int
    replays: int
    recorded: int
    eager: int
    refusals: dict[str, int]
    bytes: int
    peak: int
    peak_eager: int
    times: dict[str, float]

    def __str__(self) -> str:
        """Show it in a few lines."""
        lines = [
            f"{self.replays} replayed, {self.recorded} recorded, {self.eager} eager; "
            f"{self.plans} plan(s), {self.bytes / 1e6:.1f} MB"
        ]
        if self.times:
            lines.append(f"  at most {self.peak / 1e6:.1f} MB at a time, as written {self.peak_eager / 1e6:.1f} MB")
            most = [f"{name} {1e6 * spent:.0f}" for name, spent in list(self.times.items())[:_SHOWN]]
            lines.append(f"  {1e6 * sum(self.times.values()):.0f} us in kernels: {', '.join(most)}")
        return "\n".join(lines + [f"  {count} eager: {why}" for why, count in self.refusals.items()])


NOTHING = Report(0, 0, 0, 0, {}, 0, 0, 0, {})
