"""Compare everything, and show what was measured as a table."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from .. import random
from ..doctor.machine import device_info
from . import cases
from .comparison import BOUNDS, EXCEPTIONS, compare, dtypes
from .target import target_device
from .training import LOSS_BOUNDS, compare_training


def make_report(choice: str = "auto", ops: Sequence[str] = (), steps: int = 50) -> dict[str, Any]:
    """Compare all ops (or those named) in all dtypes, and `steps` training steps; return what was measured.

    Returns:
        A dict fit for JSON: "device" ("gpu" or "sim"), "info" (see `device_info`), "ops" (see `compare`), "training"
        (see `compare_training`) and "holds".
    """
    unknown = set(ops) - {row.op for row in cases.ROWS}
    if unknown:
        raise ValueError(f"no such op: {', '.join(sorted(unknown))}")
    rows = [row for row in cases.ROWS if not ops or row.op in ops]
    state = random.get_state()
    try:
        with target_device(choice) as kind:
            results = [compare(row, dtype) for row in rows for dtype in dtypes()]
            training = [compare_training(dtype, steps) for dtype in LOSS_BOUNDS] if steps else []
            info = device_info()
    finally:
        random.set_state(state)
    holds = all(r["holds"] for r in [*results, *training])
    return {"device": kind, "info": info, "ops": results, "training": training, "holds": holds}


def table(report: dict[str, Any]) -> str:
    """Return the report as text, 80 columns wide."""
    names = list(dict.fromkeys(r["dtype"] for r in report["ops"]))
    what = "a GPU" if report["device"] == "gpu" else "the simulated device, which is no GPU"
    lines = [f"CPU against {what}: largest distance of a value"]
    lines += ["or gradient. Left: in units in its last place (~: in that of the array's largest"]
    lines += ["element, where terms may cancel). Right: relative. !: out of bounds.", ""]
    lines += [f"{'op':27}" + "".join(f"{name:>13}" for name in names)]
    for op in dict.fromkeys(r["op"] for r in report["ops"]):
        cells = "".join(_cell(r) for r in report["ops"] if r["op"] == op)
        lines += [op + "\n" + " " * 27 + cells] if len(op) > 26 else [f"{op:27}{cells}"]
    lines += [f"! {r['op']} {r['dtype']}: {r['error']}" for r in report["ops"] if "error" in r]
    lines += ["", "bounds in units in the last place:"]
    for kind, bounds in BOUNDS.items():
        lines += [f"  {kind:25}" + "".join(f"{bounds[name]:12g} " for name in names)]
    for op, (factor, why) in EXCEPTIONS.items():
        lines += textwrap.wrap(f"{op}: {factor:g} times that: {why}", 80, initial_indent="  ", subsequent_indent="    ")
    lines += ["nearest to its bound:", *[_nearest(report["ops"], name) for name in names]]
    for t in report["training"]:
        lines += ["", f"training an MLP in {t['dtype']}: {t['steps']} steps, one seed"]
        lines += [f"{'step':>6}{'loss on the CPU':>26}{'loss on the device':>26}"]
        shown = sorted({1, 2, 5, *range(10, t["steps"] + 1, 10), t["steps"]} & set(range(1, t["steps"] + 1)))
        lines += [f"{k:6}{t['losses_cpu'][k - 1]:26.16g}{t['losses_device'][k - 1]:26.16g}" for k in shown]
        lines += [f"largest relative distance {t['relative']:.2g}, at most {t['bound']:g} allowed"]
        lines += [f"dropout masks: {'identical' if t['masks_identical'] else 'DIFFERENT'}"]
    failed = [f"{r['op']} {r['dtype']}" for r in report["ops"] if not r["holds"]]
    failed += [f"training {t['dtype']}" for t in report["training"] if not t["holds"]]
    verdict = "parity holds" if report["holds"] else f"parity does NOT hold: {', '.join(failed)}"
    return "\n".join([*lines, "", f"{verdict} ({len(report['ops'])} comparisons)"])


def _cell(r: dict[str, Any]) -> str:
    flag = " " if r["holds"] else "!"
    if "error" in r:
        return f"{'error':>12}{flag}"
    return f"{_distance(r):>5}{r['relative']:7.0e}{flag}"


def _distance(r: dict[str, Any]) -> str:
    size = r["distance"]
    return "~" * (r["kind"] == "sum") + ("0" if not size else f"{size:.1f}" if size < 100 else f"{size:.0e}")


def _nearest(results: list[dict[str, Any]], dtype: str) -> str:
    """Name the row of a dtype that is nearest to its bound, among those that may differ at all."""
    rows = [r for r in results if r["dtype"] == dtype and "error" not in r and r["bound"]]
    nearest = max(rows, key=lambda r: r["distance"] / r["bound"], default=None)
    if nearest is None:
        return f"  {dtype:12}nothing ran"
    return f"  {dtype:12}{_distance(nearest)} of {nearest['bound']:g} in {nearest['op']}"
