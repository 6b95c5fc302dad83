"""The list of kernels that a record compiles ahead: made where there is no GPU, compiled where there is one.

A line of the list is what CuPy would hand to its compiler: a text and options. Compiled through CuPy's own door, it
lies in CuPy's cache under CuPy's own key.
"""

from __future__ import annotations

import json
import lzma
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
Source = dict[str, Any]


def read(path: Path) -> list[Source]:
    """Return the list; [] where there is none."""
    if not path.exists():
        return []
    return [json.loads(line) for line in lzma.decompress(path.read_bytes()).decode().splitlines()]


def gather(path: Path, commands: Sequence[Sequence[str]]) -> int:
    """Run commands on the simulated device and write every source that they launch; return how many there are.

    Args:
        path: the list that is written.
        commands: arguments of Python, as in ``["-m", "cunet.parity", "--device", "sim"]``. Whether they succeed does
            not matter here.
    """
    with tempfile.TemporaryDirectory() as folder:
        noted = Path(folder, "sources.jsonl")
        env = os.environ | {"CUNET_SIM_SOURCES": str(noted), "CUNET_REQUIRE_SIM": "1", "CUNET_SIM_NVRTC": ""}
        env["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tools")])
        for command in commands:
            subprocess.run([sys.executable, *command], cwd=ROOT, env=env)
        lines = noted.read_text().splitlines() if noted.exists() else []
    unique = list(dict.fromkeys(lines))  # several processes may have noted the same
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lzma.compress("".join(f"{line}\n" for line in unique).encode()))
    return len(unique)


def compile_for_gpu(source: Source) -> None:
    """Compile by CuPy, as it would at the first launch."""
    from cupy._core import core

    core.compile_with_cache(
        source["text"], tuple(source["flags"]), prepend_cupy_headers=source["headers"], jitify=source["jitify"]
    )


def compile_for_nothing(source: Source) -> None:
    """Compile by NVRTC without a GPU, and forget the result.

    Raises:
        RuntimeError: NVRTC refused the source.
    """
    from cupy._core import core

    from sim.nvrtc_worker import compile_source, flags_for

    headers = "".join(f"#include <{name}>\n" for name in core._cupy_header_list) * source["headers"]
    ok, log = compile_source(headers + source["text"], "kernel.cu", [*flags_for("90"), *source["flags"]])
    if not ok:
        raise RuntimeError(log)
