"""Muon: the momentum of a matrix, made orthogonal."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

from ..device import Array, array_module, is_gpu_array
from ..ops.linalg import product
from ..system.checks import check_counts
from .clip import vector_norm
from .layerwise import Layer, LayerOptimizer
from .rule import Group


class Muon(LayerOptimizer):
    """Step by a matrix with nearly all singular values 1 in place of the momentum's own; for hidden layers' weights.

    ``m = momentum * m + (1 - momentum) * g``, ``u = momentum * m + (1 - momentum) * g`` (without `nesterov` ``m``),
    ``x = u / max(norm(u), eps)``, then `ns_steps` times ``x = a * x + (b * s + c * s @ s) @ x`` with ``s = x @ x.T``,
    and ``w = w * (1 - lr * weight_decay) - lr * scale * x``. With the coefficients (a, b, c) given, singular values
    end between some 0.7 and 1.2. It is done in the weights' own precision.

    Other parameters, and usually the first and the last layer's, go to another optimiser. On a CPU a step of
    recorded training is done by Python.

    Args:
        params, maximize: see `Optimizer`; each of two axes.
        lr, weight_decay, eps: as in the formula, >= 0.
        momentum: in [0, 1).
        nesterov: mix the gradient in once more.
        ns_coefficients, ns_steps: (a, b, c), and how often, below 100.
        adjust_lr_fn: what ``scale`` is, for a weight of n rows and m columns: "original", the same as None,
            ``sqrt(max(1, n / m))``; "match_rms_adamw" ``0.2 * sqrt(max(n, m))``, for rates as those of AdamW.

    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; Liu et al. 2025,
    arXiv:2502.16982, equations 2 to 4.

    Example:
        >>> model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2))
        >>> hidden = model[2].weight
        >>> others = [p for p in model.parameters() if p is not hidden]
        >>> optimizers = optim.Muon([hidden], lr=0.02), optim.AdamW(others, lr=1e-3)
        >>> optim.Muon([model[2].bias])
        Traceback (most recent call last):
            ...
        ValueError: Muon: parameter 0 must have two axes, got shape (16,); another optimizer trains it
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "nesterov": nesterov,
                "ns_coefficients": ns_coefficients,
                "eps": eps,
                "ns_steps": ns_steps,
                "adjust_lr_fn": adjust_lr_fn,
                "maximize": maximize,
            },
        )

    def _check_params(self, named: Sequence[tuple[str | None, Any]]) -> None:
        super()._check_params(named)
        for i, (name, p) in enumerate(named):
            if p.data.ndim != 2:
                raise ValueError(
                    f"Muon: parameter {i if name is None else repr(name)} must have two axes, got shape {p.data.shape};"
                    " another optimizer trains it"
                )

    def _check(self, group: Group) -> None:
        super()._check(group)
        self._within(group, 0, 1, "momentum")
        self._within(group, 0, 100, "ns_steps")
        self._within(group, -math.inf, math.inf, "ns_coefficients")
        check_counts("Muon", 0, ns_steps=group["ns_steps"])
        if not isinstance(group["ns_coefficients"], tuple | list) or len(group["ns_coefficients"]) != 3:
            raise ValueError(f"Muon: ns_coefficients must be three numbers, got {group['ns_coefficients']!r}")
        if group["adjust_lr_fn"] not in (None, "original", "match_rms_adamw"):
            raise ValueError(
                f'Muon: adjust_lr_fn must be None, "original" or "match_rms_adamw", got {group["adjust_lr_fn"]!r}'
            )

    def slots(self, group: Group) -> dict[str, float]:
        """Return the running mean of the gradient."""
        return {"momentum_buffer": 0.0}

    def path(self, group: Group) -> tuple[Any, ...]:
        """Return what decides which calls a step makes."""
        return (group["ns_steps"], *super().path(group))

    def advance(self, group: Group, numbers: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the next step count; settings, what decay leaves, and the rate for each shape of weights."""
        lr, momentum, by_width = group["lr"], group["momentum"], group["adjust_lr_fn"] == "match_rms_adamw"
        rates = [lr * _scale(shape, by_width) for shape in _shapes(group)]
        shrink = 1 - lr * group["weight_decay"]
        return (numbers[0] + 1,), (momentum, 1 - momentum, *group["ns_coefficients"], group["eps"], shrink, *rates)

    def update(self, group: Group, scalars: tuple[Any, ...], layers: Iterable[Layer]) -> None:
        """Write the new weights of each layer."""
        momentum, take, a, b, c, eps, shrink, *rates = scalars
        by_shape = dict(zip(_shapes(group), rates, strict=True))
        for state, g, w in layers:
            m = state["momentum_buffer"]
            m += take * (g - m)
            u = g + momentum * (m - g) if group["nesterov"] else m
            x = orthogonalized(u, (a, b, c), group["ns_steps"], eps)
            if group["weight_decay"]:
                w *= shrink
            w -= by_shape[w.shape] * x


def _shapes(group: Group) -> list[tuple[int, int]]:
    """Return each shape that a group's weights have, once."""
    return list(dict.fromkeys([p.data.shape for p in group["params"]]))


def _scale(shape: tuple[int, int], by_width: bool) -> float:
    """Return by what a rate is multiplied for weights of a shape."""
    rows, columns = shape
    if by_width:
        return 0.2 * math.sqrt(max(rows, columns))
    return math.sqrt(max(1, rows / max(columns, 1)))


def orthogonalized(u: Array, coefficients: tuple[Any, ...], steps: int, eps: Any) -> Array:
    """Return about ``U @ V.T`` of a matrix ``u = U @ S @ V.T``, by steps of Newton and Schulz of fifth order.

    Args:
        u: (n, m).
        coefficients: (a, b, c): a step makes of a singular value s ``a * s + b * s**3 + c * s**5``.
        steps: how often.
        eps: the smallest norm of `u` that it is divided by.
    """
    a, b, c = coefficients
    # A graph can capture the product; of x and x.T NumPy computes one half.
    multiply = product if is_gpu_array(u) else operator.matmul
    x = u / array_module(u).maximum(vector_norm(u.reshape(-1), 2.0), eps)
    if u.shape[0] > u.shape[1]:  # so that the square is the smaller one
        x = x.T
    for _ in range(steps):
        square = multiply(x, x.T)
        factor = multiply(square, square)
        factor *= c
        factor += b * square
        y = multiply(factor, x)
        y += a * x
        x = y
    return x.T if u.shape[0] > u.shape[1] else x
