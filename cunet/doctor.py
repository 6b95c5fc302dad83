"""Say what cunet finds on this machine: ``python -m cunet.doctor``, or `device_info` in a program."""

from __future__ import annotations

import ctypes
import glob
import os
import platform
import shutil
from importlib import metadata
from typing import Any

import numpy as np

from . import backend


def device_info() -> dict[str, Any]:
    """Return what was found: versions, BLAS and its threads, CuPy, CUDA, driver, GPUs and their memory.

    Returns:
        A dict of plain values, fit for JSON. "gpus" is a list of dicts with "name", "compute_capability",
        "memory_total" and "memory_free" (bytes); "problem" says why no GPU is used, or is "".
    """
    info: dict[str, Any] = {
        "cunet": _version("cunet"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "numpy": np.__version__,
        **_blas(),
        "cupy": _cupy_packages(),
        "nvidia_driver": _driver_version(),
        "cuda_runtime": None,
        "gpus": [],
        "problem": backend.gpu_problem(),
    }
    cupy = backend.gpu()
    if cupy is not None:
        runtime = cupy.cuda.runtime
        info["cuda_runtime"] = _dotted(runtime.runtimeGetVersion())
        info["gpus"] = [_gpu(cupy, i) for i in range(runtime.getDeviceCount())]
    info["advice"] = _advice(info)
    return info


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cupy_packages() -> list[str]:
    """Return every installed CuPy wheel, as "name version": two of them break each other."""
    names = ("cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x")
    return [f"{name} {version}" for name in names if (version := _version(name))]


def _blas() -> dict[str, Any]:
    """Return name and version of NumPy's BLAS, and its number of threads if it can be asked."""
    build = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    threads = None
    for path in glob.glob(os.path.join(os.path.dirname(np.__file__), "..", "numpy.libs", "*openblas*")):
        for symbol in ("scipy_openblas_get_num_threads64_", "openblas_get_num_threads64_", "openblas_get_num_threads"):
            function = getattr(ctypes.CDLL(path), symbol, None)
            if function is not None:
                threads = int(function())
                break
    return {"blas": f"{build.get('name', 'unknown')} {build.get('version', '')}".strip(), "blas_threads": threads}


def _driver_version() -> str | None:
    """Return the newest CUDA version the installed NVIDIA driver supports, or None without a driver."""
    for name in ("libcuda.so.1", "nvcuda.dll"):
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        version = ctypes.c_int()
        if library.cuDriverGetVersion(ctypes.byref(version)) == 0:
            return f"supports CUDA {_dotted(version.value)}"
        return "present, but does not answer"
    return "nvidia-smi is there, but no libcuda" if shutil.which("nvidia-smi") else None


def _dotted(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"


def _gpu(cupy: Any, index: int) -> dict[str, Any]:
    properties = cupy.cuda.runtime.getDeviceProperties(index)
    with cupy.cuda.Device(index):
        free, total = cupy.cuda.runtime.memGetInfo()
    name = properties["name"]
    return {
        "name": name.decode() if isinstance(name, bytes) else name,
        "compute_capability": f"{properties['major']}.{properties['minor']}",
        "memory_total": total,
        "memory_free": free,
    }


def _advice(info: dict[str, Any]) -> str:
    """Return what to install or change, or "" if all is well."""
    if len(info["cupy"]) > 1:
        return (
            f"Several CuPy packages are installed ({', '.join(info['cupy'])}): uninstall all of them, then install one."
        )
    if not info["problem"]:
        return ""
    driver = info["nvidia_driver"]
    if driver is None:
        return "No NVIDIA driver was found: cunet runs on the CPU, and needs nothing more for that."
    if driver.startswith("supports CUDA"):
        extra = "cuda13" if int(driver.split()[-1].split(".")[0]) >= 13 else "cuda12"
        return f'The driver {driver}: pip install "cunet[{extra}]"' + (
            ", after uninstalling CuPy." if info["cupy"] else "."
        )
    return "The NVIDIA driver does not answer: reinstall it, or restart the machine."


def report(info: dict[str, Any] | None = None) -> str:
    """Return the findings as lines of text."""
    info = device_info() if info is None else info
    threads = f", {info['blas_threads']} threads" if info["blas_threads"] else ""
    lines = [
        ("cunet", info["cunet"] or "not installed (run from a source tree)"),
        ("Python", f"{info['python']} on {info['platform']}"),
        ("NumPy", f"{info['numpy']}, {info['blas']}{threads}, {info['cpu_count']} CPUs"),
        ("CuPy", ", ".join(info["cupy"]) or "not installed"),
        ("driver", info["nvidia_driver"] or "none"),
        ("CUDA", info["cuda_runtime"] or "not started"),
    ]
    for gpu in info["gpus"]:
        memory = f"{gpu['memory_free'] / 2**30:.1f} of {gpu['memory_total'] / 2**30:.1f} GiB free"
        lines.append(("GPU", f"{gpu['name']}, compute capability {gpu['compute_capability']}, {memory}"))
    lines.append(("runs on", "CPU: " + info["problem"] if info["problem"] else "GPU"))
    if info["advice"]:
        lines.append(("advice", info["advice"]))
    return "\n".join(f"{name:<8} {value}" for name, value in lines)


if __name__ == "__main__":
    print(report())
