"""RMSprop, Adagrad: rates per element, from the squares of past gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..device import Array
from ..kernels import Kernel, inplace
from .optimizer import Optimizer
from .rule import Group
from .sgd import decayed


def average(a: Array, new: Array, keep: float, take: float, t: Array) -> None:
    """Compute ``a = keep * a + take * new`` in place; `t` is overwritten and may be `new`."""
    np.multiply(new, take, out=t)
    a *= keep
    a += t


@inplace(
    "T g, A lr, A decay, A alpha, A rest, A eps",
    "T w, T v",
    """A d = decay == 0 ? A(g) : g + decay * w;
    v = alpha * v + rest * d * d;
    w -= lr * d / (sqrt(v) + eps)""",
    scratch=2,
)
def rmsprop(g, lr, decay, alpha, rest, eps, w, v, t, s):
    """Step of RMSprop."""
    d = decayed(g, w, decay, t)
    average(v, np.multiply(d, d, out=s), alpha, rest, s)
    np.sqrt(v, out=s)
    s += eps
    np.divide(d, s, out=s)
    s *= lr
    w -= s


@inplace(
    "T g, A lr, A decay, A alpha, A rest, A eps, A momentum",
    "T w, T v, T buf",
    """A d = decay == 0 ? A(g) : g + decay * w;
    v = alpha * v + rest * d * d;
    buf = momentum * buf + d / (sqrt(v) + eps);
    w -= lr * buf""",
    scratch=2,
)
def rmsprop_momentum(g, lr, decay, alpha, rest, eps, momentum, w, v, buf, t, s):
    """Step of RMSprop with momentum."""
    d = decayed(g, w, decay, t)
    average(v, np.multiply(d, d, out=s), alpha, rest, s)
    np.sqrt(v, out=s)
    s += eps
    np.divide(d, s, out=s)
    buf *= momentum
    buf += s
    np.multiply(buf, lr, out=s)
    w -= s


@inplace(
    "T g, A lr, A decay, A alpha, A rest, A eps, A momentum",
    "T w, T v, T mean, T buf",
    """A d = decay == 0 ? A(g) : g + decay * w;
    v = alpha * v + rest * d * d;
    mean = alpha * mean + rest * d;
    A variance = v - mean * mean;
    buf = momentum * buf + d / (sqrt(variance > A(0) ? variance : A(0)) + eps);
    w -= lr * buf""",
    scratch=2,
)
def rmsprop_centered(g, lr, decay, alpha, rest, eps, momentum, w, v, mean, buf, t, s):
    """Step of centered RMSprop, with momentum or without (0)."""
    d = decayed(g, w, decay, t)
    average(v, np.multiply(d, d, out=s), alpha, rest, s)
    average(mean, d, alpha, rest, s)
    np.multiply(mean, mean, out=s)
    np.subtract(v, s, out=s)
    np.maximum(s, 0, out=s)  # rounding makes it negative where all gradients were equal
    np.sqrt(s, out=s)
    s += eps
    np.divide(d, s, out=s)
    buf *= momentum
    buf += s
    np.multiply(buf, lr, out=s)
    w -= s


class RMSprop(Optimizer):
    """Divide the gradient by a running root mean square of it.

    ``d = g + weight_decay * w``, ``v = alpha * v + (1 - alpha) * d**2``, ``w -= lr * d / (sqrt(v) + eps)``. Centered:
    ``mean = alpha * mean + (1 - alpha) * d`` and ``sqrt(v - mean**2)`` instead. With momentum
    ``buf = momentum * buf + d / (sqrt(v) + eps)``, ``w -= lr * buf``.

    Args:
        params, maximize: see `Optimizer`.
        lr, eps, weight_decay, momentum: as in the formula, >= 0.
        alpha: part of the running square that is kept, in [0, 1).
        centered: divide by the standard deviation instead.

    Source: Hinton 2012, "Neural networks for machine learning", lecture 6e; centered: Graves 2013,
    arXiv:1308.0850, equations 38-41.

    Example:
        >>> w = cunet.tensor([1.0, 1.0], requires_grad=True)
        >>> optimizer = optim.RMSprop([w], lr=0.01, alpha=0.75)
        >>> w.grad = np.array([0.01, 100.0], np.float32)
        >>> optimizer.step()
        >>> w.numpy().round(4)  # the first step is lr / sqrt(1 - alpha) long, whatever the gradient
        array([0.98, 0.98], dtype=float32)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "alpha": alpha,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "centered": centered,
                "maximize": maximize,
            },
        )

    def _check(self, group: Group) -> None:
        super()._check(group)
        self._within(group, 0, 1, "alpha")
        self._within(group, 0, float("inf"), "momentum")

    def slots(self, group: Group) -> dict[str, float]:
        """Return the running square, and what centering and momentum need."""
        names = ["square_avg", *(["grad_avg"] if group["centered"] else [])]
        if group["momentum"] or group["centered"]:
            names.append("momentum_buffer")
        return dict.fromkeys(names, 0.0)

    def kernel(self, group: Group) -> Kernel:
        """Return one of the three kernels."""
        return rmsprop_centered if group["centered"] else rmsprop_momentum if group["momentum"] else rmsprop

    def advance(self, group: Group, numbers: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the next step count, and the scalars of this step."""
        (step,) = numbers
        alpha = group["alpha"]
        scalars: tuple[Any, ...] = group["lr"], group["weight_decay"], alpha, 1 - alpha, group["eps"]
        if group["momentum"] or group["centered"]:
            scalars += (group["momentum"],)
        return (step + 1,), scalars


@inplace(
    "T g, A lr, A decay, A eps",
    "T w, T total",
    """A d = decay == 0 ? A(g) : g + decay * w;
    total += d * d;
    w -= lr * d / (sqrt(total) + eps)""",
    scratch=2,
)
def adagrad(g, lr, decay, eps, w, total, t, s):
    """Step of Adagrad."""
    d = decayed(g, w, decay, t)
    np.multiply(d, d, out=s)
    total += s
    np.sqrt(total, out=s)
    s += eps
    np.divide(d, s, out=s)
    s *= lr
    w -= s


class Adagrad(Optimizer):
    """Divide the gradient by the root of the sum of its squares so far.

    ``d = g + weight_decay * w``, ``sum += d**2``, ``w -= lr / (1 + (step - 1) * lr_decay) * d / (sqrt(sum) + eps)``.

    Args:
        params, maximize: see `Optimizer`.
        lr, lr_decay, weight_decay, eps: as in the formula, >= 0.
        initial_accumulator_value: of the sum, >= 0.

    Source: Duchi, Hazan, Singer 2011, JMLR 12, "Adaptive subgradient methods", figure 1 (diagonal).

    Example:
        >>> w = cunet.tensor([1.0], requires_grad=True)
        >>> optimizer = optim.Adagrad([w], lr=0.1)
        >>> for _ in range(4):  # steps of 0.1 / sqrt(1), 0.1 / sqrt(2), ...
        ...     w.grad = np.array([5.0], np.float32)
        ...     optimizer.step()
        >>> w.numpy().round(4)
        array([0.7216], dtype=float32)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "eps": eps,
                "maximize": maximize,
            },
        )

    def _check(self, group: Group) -> None:
        super()._check(group)
        self._within(group, 0, float("inf"), "lr_decay", "initial_accumulator_value")

    def slots(self, group: Group) -> dict[str, float]:
        """Return the sum of squares."""
        return {"sum": group["initial_accumulator_value"]}

    def kernel(self, group: Group) -> Kernel:
        """Return the kernel."""
        return adagrad

    def advance(self, group: Group, numbers: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the next step count, and the scalars of this step."""
        (step,) = numbers
        lr = group["lr"] / (1 + step * group["lr_decay"])
        return (step + 1,), (lr, group["weight_decay"], group["eps"])
