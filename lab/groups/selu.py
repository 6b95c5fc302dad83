"""Nets that normalise themselves: SELU, LeCun's weights, alpha dropout.

First 32 layers of 256 units on standard normal inputs, in training mode: log10 of the variance, and the mean, at the
end. Then the same recipe with 8 layers of 100 units, trained on batches of 64 by plain gradient descent at the better
of two rates, against ReLU with batch norm.

Source: Klambauer et al. 2017, arXiv:1706.02515, sections 2 and 3.
"""

import numpy as np

import cunet
from cunet import nn, optim

from ..figures import axes, bars
from ..findings import Finding
from ..nets import accuracy, mnist, train

#: activation, first weights, dropout, batch norm
RECIPES = {
    "SELU": (nn.SELU, "lecun_normal", None, False),
    "SELU, He": (nn.SELU, "kaiming_normal", None, False),
    "SELU, alpha dropout": (nn.SELU, "lecun_normal", nn.AlphaDropout, False),
    "SELU, dropout": (nn.SELU, "lecun_normal", nn.Dropout, False),
    "ReLU": (nn.ReLU, "kaiming_normal", None, False),
    "ReLU, batch norm": (nn.ReLU, "kaiming_normal", None, True),
}
RATES = (0.02, 0.1)
P = 0.1


def settings(size):
    shared = {"steps": size.pick(3, 200, 1000), "images": size.pick(100, 6000, 10000), "layers": size.pick(4, 32, 32)}
    return [{"recipe": name, **shared} for name in RECIPES]


def hidden(recipe, sizes):
    activation, first, drop, norm = RECIPES[recipe]
    layers = []
    for before, width in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(before, width, init=first, bias_init="zeros")]
        layers += [nn.BatchNorm1d(width)] if norm else []
        layers += [activation(), *([drop(P)] if drop else [])]
    return layers


def run(recipe, steps, images, layers, seed):
    x = np.random.default_rng(seed).standard_normal((256, 256)).astype(np.float32)
    with cunet.no_grad():
        y = nn.Sequential(*hidden(recipe, [256] * (layers + 1)))(x).data
    data, best = mnist(images, seed), 0.0
    for rate in RATES:
        cunet.manual_seed(seed)
        model = nn.Sequential(*hidden(recipe, [data.x.shape[1], *[100] * 8]), nn.Linear(100, 10))
        train(model, optim.SGD(model.parameters(), rate), data.x, data.y, steps=steps, batch=64, seed=seed)
        best = max(best, accuracy(model, data.test_x, data.test_y))
    return {"mean": y.mean(), "log10_variance": np.log10(y.var()), "accuracy": best}


def near(interval, width):
    return interval.above(-width), interval.below(width)


def n61(r):
    own = [r.interval("log10_variance", recipe=name) for name in ("SELU", "SELU, alpha dropout")]
    return Finding(
        "N61",
        "SELU with LeCun's weights, and with alpha dropout, keeps mean 0 and variance 1 through depth, and trains deep"
        " nets without batch norm.",
        "SELU(z) = 1.0507 (z if z > 0 else 1.6733 (exp(z) - 1))",
        f"log10 of the variance after 32 layers: {r.listed('log10_variance', '.3f', 'recipe')}. Mean:"
        f" {r.listed('mean', '.3f', 'recipe', ('SELU', 'SELU, alpha dropout'))}. Test accuracy after training:"
        f" {r.listed('accuracy', '.1%', 'recipe')}.",
        (
            *(side for interval in own for side in near(interval, 0.2)),
            r.difference("accuracy", {"recipe": "SELU"}, {"recipe": "ReLU, batch norm"}).above(-0.01),
        ),
    )


def m35(r):
    return Finding(
        "M35",
        "It needs LeCun's weights (gain 1), and alpha dropout wherever one drops: He's weights and plain dropout break"
        " it.",
        "var(w) = 1 / fan_in",
        f"log10 of the variance after 32 layers: {r.listed('log10_variance', '.3f', 'recipe')}.",
        (
            r.difference("log10_variance", {"recipe": "SELU, He"}, {"recipe": "SELU"}),
            r.difference("log10_variance", {"recipe": "SELU, dropout"}, {"recipe": "SELU, alpha dropout"}),
        ),
    )


def findings(r):
    return [n61(r), m35(r)]


def draw(r):
    figure, (variance, right) = axes("Variance after 32 layers", "Test accuracy, 8 layers", height=3.6)
    bars(variance, list(RECIPES), [r.interval("log10_variance", recipe=name) for name in RECIPES])
    bars(right, list(RECIPES), [100 * r.interval("accuracy", recipe=name) for name in RECIPES], 1)
    variance.set_ylabel("log10", fontsize=8)
    right.set_ylabel("%", fontsize=8)
    for ax in (variance, right):
        ax.tick_params(axis="x", rotation=45)
    return figure
