"""LAMB: Adam's direction, with a step of each parameter as long as a part of the parameter itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..device import array_module
from ..kernels import Kernel
from .adam import adam
from .clip import vector_norm
from .layerwise import Layer, LayerOptimizer
from .ondevice import root
from .rule import Group


class LAMB(LayerOptimizer):
    """Scale Adam's step for each parameter array by the norm of that array; for large batches.

    ``m = beta1 * m + (1 - beta1) * g``, ``v = beta2 * v + (1 - beta2) * g**2``,
    ``u = (m / (1 - beta1**step)) / (sqrt(v / (1 - beta2**step)) + eps) + weight_decay * w``,
    ``w -= lr * norm(w) / norm(u) * u``; where one of the norms is 0 their quotient counts as 1. Scaling a gradient
    changes nothing, and a step moves a parameter by ``lr`` of its norm, whatever its layer.

    On a CPU a step of recorded training is done by Python.

    Args:
        params, maximize: see `Optimizer`.
        lr, eps, weight_decay: as in the formula, >= 0.
        betas: (beta1, beta2), each in [0, 1).

    Source: You et al. 2020, arXiv:1904.00962, algorithm 2, with the identity for its function of the norm.

    Example:
        >>> w = cunet.tensor([[3.0, 0.0], [0.0, 4.0]], requires_grad=True)  # of norm 5
        >>> optimizer = optim.LAMB([w], lr=0.1, weight_decay=0.0)
        >>> w.grad = np.ones((2, 2), np.float32)
        >>> optimizer.step()
        >>> w.numpy().round(4)  # moved by 0.1 * 5 in all, by half of it in each of the 4 elements
        array([[ 2.75, -0.25],
               [-0.25,  3.75]], dtype=float32)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
        *,
        maximize: bool = False,
    ) -> None:
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, settings)

    def slots(self, group: Group) -> dict[str, float]:
        """Return the running means of the gradient and of its square."""
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def foreseen(self, group: Group) -> list[Kernel]:
        """Return Adam's kernel, which computes the direction."""
        return [adam]

    def advance(self, group: Group, numbers: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the next step count; the last six scalars of Adam's kernel, with a rate of -1, decay and rate."""
        step, (beta1, beta2) = numbers[0] + 1, group["betas"]
        spread = root(1 - beta2**step)
        scalars = (beta1, 1 - beta1, beta2, 1 - beta2, spread / (beta1**step - 1), group["eps"] * spread)
        return (step,), (*scalars, group["weight_decay"], group["lr"])

    def update(self, group: Group, scalars: tuple[Any, ...], layers: Iterable[Layer]) -> None:
        """Write the new weights of each layer."""
        *of_adam, decay, rate = scalars
        for state, g, w in layers:
            xp = array_module(w)
            u, means = xp.zeros(w.size, w.dtype), [state[name].reshape(-1) for name in ("exp_avg", "exp_avg_sq")]
            adam(g.reshape(-1), 0.0, 1.0, *of_adam, u, *means)  # from 0, by a rate of -1: the direction itself
            flat = w.reshape(-1)
            if group["weight_decay"]:
                u += decay * flat
            size, length = vector_norm(flat, 2.0), vector_norm(u, 2.0)
            # First to length 1: norm(w) / norm(u) may be too large for a float.
            u /= xp.where(length > 0, length, 1)
            u *= xp.where(size > 0, size, length)
            u *= rate
            flat -= u
