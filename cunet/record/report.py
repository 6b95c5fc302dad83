"""What a compiled step says of itself."""

from __future__ import annotations

from typing import NamedTuple


class Report(NamedTuple):
    """How the calls of a compiled step were run.

    Attributes:
        plans: how many ways of calling it are replayed.
        replays: calls that were replayed.
        recorded: calls that ran as written while they were recorded or compared.
        eager: calls that ran as written for other reasons.
        refusals: why, and how often; a reason stands here also where a first look was all that was missing.
        bytes: memory that plans keep for what a step makes on its way.
    """

    plans: int
    replays: int
    recorded: int
    eager: int
    refusals: dict[str, int]
    bytes: int

    def __str__(self) -> str:
        """Show it in a few lines."""
        lines = [
            f"{self.replays} replayed, {self.recorded} recorded, {self.eager} eager; "
            f"{self.plans} plan(s), {self.bytes / 1e6:.1f} MB"
        ]
        return "\n".join(lines + [f"  {count} eager: {why}" for why, count in self.refusals.items()])
