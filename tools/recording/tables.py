"""The sections of a record's page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .rows import Line

Value = dict[str, Any]


class Values:
    """What a record has measured."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines

    def of(self, part: str) -> dict[str, Value]:
        """Return a part's values by key."""
        return {line["key"]: line["value"] for line in self._lines if line["part"] == part and "value" in line}

    def of_copy(self, row: Value) -> dict[str, float] | None:
        """Return the share of a copy's bandwidth that a case reaches forward and backward; None for a product."""
        copy = self.of("kernels").get(f"copy {row['size']:.0e}")
        if copy is None or not row["forward"]["bytes"]:
            return None
        rate = 2 * copy["bytes"] / copy["device"]
        return {way: row[way]["bytes"] / row[way]["device"] / rate for way in ("forward", "backward")}


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Return a table in Markdown; the columns whose name begins with > are numbers."""
    lines = [f"| {' | '.join(name.removeprefix('>') for name in header)} |"]
    lines += [f"| {' | '.join('---:' if name[0] == '>' else '---' for name in header)} |"]
    return [*lines, *[f"| {' | '.join(str(cell) for cell in row)} |" for row in rows], ""]


def bullets(items: Sequence[str]) -> list[str]:
    """Return a list in Markdown."""
    return [*[f"- {item}" for item in items], ""] if items else []


def longer(row: Value) -> float:
    """Return what a call costs in a stream of calls: the device's time or the host's."""
    return max(row["device"], row.get("host", 0.0))


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.1f}"


def environment(values: Values) -> list[str]:
    """Tell the bandwidth of copies and the rate of products."""
    found = values.of("environment").items()
    copies = [(f"{v['bytes']:.0e}", f"{2 * v['bytes'] / v['device'] / 1e9:.0f}") for k, v in found if "bytes" in v]
    products = [
        (k.removeprefix("product "), f"{v['operations'] / v['device'] / 1e12:.1f}")
        for k, v in found
        if "operations" in v
    ]
    lines = table((">bytes of a copy", ">GB/s, read and written"), copies) if copies else []
    return [*lines, *(table(("product", ">Tflop/s"), products) if products else [])]


def first_step(values: Values) -> list[str]:
    """Tell how long the first steps took."""
    rows = [
        (net, f"{v['seconds']:.2f}", v["compiled"], f"{v['compiling']:.2f}", f"{v['longest']:.2f}", _us(v["second"]))
        for net, v in values.of("first_step").items()
    ]
    header = ("net", ">first step, s", ">compiled", ">of it compiling, s", ">longest, s", ">second step, µs")
    return table(header, rows) if rows else []


def prewarm(values: Values) -> list[str]:
    """Tell how much was compiled ahead."""
    rows = values.of("prewarm").values()
    failed = [text for row in rows for text in row["failed"]]
    count, seconds = sum(r["sources"] for r in rows), sum(r["seconds"] for r in rows)
    return [f"{count} kernels, in {seconds:.0f} s of all processes together.", "", *bullets(failed)] if rows else []


def parity(values: Values) -> list[str]:
    """Tell what is out of bounds, and what is nearest to them."""
    rows = values.of("parity")
    ops = [row for row in rows.values() if "op" in row]
    wrong = [
        f"{key}: {row.get('error') or '{:.3g} of {:g}'.format(row.get('distance', row.get('relative')), row['bound'])}"
        for key, row in rows.items()
        if not row["holds"]
    ]
    near = []
    for dtype in dict.fromkeys(row["dtype"] for row in ops):
        able = [row for row in ops if row["dtype"] == dtype and row["bound"] and "error" not in row]
        if able:
            row = max(able, key=lambda row: row["distance"] / row["bound"])
            near.append((dtype, row["op"], f"{row['distance']:.2f}", f"{row['bound']:g}"))
    head = (
        f"{len(rows)} comparisons, {len(rows) - len(wrong)} within bounds. Nearest to its bound, in units of the last"
    )
    lines = [f"{head} place:", "", *table(("dtype", "op", ">distance", ">bound"), near), *bullets(wrong)]
    return lines if rows else []


def pairs(values: Values) -> Iterator[tuple[str, str, Value, Value | None]]:
    """Yield each case of cunet and way: its name, the way, cunet's row, and PyTorch's times."""
    torch = values.of("kernels_torch")
    for key, row in values.of("kernels").items():
        for way in ("forward", "backward"):
            if way in row:
                yield key, way, row, torch.get(key, {}).get(way)


def kernels(values: Values) -> list[str]:
    """Tell the times of all cases, as shares of a copy, and over those of others."""
    rows = []
    for _, way, row, theirs in pairs(values):
        share = values.of_copy(row)
        cells = [row["case"], row["dtype"] + (" tf32" if row["mode"] == "tf32" else ""), f"{row['size']:.0e}", way]
        cells += [_us(row[way]["device"]), _us(row[way]["host"]), f"{share[way]:.0%}" if share else ""]
        rows.append([*cells, f"{longer(theirs) / longer(row[way]):.2f}" if theirs else ""])
    text = "Time of one call on the device and on the host, and the bytes that it must move per second as a share of a"
    lines = [text, "copy's. Beside it PyTorch's time over that of cunet: above 1 cunet is faster.", ""]
    header = ("case", "dtype", ">bytes", "way", ">device, µs", ">host, µs", ">of a copy", ">PyTorch")
    return [*lines, *table(header, rows)] if rows else []


def compiled(values: Values) -> list[str]:
    """Tell the times of compiled cases, by torch.compile and by JAX, beside those of cunet."""
    rows = []
    for part, by in (("compiled", "torch.compile "), ("jit", "jax.")):
        for row in values.of(part).values():
            if "case" not in row:
                continue
            own = values.of("kernels").get(f"{row['case']} {row['dtype']} ieee {row['size']:.0e}", {})
            times = [source.get(way) for source in (row, own) for way in ("forward", "backward")]
            both = row.get("both")
            cells = [_us(longer(t)) if t else "" for t in (*times[:2], both, *times[2:])]
            rows.append((row["case"], f"{row['size']:.0e}", by + row["mode"], *cells))
    header = ("case", ">bytes", "by", ">forward, µs", ">backward", ">both", ">cunet's forward", ">backward")
    return table(header, rows) if rows else []


def steps(values: Values) -> dict[tuple[str, str], dict[str, Value]]:
    """Return the times of a step by net and mode of products, then by who took it."""
    found: dict[tuple[str, str], dict[str, Value]] = {}
    for row in values.of("training").values():
        if "device" in row:
            who = row["library"] + (" recorded" if "report" in row else "")
            found.setdefault((row["net"], row["mode"]), {})[who] = row
    for row in values.of("compiled").values():
        if "net" in row:
            found.setdefault((row["net"], "ieee"), {})[f"torch.compile {row['mode']}"] = row
    return found


def training(values: Values) -> list[str]:
    """Tell accuracies, and the times of epochs and of steps."""
    epochs = []
    for key, row in values.of("training").items():
        if "accuracy" in row:
            last, host = row["seconds"][-1], row["host_seconds"][-1] / row["steps"]
            times = (f"{last:.3f}", _us(last / row["steps"]), _us(host))
            epochs.append((key.removeprefix("epochs "), row["data"], f"{row['accuracy']:.2%}", *times))
    single = [
        (net, mode, who, row["batch"], _us(row["device"]), _us(row["host"]))
        for (net, mode), by in steps(values).items()
        for who, row in by.items()
    ]
    header = ("net", "data", ">accuracy", ">last epoch, s", ">a step, µs", ">host of it, µs")
    lines = table(header, epochs) if epochs else []
    header = ("one step of", "products", "by", ">batch", ">device, µs", ">host, µs")
    reports = {row["report"] for row in values.of("training").values() if "report" in row}
    text = ["Recorded steps say:", "", *[f"    {line}" for r in sorted(reports) for line in r.splitlines()], ""]
    return [*lines, *(table(header, single) if single else []), *(text if reports else [])]


def suite(values: Values) -> list[str]:
    """Tell how many tests passed, and which did not."""
    rows = values.of("suite").values()
    totals = {kind: sum(row[kind] for row in rows) for kind in ("passed", "failed", "skipped")}
    failures = [text for row in rows for text in row["failures"]]
    counts = ", ".join(f"{count} {kind}" for kind, count in totals.items())
    return [f"{counts}, in {len(rows)} files.", "", *bullets(failures)] if rows else []


def sanitizer(values: Values) -> list[str]:
    """Tell the errors that compute-sanitizer found."""
    rows = [(key, row["errors"]) for key, row in values.of("sanitizer").items()]
    return table(("check", ">errors"), rows) if rows else []


#: part: what makes its section; the values of the other parts stand in these.
SECTIONS: dict[str, Callable[[Values], list[str]]] = {
    "environment": environment,
    "first_step": first_step,
    "prewarm": prewarm,
    "parity": parity,
    "kernels": kernels,
    "training": training,
    "suite": suite,
    "compiled": compiled,
    "sanitizer": sanitizer,
}
