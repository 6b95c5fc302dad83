"""The command ``python -m cunet.doctor``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ..kernels.backends.native import cache, native
from .machine import device_info
from .text import report


def main(arguments: Sequence[str] | None = None, prog: str = "python -m cunet.doctor") -> int:
    """Run the command, under a name; return its exit status."""
    parser = argparse.ArgumentParser(
        prog=prog, description="Say what cunet finds on this machine, and what to install."
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON, for scripts")
    parser.add_argument("--clear-cache", action="store_true", help="remove the compiled kernels of this user")
    options = parser.parse_args(arguments)
    try:
        # First: the report loads the runtime, and a damaged one would be made anew.
        found = cache.verify() if native.active and not options.clear_cache else None
        info = device_info()
        cache_line = _cleared() if options.clear_cache else _checked(found)
        print(json.dumps({**info, "cache": cache_line}) if options.json else f"{report(info)}\ncache    {cache_line}")
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
