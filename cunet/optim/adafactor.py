"""Adafactor: squares of gradients by rows and columns in place of one for each element."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..device import Array, array_module, device_of, to_device
from .clip import vector_norm
from .layerwise import Layer, LayerOptimizer
from .ondevice import root
from .rule import Group, State


class Adafactor(LayerOptimizer):
    """Divide the gradient by the root of its running square, which for a matrix is kept as sums of rows and columns.

    ``take = step**beta2_decay``, ``row += take * (mean(g**2, axis=-1) - row)``, ``col`` likewise over the axis before,
    ``v = row * col / mean(row)``, ``u = g / sqrt(v)``, ``u /= max(1, rms(u) / d)``,
    ``w = w * (1 - lr * weight_decay) - max(eps2, rms(w)) * min(lr, 1 / sqrt(step)) * u``, where ``rms`` is the root of
    the mean square. So n * m weights keep n + m numbers; parameters of fewer than two axes keep one an element.

    On a CPU a step of recorded training is done by Python.

    Args:
        params, maximize: see `Optimizer`.
        lr, weight_decay: as in the formula, >= 0.
        beta2_decay: <= 0; how fast the running square forgets less.
        eps: (eps1, eps2): the smallest ``sqrt(v)``, by default the distance from 1 to the next float, and the smallest
            ``rms(w)`` that counts.
        d: the largest ``rms(u)``, > 0.

    Source: Shazeer, Stern 2018, arXiv:1804.04235, algorithms 4 and 5, without momentum; ``eps1`` as in PyTorch.

    Example:
        >>> layer = nn.Linear(1000, 500)
        >>> optimizer = optim.Adafactor(layer.parameters())
        >>> layer(np.ones((1, 1000), np.float32)).sum().backward()
        >>> optimizer.step()
        >>> optimizer.state[0]["row_var"].shape, optimizer.state[0]["col_var"].shape  # Adam keeps (500, 1000), twice
        ((500, 1), (1, 1000))
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "beta2_decay": beta2_decay,
                "eps": eps,
                "d": d,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
        )

    def _check(self, group: Group) -> None:
        eps = group["eps"]
        if not isinstance(eps, tuple | list) or len(eps) != 2:
            raise ValueError(f"Adafactor: eps must be two numbers, got {eps!r}")
        super()._check({**group, "eps": [e for e in eps if e is not None]})
        self._within(group, -math.inf, math.inf, "beta2_decay", "d")
        if group["beta2_decay"] > 0 or group["d"] <= 0:
            raise ValueError(
                f"Adafactor: beta2_decay must be <= 0 and d > 0, got {group['beta2_decay']} and {group['d']}"
            )

    def state_shapes(self, group: Group, p: Tensor) -> dict[str, tuple[int, ...]]:
        """Return the means of squares of rows and columns; of vectors and numbers the running square itself."""
        shape = p.data.shape
        if len(shape) < 2:
            return {"master": shape, "variance": shape}
        return {"master": shape, "row_var": (*shape[:-1], 1), "col_var": (*shape[:-2], 1, shape[-1])}

    def path(self, group: Group) -> tuple[Any, ...]:
        """Return what decides which calls a step makes."""
        return (group["eps"][0] is None, *super().path(group))

    def advance(self, group: Group, numbers: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the next step count; what squares take in, eps1 or 0, eps2, d, what decay leaves, and the rate."""
        step, lr, (eps1, eps2) = numbers[0] + 1, group["lr"], group["eps"]
        longest = 1 / root(step)
        slow = longest > lr
        rate = slow * lr + (1 - slow) * longest  # the smaller one, by arithmetic that can be written down
        take, shrink = step ** group["beta2_decay"], 1 - lr * group["weight_decay"]
        return (step,), (take, 0.0 if eps1 is None else eps1, eps2, group["d"], shrink, rate)

    def update(self, group: Group, scalars: tuple[Any, ...], layers: Iterable[Layer]) -> None:
        """Write the new weights of each layer."""
        take, eps1, eps2, d, shrink, rate = scalars
        for state, g, w in layers:
            xp = array_module(w)
            least = float(np.finfo(w.dtype).eps) if group["eps"][0] is None else eps1
            u = g * (1 / xp.maximum(_root(state, take, g, w, least), least))
            length = rate * xp.maximum(_rms(w), eps2)
            if group["weight_decay"]:
                w *= shrink
            w -= u * (length / xp.maximum(_rms(u) / d, 1))


def _root(state: State, take: Any, g: Array, w: Array, least: Any) -> Array:
    """Return the root of the running square, brought up to date."""
    xp, square = array_module(w), g * g
    if w.ndim < 2:
        return xp.sqrt(_averaged(state, "variance", xp.asarray(square), take, w))
    row = _averaged(state, "row_var", square.mean(axis=-1, keepdims=True), take, w)
    col = _averaged(state, "col_var", square.mean(axis=-2, keepdims=True), take, w)
    # Roots first: a product of two squares may leave the range of floats.
    return xp.sqrt(row / xp.maximum(row.mean(axis=-2, keepdims=True), least)) * xp.sqrt(col)


def _averaged(state: State, name: str, new: Array, take: Any, w: Array) -> Array:
    """Bring a mean in the state up to date, where `w` lies and in its dtype; return it. `new` is overwritten."""
    old = state.get(name)
    if old is None:
        state[name] = array_module(w).zeros(new.shape, w.dtype)
    else:
        state[name] = to_device(old, device_of(w)).astype(w.dtype, copy=False)
    new -= state[name]
    new *= take
    state[name] += new
    return state[name]


def _rms(x: Array) -> Array:
    return vector_norm(x.reshape(-1), 2.0) / math.sqrt(x.size)
