"""Every source that runs here goes through NVIDIA's compiler too, if ``CUNET_SIM_NVRTC`` names architectures.

g++ takes things that NVRTC refuses (libc's macros, ambiguous overloads) and knows nothing of the kernel that CuPy
builds around CUB when it finds a reduction suitable. NVRTC needs no GPU and no driver. One process per architecture
compiles while g++ does; a source that is refused fails the test that launched it. What has passed
is remembered on disk. If ``CUNET_SIM_SOURCES`` names a file, sources are noted there too (`note`).
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cupy
import numpy as np
from cupy._core import _cub_reduction, _kernel, _scalar, core
from cupy.cuda import compiler

from .state import options

# NVRTC precompiles what stands before its own pragma: the same for all sources of one kind.
STOP = "#pragma nv_hdrstop\n"
CUPY_HEADERS = "".join(f"#include <{name}>\n" for name in core._cupy_header_list)
HEADERS = CUPY_HEADERS + STOP
CUB_PASSES = ("", "FIRST_PASS", "SECOND_PASS")
Job = dict[str, Any]


def unavailable_reason() -> str | None:
    """Return why NVRTC cannot be had, or None if it can."""
    try:
        compiler.nvrtc.getVersion()
    except Exception as error:
        return f"NVRTC cannot be loaded (nvidia-cuda-nvrtc-cu12 is not installed?): {error}"
    if not any(
        Path(flag[2:], "cuda_fp16.h").exists() for flag in core.assemble_cupy_compiler_options(()) if flag[:2] == "-I"
    ):
        return "the CUDA headers are missing (nvidia-cuda-runtime-cu12 is not installed?)"
    return None


def wanted() -> bool:
    """Tell whether anybody wants to see what is launched."""
    return bool(options.nvrtc or options.sources)


def job(source: str, name: str, flags: Sequence[str] = (), headers: bool = True) -> Job:
    """Describe one compilation; `headers`: put CuPy's own before the source."""
    note(name, source, flags, headers)
    at = source.rfind(f"void {name}(")
    signature = source[at : source.find(")", at)].partition("(")[2] if at >= 0 else ""
    for word, short in re.findall(r"typedef ([\w ]+) ([A-Z]);", "" if headers else source):
        signature = re.sub(rf"\b{short}\b", word, signature)
    text = HEADERS * headers + source
    return {"name": name, "file": "kernel.cu", "source": text, "flags": list(flags), "signature": signature}


def note(name: str, text: str, flags: Sequence[str], headers: bool, jitify: bool = False) -> None:
    """Write down, once in a process, what CuPy would give to its ``core.compile_with_cache``."""
    if options.sources and (text, *flags) not in _noted:
        _noted.add((text, *flags))
        line = {"name": name, "text": text, "flags": list(flags), "headers": headers, "jitify": jitify}
        with open(options.sources, "a") as file:
            file.write(json.dumps(line) + "\n")


_noted: set[tuple[str, ...]] = set()


def start(jobs: Sequence[Job]) -> list[tuple[Worker, Job]]:
    """Give jobs to the compilers, those that have not passed before; take the result to `finish`."""
    given = []
    for arch in options.nvrtc:
        for one in jobs:
            if not _passed(arch, one):
                worker = _worker(arch)
                worker.send(one)
                given.append((worker, one))
    return given


def finish(given: Sequence[tuple[Worker, Job]]) -> None:
    """Wait for the jobs; raise for the first that failed.

    Raises:
        cupy.cuda.compiler.CompileException: NVRTC refused a source.
    """
    failed: CompileError | None = None
    for worker, one in given:
        answer = worker.receive()
        if answer["ok"]:
            _remember(worker.arch, one, answer["log"])
        else:
            failed = failed or CompileError(f"NVRTC for sm_{worker.arch}: {answer['log']}", one)
    if failed:
        raise failed


class CompileError(compiler.CompileException):
    """What NVRTC said about a source."""

    def __init__(self, message: str, one: Job) -> None:
        super().__init__(message, one["source"], one["name"], tuple(one["flags"]), "nvrtc")


class Worker:
    """A process that compiles for one architecture, in the order of `send`."""

    def __init__(self, arch: str) -> None:
        self.arch = arch
        # -P: this folder must not be searched for modules, it has an array.py of its own
        script = Path(__file__).with_name("nvrtc_worker.py")
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([sys.executable, "-P", str(script), arch], stdin=pipe, stdout=pipe, text=True)
        atexit.register(self._close)

    def send(self, one: Job) -> None:
        """Ask for a compilation."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(one) + "\n")
        self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """Wait for the next answer: ``ok`` and ``log``."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the NVRTC process for sm_{self.arch} has ended")
        return json.loads(line)

    def _close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


@functools.cache
def _worker(arch: str) -> Worker:
    return Worker(arch)


# -- what has passed before


@functools.cache
def _version() -> str:
    return f"{compiler.nvrtc.getVersion()} {cupy.__version__}"


def _key(arch: str, one: Job) -> str:
    text = json.dumps([arch, _version(), one["source"], one["flags"]])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


_seen: set[tuple[str, ...]] = set()


