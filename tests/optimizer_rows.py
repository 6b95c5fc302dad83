"""The table of optimisers: for each the oracle of one element, in Python floats, and the settings it is tested with.

An optimiser that is added gets its block here; all tests that go over the optimisers read this table.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from cunet import optim
from cunet.autograd.tensor import Tensor

ORACLES: dict[type[optim.Optimizer], Callable[..., float]] = {}
ROWS: list[tuple[type[optim.Optimizer], dict[str, Any]]] = []


def oracle_of(cls, *rows):
    """Enter a function ``oracle(w, gradients, **settings) -> w`` that follows the paper's own order of things."""

    def enter(oracle):
        ORACLES[cls] = oracle
        ROWS.extend((cls, row) for row in rows)
        return oracle

    return enter


def full_row(cls):
    """Return the row of an optimiser that keeps most in its state; of several the last."""

    def slots(row):
        optimizer = cls([Tensor(np.zeros(1), requires_grad=True)], **row[1])
        return len(optimizer.slots(optimizer.param_groups[0]))

    return max((row for row in reversed(ROWS) if row[0] is cls), key=slots)


def row_id(row):
    return "-".join([row[0].__name__, *(f"{k}={v}" for k, v in row[1].items())])


@oracle_of(
    optim.SGD,
    {},
    {"lr": 0.1, "weight_decay": 0.3},
    {"lr": 0.1, "momentum": 0.9},
    {"lr": 0.1, "momentum": 0.8, "dampening": 0.4, "weight_decay": 0.2},
    {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.2},
)
def sgd_oracle(w, grads, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
    velocity = None
    for g in grads:
        g = g + weight_decay * w
        if momentum:
            velocity = g if velocity is None else momentum * velocity + (1 - dampening) * g
            g = g + momentum * velocity if nesterov else velocity
        w = w - lr * g
    return w


@oracle_of(
    optim.RMSprop,
    {},
    {"lr": 0.1, "alpha": 0.7, "eps": 0.1, "weight_decay": 0.2},
    {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.2},
    {"lr": 0.1, "centered": True, "alpha": 0.8, "eps": 1e-3},
    {"lr": 0.1, "centered": True, "alpha": 0.8, "eps": 1e-3, "momentum": 0.5, "weight_decay": 0.2},
)
def rmsprop_oracle(w, grads, lr=0.01, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False):
    square = mean = velocity = 0.0
    for g in grads:
        g = g + weight_decay * w
        square += (1 - alpha) * (g**2 - square)
        mean += (1 - alpha) * (g - mean)
        spread = math.sqrt(square - mean**2) if centered else math.sqrt(square)
        velocity = momentum * velocity + g / (spread + eps)
        w = w - lr * velocity
    return w


@oracle_of(
    optim.Adagrad,
    {},
    {"lr": 0.5, "lr_decay": 0.3, "weight_decay": 0.2, "initial_accumulator_value": 0.5, "eps": 0.01},
)
def adagrad_oracle(w, grads, lr=0.01, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10):
    squares = [initial_accumulator_value]
    for t, g in enumerate(grads):
        g = g + weight_decay * w
        squares.append(g * g)
        w = w - lr / (1 + t * lr_decay) * g / (math.sqrt(math.fsum(squares)) + eps)
    return w


@oracle_of(
    optim.Adadelta,
    {},
    {"lr": 0.5, "rho": 0.7, "eps": 0.01, "weight_decay": 0.2},
)
def adadelta_oracle(w, grads, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0.0):
    square = change = 0.0
    for g in grads:
        g = g + weight_decay * w
        square = rho * square + (1 - rho) * g**2
        delta = -math.sqrt(change + eps) / math.sqrt(square + eps) * g
        change = rho * change + (1 - rho) * delta**2
        w = w + lr * delta
    return w


@oracle_of(
    optim.Adam,
    {},
    {"lr": 0.1, "betas": (0.7, 0.9), "eps": 0.1, "weight_decay": 0.2},
    {"lr": 0.1, "betas": (0.4, 0.6), "amsgrad": True, "weight_decay": 0.2, "eps": 0.1},
    {"lr": 0.1, "weight_decay": 0.2, "decoupled_weight_decay": True},
)
def adam_oracle(
    w, grads, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False, decoupled_weight_decay=False
):
    # The running means as explicit weighted sums of all gradients so far.
    seen, top = [], 0.0
    for t, g in enumerate(grads, 1):
        if decoupled_weight_decay:
            w = w - lr * weight_decay * w
        else:
            g = g + weight_decay * w
        seen.append(g)
        m = math.fsum((1 - betas[0]) * betas[0] ** (t - 1 - i) * x for i, x in enumerate(seen))
        v = math.fsum((1 - betas[1]) * betas[1] ** (t - 1 - i) * x * x for i, x in enumerate(seen))
        top = max(top, v) if amsgrad else v
        w = w - lr * (m / (1 - betas[0] ** t)) / (math.sqrt(top / (1 - betas[1] ** t)) + eps)
    return w


@oracle_of(
    optim.AdamW,
    {},
    {"lr": 0.1, "betas": (0.5, 0.6), "weight_decay": 0.3, "eps": 0.1},
    {"lr": 0.1, "betas": (0.4, 0.6), "weight_decay": 0.3, "amsgrad": True},
)
def adamw_oracle(w, grads, weight_decay=1e-2, **kw):
    return adam_oracle(w, grads, weight_decay=weight_decay, decoupled_weight_decay=True, **kw)


@oracle_of(
    optim.NAdam,
    {},
    {"lr": 0.1, "betas": (0.7, 0.9), "eps": 0.1, "weight_decay": 0.2, "momentum_decay": 0.5},
    {"lr": 0.1, "weight_decay": 0.2, "decoupled_weight_decay": True},
)
def nadam_oracle(
    w,
    grads,
    lr=2e-3,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    momentum_decay=4e-3,
    decoupled_weight_decay=False,
):
    mu = [betas[0] * (1 - 0.5 * 0.96 ** (t * momentum_decay)) for t in range(1, len(grads) + 2)]
    m = v = 0.0
    for t, g in enumerate(grads, 1):
        if decoupled_weight_decay:
            w = w * (1 - lr * weight_decay)
        else:
            g = g + weight_decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        look = mu[t] * m / (1 - math.prod(mu[: t + 1])) + (1 - mu[t - 1]) * g / (1 - math.prod(mu[:t]))
        w = w - lr * look / (math.sqrt(v / (1 - betas[1] ** t)) + eps)
    return w


@oracle_of(
    optim.Lion,
    {},
    {"lr": 0.1, "betas": (0.6, 0.8), "weight_decay": 0.3},
)
def lion_oracle(w, grads, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
    m = 0.0
    for g in grads:
        c = betas[0] * m + (1 - betas[0]) * g
        direction = (c > 0) - (c < 0)
        w = w - lr * (direction + weight_decay * w)
        m = betas[1] * m + (1 - betas[1]) * g
    return w


#: One row per optimiser, with all that it keeps in its state.
FULL_ROWS = [full_row(cls) for cls in ORACLES]

#: Optimisers whose step is of whole parameters; `test_layerwise` has their oracles.
LAYER_ROWS = [
    (optim.LAMB, {}),
    (optim.LAMB, {"lr": 0.1, "betas": (0.5, 0.6), "weight_decay": 0.3, "eps": 0.1}),
    (optim.Adafactor, {}),
    (optim.Adafactor, {"lr": 0.3, "beta2_decay": -0.3, "eps": (1e-2, 0.1), "d": 0.5, "weight_decay": 0.3}),
    (optim.Muon, {}),
    (optim.Muon, {"lr": 0.1, "weight_decay": 0.3, "nesterov": False, "momentum": 0.5, "ns_steps": 3}),
    (optim.Muon, {"lr": 0.1, "ns_coefficients": (1.5, -0.5, 0.0), "ns_steps": 20, "adjust_lr_fn": "match_rms_adamw"}),
]
