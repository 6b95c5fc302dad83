"""A simulated CUDA device: cunet's GPU path on a machine that has no GPU.

`install` makes cunet believe that CuPy found a device; from then on ``device="gpu"`` means this package. README.md in
this folder says what it is made of, what it shows and cannot show, and its options.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from typing import Any

_before: list[Any] = []


def unavailable_reason() -> str | None:
    """Return why the simulated device cannot be had on this machine, or None if it can."""
    if shutil.which("g++") is None:
        return "g++ is not installed"
    version = subprocess.run(["g++", "-dumpversion"], capture_output=True, text=True).stdout.strip()
    if not version or int(version.split(".")[0]) < 12:
        return f"g++ 12 or later is needed (for _Float16), found {version or 'none'}"
    for package, wheel in (("cupy", "cupy-cuda12x"), ("ml_dtypes", "ml_dtypes")):
        if importlib.util.find_spec(package) is None:
            return f"{wheel} is not installed"
    return None


def install() -> Any:
    """Let cunet find the simulated device as its GPU; return the module that stands in for CuPy."""
    from cunet import device as backend
    from cunet.kernels.backends.cuda import cublas

    from . import namespace
    from .cublas import library

    _before.append((backend._gpu, cublas._library))
    backend._gpu, cublas._library = namespace, cublas.declared(library)
    return namespace


def uninstall() -> None:
    """Give cunet back the device that it had before the last `install`."""
    from cunet import device as backend
    from cunet.kernels.backends.cuda import cublas

    backend._gpu, cublas._library = _before.pop()


def namespace_or_skip() -> Any:
    """Return the simulated ``cupy`` to a test module that needs it whatever device is under test; else skip the module.

    Raises:
        RuntimeError: it is not available, and ``CUNET_REQUIRE_SIM=1`` demands it.
    """
    import pytest

    reason = unavailable_reason()
    if reason and os.environ.get("CUNET_REQUIRE_SIM") == "1":
        raise RuntimeError(f"the simulated device is required (CUNET_REQUIRE_SIM=1), but {reason}")
    if reason:
        pytest.skip(f"no simulated device: {reason}", allow_module_level=True)
    from . import namespace

    return namespace
