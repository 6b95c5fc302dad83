"""Adam, AdamW and NAdam."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..device import Array
from ..kernels import Kernel, inplace
from .adaptive import average
from .optimizer import Optimizer
from .rule import Group
from .sgd import decayed


def moments(
    g: Array, w: Array, m: Array, v: Array, decay: float, shrink: float, betas: tuple[float, ...], t: Array, s: Array
) -> Array:
    """Shrink the weights, bring the running means of g and g**2 up to date; return g with its decay."""
    keep1, take1, keep2, take2 = betas
    d = decayed(g, w, decay, t)
    if shrink != 1:
        w *= shrink
    average(m, d, keep1, take1, s)
    average(v, np.multiply(d, d, out=s), keep2, take2, s)
    return d


@inplace(
    "T g, A decay, A shrink, A keep1, A take1, A keep2, A take2, A rate, A eps",
    "T w, T m, T v",
    """A d = decay == 0 ? A(g) : g + decay * w;
    m = keep1 * m + take1 * d;
    v = keep2 * v + take2 * d * d;
    w = shrink * w - rate * m / (sqrt(v) + eps)""",
    scratch=2,
)
def adam(g, decay, shrink, keep1, take1, keep2, take2, rate, eps, w, m, v, t, s):
    """Step of Adam; `rate` and `eps` hold the bias corrections."""
    moments(g, w, m, v, decay, shrink, (keep1, take1, keep2, take2), t, s)
    np.sqrt(v, out=s)
    s += eps
    np.divide(m, s, out=s)
    s *= rate
    w -= s


@inplace(
    "T g, A decay, A shrink, A keep1, A take1, A keep2, A take2, A rate, A eps",
    "T w, T m, T v, T top",
    """A d = decay == 0 ? A(g) : g + decay * w;
    m = keep1 * m + take1 * d;
    v = keep2 * v + take2 * d * d;
    top = top > v ? top : v;
    w = shrink * w - rate * m / (sqrt(top) + eps)""",
    scratch=2,
)
def amsgrad(g, decay, shrink, keep1, take1, keep2, take2, rate, eps, w, m, v, top, t, s):
    """Step of Adam with the largest of all running squares so far."""
    moments(g, w, m, v, decay, shrink, (keep1, take1, keep2, take2), t, s)
    np.maximum(top, v, out=top)
    np.sqrt(top, out=s)
    s += eps
    np.divide(m, s, out=s)
    s *= rate
    w -= s


@inplace(
    "T g, A decay, A shrink, A keep1, A take1, A keep2, A take2, A rate_g, A rate_m, A eps",
    "T w, T m, T v",
    """A d = decay == 0 ? A(g) : g + decay * w;
    m = keep1 * m + take1 * d;
    v = keep2 * v + take2 * d * d;
    w = shrink * w - (rate_g * d + rate_m * m) / (sqrt(v) + eps)""",
    scratch=2,
)
def nadam(g, decay, shrink, keep1, take1, keep2, take2, rate_g, rate_m, eps, w, m, v, t, s):
    """Step of NAdam; the rates and `eps` hold the bias corrections."""
    d = moments(g, w, m, v, decay, shrink, (keep1, take1, keep2, take2), t, s)
    np.multiply(d, rate_g, out=t)
    np.multiply(m, rate_m, out=s)
    t += s
    np.sqrt(v, out=s)
    s += eps
    t /= s
    w -= t


class _Moments(Optimizer):
    """What Adam and NAdam share: two running means, and weight decay of both kinds."""

    def slots(self, group: Group) -> dict[str, float]:
        """Return the running means of the gradient and of its square."""
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def _shared(self, group: Group) -> tuple[Any, ...]:
        """Return the first six scalars of the kernels."""
        lr, decay, (beta1, beta2) = group["lr"], group["weight_decay"], group["betas"]
        decoupled = group["decoupled_weight_decay"] and decay
        return 0.0 if decoupled else decay, 1 - lr * decay if decoupled else 1.0, beta1, 1 - beta1, beta2, 1 - beta2


class Adam(_Moments):
    """Divide the running mean of the gradient by the root of the running mean of its square.

    ``d = g + weight_decay * w``, ``m = beta1 * m + (1 - beta1) * d``, ``v = beta2 * v + (1 - beta2) * d**2``,
    ``w -= lr * (m / (1 - beta1**step)) / (sqrt(v / (1 - beta2**step)) + eps)``. With `amsgrad` the largest ``v`` so far
    takes its place in the last formula; with `decoupled_weight_decay` see `AdamW`.

    Args:
        params, maximize: see `Optimizer`.
        lr, eps, weight_decay: as in the formula, >= 0.
        betas: (beta1, beta2), each in [0, 1).
        amsgrad: never let the rate of an element grow again.
        decoupled_weight_decay: shrink the weights by ``1 - lr * weight_decay`` instead of adding to the gradient.

    Source: Kingma, Ba 2015, arXiv:1412.6980, algorithm 1; amsgrad: Reddi, Kale, Kumar 2018, arXiv:1904.09237,
    algorithm 2 (with bias corrections, as in PyTorch).

    Example:
        >>> w = cunet.tensor([1.0, 1.0], requires_grad=True)
        >>> optimizer = optim.Adam([w], lr=0.1)
        >>> w.grad = np.array([0.001, 1000.0], np.float32)
        >>> optimizer.step()
        >>> w.numpy().round(4)  # the first step is `lr` long, whatever the gradient
        array([0.9, 0.9], dtype=float32)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
            },
        )

    def slots(self, group: Group) -> dict[str, float]:
        """Return the running means, and the largest squares for amsgrad."""
        return super().slots(group) | ({"max_exp_avg_sq": 0.0} if group["amsgrad"] else {})

    def kernel(self, group: Group) -> Kernel:
        """Return the kernel."""
        return amsgrad if group["amsgrad"] else adam

    def advance(self, group: Group, numbers: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the next step count, and the scalars of this step."""
        step = numbers[0] + 1
        beta1, beta2 = group["betas"]
        # sqrt(v / c) + eps = (sqrt(v) + eps * sqrt(c)) / sqrt(c): the corrections cost no pass over the arrays.
        root = (1 - beta2**step) ** 0.5
        rate = group["lr"] / (1 - beta1**step) * root
        return (step,), (*self._shared(group), rate, group["eps"] * root)


class AdamW(Adam):
    """Adam with weight decay that is not part of the gradient: ``w *= 1 - lr * weight_decay`` in each step.

    Args:
        params, maximize: see `Optimizer`.
        lr, betas, eps, amsgrad: see `Adam`.
        weight_decay: as in the formula, >= 0.

    Source: Loshchilov, Hutter 2019, arXiv:1711.05101, algorithm 2.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
        >>> optimizer = optim.AdamW(optim.no_decay_groups(model, 0.01), lr=1e-3)
        >>> [(len(group["params"]), group["weight_decay"]) for group in optimizer.param_groups]
        [(2, 0.01), (4, 0.0)]
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, decoupled_weight_decay=True, maximize=maximize)


