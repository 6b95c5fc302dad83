"""Make the record of a machine with a GPU, in eight minutes: ``python tools/gpu_record.py``.

Each part (the table of limits is in ``tools/recording/plan.py``) runs in a group of processes of its own and adds lines
to ``record.jsonl`` as it measures, so that whatever hangs, fails or is ended, what was measured stays. At the end the
record gets the name of date and GPU, and a page beside it.

    python tools/kernel_report.py --sources records/sources.jsonl.xz   beforehand, without a GPU: what to compile ahead
    python tools/gpu_record.py --resume records/record.jsonl           go on with a record: only what it lacks
    python tools/gpu_record.py --device sim --out /tmp/small           the small one, on the simulated device

Exit status: 0 if the record is whole, all tests pass and parity holds; 1 if not; 2 without a GPU.
"""

from __future__ import annotations

import argparse
import functools
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from recording import rows
from recording.page import page_of, verdict
from recording.plan import FORMS, PARTS, Part
from recording.runner import Runner

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # cunet and the simulated device


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Make the record of a machine with a GPU.")
    parser.add_argument("--device", choices=FORMS, default="gpu", help="sim: the small record of the simulated device")
    parser.add_argument("--out", type=Path, default=ROOT / "records", help="folder (default: records/)")
    parser.add_argument("--only", nargs="+", choices=[p.name for p in PARTS], help="parts to run (default: all)")
    parser.add_argument("--resume", type=Path, metavar="FILE", help="an earlier record: run only what it lacks")
    parser.add_argument("--page", type=Path, metavar="FILE", help="only write the page of this record")
    parser.add_argument("--sources", type=Path, help="kernels to compile ahead (default: sources.jsonl.xz in records/)")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--share", type=int, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--once", nargs="+", help=argparse.SUPPRESS)
    found = parser.parse_args(arguments)
    for flag, file in (("--resume", found.resume), ("--page", found.page)):
        if file is not None and not rows.read(file):
            parser.error(f"{flag}: there is no record in {file}")
    found.sources = found.sources or ROOT / "records" / "sources.jsonl.xz"
    found.record = found.out / "record.jsonl"
    return found


def command_of(options: argparse.Namespace, part: Part) -> list[str]:
    """Return the command that runs a part."""
    own = [sys.executable, __file__, "--device", options.device, "--out", str(options.out)]
    return [*own, "--sources", str(options.sources), "--part", part.name]


def run_part(options: argparse.Namespace) -> int:
    """Run a part, or a share of it, in this process; one that is shared in as many as the form says."""
    from recording import setting  # here: the program that only waits must not import what can fail

    form, part = FORMS[options.device], next(p for p in PARTS if p.name == options.part)
    if part.share and not options.share:
        shares = [[str(k), str(form.processes)] for k in range(form.processes)]
        started = [subprocess.Popen([*command_of(options, part), "--share", *share]) for share in shares]
        return max((process.wait() for process in started), key=abs)
    share = tuple(options.share or (0, 1))
    setting.run_part(part.name, setting.Setting(form, options.record, options.sources, share))
    return 0


def start(options: argparse.Namespace) -> None:
    """Begin a record, with what an earlier one has."""
    options.out.mkdir(parents=True, exist_ok=True)
    lines = rows.read(options.resume) if options.resume else []
    date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    rows.save(options.record, [*lines, {"part": "record", "date": date}])


def finish(record: Path) -> Path:
    """Write the page of a record, and give both the name of date and GPU; return the page."""
    text, name = page_of(rows.compact(record))
    page = record.with_name(f"{name}.md")
    record.replace(page.with_suffix(".jsonl"))
    page.write_text(text, encoding="utf-8")
    return page


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    options = options_of(arguments)
    if options.once:
        from recording.parts.sanitizer import once
        from recording.setting import Setting

        once(Setting(FORMS[options.device], options.record, options.sources), options.once)
        return 0
    if options.part:
        return run_part(options)
    if options.page:
        print(f"written: {finish(options.page)}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends what runs, and writes what there is
    start(options)
    parts = [part for part in PARTS if options.only is None or part.name in options.only]
    log, say = options.out / "record.log", functools.partial(print, flush=True)
    runner = Runner(options.record, log, lambda part: command_of(options, part), say=say)
    return record_of(runner, parts, options.record)


def record_of(runner: Runner, parts: Sequence[Part], record: Path) -> int:
    """Run the parts and write the page, whatever happens; return the exit status."""
    found = True
    try:
        found = runner.run(parts)
    finally:
        page = finish(record) if found else None
    if page is None:
        record.unlink()
        return 2
    print(f"written: {page} and .jsonl")
    return 0 if verdict(rows.read(page.with_suffix(".jsonl"))) else 1


if __name__ == "__main__":
    sys.exit(main())
