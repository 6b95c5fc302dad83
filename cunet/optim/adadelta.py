"""Adadelta: rates per element, from the squares of past gradients and past changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..kernels import Kernel, inplace
from .adaptive import average
from .optimizer import Optimizer
from .rule import Group
from .sgd import decayed


@inplace(
    "T g, A lr, A decay, A rho, A rest, A eps",
    "T w, T v, T acc",
    """A d = decay == 0 ? A(g) : g + decay * w;
    v = rho * v + rest * d * d;
    A delta = sqrt((acc + eps) / (v + eps)) * d;
    acc = rho * acc + rest * delta * delta;
    w -= lr * delta""",
    scratch=2,
)
def adadelta(g, lr, decay, rho, rest, eps, w, v, acc, t, s):
    """Step of Adadelta."""
    d = decayed(g, w, decay, t)
    average(v, np.multiply(d, d, out=s), rho, rest, s)
    np.add(v, eps, out=s)
    np.divide(d, np.sqrt(s, out=s), out=t)
    np.add(acc, eps, out=s)
    t *= np.sqrt(s, out=s)
    average(acc, np.multiply(t, t, out=s), rho, rest, s)
    t *= lr
    w -= t


class Adadelta(Optimizer):
    """Scale the gradient by the ratio of running root mean squares of past changes and past gradients.

    ``d = g + weight_decay * w``, ``v = rho * v + (1 - rho) * d**2``, ``delta = sqrt(acc + eps) / sqrt(v + eps) * d``,
    ``acc = rho * acc + (1 - rho) * delta**2``, ``w -= lr * delta``.

    Args:
        params, maximize: see `Optimizer`.
        lr, eps, weight_decay: as in the formula, >= 0.
        rho: part of the running squares that is kept, in [0, 1).

    Source: Zeiler 2012, arXiv:1212.5701, algorithm 1 (which has lr = 1).

    Example:
        >>> w = cunet.tensor([1.0, 1.0], requires_grad=True)
        >>> optimizer = optim.Adadelta([w])
        >>> w.grad = np.array([0.5, -50.0], np.float32)
        >>> optimizer.step()
        >>> w.numpy().round(4)  # the first steps are small: sqrt(eps / (1 - rho))
        array([0.9968, 1.0032], dtype=float32)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize})

    def _check(self, group: Group) -> None:
        super()._check(group)
        self._within(group, 0, 1, "rho")

    def slots(self, group: Group) -> dict[str, float]:
        """Return the running squares of gradients and of changes."""
        return {"square_avg": 0.0, "acc_delta": 0.0}

    def kernel(self, group: Group) -> Kernel:
        """Return the kernel."""
        return adadelta

    def advance(self, group: Group, numbers: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the next step count, and the scalars of this step."""
        (step,) = numbers
        rho = group["rho"]
        return (step + 1,), (group["lr"], group["weight_decay"], rho, 1 - rho, group["eps"])
