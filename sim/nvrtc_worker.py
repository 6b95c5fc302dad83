"""Compiles by NVRTC, for one architecture, what comes in on standard input, a JSON object a line; see `nvrtc`."""

import json
import shutil
import sys
import tempfile

from cupy._core import core
from cupy_backends.cuda.libs import nvrtc


def compile_source(source: str, file: str, flags: list[str]) -> tuple[bool, str]:
    """Return whether NVRTC took the source, and what it said."""
    program = nvrtc.createProgram(source, file, (), ())
    try:
        nvrtc.compileProgram(program, tuple(flags))
        return True, nvrtc.getProgramLog(program)
    except nvrtc.NVRTCError:
        return False, nvrtc.getProgramLog(program)
    finally:
        nvrtc.destroyProgram(program)


def flags_for(arch: str) -> list[str]:
    """Return the flags that CuPy gives NVRTC."""
    own = ["-ftz=true", "--device-as-default-execution-space", f"-arch=sm_{arch}"]
    return [*core.assemble_cupy_compiler_options(()), *own]


def main(arch: str) -> None:
    """Answer each line with ``{"ok": ..., "log": ...}``."""
    # CuPy's own options; registers and spills in the log; headers precompiled by NVRTC, in a folder of this process
    # (they hold addresses, so they are of no use to another).
    own = tempfile.mkdtemp()
    common = [*flags_for(arch), "--ptxas-options=-v", "--pch", f"--pch-dir={own}"]
    try:
        for line in sys.stdin:
            job = json.loads(line)
            flags = common + [flag for flag in job["flags"] if flag not in common]
            ok, log = compile_source(job["source"], job["file"], flags)
            print(json.dumps({"ok": ok, "log": log}), flush=True)
    finally:
        shutil.rmtree(own, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
