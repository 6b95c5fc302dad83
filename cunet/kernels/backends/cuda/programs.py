"""Kernels of CuPy, made once for each kernel of ours and each variant of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from ...spec import Definition


def program(kernel: Definition, xp: Any, make: Callable[[], Any], *variant: Hashable) -> Any:
    """Return what `make` returns, remembered for a kernel, an array module and a `variant`."""
    key = (xp.__name__, *variant)
    found = kernel.prepared.get(key)
    if found is None:
        found = kernel.prepared[key] = make()
    return found
