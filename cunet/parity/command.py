"""The command ``python -m cunet.parity``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from .report import make_report, table


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
        options.json.expanduser().write_text(json.dumps(report, indent=1) + "\n")
    return 0 if report["holds"] else 1
