"""From CUDA text to a listing of machine code, by NVRTC and nvdisasm; neither needs a GPU."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from .listing import Listing

WHEEL = "nvidia-cuda-nvdisasm"


def nvdisasm() -> str | None:
    """Return where nvdisasm is: on the path, or in the wheel of that name; None if it is nowhere."""
    found = shutil.which("nvdisasm")
    try:
        files = metadata.files(WHEEL) or []
    except metadata.PackageNotFoundError:
        files = []
    return found or next((str(file.locate()) for file in files if file.name.startswith("nvdisasm")), None)


def compiled(job: dict[str, Any], arch: str) -> tuple[Listing, str]:
    """Compile a job of `sim.nvrtc` for an architecture; return its listing, and what the assembler said."""
    return _compiled(job["source"], job["file"], tuple(job["flags"]), arch)


@functools.cache
def _compiled(source: str, file: str, flags: tuple[str, ...], arch: str) -> tuple[Listing, str]:
    """Do so, once for each source.

    Raises:
        FileNotFoundError: there is no nvdisasm.
    """
    from cupy_backends.cuda.libs import nvrtc

    from sim.nvrtc_worker import flags_for

    program = nvrtc.createProgram(source, file, (), ())
    try:
        nvrtc.compileProgram(program, (*flags_for(arch), "--ptxas-options=-v", *flags))
        log = nvrtc.getProgramLog(program)
        binary = nvrtc.getCUBIN(program) + b"\0"  # CuPy takes the last byte for the end of a text
    finally:
        nvrtc.destroyProgram(program)
    return Listing(disassembled(binary)), log


def disassembled(binary: bytes) -> str:
    """Return what nvdisasm prints of a compiled kernel."""
    tool = nvdisasm()
    if tool is None:
        raise FileNotFoundError(f"nvdisasm is not installed: pip install {WHEEL}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "kernel.cubin")
        file.write_bytes(binary)
        done = subprocess.run(
            [tool, "-c", "-ndf", str(file)], capture_output=True, text=True, errors="replace", check=True
        )
    return done.stdout
