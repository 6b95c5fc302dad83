"""Compare one call of an op on the device with the same call on the CPU, within bounds that have reasons."""

from __future__ import annotations

import importlib.util
import zlib
from typing import Any

import numpy as np

from .. import random
from ..testing import parity
from .row import Row

#: How far device and CPU may be apart, by kind of row (see `Row`) and dtype. "move" and "each": units in
#: the last place of every element; "sum": the same unit, of the largest element of the array. The reasons:
#: a move copies bits; half types are computed in float32 and rounded once, so that two float32 results a little apart
#: may fall to neighbours; the libraries of NumPy and CUDA promise up to 4 places for one function, and a gradient
#: is a product of a few; a sum of n terms goes astray by some places, in another order on each side.
BOUNDS: dict[str, dict[str, float]] = {
    "move": {"float16": 0, "bfloat16": 0, "float32": 0, "float64": 0},
    "each": {"float16": 2, "bfloat16": 2, "float32": 12, "float64": 12},
    "sum": {"float16": 2, "bfloat16": 2, "float32": 16, "float64": 16},
}

#: op: what its bounds in float32 and float64 are multiplied with, and why.
EXCEPTIONS: dict[str, tuple[float, str]] = {
    "logsumexp": (4, "one block of one thread, as the simulated device may have, adds 6300 terms one after the other"),
    **dict.fromkeys(
        [
            f"linalg.{name}"
            for name in ["cholesky", "det", "eigh", "inv", "lstsq", "pinv", "qr", "slogdet", "solve", "svd"]
        ],
        (16.0, "the condition of a matrix multiplies the rounding, and gaps between its values divide gradients"),
    ),
    "power": (2, "its gradient multiplies pow, which CUDA gives to 4 places, with a logarithm"),
}


def dtypes() -> list[np.dtype]:
    """Return float16, bfloat16 (where ml_dtypes is installed), float32, float64."""
    known: list[Any] = [np.float16, np.float32, np.float64]
    if importlib.util.find_spec("ml_dtypes") is not None:
        import ml_dtypes

        known.insert(1, ml_dtypes.bfloat16)
    return [np.dtype(d) for d in known]


def spacing(dtype: str) -> float:
    """Return the distance from 1 to the next larger number."""
    return 2.0 ** -{"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}[dtype]


def compare(row: Row, dtype: np.dtype) -> dict[str, Any]:
    """Return how far the device is from the CPU in one row and dtype, and whether that is within bounds.

    Returns:
        A dict: "op" (with its settings), "dtype", "value_ulp" and "gradient_ulp" (largest distance of an element, in
        units in its last place), "relative" (largest distance, relative to the largest element of its array),
        "distance" (the one of these that counts for the kind of row, in units in the last place), "bound", "holds"; for
        a call that failed "error" instead of the distances.
    """
    factor = EXCEPTIONS.get(row.op, (1.0,))[0] if dtype.itemsize > 2 else 1.0
    result: dict[str, Any] = {
        "op": row.name,
        "dtype": dtype.name,
        "kind": row.kind,
        "bound": BOUNDS[row.kind][dtype.name] * factor,
    }

    def call(*tensors: Any) -> Any:
        random.manual_seed(7)  # the same masks on both sides
        return row.run(*tensors)

    arrays = row.inputs(np.random.default_rng(zlib.crc32(row.name.encode())))
    try:
        (measured,) = parity(call, *arrays, dtypes=[dtype], device="gpu")
    except Exception as error:  # one op that fails must not hide what the others do
        return result | {"error": f"{type(error).__name__}: {error}", "holds": False}
    result["value_ulp"] = measured["value"]
    result["gradient_ulp"] = max(measured["gradients"], default=0.0)
    result["relative"] = measured["relative"]
    of_elements = max(result["value_ulp"], result["gradient_ulp"])
    result["distance"] = measured["relative"] / spacing(dtype.name) if row.kind == "sum" else of_elements
    return result | {"holds": bool(np.isfinite(of_elements) and result["distance"] <= result["bound"])}
