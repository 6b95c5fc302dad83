"""SGD, plain and with momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..device import Array
from ..kernels import Kernel, inplace
from .optimizer import Optimizer
from .rule import Group


def decayed(g: Array, w: Array, decay: float, out: Array) -> Array:
    """Return ``g + decay * w``, written to `out`; `g` itself if there is no decay: 0 times an infinite w is NaN."""
    if not decay:
        return g
    np.multiply(w, decay, out=out)
    out += g
    return out


@inplace("T g, A lr, A decay", "T w", "w -= lr * (decay == 0 ? A(g) : g + decay * w)", scratch=1)
def sgd(g, lr, decay, w, t):
    """Step of plain SGD."""
    np.multiply(decayed(g, w, decay, t), lr, out=t)
    w -= t


@inplace(
    "T g, A lr, A decay, A keep, A take, A nesterov",
    "T w, T buf",
    """A d = decay == 0 ? A(g) : g + decay * w;
    buf = keep * buf + take * d;
    w -= lr * (nesterov > A(0) ? d + nesterov * buf : buf)""",
    scratch=2,
)
def sgd_momentum(g, lr, decay, keep, take, nesterov, w, buf, t, s):
    """Step of SGD with momentum; `nesterov` is the momentum with which to look ahead, or 0."""
    d = decayed(g, w, decay, t)
    buf *= keep
    np.multiply(d, take, out=s)
    buf += s
    if nesterov:
        np.multiply(buf, nesterov, out=s)
        s += d
        s *= lr
    else:
        np.multiply(buf, lr, out=s)
    w -= s


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and Nesterov's look-ahead if asked for.

    ``d = g + weight_decay * w``; without momentum ``w -= lr * d``. With it ``buf = d`` in the first step, later
    ``buf = momentum * buf + (1 - dampening) * d``; and ``w -= lr * buf``, or with Nesterov
    ``w -= lr * (d + momentum * buf)``.

    Args:
        params, maximize: see `Optimizer`.
        lr, momentum, weight_decay: as in the formula, >= 0.
        dampening: in [0, 1).
        nesterov: needs momentum and no dampening.

    Source: Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning",
    with ``lr`` outside of the momentum (equal as long as ``lr`` is constant).

    Example:
        >>> w = cunet.tensor([1.0, 2.0], requires_grad=True)
        >>> optimizer = optim.SGD([w], lr=0.25, momentum=0.5)
        >>> for _ in range(2):
        ...     optimizer.zero_grad()
        ...     (w**2).sum().backward()
        ...     optimizer.step()
        ...     print(w.data)
        [0.5 1. ]
        [0. 0.]
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    def _check(self, group: Group) -> None:
        super()._check(group)
        self._within(group, 0, float("inf"), "momentum")
        self._within(group, 0, 1, "dampening")
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise ValueError(
                "SGD: nesterov needs momentum > 0 and dampening 0,"
                f" got momentum {group['momentum']}, dampening {group['dampening']}"
            )

    def slots(self, group: Group) -> dict[str, float]:
        """Return the momentum buffer, if there is momentum."""
        return {"momentum_buffer": 0.0} if group["momentum"] else {}

    def kernel(self, group: Group) -> Kernel:
        """Return the kernel with or without momentum."""
        return sgd_momentum if group["momentum"] else sgd

    def advance(self, group: Group, numbers: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the next step count, and the scalars of this step."""
        (step,) = numbers
        scalars: tuple[Any, ...] = group["lr"], group["weight_decay"]
        if group["momentum"]:
            # The buffer starts as the first gradient, undampened: it is 0 before the first step.
            take = 1.0 - group["dampening"] * (step > 0)
            scalars += group["momentum"], take, group["momentum"] if group["nesterov"] else 0.0
        return (step + 1,), scalars
