"""Rows of the losses. The oracles go element by element, from probabilities in 30-digit arithmetic."""

import mpmath
import numpy as np

from cunet import F

from . import Case

mp = mpmath.mp.clone()
mp.dps = 30

WEIGHTS = [0.5, 2.0, 1.0, 0.25]  # of four classes


def reduced(losses, reduction, divisor=None):
    losses = np.asarray(losses, np.float64)
    if reduction == "none":
        return losses
    total = float(mp.fsum(losses.ravel().tolist()))
    return total if reduction == "sum" else total / (losses.size if divisor is None else divisor)


def probabilities(row):
    powers = [mp.exp(mp.mpf(float(v))) for v in row]
    return [p / mp.fsum(powers) for p in powers]


def cross_entropy(
    x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0, axis=1, logits=True
):
    """What the losses of classifiers mean, written as a loop over positions and classes."""
    axis = 0 if x.ndim == 1 else axis
    soft = np.issubdtype(target.dtype, np.floating)
    rows = np.moveaxis(x, axis, -1)
    wanted = np.moveaxis(target, axis, -1) if soft else target
    classes = rows.shape[-1]
    weight = [1.0] * classes if weight is None else weight
    losses, divisor = np.zeros(rows.shape[:-1]), mp.mpf(0)
    for at in np.ndindex(*rows.shape[:-1]):
        if not soft and wanted[at] == ignore_index:
            continue
        q = wanted[at].tolist() if soft else [float(c == wanted[at]) for c in range(classes)]
        logs = [mp.log(p) for p in probabilities(rows[at])] if logits else [mp.mpf(float(v)) for v in rows[at]]
        losses[at] = -mp.fsum(
            weight[c] * ((1 - label_smoothing) * q[c] + mp.mpf(label_smoothing) / classes) * logs[c]
            for c in range(classes)
        )
        divisor += 1 if soft else weight[int(wanted[at])]
    return reduced(losses, reduction, float(divisor))


def nll(*args, **kw):
    return cross_entropy(*args, **kw, logits=False)


def each(f):
    """Make an array oracle of a function of two numbers."""

    def reference(x, y, reduction="mean", **kw):
        if reduction == "batchmean":
            return reference(x, y, "sum", **kw) / len(x)
        pairs = zip(x.ravel().tolist(), y.ravel().tolist(), strict=True)
        return reduced(np.reshape([float(f(a, b, **kw)) for a, b in pairs], x.shape), reduction)

    return reference


def huber(a, b, delta=1.0):
    """The integral of the gradient, which is the error itself until it reaches delta."""
    d = abs(a - b)
    return d * d / 2 if d < delta else delta * delta / 2 + (d - delta) * delta


def smooth_l1(a, b, beta=1.0):
    return huber(a, b, beta) / beta if beta else abs(a - b)


def bernoulli(z, t):
    p = 1 / (1 + mp.exp(-mp.mpf(z)))
    return -(t * mp.log(p) + (1 - t) * mp.log(1 - p))


def weighted_bernoulli(z, t, weight=None, reduction="mean", pos_weight=None):
    w = np.broadcast_to(1.0 if weight is None else weight, z.shape)
    p = np.broadcast_to(1.0 if pos_weight is None else pos_weight, z.shape)
    losses = np.empty(z.shape)
    for at in np.ndindex(*z.shape):
        yes, no = bernoulli(z[at], 1), bernoulli(z[at], 0)
        losses[at] = float(w[at] * (p[at] * t[at] * yes + (1 - t[at]) * no))
    return reduced(losses, reduction)


def divergence(x, t, log_target=False):
    log = mp.mpf(t) if log_target else mp.log(t)
    return mp.exp(log) * (log - x)


def labelled(*shape, dtype=np.int64, ignored=None, logs=False, axis=1):
    def inputs(rng):
        x = rng.uniform(-4, 4, shape)
        if logs:
            x = x - np.abs(x).max() - 0.5
        labels = rng.integers(0, shape[axis if len(shape) > 1 else 0], shape).take(0, axis if len(shape) > 1 else 0)
        labels = np.asarray(labels, dtype)
        if ignored is not None:
            labels.reshape(-1)[1::3] = ignored
        return x, labels

    return inputs


def soft(*shape):
    def inputs(rng):
        q = rng.uniform(0.1, 1, shape)
        return rng.uniform(-4, 4, shape), q / q.sum(axis=1, keepdims=True)

    return inputs


def pairs(rng):
    """Two arrays whose differences stay away from 0, 0.5, 1 and 2 in float16 too."""
    d = rng.choice([-2.75, -1.5, -0.75, -0.25, 0.25, 0.75, 1.5, 2.75], (4, 6))
    y = rng.integers(-8, 9, (4, 6)) / 8
    return y + d, y


def probable(p, t, weight=None, reduction="mean"):
    w = np.broadcast_to(1.0 if weight is None else weight, p.shape)
    losses = np.empty(p.shape)
    for at in np.ndindex(*p.shape):
        losses[at] = float(-w[at] * (t[at] * mp.log(p[at]) + (1 - t[at]) * mp.log(1 - mp.mpf(p[at]))))
    return reduced(losses, reduction)


