"""Calls drawn at random: a row of `cunet.parity.cases` with other sizes, options, dtypes and memory layouts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cunet.parity.cases import ROWS as ALL_ROWS
from cunet.parity.comparison import dtypes
from cunet.parity.row import Row, function_of

from .layers import LAYERS
from .layouts import LAYOUTS
from .options import OPTIONS, pick, vary
from .recurrent import RECURRENT

#: All but a sample whose noise is larger than what shakes its input: what rounding makes of that is no finding.
ROWS = [row for row in ALL_ROWS if row.op != "gumbel_softmax"]
SIZES = (0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 13, 16, 17, 31, 33, 64, 70, 257)
MOST = 60_000  # elements of one array
#: Of one whose every element meets many, or all, of another: the simulated device takes minutes for more, or the result
#: all memory.
MOST_OF_PRODUCTS = 4_000
PRODUCTS = ("conv", "attention", "outer", "tensordot")
SPECIAL = ((np.inf,), (-np.inf,), (np.nan,), (0.0, -0.0), (np.inf, -np.inf, np.nan, 0.0, -0.0))
PAIRS = {"add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "remainder", "floor_divide"}
PAIRS |= {"hypot", "arctan2", "logaddexp", "lerp"}


class Call(NamedTuple):
    """One call.

    Attributes:
        row: its op and how that is called; its inputs are not used.
        arrays: positional arguments, arrays in plain layout or Python numbers.
        layouts: for each of them how it lies in memory.
        static: keyword arguments.
    """

    row: Row
    arrays: list[Any]
    layouts: list[str]
    static: dict[str, Any]

    def __str__(self) -> str:
        """Show it as it would be written, arrays by dtype, shape and layout."""
        parts = []
        for a, layout in zip(self.arrays, self.layouts, strict=True):
            shown = f"{a.dtype.name}{list(a.shape)}" if isinstance(a, np.ndarray) else repr(a)
            parts.append(shown if layout == "plain" else f"{shown} {layout}")
        parts += [f"{k}={v!r}" for k, v in self.static.items()]
        return f"{self.row.op}({', '.join(parts)})"


def draw(seed: int, index: int) -> Call:
    """Return call number `index` of a seed: the same on every machine."""
    rng = np.random.default_rng([seed, index])
    kind = rng.random()
    if kind < 0.25:
        table = RECURRENT if kind < 0.05 else LAYERS
        name = pick(rng, tuple(table))
        arrays, static, run = table[name](rng)
        row = Row(name, lambda _: (), {}, "sum", run)
    else:
        row = pick(rng, tuple(ROWS))
        arrays = list(row.inputs(rng))
        # Matrices of another size are made of equal rows: LAPACK finds them singular, or not, by a rounding.
        most = MOST_OF_PRODUCTS if any(word in row.op for word in PRODUCTS) else MOST
        sizes = _sizes(rng, arrays, most) if rng.random() < 0.85 and not row.op.startswith("linalg.") else {}
        arrays = [_resized(a, sizes) for a in arrays]
        static = {k: _renamed(v, sizes) for k, v in row.static.items()}
        static = {k: pick(rng, OPTIONS[k]) if k in OPTIONS and rng.random() < 0.2 else v for k, v in static.items()}
        static = vary(rng, function_of(row.op), static) if row.call is None else static
        arrays = _bent(rng, row, arrays)
    if any(word in row.op.lower() for word in ("rnn", "lstm", "gru", "attention", "transformer")):
        arrays = [_tame(a) for a in arrays]
    if rng.random() < 0.1:
        # Not in a norm's weight: whether that is in a sum or before it makes NaN of infinity, as kernels find fit.
        plain = arrays[1:] if any(word in row.op.lower() for word in ("norm", "transformer")) else []
        arrays = [_special(rng, a) for a in arrays[: len(arrays) - len(plain)]] + plain
    floating, whole = pick(rng, tuple(dtypes())), pick(rng, (np.int64, np.int64, np.int32, np.uint8))
    arrays = [_typed(a, floating, whole) for a in arrays]
    mixed = rng.random() < 0.05
    for i, a in enumerate(arrays):
        if mixed and isinstance(a, np.ndarray) and a.dtype.kind == "f" and rng.random() < 0.5:
            arrays[i] = a.astype(pick(rng, (np.float32, np.float64)))
    return Call(row, arrays, [_layout(rng, a) for a in arrays], static)


def _sizes(rng: np.random.Generator, arrays: list[Any], most: int) -> dict[int, int]:
    """Return other lengths for the lengths of axes: equal ones stay equal, as shapes of one call go together.

    No array has more than `most` elements, nor would have if no axis were empty.
    """
    old = sorted({n for a in arrays if isinstance(a, np.ndarray) for n in a.shape})
    while True:
        new = {n: n if rng.random() < 0.2 else int(pick(rng, SIZES)) for n in old}
        if all(np.prod([max(new[n], 1) for n in a.shape]) <= most for a in arrays if isinstance(a, np.ndarray)):
            return new


def _resized(a: Any, sizes: dict[int, int]) -> Any:
    if not isinstance(a, np.ndarray) or not sizes:
        return a
    for axis, n in enumerate(a.shape):
        a = np.take(a, np.arange(sizes[n]) % n, axis)
    if a.dtype.kind == "i":  # labels follow the number of classes, which is a length of another array
        classes = min((n for n in sizes if n > a.max(initial=0)), default=0)
        return a % max(sizes.get(classes, 1), 1)
    return a


def _renamed(value: Any, sizes: dict[int, int]) -> Any:
    """Let options follow the lengths of axes, as ``normalized_shape`` does."""
    if isinstance(value, tuple):
        return tuple(_renamed(v, sizes) for v in value)
    return sizes.get(value, value) if type(value) is int and value > 3 else value


def _bent(rng: np.random.Generator, row: Row, arrays: list[Any]) -> list[Any]:
    """Now and then leave an argument out, give a number for it, or take an axis away."""
    arrays = list(arrays)
    i = int(rng.integers(len(arrays)))
    a, kind = arrays[i], rng.random()
    if kind < 0.04 and len(arrays) > 2:
        return arrays[:-1]
    if kind < 0.07 and i > 0 and row.op in PAIRS:
        arrays[i] = 1.5
    elif kind < 0.12 and isinstance(a, np.ndarray) and a.size:
        arrays[i] = a.reshape(-1)[0:1].reshape(())
    elif kind < 0.16 and isinstance(a, np.ndarray) and a.ndim and len(a):
        arrays[i] = a[0]
    return arrays


def _typed(a: Any, floating: Any, whole: Any) -> Any:
    if not isinstance(a, np.ndarray) or a.dtype.kind == "b":
        return a
    return np.ascontiguousarray(a).reshape(a.shape).astype(floating if a.dtype.kind == "f" else whole)


def _tame(a: Any) -> Any:
    """Make rows so short that no tanh or softmax saturates: a slope such as 1 - y * y is then all rounding."""
    return (
        a / np.sqrt(a.shape[-1]) if isinstance(a, np.ndarray) and a.dtype.kind == "f" and a.ndim > 1 and a.size else a
    )


def _special(rng: np.random.Generator, a: Any) -> Any:
    """Put infinities, NaN and zeros of both signs in some places of a floating array."""
    if not isinstance(a, np.ndarray) or a.dtype.kind != "f" or rng.random() < 0.4:
        return a
    places = rng.random(a.shape) < pick(rng, (0.02, 0.3))
    return np.where(places, rng.choice(pick(rng, SPECIAL), a.shape), a).astype(a.dtype)


def _layout(rng: np.random.Generator, a: Any) -> str:
    if not isinstance(a, np.ndarray) or a.ndim == 0 or rng.random() < 0.4:
        return "plain"
    return str(pick(rng, tuple(LAYOUTS)))
