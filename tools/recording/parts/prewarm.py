"""Compiles the list of `recording.sources` in many processes, so that what follows need not wait."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..rows import Rows
from ..setting import Setting
from ..sources import Source, compile_for_gpu, compile_for_nothing, read

CHUNK = 10  # sources of a row


def run(setting: Setting, rows: Rows) -> None:
    """Compile this process's share."""
    sources = read(setting.sources)
    if not sources:
        rows.write("all", "skipped", f"there is no {setting.sources.name}: python tools/kernel_report.py --sources")
        return
    assert setting.xp
    one = compile_for_gpu if setting.form.device == "gpu" else compile_for_nothing
    starts = range(0, len(sources), CHUNK)
    rows.measure((f"sources {k}", functools.partial(compile_all, sources[k : k + CHUNK], one)) for k in starts)


def compile_all(sources: Sequence[Source], one: Callable[[Source], None]) -> dict[str, Any]:
    """Compile some; return how many, which failed, and the seconds."""
    begin, failed = time.perf_counter(), []
    for source in sources:
        try:
            one(source)
        except Exception as error:  # what cannot be compiled fails once more where it is launched, and is told there
            failed.append(f"{source['name']}: {type(error).__name__}: {str(error)[:200]}")
    return {"sources": len(sources), "failed": failed, "seconds": time.perf_counter() - begin}