def two_chances(rng):
    return rng.uniform(0.05, 0.95, (4, 6)), rng.uniform(0.05, 0.95, (4, 6))


def chances(rng):
    return rng.uniform(-6, 6, (4, 6)), rng.uniform(0.05, 0.95, (4, 6))


def logs(rng):
    return rng.uniform(-5, -0.1, (4, 6)), rng.uniform(-3, -0.1, (4, 6))


def log_and_chance(rng):
    return rng.uniform(-5, -0.1, (4, 6)), rng.uniform(0.05, 0.9, (4, 6))


REDUCTIONS = ("mean", "sum", "none")

CASES = [
    *[Case(F.cross_entropy, {"reduction": r}, reference=cross_entropy, inputs=labelled(6, 4)) for r in REDUCTIONS],
    *[
        Case(
            F.cross_entropy,
            {"reduction": r, "weight": WEIGHTS, "label_smoothing": e},
            reference=cross_entropy,
            inputs=labelled(6, 4, ignored=-100),
        )
        for r in REDUCTIONS
        for e in (0.0, 0.1)
    ],
    Case(F.cross_entropy, {"label_smoothing": 1.0}, reference=cross_entropy, inputs=labelled(6, 4)),
    Case(F.cross_entropy, {"ignore_index": 2}, reference=cross_entropy, inputs=labelled(2, 4, 3, 2, dtype=np.uint8)),
    Case(
        F.cross_entropy,
        {"axis": -1, "label_smoothing": 0.2, "reduction": "none"},
        reference=cross_entropy,
        inputs=labelled(2, 3, 4, dtype=np.int32, axis=-1),
    ),
    Case(F.cross_entropy, reference=cross_entropy, inputs=labelled(4), label="one row"),
    *[
        Case(
            F.cross_entropy,
            {"weight": [0.0, 2.0, 1.0, 0.25], "label_smoothing": e},
            reference=cross_entropy,
            inputs=labelled(12, 4, 2),
            label="a class that counts nothing",
        )
        for e in (0.0, 0.2)
    ],
    *[
        Case(F.cross_entropy, {"reduction": r}, reference=cross_entropy, inputs=soft(5, 4), label="soft")
        for r in REDUCTIONS
    ],
    Case(
        F.cross_entropy,
        {"weight": WEIGHTS, "label_smoothing": 0.3},
        reference=cross_entropy,
        inputs=soft(2, 4, 3),
        label="soft",
    ),
    *[
        Case(
            F.nll_loss,
            {"reduction": r, "weight": WEIGHTS},
            reference=nll,
            inputs=labelled(3, 4, 2, ignored=-100, logs=True),
        )
        for r in REDUCTIONS
    ],
    Case(F.nll_loss, reference=nll, inputs=labelled(6, 4, logs=True)),
    *[Case(F.mse_loss, {"reduction": r}, reference=each(lambda a, b: (a - b) ** 2), inputs=pairs) for r in REDUCTIONS],
    *[Case(F.l1_loss, {"reduction": r}, reference=each(lambda a, b: abs(a - b)), inputs=pairs) for r in REDUCTIONS],
    *[Case(F.huber_loss, {"delta": d}, reference=each(huber), inputs=pairs) for d in (0.5, 1.0, 2.0)],
    *[Case(F.smooth_l1_loss, {"beta": b}, reference=each(smooth_l1), inputs=pairs) for b in (0.0, 0.5, 2.0)],
    Case(F.huber_loss, {"reduction": "none"}, reference=each(huber), inputs=pairs),
    Case(F.smooth_l1_loss, {"reduction": "sum"}, reference=each(smooth_l1), inputs=pairs),
    *[
        Case(F.binary_cross_entropy_with_logits, {"reduction": r}, reference=weighted_bernoulli, inputs=chances)
        for r in REDUCTIONS
    ],
    Case(
        F.binary_cross_entropy_with_logits,
        {"weight": [[0.5], [2.0], [1.0], [0.25]], "pos_weight": [1.0, 3.0, 0.5, 1.0, 2.0, 4.0]},
        reference=weighted_bernoulli,
        inputs=chances,
    ),
    *[
        Case(F.binary_cross_entropy, {"reduction": r}, reference=probable, inputs=two_chances, elementwise=r == "none")
        for r in REDUCTIONS
    ],
    Case(
        F.binary_cross_entropy,
        {"weight": [[0.5], [2.0], [1.0], [0.25]]},
        reference=probable,
        inputs=two_chances,
    ),
    *[
        Case(F.kl_div, {"reduction": r}, reference=each(divergence), inputs=log_and_chance)
        for r in (*REDUCTIONS, "batchmean")
    ],
    *[
        Case(F.kl_div, {"reduction": r, "log_target": True}, reference=each(divergence), inputs=logs)
        for r in ("none", "batchmean")
    ],
]
