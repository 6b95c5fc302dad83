"""Run one call on each route, forward and backward, and compare what came."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import cunet
from cunet import native, random
from cunet.device import asnumpy, is_array, is_floating, to_device
from cunet.parity.row import function_of

from .calls import Call
from .layouts import LAYOUTS

#: Route: compiled kernels, the layouts of the call, the device. The first is what the others are compared with.
ROUTES = {
    "numpy, plain": (False, False, "cpu"),
    "numpy": (False, True, "cpu"),
    "native": (True, True, "cpu"),
    "sim": (False, True, "gpu"),
}
#: Errors that tell a caller what is wrong with a call; any other is one from inside.
REFUSALS = (ValueError, TypeError, IndexError, MemoryError)
#: By the digits of the coarsest array of a call: how far results may be apart, in their spacing at the largest element.
PLACES = {8: 6.0, 11: 6.0, 24: 256.0, 53: 256.0}
#: Binary digits of float32.
SINGLE = 24
#: How many times farther than the same call moves when its inputs move by their last places.
SHAKE = 8.0

#: Errors about the values of indices, labels, matrices, ..., which are not looked at on a device: that would be a wait.
UNSEEN = ("must be 0 to", "out of bounds", "target must be 1 or -1", "var must be at least 0", "must be probabilities")
UNSEEN += (
    "must be invertible",
    "must be positive definite",
    "must be finite",
    "where a has full rank",
    "linearly independent",
)


#: What a call may warn of: spatial dropout takes three axes as PyTorch does, and says so.
FORESEEN = r"dropout\dd: input of 3 axes is taken for \(N, C, L\)"


class Outcome(NamedTuple):
    """What a call gave: its results, then the gradients of its floating arrays; or the error."""

    arrays: list[np.ndarray | None]
    error: str = ""
    refused: bool = False


def prepared(call: Call) -> list[Any]:
    """Return the arrays that a call's layouts make, on the CPU; other arguments as they are."""
    made = []
    for a, layout in zip(call.arrays, call.layouts, strict=True):
        if isinstance(a, np.ndarray):
            a = LAYOUTS[layout].view(LAYOUTS[layout].base(a.copy()))
        made.append(a)
    return made


def plain(a: Any) -> Any:
    """Return the same numbers in C order and in the machine's own bytes."""
    return a.astype(a.dtype.newbyteorder("="), order="C", copy=True) if isinstance(a, np.ndarray) else a


def _on_device(a: Any, layout: str) -> Any:
    if not isinstance(a, np.ndarray):
        return a
    if LAYOUTS[layout].cpu_only:
        return to_device(plain(a), "gpu")
    return LAYOUTS[layout].view(to_device(LAYOUTS[layout].base(plain(a)), "gpu"))


def run(call: Call, route: str) -> Outcome:
    """Run a call on a route."""
    compiled, odd, device = ROUTES[route]
    arrays = prepared(call)
    if not odd:
        arrays = [plain(a) for a in arrays]
    if device == "gpu":
        arrays = [_on_device(a, layout) for a, layout in zip(arrays, call.layouts, strict=True)]
    (native.enable if compiled else native.disable)()
    return execute(call, arrays)


def execute(call: Call, arrays: Sequence[Any]) -> Outcome:
    """Run a call, forward and backward, on these arrays."""
    before = [asnumpy(a).tobytes() if is_array(a) else None for a in arrays]
    inputs = [cunet.Tensor(a, requires_grad=True) if is_array(a) and is_floating(a.dtype) else a for a in arrays]
    random.manual_seed(7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=FORESEEN)
        try:
            results = (call.row.call or function_of(call.row.op))(*inputs, **call.static)
            results = results if isinstance(results, tuple) else (results,)
            _backward(results)
        except Exception as error:
            where = f"{type(error).__name__}: {error}".splitlines()[0]
            return Outcome([], where, isinstance(error, REFUSALS))
    gradients = [t.grad for t in inputs if isinstance(t, cunet.Tensor)]
    for a, bytes_ in zip(arrays, before, strict=True):
        if bytes_ is not None and asnumpy(a).tobytes() != bytes_:
            return Outcome([], "an input was changed")
    made = [r.data for r in results] + gradients
    return Outcome([None if a is None else np.array(asnumpy(a)) for a in made])


def _backward(results: Sequence[Any]) -> None:
    """Send random gradients through all results at once."""
    rng = np.random.default_rng(5)
    total: Any = None
    for r in results:
        if r.requires_grad:
            seed = rng.uniform(-1, 1, r.shape).astype(r.dtype)
            part = cunet.sum(r * to_device(seed, r.device))
            total = part if total is None else total + part
    if total is not None:
        total.backward()


