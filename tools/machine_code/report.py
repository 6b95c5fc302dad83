"""The table of machine code: a row for each large kernel of each case, the one that is furthest from a copy first."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from recording.cases import CASES, Case, ways
from recording.libraries import Cunet
from recording.plan import FORMS
from recording.timing import filled
from recording.trace import Launch, tracing

import sim
from cunet import nn, optim
from cunet.kernels import KERNELS

from .compiling import compiled
from .model import CHIPS, Work, fraction, instructions

ELEMENTS = 1 << 24
POOLS = [
    Case(f"{kind}_pool2d", lambda f, x, kind=kind: getattr(f, f"{kind}_pool2d")(x, 2), shape=CASES[-1].shape)
    for kind in ("max", "avg")
]


@dataclass(frozen=True)
class Row:
    """A kernel in a dtype on an architecture: see `HEADER`."""

    case: str
    way: str
    kernel: str
    dtype: str
    arch: str
    registers: int
    spills: int
    widths: tuple[int, ...]
    calls: int
    instructions: float
    bytes: float
    fraction: float


def launches(dtypes: Sequence[str], cases: Sequence[Case] = ()) -> Iterator[tuple[str, str, str, Launch]]:
    """Yield case, way, dtype and launch of each kernel that goes through at least half of a case's elements."""
    xp = sim.install()
    library = Cunet(xp, FORMS["sim"])
    try:
        with tracing() as seen:
            for case, name in itertools.product(cases or [*CASES, *POOLS], dtypes):
                for way, call, _ in ways(case, xp, ELEMENTS, library.dtype(name)):
                    seen.clear()
                    call()
                    large = [one for one in seen if 2 * one.elements >= np.prod(case.shape(ELEMENTS))]
                    yield from ((case.name, way, name, one) for one in large)
            if not cases:
                yield from _adam(library, seen)
    finally:
        sim.uninstall()


def _adam(library: Cunet, seen: list[Launch]) -> Iterator[tuple[str, str, str, Launch]]:
    """Yield the launch of a step of Adam, on one parameter."""
    weight = nn.Parameter(filled(library.xp, (ELEMENTS,), np.float32))
    optimizer = optim.Adam([weight])
    weight.grad = filled(library.xp, (ELEMENTS,), np.float32)
    optimizer.step()  # makes flat arrays
    seen.clear()
    optimizer.step()
    yield from (("adam", "step", "float32", one) for one in list(seen) if one.elements == ELEMENTS)


def work_of(launch: Launch) -> Work:
    """Return what a launch has to do."""
    read, written = (
        sum(size for size, into in zip(launch.arrays, launch.written, strict=True) if into == which) / launch.elements
        for which in (False, True)
    )
    kernel = KERNELS.get(launch.kernel)
    if kernel is not None and kernel.spec.kind == "inplace":
        read += written
    return Work(launch.elements, launch.threads, read, written)


def row_of(case: str, way: str, dtype: str, launch: Launch, arch: str, parse: Any) -> Row:
    """Compile a launch's kernel and count; `parse` reads what the assembler said (see ``tools/kernel_report.py``)."""
    code, log = compiled(launch.job, arch)
    said = parse({"log": log, "name": launch.kernel, "arch": arch, "signature": launch.job["signature"]})
    work = work_of(launch)
    count = instructions(code, work)
    counted = (said["registers"], said["spill_bytes"], tuple(code.widths()), code.calls, count, work.bytes)
    return Row(case, way, launch.kernel, dtype, arch, *counted, fraction(count, work.bytes, CHIPS[arch]))


def rows(dtypes: Sequence[str], archs: Sequence[str], parse: Any, cases: Sequence[Case] = ()) -> list[Row]:
    """Return all rows."""
    found: dict[tuple[str, ...], Row] = {}
    for case, way, dtype, launch in launches(dtypes, cases):
        for arch in archs:
            key = (case, way, launch.kernel, dtype, arch)
            if key not in found:
                found[key] = row_of(case, way, dtype, launch, arch, parse)
    return list(found.values())


HEADER = (
    "case",
    "way",
    "kernel",
    "dtype",
    "registers",
    "spills",
    "loads",
    "calls",
    "instructions",
    "bytes",
    "of a copy",
)
NAMES = " and ".join(f"sm_{arch} ({chip.name})" for arch, chip in CHIPS.items())
PAGE = f"""# Machine code of the kernels

Written by `python tools/kernel_report.py --machine-code docs/machine-code.md`. **Nothing here ran on a GPU.** The
kernels that the cases of a GPU's record (`tools/recording/cases.py`) and pooling launch on {ELEMENTS:,} elements were
found on the simulated device, compiled by NVIDIA's compiler for {NAMES},
and counted in its machine code. The last column is a model (`tools/machine_code/model.py`): the share of a copy's speed
that is left if instructions are issued at 85 % of the highest rate. It knows nothing of latency, caches and arithmetic
units, and counts loops and branches as that file says. Kernels of cuBLAS and CuPy's own are not here.

- *registers*, *spills*: of a thread; bytes stored and loaded because there are too few registers.
- *loads*: bytes of a load from memory by one thread, all that occur; 16 is best.
- *calls*: places that call a slow path, as divisions by IEEE's rules do; what they call is not counted.
- *instructions*, *bytes*: for each element of the largest array. Bytes are those of the arrays, each counted once.

Of two numbers the first is that of sm_{list(CHIPS)[0]}. The kernels that are furthest from a copy on the other
come first.

"""


def page(found: Sequence[Row]) -> str:
    """Return the table as a page."""
    last = list(CHIPS)[-1]
    by: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in found:
        by.setdefault((row.case, row.way, row.kernel, row.dtype), {})[row.arch] = row
    ordered = sorted(
        by.items(), key=lambda item: min(r.fraction for a, r in item[1].items() if a == last or len(by) == 1)
    )
    lines = [f"| {' | '.join(HEADER)} |", f"| {' | '.join(['---'] * 4 + ['---:'] * 7)} |"]
    for names, of in ordered:
        lines.append(f"| {' | '.join([*names, *_cells([of[arch] for arch in CHIPS if arch in of])])} |")
    return PAGE + "\n".join(lines) + "\n"


def _cells(of: Sequence[Row]) -> list[str]:
    def both(texts: Sequence[str]) -> str:
        return texts[0] if len(set(texts)) == 1 else " / ".join(texts)

    return [
        both([str(r.registers) for r in of]),
        both([str(r.spills) for r in of]),
        both([" ".join(map(str, r.widths)) for r in of]),
        both([str(r.calls) for r in of]),
        both([f"{r.instructions:.0f}" for r in of]),
        both([f"{r.bytes:.1f}" for r in of]),
        both([f"{r.fraction:.2f}" for r in of]),
    ]
