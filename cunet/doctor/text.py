"""What was found, as lines of text."""

from __future__ import annotations

from typing import Any

from .machine import device_info


def report(info: dict[str, Any] | None = None) -> str:
    """Return the findings as lines of text."""
    info = device_info() if info is None else info
    threads = f", {info['blas_threads']} threads" if info["blas_threads"] else ""
    lines = [
        ("cunet", info["cunet"] or "not installed (run from a source tree)"),
        ("Python", f"{info['python']} on {info['platform']}"),
        ("NumPy", f"{info['numpy']}, {info['blas']}{threads}, {info['cpu_count']} CPUs"),
        ("kernels", info["kernels"]),
        ("CuPy", ", ".join(info["cupy"]) or "not installed"),
        ("driver", info["nvidia_driver"] or "none"),
        ("CUDA", info["cuda_runtime"] or "not started"),
    ]
    for gpu in info["gpus"]:
        free = "unknown" if gpu["memory_free"] is None else f"{gpu['memory_free'] / 2**30:.1f}"
        memory = f"{free} of {gpu['memory_total'] / 2**30:.1f} GiB free"
        lines.append(("GPU", f"{gpu['name']}, compute capability {gpu['compute_capability']}, {memory}"))
    lines.append(("runs on", "CPU: " + info["problem"] if info["problem"] else "GPU"))
    if info["advice"]:
        lines.append(("advice", info["advice"]))
    return "\n".join(f"{name:<8} {value}" for name, value in lines)
