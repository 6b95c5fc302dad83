"""Measure matrix products as cunet does them beside NumPy's BLAS, both in one thread.

    python tools/product_rates.py
    python tools/product_rates.py --dtype float64 --shapes 512x128x784 128x512x256

A shape is rows x inner x columns. Each is measured as it lies in forward (the second matrix transposed), in the
gradient of an input (both lie well) and of a weight (the first one transposed). Of NumPy's call the result's memory is
there before; in both the least time counts.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["CUNET_NUM_THREADS"] = "1"  # before NumPy is imported

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cunet.ops.linalg import product  # noqa: E402

#: Of the MLP, the BN net, the transformer, char-RNN and a convolutional net's linear layer; then squares.
SHAPES = (
    "128x784x512", "128x512x256", "512x128x784", "60x784x100", "100x60x784", "2048x128x512", "512x2048x128",
    "128x2048x512", "97x4096x128", "64x9216x128", "16x512x512", "64x512x64", "512x512x512", "1024x1024x1024",
)  # fmt: skip
_LAYOUTS = {"x @ wT": (False, True), "x @ w": (False, False), "xT @ w": (True, False)}


def least(call: Callable[[], Any], seconds: float) -> float:
    """Return the least seconds that a call takes, of some that take `seconds` together."""
    found, end = float("inf"), time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        call()
        found = min(found, time.perf_counter() - began)
    return found


def lying(a: np.ndarray, turned: bool) -> np.ndarray:
    """Return the same matrix, transposed in memory if `turned`."""
    return np.ascontiguousarray(a.T).T if turned else a


def measured(shape: tuple[int, int, int], dtype: str, seconds: float) -> Iterator[tuple[str, float, float]]:
    """Yield for each layout its name, and the seconds of BLAS and of cunet.

    Raises:
        AssertionError: they do not agree.
    """
    rows, inner, columns = shape
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(s).astype(dtype) for s in ((rows, inner), (inner, columns)))
    out = np.empty((rows, columns), dtype)
    for name, turned in _LAYOUTS.items():
        x, y = lying(a, turned[0]), lying(b, turned[1])
        blas, ours = (least(call, seconds) for call in (lambda: np.matmul(x, y, out=out), lambda: product(x, y)))  # noqa: B023
        assert np.allclose(product(x, y), out, rtol=1e-3, atol=1e-3 * inner**0.5)
        yield name, blas, ours


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", default=SHAPES)
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--seconds", type=float, default=0.2, help="for each of the two, of each layout")
    options = parser.parse_args()
    print("| rows x inner x columns | " + " | ".join(f"{name}: BLAS, cunet (GFLOP/s)" for name in _LAYOUTS) + " |")
    print("| --- |" + " ---: |" * len(_LAYOUTS))
    for text in options.shapes:
        rows, inner, columns = map(int, text.split("x"))
        flops = 2e-9 * rows * inner * columns
        found = measured((rows, inner, columns), options.dtype, options.seconds)
        cells = [f"{flops / blas:.0f}, {flops / ours:.0f} ({ours / blas:.2f})" for _, blas, ours in found]
        print(f"| {text} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
