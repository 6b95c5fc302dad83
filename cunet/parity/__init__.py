"""Compare the device with the CPU: ``python -m cunet.parity``.

Every public op runs forward and backward on both, in every floating dtype, on the inputs of
`cunet.parity.cases`; then an MLP takes 50 training steps on both from one seed. The exit status is 0 if all
distances lie within `BOUNDS` and `EXCEPTIONS`, 1 if not, and 2 if there is nothing to compare with.

``--device sim`` compares with the simulated device that lives in the source tree (sim/): that shows what the
kernels' text computes, not how a GPU rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import importlib.util
import json
import sys
import textwrap
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import functional, nn, optim, random
from ..autograd.tensor import Tensor
from ..device import Device, asnumpy, gpu, gpu_problem, resolve_device, to_device
from ..doctor.machine import device_info
from ..testing import parity
from . import cases

#: How far device and CPU may be apart, by kind of row (see `parity_cases.Row`) and dtype. "move" and "each": units in
#: the last place of every element; "sum": the same unit, of the largest element of the array. The reasons:
#: a move copies bits; half types are computed in float32 and rounded once, so that two float32 results a little apart
#: may fall to neighbours; the libraries of NumPy and CUDA promise up to 4 places for one function, and a gradient
#: is a product of a few; a sum of n terms goes astray by some places, in another order on each side.
BOUNDS: dict[str, dict[str, float]] = {
    "move": {"float16": 0, "bfloat16": 0, "float32": 0, "float64": 0},
    "each": {"float16": 2, "bfloat16": 2, "float32": 12, "float64": 12},
    "sum": {"float16": 2, "bfloat16": 2, "float32": 16, "float64": 16},
}

#: op: what its bounds in float32 and float64 are multiplied with, and why.
EXCEPTIONS: dict[str, tuple[float, str]] = {
    "logsumexp": (4, "one block of one thread, as the simulated device may have, adds 6300 terms one after the other"),
    "power": (2, "its gradient multiplies pow, which CUDA gives to 4 places, with a logarithm"),
}

#: How far the losses of the training steps may be apart, relative; a step feeds on the rounding of all before it.
LOSS_BOUNDS = {"float32": 1e-4, "float64": 1e-10}


def dtypes() -> list[np.dtype]:
    """Return float16, bfloat16 (where ml_dtypes is installed), float32, float64."""
    found: list[Any] = [np.float16, np.float32, np.float64]
    if importlib.util.find_spec("ml_dtypes") is not None:
        import ml_dtypes

        found.insert(1, ml_dtypes.bfloat16)
    return [np.dtype(d) for d in found]


def spacing(dtype: str) -> float:
    """Return the distance from 1 to the next larger number."""
    return 2.0 ** -{"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}[dtype]


def compare(row: cases.Row, dtype: np.dtype) -> dict[str, Any]:
    """Return how far the device is from the CPU in one row and dtype, and whether that is within bounds.

    Returns:
        A dict: "op" (with its settings), "dtype", "value_ulp" and "gradient_ulp" (largest distance of an element, in
        units in its last place), "relative" (largest distance, relative to the largest element of its array),
        "distance" (the one of these that counts for the kind of row, in units in the last place), "bound", "holds"; for
        a call that failed "error" instead of the distances.
    """
    factor = EXCEPTIONS.get(row.op, (1.0,))[0] if dtype.itemsize > 2 else 1.0
    found: dict[str, Any] = {
        "op": row.name,
        "dtype": dtype.name,
        "kind": row.kind,
        "bound": BOUNDS[row.kind][dtype.name] * factor,
    }

    def call(*tensors: Any) -> Any:
        random.manual_seed(7)  # the same masks on both sides
        return row.run(*tensors)

    arrays = row.inputs(np.random.default_rng(zlib.crc32(row.name.encode())))
    try:
        (measured,) = parity(call, *arrays, dtypes=[dtype], device="gpu")
    except Exception as error:  # one op that fails must not hide what the others do
        return found | {"error": f"{type(error).__name__}: {error}", "holds": False}
    found["value_ulp"] = measured["value"]
    found["gradient_ulp"] = max(measured["gradients"], default=0.0)
    found["relative"] = measured["relative"]
    of_elements = max(found["value_ulp"], found["gradient_ulp"])
    found["distance"] = measured["relative"] / spacing(dtype.name) if row.kind == "sum" else of_elements
    return found | {"holds": bool(np.isfinite(of_elements) and found["distance"] <= found["bound"])}


class _Watched(nn.Dropout):
    """Dropout that notes which elements it dropped."""

    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.digests: list[str] = []

    def forward(self, x: Any) -> Tensor:
        """Drop, and keep a digest of where."""
        y = super().forward(x)
        dropped = np.packbits(asnumpy(y.data) == 0)
        self.digests.append(hashlib.blake2b(dropped.tobytes(), digest_size=8).hexdigest())
        return y


def train_mlp(device: Device, dtype: Any, steps: int) -> tuple[list[float], list[str]]:
    """Train an MLP on made-up data; return the loss of each step and a digest of each dropout mask."""
    random.manual_seed(11)
    rng = np.random.default_rng(11)
    x = rng.standard_normal((256, 40)).astype(dtype)
    labels = (x @ rng.standard_normal((40, 10)).astype(dtype)).argmax(axis=1)
    dropout = _Watched(0.25)
    first, last = nn.Linear(40, 64, dtype=dtype), nn.Linear(64, 10, dtype=dtype)
    model = nn.Sequential(first, nn.BatchNorm1d(64, dtype=dtype), nn.ELU(), dropout, last).to(device)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for step in range(steps):
        part = np.arange(step * 64, step * 64 + 64) % len(x)
        inputs, target = (to_device(a[part], device) for a in (x, labels))
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(Tensor(inputs)), target)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.item()))
    return losses, dropout.digests


def compare_training(dtype: str, steps: int) -> dict[str, Any]:
    """Return the losses of the same training on CPU and device, side by side, and whether they are within bounds."""
    (cpu, masks_cpu), (device, masks_device) = (train_mlp(d, dtype, steps) for d in ("cpu", "gpu"))
    distance = float(np.max(np.abs(np.subtract(device, cpu)) / np.abs(cpu)))
    return {
        "dtype": dtype,
        "steps": steps,
        "losses_cpu": cpu,
        "losses_device": device,
        "relative": distance,
        "bound": LOSS_BOUNDS[dtype],
        "masks_identical": masks_cpu == masks_device,
        "holds": distance <= LOSS_BOUNDS[dtype] and masks_cpu == masks_device,
    }


@contextlib.contextmanager
def found_device(choice: str) -> Iterator[str]:
    """Make the device to compare with answer to "gpu" in the block; give its kind, "gpu" or "sim".

    Raises:
        RuntimeError: there is none.
    """
    if choice == "gpu" or (choice == "auto" and gpu() is not None):
        resolve_device("gpu")
        yield "gpu"
        return
    sim, why = _simulator()
    if sim is None:
        raise RuntimeError(why if choice == "sim" else f"{gpu_problem()}; {why}")
    sim.install()
    try:
        yield "sim"
    finally:
        sim.uninstall()


def _simulator() -> tuple[Any, str]:
    """Return the simulated device of the source tree this file lies in, or None and why not."""
    root = Path(__file__).parents[2]
    if not (root / "sim" / "__init__.py").is_file():
        return None, "the simulated device is in cunet's source tree only (sim/), not in the installed package"
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    sim = importlib.import_module("sim")
    reason = sim.unavailable_reason()
    return (None, f"no simulated device: {reason}") if reason else (sim, "")


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
        with found_device(choice) as kind:
            found = [compare(row, dtype) for row in rows for dtype in dtypes()]
            training = [compare_training(dtype, steps) for dtype in LOSS_BOUNDS] if steps else []
            info = device_info()
    finally:
        random.set_state(state)
    holds = all(r["holds"] for r in [*found, *training])
    return {"device": kind, "info": info, "ops": found, "training": training, "holds": holds}


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
    lines += ["nearest to its bound:", *[_worst(report["ops"], name) for name in names]]
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


def _worst(found: list[dict[str, Any]], dtype: str) -> str:
    """Name the row of a dtype that is nearest to its bound, among those that may differ at all."""
    rows = [r for r in found if r["dtype"] == dtype and "error" not in r and r["bound"]]
    worst = max(rows, key=lambda r: r["distance"] / r["bound"], default=None)
    return f"  {dtype:12}" + (f"{_distance(worst)} of {worst['bound']:g} in {worst['op']}" if worst else "nothing ran")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m cunet.parity", description="Compare the device with the CPU.")
    parser.add_argument("--device", choices=("auto", "gpu", "sim"), default="auto", help="auto: the GPU, else sim")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--ops", nargs="+", default=(), metavar="OP", help="compare only these")
    parser.add_argument("--steps", type=int, default=50, help="training steps to compare (default: 50; 0: none)")
    options = parser.parse_args(arguments)
    try:
        report = make_report(options.device, options.ops, options.steps)
    except (RuntimeError, ValueError) as error:
        print(f"parity: {error}", file=sys.stderr)
        return 2
    print(table(report))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0 if report["holds"] else 1
