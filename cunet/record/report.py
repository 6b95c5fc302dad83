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
        times: seconds that the calls of each kernel take in a replay, one call after the other, as the plan used last
            was measured in its first replays; the longest first. What Python does is named after its function: "sort
            in Python".
        peak_recording: memory that was needed at a time to make a plan: for the arrays of a recording, or for those of
            a replay and copies of what it writes into.
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
    peak_recording: int = 0

    def __str__(self) -> str:
        """Show it in a few lines."""
        lines = [
            f"{self.replays} replayed, {self.recorded} recorded, {self.eager} eager; "
            f"{self.plans} plan(s), {self.bytes / 1e6:.1f} MB"
        ]
        if self.times:
            sizes = [f"{n / 1e6:.1f} MB" for n in (self.peak, self.peak_eager, self.peak_recording)]
            lines.append("  at most {} at a time, as written {}, while it was recorded {}".format(*sizes))
            most = [f"{name} {1e6 * spent:.0f}" for name, spent in list(self.times.items())[:_SHOWN]]
            lines.append(f"  {1e6 * sum(self.times.values()):.0f} us in calls: {', '.join(most)}")
        return "\n".join(lines + [f"  {count} eager: {why}" for why, count in self.refusals.items()])


NOTHING = Report(0, 0, 0, 0, {}, 0, 0, 0, {})