class NAdam(_Moments):
    """Adam with Nesterov's look-ahead.

    ``mu(t) = beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))``, ``product = mu(1) * ... * mu(t)``,
    ``m`` and ``v`` as in `Adam`,
    ``up = d * (1 - mu(t)) / (1 - product) + m * mu(t + 1) / (1 - product * mu(t + 1))``,
    ``w -= lr * up / (sqrt(v / (1 - beta2**t)) + eps)``.

    Args:
        params, maximize: see `Optimizer`.
        lr, eps, weight_decay, momentum_decay: as in the formula, >= 0.
        betas: (beta1, beta2), each in [0, 1).
        decoupled_weight_decay: see `Adam`.

    Source: Dozat 2016, "Incorporating Nesterov momentum into Adam", algorithm 2 and section 3.2.

    Example:
        >>> w = cunet.tensor([1.0], requires_grad=True)
        >>> optimizer = optim.NAdam([w], lr=0.1)
        >>> for _ in range(100):
        ...     w.grad = 2 * w.data  # of w**2
        ...     optimizer.step()
        >>> f"{abs(w.item()):.4f}"
        '0.0000'
    """

    numbers = {"step": 0, "mu_product": 1.0}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
            },
        )

    def _check(self, group: Group) -> None:
        super()._check(group)
        self._within(group, 0, float("inf"), "momentum_decay")

    def kernel(self, group: Group) -> Kernel:
        """Return the kernel."""
        return nadam

    def advance(self, group: Group, numbers: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the next step count and product of momenta, and the scalars of this step."""
        step, product = numbers
        step = step + 1
        beta1, beta2 = group["betas"]
        mu = beta1 * (1 - 0.5 * 0.96 ** (step * group["momentum_decay"]))
        after = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * group["momentum_decay"]))
        product = product * mu
        root = (1 - beta2**step) ** 0.5  # as in Adam
        rate_g = group["lr"] * (1 - mu) / (1 - product) * root
        rate_m = group["lr"] * after / (1 - product * after) * root
        return (step, product), (*self._shared(group), rate_g, rate_m, group["eps"] * root)
