"""Say what joining neighbours among the kernels of a recorded step could save at most.

    python tools/fusion_ceiling.py
    python tools/fusion_ceiling.py --jobs bn-cnn transformer --replays 40

A replay's calls are timed one by one, in one thread; of each the least time counts. Where an elementwise kernel is the
first to read what another elementwise kernel, a reduction or kernels of rows made, the two could be one. That saves
less than the shorter one takes, whose work is still to do: the sum of these times is a ceiling.
Ops that NumPy does in a replay are not counted, neither as neighbours nor as time.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
JOBS = ("mlp", "bn-net", "cnn", "bn-cnn", "lstm", "transformer")
_ELEMENTWISE, _PRODUCERS = 0, (0, 1, 2)  # sorts of records: `What` in calls.h


class Ceiling(NamedTuple):
    """What could be saved in a replay: seconds of all its calls, of what neighbours could save, and these by names."""

    total: float
    saved: float
    pairs: dict[str, float]


def ceiling(records: list[int], names: list[str], seconds: list[float], reads: list[set[int]]) -> Ceiling:
    """Return what joining neighbours could save.

    Args:
        records: the sort of each call.
        names, seconds: of each.
        reads: of each the calls that made what it reads.
    """
    pairs: dict[str, float] = {}
    known: set[int] = set()  # calls of which something was read by now, or that are part of the one behind them
    for k, sort in enumerate(records):
        makers = [j for j in reads[k] if records[j] in _PRODUCERS and j not in known]
        known |= reads[k]
        if sort == _ELEMENTWISE and makers:
            j = max(makers, key=lambda j: seconds[j])
            name = f"{names[j]} + {names[k]}"
            pairs[name] = pairs.get(name, 0.0) + min(seconds[j], seconds[k])
    return Ceiling(sum(seconds), sum(pairs.values()), pairs)


def of_plan(program: Any) -> Ceiling:
    """Return it for the plan of a recorded step."""
    plan, draft = program._plan, program._draft
    makers: dict[int, int] = {}
    reads: list[set[int]] = [set() for _ in plan.records]
    for o, target in zip(plan.operands, draft.targets, strict=True):
        if target.kind == "block" and o.written:
            makers[target.which] = o.record
        elif target.kind == "block" and target.which in makers:
            reads[o.record].add(makers[target.which])
    return ceiling([r[0] for r in plan.records], draft.names, [1e-9 * t for t in plan.times], reads)


def measured(key: str, replays: int, tiny: bool = False) -> Ceiling:
    """Record the step of a job of the benchmark, and replay it so often."""
    from tools.benchmarks.replays import replayed

    _, _, step = replayed(key, replays, tiny)
    return of_plan(next(entry.plan for entry in step._entries if entry.plan is not None))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", nargs="+", default=JOBS, help="of tools/bench.py")
    parser.add_argument("--replays", type=int, default=20)
    options = parser.parse_args()
    for key in options.jobs:
        found = measured(key, options.replays)
        print(f"{key}: {1e6 * found.total:.0f} us in kernels, neighbours could save less than {1e6 * found.saved:.0f}"
              f" us ({100 * found.saved / found.total:.1f} %)")  # fmt: skip
        for name, seconds in sorted(found.pairs.items(), key=lambda item: -item[1])[:5]:
            print(f"    {1e6 * seconds:6.0f} us  {name}")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
