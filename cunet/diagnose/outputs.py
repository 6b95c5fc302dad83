"""What predictions are, and what the loss wants them to be."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..autograd.tape import Node, no_grad
from ..autograd.tensor import Tensor
from ..device import Array, array_module, asnumpy, is_array, is_floating
from ..system.quiet import quiet

#: How far from 0 the scores are for which a loss is asked: there a sigmoid is 1 to the last bit of a float32.
_FAR = 30.0
_IGNORED = -100
_SQUASHING = frozenset({"sigmoid", "hardsigmoid", "softmax"})
_MOVING = frozenset({"watch", "reshape", "squeeze", "expand_dims", "transpose", "getitem", "astype"})


class Outputs(NamedTuple):
    """Predictions, and what the loss makes of them.

    Attributes:
        wanted: "scores" or "log-probabilities" where a loss of classes wants these; "" where it does not, or where
            nobody can tell.
        probabilities: whether the predictions are probabilities.
        normalised: whether their exponentials are, over the classes.
        outside: labels that are no class's, or targets outside [0, 1] of a loss that has no lower bound there.
        classes: how many there are; 0 where targets are no labels of classes.
        scale: root mean square of the targets of a regression; 0 of anything else.
    """

    wanted: str
    probabilities: bool
    normalised: bool
    outside: tuple[float, ...]
    classes: int
    scale: float


def outputs_of(prediction: Any, target: Any, loss: Callable[..., Any]) -> Outputs | None:
    """Return what predictions are to a loss; None where they are not one Tensor, or the target is not one array."""
    target = target.data if isinstance(target, Tensor) else target
    if not isinstance(prediction, Tensor) or not is_array(target) or not prediction.data.size:
        return None
    y = prediction.data
    classes = y.shape[1] if y.ndim > 1 and target.dtype.kind in "iu" and target.shape == _without_classes(y) else 0
    t = asnumpy(target)
    outside: tuple[float, ...] = ()
    if classes:
        wrong = (t < 0) | (t >= classes)
        outside = tuple(np.unique(t[wrong & (t != ignored_label(loss))])[:5].tolist())
        if outside:
            return Outputs("", False, False, outside, classes, 0.0)
    elif target.shape != y.shape:
        return None
    wanted, unbounded = _wanted(y, target, classes, loss)
    beyond = t[(t < 0) | (t > 1)]
    if not classes and unbounded and beyond.size:
        outside, wanted = tuple(np.unique(beyond)[:5].tolist()), ""
    regression = not classes and not wanted and not outside and is_floating(target.dtype) and bool(t.size)
    scale = math.sqrt(float(np.mean(t.astype(np.float64) ** 2))) if regression else 0.0
    return Outputs(wanted, *_probable(prediction, classes), outside, classes, scale)


def ignored_label(loss: Any) -> int:
    """Return the label that a loss leaves out, or that which losses leave out if nothing else is said."""
    options: dict[str, Any] = {}
    while isinstance(loss, functools.partial):
        loss, options = loss.func, {**loss.keywords, **options}
    return int(options.get("ignore_index", getattr(loss, "ignore_index", _IGNORED)))


def _without_classes(y: Array) -> tuple[int, ...]:
    return (y.shape[0], *y.shape[2:])


def _wanted(y: Array, target: Array, classes: int, loss: Callable[..., Any]) -> tuple[str, bool]:
    """Return what a loss wants, and whether it falls below any bound: it is asked what it says of right answers.

    Of scores the right ones are the better the larger they are; probabilities are right at 0 and 1.
    """
    right = _right(y, target, classes)
    near = _value(loss, right, target)
    far = _value(loss, _FAR * (right if classes else 2 * right - 1), target)
    if not math.isfinite(near) or not math.isfinite(far):
        return "", False
    if far < min(near, 0.0) - 1:
        return "log-probabilities", True
    return ("scores" if far < near - 1e-3 * abs(near) else ""), False


def _right(y: Array, target: Array, classes: int) -> Array:
    """Return the right answers: 1 for the class of a label and 0 for others, or the targets themselves."""
    if not classes:
        return target.astype(y.dtype)
    xp = array_module(y)
    numbers = xp.arange(classes).reshape(1, classes, *(1,) * (y.ndim - 2))
    return (xp.expand_dims(target, 1) == numbers).astype(y.dtype)


def _value(loss: Callable[..., Any], prediction: Array, target: Array) -> float:
    """Return what a loss says of a prediction; NaN where it takes none of this kind."""
    try:
        with no_grad(), quiet():
            found = loss(Tensor(prediction), target)
        return float(asnumpy(found.data if isinstance(found, Tensor) else found))
    except Exception:  # whatever a loss says of a prediction that it was not written for
        return math.nan


def _probable(prediction: Tensor, classes: int) -> tuple[bool, bool]:
    """Tell whether predictions are probabilities, and whether their exponentials are.

    Scores may lie within 0 and 1 by chance; what is known of a probability that is alone is the op that made it.
    """
    y = asnumpy(prediction.data).astype(np.float64)
    if not classes:
        return _maker(prediction) in _SQUASHING, False
    with np.errstate(over="ignore"):
        sums = y.sum(axis=1), np.exp(y).sum(axis=1)
    whole, powers = (bool((np.abs(s - 1) < 1e-2).all()) for s in sums)
    return whole and bool((y >= 0).all()), powers


def _maker(prediction: Tensor) -> str:
    """Return the name of the op that made a prediction, but for those that only move its elements."""
    node = prediction._node
    while node is not None and node.name in _MOVING and isinstance(node.parents[0], Node):
        node = node.parents[0]
    return "" if node is None else node.name
