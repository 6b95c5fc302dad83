"""Job (g), the part of services: how long a process that just starts takes to its first answer."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .jobs import prediction
from .libraries import library

_TOOLS = Path(__file__).parents[1]

#: Programs that answer once with the net of job (j), out of a file in the folder in which they run.
PROGRAMS = {
    "cunet": "import numpy, cunet; cunet.load_predictor('net.safetensors')(numpy.zeros((1, 1, 28, 28), 'f'))",
    "torch": f"""
import sys, torch
sys.path.insert(0, {str(_TOOLS)!r})
from benchmarks.nets import bn_cnn
model = bn_cnn(torch.nn, True)
model.load_state_dict(torch.load("net.pt"))
with torch.inference_mode():
    model.eval()(torch.zeros(1, 1, 28, 28))
""",
    "onnxruntime": """
import numpy, onnxruntime
session = onnxruntime.InferenceSession("net.onnx", providers=["CPUExecutionProvider"])
session.run(None, {session.get_inputs()[0].name: numpy.zeros((1, 1, 28, 28), "f")})
""",
}


def write_nets(folder: Path, libraries: Sequence[str]) -> None:
    """Write the net of job (j) as each library wants it."""
    import cunet

    model = prediction().build(library("numpy").nn, True)
    cunet.save_predictor(model, folder / "net.safetensors")
    if "onnxruntime" in libraries:
        cunet.onnx.export(model, prediction().data(), folder / "net.onnx")
    if "torch" in libraries:
        import torch

        torch.save(prediction().build(torch.nn, True).state_dict(), folder / "net.pt")


def seconds(name: str, folder: Path, runs: int, **env: str) -> dict[str, Any]:
    """Return the median time from the start of a process to its end, with one answer in between; or what failed."""
    command, times = [sys.executable, "-c", PROGRAMS[name]], []
    for _ in range(runs + 1):  # one before, for bytecode, the disk's cache and what is compiled
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=os.environ | env)
        times.append(time.perf_counter() - began)
        if done.returncode:
            return {"failed": (done.stderr.strip().splitlines() or ["no output"])[-1]}
    return {"seconds": statistics.median(times[1:])}


def answers(folder: Path, libraries: Sequence[str], runs: int) -> dict[str, dict[str, Any]]:
    """Return the seconds of each library, and of cunet's compiled route under "compiled"."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of exporters
        write_nets(folder, libraries)
    path = os.pathsep.join([str(_TOOLS.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    found = {name: seconds(name, folder, runs, CUNET_NATIVE="0", PYTHONPATH=path) for name in libraries}
    found["compiled"] = seconds("cunet", folder, runs, XDG_CACHE_HOME=str(folder), PYTHONPATH=path)
    return found
