"""What cunet finds on this machine: versions, BLAS, CuPy, CUDA, driver and GPUs. `cunet.doctor` prints it."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import warnings
from typing import Any

import numpy as np

from ..device import gpu, gpu_problem
from ..kernels.backends.native import native
from ..system.cpu import blas_threads


def device_info() -> dict[str, Any]:
    """Return what was found: versions, BLAS and its threads, CuPy, CUDA, driver, GPUs and their memory.

    Returns:
        A dict of plain values, fit for JSON. "kernels" says whether those of the CPU are compiled, and by what; "gpus"
        is a list of dicts with "name", "compute_capability", "memory_total" and "memory_free" (bytes, None if the GPU
        does not say); "nvidia_devices" is how many GPUs the driver sees, None without one; "problem" says why no GPU is
        used, or is ""; "advice" what to do about it.

    Example:
        >>> sorted(cunet.device_info())
        ['advice', 'blas', 'blas_threads', 'cpu_count', 'cuda_runtime', 'cunet', 'cupy', 'gpus', 'kernels', 'numpy',
         'nvidia_devices', 'nvidia_driver', 'platform', 'problem', 'python']
    """
    info: dict[str, Any] = {
        "cunet": _version("cunet"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "numpy": np.__version__,
        **_blas(),
        "kernels": native.describe(),
        "cupy": _cupy_packages(),
        "cuda_runtime": None,
        "gpus": [],
    }
    info["nvidia_driver"], info["nvidia_devices"] = _driver()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it would say is in "problem"
        cupy = gpu()
    info["problem"] = gpu_problem()
    if cupy is not None:
        runtime = cupy.cuda.runtime
        info["cuda_runtime"] = _dotted(runtime.runtimeGetVersion())
        info["gpus"] = [_gpu(cupy, i) for i in range(runtime.getDeviceCount())]
    info["advice"] = _advice(info)
    return info


def _version(package: str) -> str | None:
    from importlib import metadata  # here, and others below: they would double the time of `import cunet`

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
    name = f"{build.get('name', 'unknown')} {build.get('version', '')}".strip()
    return {"blas": name, "blas_threads": blas_threads()}


def _driver() -> tuple[str | None, int | None]:
    """Return the newest CUDA version the NVIDIA driver supports, in words, and how many GPUs it sees."""
    import shutil

    for name in ("libcuda.so.1", "nvcuda.dll"):
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        version, count = ctypes.c_int(), ctypes.c_int()
        if library.cuDriverGetVersion(ctypes.byref(version)) != 0:
            return "present, but does not answer", None
        sees = library.cuInit(0) == 0 and library.cuDeviceGetCount(ctypes.byref(count)) == 0
        return f"supports CUDA {_dotted(version.value)}", count.value if sees else 0
    return ("nvidia-smi is there, but no libcuda" if shutil.which("nvidia-smi") else None), None


def _dotted(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"


def _gpu(cupy: Any, index: int) -> dict[str, Any]:
    properties = cupy.cuda.runtime.getDeviceProperties(index)
    try:
        with cupy.cuda.Device(index):
            free, total = cupy.cuda.runtime.memGetInfo()
    except Exception:  # another process may hold the GPU for itself
        free, total = None, properties["totalGlobalMem"]
    name = properties["name"]
    return {
        "name": name.decode() if isinstance(name, bytes) else name,
        "compute_capability": f"{properties['major']}.{properties['minor']}",
        "memory_total": total,
        "memory_free": free,
    }


def _advice(info: dict[str, Any]) -> str:
    """Return what to install or change, or "" if all is well."""
    packages = info["cupy"]
    if len(packages) > 1:
        return f"Several CuPy packages are installed ({', '.join(packages)}): uninstall all of them, then install one."
    if not info["problem"]:
        return ""
    driver, devices = info["nvidia_driver"], info["nvidia_devices"]
    if driver is None:
        return "No NVIDIA driver was found: cunet runs on the CPU, and needs nothing more for that."
    version = re.search(r"CUDA (\d+)\.", driver)
    if version is None:
        return "The NVIDIA driver does not answer: reinstall it, or restart the machine."
    if not devices:
        return "The NVIDIA driver sees no GPU: look at nvidia-smi, and whether CUDA_VISIBLE_DEVICES hides it."
    major = min(int(version[1]), 13)
    if major < 12:
        return f"The driver {driver} at most: update it to one that supports CUDA 12 or later."
    if packages and packages[0].startswith(f"cupy-cuda{major}x "):
        return (
            f"CuPy fits the driver, but does not work: CUDA's libraries may be missing"
            f' (pip install "cupy-cuda{major}x[ctk]"), or CuPy broken (uninstall it, install it again).'
        )
    remove = f"pip uninstall {packages[0].split()[0]}, then " if packages else ""
    return f'The driver {driver}: {remove}pip install "cunet[cuda{major}]".'