def difference(call: Call, route: str, reference: Outcome, other: Outcome) -> str:
    """Say in what two outcomes differ; an empty string if in nothing that matters."""
    if reference.error or other.error:
        if reference.error.split(":")[0] == other.error.split(":")[0]:
            return ""
        if route == "sim" and any(text in reference.error for text in UNSEEN):
            return ""
        return f"{other.error or 'no error'}, not {reference.error or 'a result'}"
    if len(reference.arrays) != len(other.arrays):
        return f"{len(other.arrays)} arrays, not {len(reference.arrays)}"
    excused: list[float] | None = None
    digits = min((_digits(a) for a in call.arrays if is_array(a) and is_floating(a.dtype)), default=53)
    for i, (a, b) in enumerate(zip(reference.arrays, other.arrays, strict=True)):
        if a is None or b is None:
            if a is not b:
                return f"array {i}: {'no gradient' if b is None else 'a gradient'} on one side only"
            continue
        if a.shape != b.shape or a.dtype.newbyteorder("=") != b.dtype.newbyteorder("="):
            return f"array {i}: {b.dtype.name}{list(b.shape)}, not {a.dtype.name}{list(a.shape)}"
        found = _apart(a, b, digits)
        if found <= (PLACES[min(digits, _digits(a))] if is_floating(a.dtype) else 0):
            continue
        excused = excused or _rounding(call, reference, digits)
        if not found <= SHAKE * excused[i]:
            return f"array {i}: {found:.3g} places apart (at its largest element)"
        if found > 2.0 ** (digits - 8):
            return ""  # chaos: what its last places decide says nothing about the arrays that follow
    return ""


def _digits(a: np.ndarray) -> int:
    """Return how many binary digits a floating dtype has."""
    return {2: 8 if a.dtype.kind == "V" else 11, 4: 24, 8: 53}[a.dtype.itemsize]


def _apart(a: np.ndarray, b: np.ndarray, most: int) -> float:
    """Return how far arrays are apart in units of the last place of the largest, of at `most` so many digits."""
    if a.dtype.kind not in "fV" and not is_floating(a.dtype):
        return 0.0 if np.array_equal(a, b) else float("inf")
    digits = min(most, _digits(a))
    wide, other = a.astype(np.float64), b.astype(np.float64)
    finite = np.isfinite(wide)
    if not np.array_equal(wide[~finite], other[~finite], equal_nan=True) or not np.isfinite(other[finite]).all():
        return float("inf")
    if not finite.any():
        return 0.0
    largest = max(float(np.abs(wide[finite]).max()), 1e-30)
    return float(np.abs(wide[finite] - other[finite]).max()) / largest * 2.0 ** (digits - 1)


def _rounding(call: Call, reference: Outcome, digits: int) -> list[float]:
    """Return how far rounding alone may take each array of a reference, in its places.

    That is the more of two: how far it moves with the last places of the inputs, and what its own steps lose of them.
    Inputs alone do not show the second: behind a saturated tanh no input moves y, but 1 - y * y is all rounding of y.
    """
    return _worst(_moved(call, reference, digits), _lost(call, reference, digits))


def _moved(call: Call, reference: Outcome, digits: int) -> list[float]:
    """Return how far arrays are at most from those of inputs that are a few last places away, in some tries."""
    rng, worst = np.random.default_rng(3), [0.0] * len(reference.arrays)

    def shaken(a: np.ndarray) -> np.ndarray:
        places = rng.integers(-4, 5, a.shape) * 2.0 ** (1 - _digits(a))
        return (a.astype(np.float64) * (1 + places)).astype(a.dtype)

    for _ in range(4):
        worst = _worst(worst, _distances(reference, execute(call, _changed(call, shaken)), digits))
    return worst


def _lost(call: Call, reference: Outcome, digits: int) -> list[float]:
    """Return how far arrays are at most from those of the same inputs in float64; of a call in that, how far float32's.

    In places these are the same: what a step loses depends on the numbers, not on how many digits they have. One call
    may lose little by luck: some with inputs nearby are asked too.
    """
    rng, worst = np.random.default_rng(4), [0.0] * len(reference.arrays)
    for near in (0.0, *[2.0**-8] * 4):

        def narrow(a: np.ndarray, near: float = near) -> np.ndarray:
            moved = a.astype(np.float64) * (1 + near * rng.uniform(-1, 1, a.shape))
            return moved.astype(np.float32 if digits > SINGLE else a.dtype)

        arrays = _changed(call, narrow)
        wide = [a.astype(np.float64) if is_array(a) and is_floating(a.dtype) else a for a in arrays]
        lost = _distances(execute(call, wide), execute(call, arrays), min(digits, SINGLE))
        worst = _worst(worst, [n if np.isfinite(n) else 0.0 for n in lost])  # beyond float32's range nothing is lost
    return worst


def _worst(one: list[float], other: list[float]) -> list[float]:
    return [max(pair) for pair in itertools.zip_longest(one, other, fillvalue=0.0)]


def _changed(call: Call, change: Callable[[np.ndarray], np.ndarray]) -> list[Any]:
    """Return a call's arguments for NumPy, in plain layout, floating arrays changed."""
    native.disable()
    arrays = [plain(a) for a in prepared(call)]
    return [change(a) if is_array(a) and is_floating(a.dtype) else a for a in arrays]


def _distances(reference: Outcome, other: Outcome, digits: int) -> list[float]:
    """Return how far arrays are apart; 0 where one has none, or of another shape."""
    pairs = itertools.zip_longest(reference.arrays, other.arrays)
    return [0.0 if a is None or b is None or a.shape != b.shape else _apart(a, b, digits) for a, b in pairs]