def _passed(arch: str, one: Job) -> bool:
    known = (arch, one["source"], *one["flags"])  # cheaper than the key: CuPy hands out the same string object
    if known in _seen:
        return True
    file = options.cache / "nvrtc" / _key(arch, one)
    if not file.exists():
        return False
    _seen.add(known)
    _report(json.loads(file.read_text()))
    return True


def _remember(arch: str, one: Job, log: str) -> None:
    _seen.add((arch, one["source"], *one["flags"]))
    file = options.cache / "nvrtc" / _key(arch, one)
    file.parent.mkdir(parents=True, exist_ok=True)
    entry = {"name": one["name"], "arch": arch, "signature": " ".join(one["signature"].split()), "log": log}
    own = file.with_suffix(f".{os.getpid()}")
    own.write_text(json.dumps(entry))
    os.replace(own, file)
    _report(entry)


def _report(entry: dict[str, str]) -> None:
    """Append to the file that ``tools/kernel_report.py`` reads."""
    path = os.environ.get("CUNET_SIM_REPORT")
    if path:
        with open(path, "a") as file:
            file.write(json.dumps(entry) + "\n")


# -- the kernels that CuPy builds around CUB


def cub_jobs(kernel: cupy.ReductionKernel, dtypes: Sequence[Any]) -> list[Job]:
    """Return the three kernels by which CuPy may replace a reduction of one array to one output."""
    return _cub_jobs(kernel, np.dtype(dtypes[0]), np.dtype(dtypes[1]))


@functools.lru_cache(None)
def _cub_jobs(kernel: cupy.ReductionKernel, in_dtype: np.dtype, out_dtype: np.dtype) -> list[Job]:
    return [_cub_job(kernel, in_dtype, out_dtype, which) for which in CUB_PASSES]


def _cub_job(kernel: cupy.ReductionKernel, in_dtype: np.dtype, out_dtype: np.dtype, which: str) -> Job:
    """Make one of them: CuPy rewrites the texts of the kernel by name, which is where mistakes come from."""
    in_name, out_name = kernel.in_params[0].name, kernel.out_params[0].name
    map_text, post = kernel.map_expr, kernel.post_map_expr
    if "mean" in kernel.name:
        post = post.replace("_in_ind.size()", "_segment_size").replace("_out_ind.size()", "1.0")
    *_, type_map = _kernel._decide_params_type(kernel.in_params, kernel.out_params, (in_dtype,), (out_dtype,))
    pairs = (*type_map._pairs, ("IndexT", "int32"), ("sizeT", "int32"))
    if (in_name, out_name) != ("in0", "out0"):
        map_text, post = map_text.replace(in_name, "in0"), post.replace(out_name, "out0")
        pairs += (("type_in0_raw", in_dtype.type), ("type_out0_raw", out_dtype.type))
    if which == "SECOND_PASS":
        map_text = "in0"
    describe = _kernel._get_param_info
    params = describe("T in0", True) + describe("T out0", False)
    params += describe("int32 _segment_size", True) + describe("int32 _array_size", True)
    number = _kernel._ArgInfo(3, _scalar.CScalar, np.dtype("int32"), 0, True, True)
    arrays = [_kernel._ArgInfo(1, cupy.ndarray, d, 1, True, True) for d in (in_dtype, out_dtype)]
    make = _cub_reduction._SimpleCubReductionKernel_get_cached_function.__wrapped__
    types = _kernel._TypeMap(pairs)
    text = (map_text, kernel.reduce_expr, post, kernel.reduce_type, params, (*arrays, number, number), types)
    with _caught_source() as caught:
        make(*text, kernel.name, 512, kernel.identity, kernel.preamble, tuple(kernel.options), 4)
    source, flags, jitify = caught
    own = [flag for flag in flags if not flag.startswith("-I")]
    if not which:
        note(kernel.name, source.removeprefix(CUPY_HEADERS), own, True, jitify)
    else:  # CuPy says it by -D; in the text it leaves the precompiled header valid for all three
        source = source.replace("#define ITEMS_PER_THREAD", f"#define {which} 1\n#define ITEMS_PER_THREAD", 1)
    last_header = "#include <cub/block/block_load.cuh>\n"
    source = source.replace(last_header, last_header + STOP)
    label = {"": "CUB", "FIRST_PASS": "CUB first pass", "SECOND_PASS": "CUB second pass"}[which]
    name, signature = f"{kernel.name} ({label})", f"{in_dtype}, {out_dtype}"
    return {"name": name, "file": "cub.cu", "source": source, "flags": own, "signature": signature}


class _caught_source:  # noqa: N801 (a context manager)
    """Stops CuPy at the point where it hands a source to the compiler, and takes the source."""

    def __enter__(self) -> list[Any]:
        self._saved, self._caught = compiler._compile_module_with_cache, []
        compiler._compile_module_with_cache = self._catch
        return self._caught

    def _catch(self, source: str, flags: Sequence[str] = (), **kwargs: Any) -> None:
        self._caught += [source, flags, bool(kwargs.get("jitify"))]
        raise _Stop

    def __exit__(self, kind: Any, *rest: Any) -> bool:
        compiler._compile_module_with_cache = self._saved
        return kind is _Stop


class _Stop(Exception):
    pass
