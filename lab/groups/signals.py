"""Signals and gradients through 32 layers, by initialiser and activation.

Linear layers of 256 units without biases on 256 standard normal inputs, no training: log10 of the variance of the last
activations, and log10 of the factor by which the squared norm of the gradient grows from each layer to the one before.

Source: Glorot and Bengio 2010; He et al. 2015, arXiv:1502.01852; Klambauer et al. 2017, arXiv:1706.02515; Yang et al.
2019, arXiv:1902.08129.
"""

import numpy as np

from cunet import init, nn

from ..figures import axes, bars, legend
from ..findings import Finding

INITS = {
    "0.01": lambda: init.normal(std=0.01),
    "1": lambda: init.normal(std=1.0),
    "LeCun": init.lecun_normal,
    "Xavier": init.xavier_normal,
    "He": init.kaiming_normal,
    "orthogonal": init.orthogonal,
}
ACTIVATIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU, "selu": nn.SELU}
NORMED = [("LeCun", name) for name in ("sigmoid", "tanh", "relu")]


def settings(size):
    shared = {"depth": size.pick(4, 32, 32), "width": size.pick(16, 256, 256)}
    plain = [{"init": i, "activation": a, "norm": False, **shared} for i in INITS for a in ACTIVATIONS]
    return plain + [{"init": i, "activation": a, "norm": True, **shared} for i, a in NORMED]


def run(init, activation, norm, depth, width, seed):
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(width, width, bias=False, init=INITS[init]())]
        layers += [nn.BatchNorm1d(width)] if norm else []
        layers += [ACTIVATIONS[activation]()]
    x = np.random.default_rng(seed).standard_normal((256, width)).astype(np.float32)
    report = nn.variance_report(nn.Sequential(*layers), x)
    norms = np.array([row.gradient_norm for row in report if row.kind == "Linear"], np.float64)
    first, last = np.log10(np.clip([norms[0], norms[-1]], 1e-44, 1e38))  # what float32 holds
    variance = np.clip(np.nan_to_num(report[-1].variance, nan=np.inf), 1e-88, 1e76)
    return {"log10_variance": np.log10(variance), "log10_growth": (first - last) * 2 / (depth - 1)}


def of(r, key, init, activation, norm=False):
    return r.interval(key, init=init, activation=activation, norm=norm)


def near(interval, width=1.0):
    """Return the evidence that it is within `width` of 0, on either side."""
    return interval.above(-width), interval.below(width)


def variance(r, *cases):
    return "; ".join(f"{i}, {a}: {of(r, 'log10_variance', i, a):.2f}" for i, a in cases)


def scheme(r, item, says, formula, own, *others):
    """Return the finding that an initialiser keeps the variance, and the others do not as well."""
    kept = of(r, "log10_variance", *own)
    worse = [np.abs(r.values("log10_variance", init=i, activation=a, norm=False)) for i, a in others]
    mine = np.abs(r.values("log10_variance", init=own[0], activation=own[1], norm=False))
    evidence = (*near(kept), *(kept.of(w - mine) for w in worse))
    return Finding(item, says, formula, f"log10 of the variance at the end: {variance(r, own, *others)}.", evidence)


def n40(r):
    return scheme(
        r, "N40", "An initialisation should keep mean 0 and the variance of layers equal through depth.",
        "var(x_l) = var(x_0)", ("He", "relu"), ("LeCun", "relu"), ("0.01", "relu"), ("1", "relu"),
    )  # fmt: skip


def n44(r):
    return scheme(
        r, "N44", "Xavier's initialisation is for tanh.", "var(w) = 2 / (fan_in + fan_out)",
        ("Xavier", "tanh"), ("0.01", "tanh"),
    )  # fmt: skip


def n45(r):
    return scheme(
        r, "N45", "He's initialisation is for ReLU, where Xavier's lets the signal halve at each layer.",
        "var(w) = 2 / fan_in", ("He", "relu"), ("Xavier", "relu"),
    )  # fmt: skip


