"""The command ``python -m cunet.doctor``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..kernels.backends.native import cache, native
from .text import report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m cunet.doctor", description="Say what cunet finds on this machine, and what to install."
    )
    parser.add_argument("--clear-cache", action="store_true", help="remove the compiled kernels of this user")
    options = parser.parse_args(arguments)
    try:
        # First: the report loads the runtime, and a damaged one would be made anew.
        found = cache.verify() if native.active and not options.clear_cache else None
        print(report())
        print(f"cache    {_cleared() if options.clear_cache else _checked(found)}")
    except OSError as error:
        print(f"doctor: {error}", file=sys.stderr)
        return 1
    return 0


def _cleared() -> str:
    return f"{cache.clear()} files removed; kernels are compiled again when they are needed"


def _checked(found: tuple[int, list[Path]] | None) -> str:
    if found is None or not native.enabled():
        return "not used"
    count, damaged = found
    state = f"{len(damaged)} damaged, to be compiled again when needed" if damaged else "none damaged"
    return f"{count} compiled libraries, {state}"
