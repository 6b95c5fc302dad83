"""The straight part of the sigmoid.

The integers -10 to 10, raw and standardised, on a sigmoid; then 10,000 normal inputs of several standard deviations:
the share of them whose slope is at least half of the largest, which is where |z| < 1.763.
"""

import numpy as np

import cunet
from cunet import F

from ..figures import COLOURS, axes, bars, legend
from ..findings import Finding


def settings(size):
    return [{"std": std, "count": size.pick(1000, 10000, 100000)} for std in (0.5, 1.0, 3.0, 10.0)]


def slope(z):
    return cunet.grad(lambda z: F.sigmoid(z).sum())(z)


def run(std, count, seed):
    z = std * np.random.default_rng(seed).standard_normal(count)
    integers = np.arange(-10.0, 11)
    standard = integers / integers.std()
    return {
        "straight": (slope(z) >= 0.125).mean(),
        "mean_slope": slope(z).mean(),
        "edge_raw": slope(integers)[0] / 0.25,
        "edge_standardised": slope(standard)[0] / 0.25,
        "largest_standardised": standard.max(),
    }


def n13(r):
    one = r.where(std=1.0)
    return Finding(
        "N13",
        "Standardised inputs fall on the straight part of the sigmoid.",
        "sigmoid'(z) >= sigmoid'(0) / 2 where |z| < 1.763",
        f"Share of inputs there, by standard deviation: {r.listed('straight', '.1%', 'std')}. The integers -10 to 10"
        f" reach {one.interval('largest_standardised'):.3f} when standardised, where the slope is"
        f" {one.interval('edge_standardised'):.1%} of the largest; raw it is {one.interval('edge_raw'):.2%}.",
        (
            r.interval("straight", std=1.0).above(0.9),
            one.interval("edge_standardised").above(0.5),
            r.difference("straight", {"std": 1.0}, {"std": 3.0}),
        ),
    )


def findings(r):
    return [n13(r)]


def draw(r):
    figure, (curve, share) = axes("The integers -10 to 10", "Inputs on the straight part")
    z = np.arange(-10.0, 11)
    for k, (name, x) in enumerate((("raw", z), ("standardised", z / z.std()))):
        curve.plot(x, F.sigmoid(x).data, "os"[k], color=COLOURS[k], markersize=4, label=name)
    fine = np.linspace(-10, 10, 200)
    curve.plot(fine, F.sigmoid(fine).data, color="#999999", linewidth=1)
    curve.set_xlabel("z", fontsize=8)
    curve.set_ylabel("sigmoid(z)", fontsize=8)
    legend(curve)
    bars(share, [str(std) for std in r.each("std")], [100 * r.interval("straight", std=s) for s in r.each("std")])
    share.set_xlabel("standard deviation of the inputs", fontsize=8)
    share.set_ylabel("%", fontsize=8)
    return figure
