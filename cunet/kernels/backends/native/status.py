"""What C++ functions return: 0, or why they did not do their work."""

from __future__ import annotations

from typing import Any

_NO_MEMORY, NEEDS_PANELS = 4, 5  # of `Result` in arrays.cpp


def result(code: int) -> int:
    """Return what a C++ function returned: 0, or why NumPy has to do its work.

    Raises:
        MemoryError: there was too little; what it was to change is as before.
    """
    if code == _NO_MEMORY:
        raise MemoryError("cunet: not enough memory for a compiled kernel's own buffers")
    return code


def refused(code: int) -> Any:
    """Return NotImplemented for a function that did not do its work, if there was memory for it; see `result`."""
    result(code)
    return NotImplemented
