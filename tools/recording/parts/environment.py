"""What the machine is, how fast it copies, and how fast it multiplies."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

from cunet import Tensor, no_grad
from cunet.doctor.machine import device_info

from ..libraries import MODES, Cunet
from ..rows import Measure, Rows
from ..setting import ROOT, Setting
from ..timing import copier, filled

SMI = "name,driver_version,clocks.max.sm,clocks.max.mem,power.limit,clocks.sm,temperature.gpu"


def run(setting: Setting, rows: Rows) -> None:
    """Measure all."""
    rows.measure(_measures(setting))


def _measures(setting: Setting) -> Iterator[tuple[str, Measure]]:
    xp, form = setting.xp, setting.form
    yield "machine", machine
    library = Cunet(xp, form)
    timer = setting.timer(library.stream)
    for size in form.copies:
        yield f"copy {size:.0e}", lambda size=size: {"bytes": size, **timer(copier(xp, size, rotating=True))}
    for dtype in form.dtypes:
        for mode in MODES if dtype == "float32" else MODES[:1]:
            yield f"product {dtype} {mode}", lambda dtype=dtype, mode=mode: _product(setting, library, dtype, mode)


def _product(setting: Setting, library: Cunet, dtype: str, mode: str) -> dict[str, Any]:
    n = setting.form.product
    x = Tensor(filled(library.xp, (n, n), library.dtype(dtype)))
    with library.mode(mode), no_grad():
        return {"operations": 2 * n**3, **setting.timer(library.stream)(lambda: x @ x)}


def machine() -> dict[str, Any]:
    """Return what the record is made on."""
    found = device_info()
    if shutil.which("nvidia-smi"):
        found["nvidia_smi"] = _output("nvidia-smi", f"--query-gpu={SMI}", "--format=csv,noheader").partition("\n")[0]
    found["commit"] = _output("git", "describe", "--always", "--dirty") if shutil.which("git") else ""
    found["others"] = {
        name: _version(name) for name in ("torch", "triton", "jax", "nvidia-cublas", "nvidia-cuda-nvrtc")
    }
    return found


def _output(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=10)
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
