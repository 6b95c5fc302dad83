"""Weights as length and direction, and weights of spectral norm 1.

Nets 784-100-100-100-10 of ReLU on batches of 64 by plain gradient descent, each at the best of three rates by training
loss: plain; with weight norm in each layer; with weight norm whose first lengths and biases give the outputs of a batch
mean 0 and variance 1; with batch norm; with spectral norm. Stretch is the largest change of the scores over that of the
image, of 2,000 pairs of test images; its bound is the product of the largest singular values of the layers.

Source: Salimans and Kingma 2016, arXiv:1602.07868, sections 2 and 3; Miyato et al. 2018, arXiv:1802.05957, section 2.
"""

import numpy as np

from cunet import nn, optim
from cunet.nn.utils import parametrizations

from ..figures import axes, bars
from ..findings import Finding
from ..nets import accuracy, at_best_rate, mlp, mnist, scores, train

KINDS = ("plain", "weight norm", "by data", "batch norm", "spectral norm")
RATES = (0.05, 0.2, 0.8)


def settings(size):
    shared = {"steps": size.pick(3, 80, 400), "images": size.pick(200, 6000, 10000)}
    return [{"kind": kind, **shared} for kind in KINDS]


def net(kind, x):
    model = mlp((x.shape[1], 100, 100, 100, 10), norm=nn.BatchNorm1d if kind == "batch norm" else None)
    wrap = {"spectral norm": parametrizations.spectral_norm, "weight norm": parametrizations.weight_norm}
    for layer in model:
        if isinstance(layer, nn.Linear) and kind not in ("plain", "batch norm"):
            wrap.get(kind, parametrizations.weight_norm)(layer)
    return nn.init.data_dependent_(model, x[:500]) if kind == "by data" else model


def stretch(model, x):
    """Return the largest change of the scores over that of the image."""
    y = scores(model, x)
    return (np.linalg.norm(np.diff(y, axis=0), axis=1) / np.linalg.norm(np.diff(x, axis=0), axis=1)).max()


def bound(model):
    """Return the product of the largest singular values of the linear layers."""
    return np.prod([np.linalg.norm(layer.weight.data, 2) for layer in model if isinstance(layer, nn.Linear)])


def run(kind, steps, images, seed):
    data = mnist(images, seed)

    def trained(rate):
        model = net(kind, data.x)
        train(model, optim.SGD(model.parameters(), rate), data.x, data.y, steps=steps, batch=64, seed=seed)
        return model

    loss, rate, model = at_best_rate(RATES, seed, trained, data.x[:2000], data.y[:2000])
    right = accuracy(model, data.test_x, data.test_y)
    found = {"train_loss": loss, "accuracy": right, "rate": rate}
    return found | {"stretch": stretch(model, data.test_x), "bound": bound(model)}


def faster(r, one, other):
    """Return by how much the training loss of one is below that of the other."""
    return r.difference("train_loss", {"kind": other}, {"kind": one})


def weight_norm(r):
    return Finding(
        "WeightNorm",
        "With weights as length times direction a net learns in fewer steps.",
        "w = g * v / |v|",
        f"Training loss after {r.each('steps')[0]} steps: {r.listed('train_loss', '.3f', 'kind')}. Test accuracy:"
        f" {r.listed('accuracy', '.2%', 'kind')}. The comparison is of weight norm with plain weights.",
        (faster(r, "weight norm", "plain"),),
    )


def by_data(r):
    names = ("plain", "weight norm", "by data")
    return Finding(
        "DataDependent",
        "Weight norm learns faster where lengths and biases begin by what a batch becomes.",
        "g <- 1 / std(t), b <- -mean(t) / std(t), with t = v / |v| x",
        f"Training loss: {r.listed('train_loss', '.3f', 'kind', names)}. The comparisons are with weight norm as it is"
        " without that, and with plain weights.",
        (faster(r, "by data", "weight norm"), faster(r, "by data", "plain")),
    )


def spectral(r):
    names = ("plain", "spectral norm")
    return Finding(
        "SpectralNorm",
        "With weights divided by their largest singular values the scores change by no more than the image.",
        "|f(x) - f(y)| <= |x - y|",
        f"Bound of the stretch: {r.listed('bound', '.2f', 'kind', names)}; stretch:"
        f" {r.listed('stretch', '.2f', 'kind', names)}. Test accuracy: {r.listed('accuracy', '.1%', 'kind', names)}."
        " The comparisons are of the bounds; up to 1.05 is taken as 1, as the singular value is a running estimate.",
        (r.interval("bound", kind="spectral norm").below(1.05), r.interval("bound", kind="plain").above(1.05)),
    )


def findings(r):
    return [weight_norm(r), by_data(r), spectral(r)]


def draw(r):
    figure, parts = axes("Training loss", "Test accuracy", "Bound of the stretch", height=3.4)
    for ax, key, unit in zip(parts, ("train_loss", "accuracy", "bound"), (1, 100, 1), strict=True):
        bars(ax, list(KINDS), [unit * r.interval(key, kind=kind) for kind in KINDS])
        ax.tick_params(axis="x", rotation=60)
    parts[2].axhline(1, color="#999999", linewidth=0.8)
    parts[2].set_yscale("log")
    for ax, label in zip(parts, ("nats", "%", "product of singular values"), strict=True):
        ax.set_ylabel(label, fontsize=8)
    return figure
