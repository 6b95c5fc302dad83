"""Lion: steps of one size, in the direction of a sign."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..kernels import Kernel, inplace
from .adaptive import average
from .optimizer import Optimizer
from .rule import Group


@inplace(
    "T g, A lr, A shrink, A keep1, A take1, A keep2, A take2",
    "T w, T m",
    """A c = keep1 * m + take1 * g;
    w = shrink * w - (c > A(0) ? lr : c < A(0) ? -lr : c);
    m = keep2 * m + take2 * g""",
    scratch=2,
)
def lion(g, lr, shrink, keep1, take1, keep2, take2, w, m, t, s):
    """Step of Lion."""
    np.multiply(m, keep1, out=t)
    t += np.multiply(g, take1, out=s)
    np.sign(t, out=t)
    t *= lr
    if shrink != 1:
        w *= shrink
    w -= t
    average(m, g, keep2, take2, s)


class Lion(Optimizer):
    """Step by the sign of a running mean of the gradient, with decoupled weight decay.

    ``c = beta1 * m + (1 - beta1) * g``, ``w = w * (1 - lr * weight_decay) - lr * sign(c)``,
    ``m = beta2 * m + (1 - beta2) * g``. Every element moves by ``lr``, so choose it 3 to 10 times smaller than
    for AdamW, and `weight_decay` as many times larger.

    Args:
        params, maximize: see `Optimizer`.
        lr, weight_decay: as in the formula, >= 0.
        betas: (beta1, beta2), each in [0, 1).

    Source: Chen et al. 2023, arXiv:2302.06675, algorithm 2.

    Example:
        >>> w = cunet.tensor([1.0, 1.0, 1.0], requires_grad=True)
        >>> optimizer = optim.Lion([w], lr=0.125)
        >>> w.grad = np.array([0.001, -1000.0, 0.0], np.float32)
        >>> optimizer.step()
        >>> w.numpy()
        array([0.875, 1.125, 1.   ], dtype=float32)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "maximize": maximize})

    def slots(self, group: Group) -> dict[str, float]:
        """Return the running mean."""
        return {"exp_avg": 0.0}

    def kernel(self, group: Group) -> Kernel:
        """Return the kernel."""
        return lion

    def advance(self, group: Group, numbers: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the next step count, and the scalars of this step."""
        (step,) = numbers
        lr, (beta1, beta2) = group["lr"], group["betas"]
        return (step + 1,), (lr, 1 - lr * group["weight_decay"], beta1, 1 - beta1, beta2, 1 - beta2)
