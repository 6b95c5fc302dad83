"""Batch norm does not see the scale of the weights before it, as long as eps does not.

A layer of 100 units on a batch of 256 normal inputs, float64, eps 1e-5: BN((aW)u) against BN(Wu) for several factors a;
the gradients by u and by W of a random linear loss; the part of the gradient of W along W.

Source: Ioffe and Szegedy 2015, arXiv:1502.03167, section 3.3.
"""

import numpy as np

import cunet
from cunet import F

from ..figures import axes, line
from ..findings import Finding

FACTORS = (-1.0, 0.001, 0.01, 0.1, 1.0, 5.0, 100.0)


def settings(size):
    return [{"factor": a, "units": size.pick(10, 100, 100), "batch": 256} for a in FACTORS]


def run(factor, units, batch, seed):
    rng = np.random.default_rng(seed)
    u, w = rng.standard_normal((batch, units)), rng.standard_normal((units, units)) / np.sqrt(units)
    weights = rng.standard_normal((batch, units))

    def normed(u, w):
        z = F.linear(u, w)
        mean = z.mean(axis=0)
        return (z - mean) / cunet.sqrt(((z - mean) ** 2).mean(axis=0) + 1e-5)

    def pulled(u, w):
        return cunet.grad(lambda u, w: (normed(u, w) * weights).sum(), argnums=(0, 1))(u, w)

    one, other = (np.asarray(normed(u, a * w).data) for a in (1.0, factor))
    (du, dw), (du_a, dw_a) = pulled(u, w), pulled(u, factor * w)
    along = np.abs((w * dw).sum(axis=1)) / (np.linalg.norm(w, axis=1) * np.linalg.norm(dw, axis=1))
    return {
        "log10_error": np.log10(np.abs(other - one).max() + 1e-17),
        "input_gradient": np.linalg.norm(du_a - du) / np.linalg.norm(du),
        "weight_gradient": np.linalg.norm(dw) / np.linalg.norm(dw_a),
        "along_the_weights": along.max(),
    }


def n23(r):
    big = r.interval("weight_gradient", factor=5.0)
    return Finding(
        "N23",
        "Scaling the weights before batch norm changes no output and no gradient by the input, and divides the gradient"
        " by the weights.",
        "BN((aW)u) = BN(Wu); d/d(aW) = (1/a) d/dW",
        f"At a = 5: log10 of the largest change {r.interval('log10_error', factor=5.0):.2f}, relative change of the"
        f" gradient by the input {r.interval('input_gradient', factor=5.0):.1e}, gradient by the weights divided by"
        f" {big:.4f}.",
        (
            r.interval("log10_error", factor=5.0).below(-3),
            r.interval("input_gradient", factor=5.0).below(1e-3),
            big.above(4.99),
            big.below(5.01),
        ),
    )


def m23(r):
    return Finding(
        "M23",
        "The invariance needs a variance far above eps and a factor above 0: small weights lose it, negative ones flip"
        " the sign.",
        "a² var >> eps, a > 0",
        f"log10 of the largest change, by a: {r.listed('log10_error', '.2f', 'factor')}.",
        (
            r.interval("log10_error", factor=0.001).above(-1),
            r.difference("log10_error", {"factor": 0.01}, {"factor": 5.0}),
            r.interval("log10_error", factor=-1.0).above(0),
        ),
    )


def findings(r):
    return [n23(r), m23(r)]


def draw(r):
    figure, (error, gradient) = axes("Change of the output", "Gradient by the weights")
    for ax, key in ((error, "log10_error"), (gradient, "weight_gradient")):
        factors = [a for a in FACTORS if a > 0 and (a != 1 or ax is gradient)]  # that of a = 1 is 0
        curves = np.array([r.values(key, factor=a) for a in factors]).T
        line(ax, factors, curves, key, 0, "o")
        ax.set_xscale("log")
        ax.set_xlabel("factor a of the weights", fontsize=8)
    error.set_ylabel("log10 of the largest change", fontsize=8)
    gradient.set_ylabel("divided by", fontsize=8)
    gradient.set_yscale("log")
    return figure