def n46(r):
    return scheme(
        r, "N46", "LeCun's initialisation is for SELU.", "var(w) = 1 / fan_in",
        ("LeCun", "selu"), ("He", "selu"), ("0.01", "selu"),
    )  # fmt: skip


def n42(r):
    small = [("0.01", a) for a in ("tanh", "relu", "selu")]
    return Finding(
        "N42",
        "With 0.01 N(0, 1) and biases of 0 a net runs, but the signal dies with depth.",
        "w ~ N(0, 0.01²)",
        f"log10 of the variance at the end: {variance(r, *small)}.",
        tuple(of(r, "log10_variance", *case).below(-6) for case in small),
    )


def n43(r):
    return Finding(
        "N43",
        "Too large weights make signals explode, too small ones make them vanish.",
        "var(x_{l+1}) = var(x_l) * fan_in * var(w) * E[f'²]",
        f"log10 of the variance at the end: {variance(r, ('1', 'relu'), ('0.01', 'relu'), ('1', 'tanh'))}. Tanh cannot"
        " explode: it saturates.",
        (of(r, "log10_variance", "1", "relu").above(6), of(r, "log10_variance", "0.01", "relu").below(-6)),
    )


def growth(r, *cases, norm=False):
    return "; ".join(f"{i}, {a}: {of(r, 'log10_growth', i, a, norm):.3f}" for i, a in cases)


def n62(r):
    cases = [("LeCun", "sigmoid"), ("LeCun", "tanh"), ("He", "relu")]
    return Finding(
        "N62",
        "Gradients of sigmoid nets vanish: its slope is at most 1/4, and the slopes multiply.",
        "|dL/dx_{l-1}|² = growth * |dL/dx_l|²",
        f"log10 of the growth of the squared gradient per layer: {growth(r, *cases)}; log10(1/16) is -1.204.",
        (of(r, "log10_growth", *cases[0]).below(-1.0), of(r, "log10_growth", *cases[2]).above(-0.1)),
    )


def n63(r):
    cases = [("1", "relu"), ("1", "tanh")]
    return Finding(
        "N63",
        "Large weights make gradients explode.",
        "|dL/dx_{l-1}|² = growth * |dL/dx_l|²",
        f"log10 of the growth of the squared gradient per layer with w ~ N(0, 1): {growth(r, *cases)}.",
        tuple(of(r, "log10_growth", *case).above(1) for case in cases),
    )


def n24(r):
    lost = [of(r, "log10_growth", *case, norm=True) for case in NORMED]
    return Finding(
        "N24",
        "With batch norm the singular values of layers are near 1, and gradients stay as they are through depth.",
        "|dL/dx_{l-1}|² = |dL/dx_l|²",
        f"log10 of the growth of the squared gradient per layer, with batch norm: {growth(r, *NORMED, norm=True)}. The"
        " claim is taken as right where that is within 0.01 of 0.",
        tuple(side for interval in lost for side in near(interval, 0.01)),
    )


def m22(r):
    case = NORMED[2]
    found = of(r, "log10_growth", *case, norm=True)
    return Finding(
        "M22",
        "Deep nets with batch norm explode at initialisation: with ReLU by pi / (pi - 1) per layer.",
        "log10(pi / (pi - 1)) = 0.166",
        f"log10 of the growth of the squared gradient per layer: {found:.3f}.",
        (found.above(0.14), found.below(0.2)),
    )


def findings(r):
    return [claim(r) for claim in (n24, n40, n42, n43, n44, n45, n46, n62, n63, m22)]


def draw(r):
    figure, (var, grad) = axes("Variance after the last layer", "Growth of the squared gradient per layer")
    for k, name in enumerate(ACTIVATIONS):
        for ax, key in ((var, "log10_variance"), (grad, "log10_growth")):
            bars(ax, list(INITS), [of(r, key, i, name) for i in INITS], k, len(ACTIVATIONS), name)
            ax.axhline(0, color="black", linewidth=0.8)
            ax.set_xlabel("initialiser", fontsize=8)
            ax.set_ylabel("log10", fontsize=8)
            ax.tick_params(axis="x", rotation=30)
    legend(var)
    return figure
