"""The way forward through a norm in two steps, statistics and apply; one where a kernel does both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ...device import Array
from ...kernels import primitive
from .epilogue import NONE, Activated
from .groups import Groups, rows_of
from .statistics import reciprocal_rms, statistics


class Normed(NamedTuple):
    """What the forward pass of a norm leaves for the way back, in the view.

    Attributes:
        x, mean, rstd, weight, bias: what it was computed from; weight and bias may be numbers.
        var: None where no mean was taken.
        activated: what follows the norm.
        kept: what the activation's own way back starts from, if that was kept.
    """

    x: Array
    mean: Any
    var: Any
    rstd: Array
    weight: Any
    bias: Any
    activated: Activated
    kept: Array | None = None


@primitive
def apply(
    x: Array, mean: Any, var: Any, rstd: Array, weight: Any, bias: Any, activated: Activated
) -> tuple[Array, Normed]:
    """Normalise by given statistics, scale, shift and activate."""
    y = activated.kernels.normalize(x, mean, rstd, weight, bias, *activated.numbers)
    return y, Normed(x, mean, var, rstd, weight, bias, activated)


@primitive
def normalize(
    x: Array, weight: Any, bias: Any, groups: Groups, eps: float, centred: bool, activated: Activated
) -> tuple[Array, Normed]:
    """Normalise `x`, in the view of `groups`; `centred` False: divide by the RMS only."""
    rows, kernels, numbers = rows_of(groups), activated.kernels, activated.numbers
    mean: Any = 0.0
    var = None
    if rows and centred:
        y, mean, var, rstd = kernels.rows(x, weight, bias, eps, *numbers, **rows._asdict())
    elif rows:
        y, rstd = kernels.rms_rows(x, weight, eps, *numbers, **rows._asdict())
    elif centred:
        mean, var, rstd = statistics(x, groups.folded, eps)
        y = kernels.normalize(x, mean, rstd, weight, bias, *numbers)
    else:
        rstd = reciprocal_rms(x, 1 / max(1, groups.per_mean), eps, axis=groups.folded, keepdims=True)
        y = kernels.normalize(x, mean, rstd, weight, bias, *numbers)
    return y, Normed(x, mean, var, rstd, weight, bias, activated)


def _separate(function: Any) -> Callable[..., Any]:
    """Return how NumPy runs one of these: it has no passes to save, but would have to normalise again."""

    def run(x: Array, *args: Any) -> Any:
        *rest, activated = args
        if activated is NONE or x.dtype.char not in "fd":
            return NotImplemented
        z, normed = function.body(x, *rest, NONE)
        y = activated.apply(z)
        return y, normed._replace(activated=activated, kept=activated.kept(z, y))

    return run


for _function in (apply, normalize):
    _function.numpy(_separate(_function))
    _function.native(_function.body)
