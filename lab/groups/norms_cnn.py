"""Norms in a convolutional net: batch, layer, group, instance, none.

Two layers of 3 x 3 convolutions (8 and 16 channels), each with a norm, ReLU and max-pooling, then a linear layer; SGD
at 0.05 with momentum 0.9, batches of 64. After training the share of active units of
the first layer is counted at the border (two pixels) and in the middle.

Source: Ba et al. 2016, arXiv:1607.06450, section 6.7; Wu and He 2018, arXiv:1803.08494, section 4.
"""

import numpy as np

import cunet
from cunet import nn, optim

from ..figures import axes, bars, legend
from ..findings import Finding
from ..nets import accuracy, mean_loss, mnist, train
from ..results import Interval

NORMS = {
    "none": lambda channels: nn.Identity(),
    "batch": nn.BatchNorm2d,
    "layer": lambda channels: nn.GroupNorm(1, channels),
    "group": lambda channels: nn.GroupNorm(4, channels),
    "instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
}


def settings(size):
    shared = {"steps": size.pick(2, 60, 300), "images": size.pick(100, 3000, 10000)}
    return [{"norm": name, **shared} for name in NORMS]


def net(norm, side):
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), NORMS[norm](8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), NORMS[norm](16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16 * (side // 4) ** 2, 10),
    )  # fmt: skip


def run(norm, steps, images, seed):
    data = mnist(images, seed, test=1000)
    side = round(data.x.shape[1] ** 0.5)
    x, test_x = (a.reshape(-1, 1, side, side) for a in (data.x, data.test_x))
    model = net(norm, side)
    optimizer = optim.SGD(model.parameters(), 0.05, momentum=0.9)
    train(model, optimizer, x, data.y, steps=steps, batch=64, seed=seed)
    with model.evaluating(), cunet.no_grad():
        active = (model[:3](test_x[:200]).data > 0).mean(axis=(0, 1))  # the first ReLU
    return {
        "accuracy": accuracy(model, test_x, data.test_y),
        "test_loss": mean_loss(model, test_x, data.test_y),
        "active_border": np.concatenate([active[:2].ravel(), active[-2:].ravel()]).mean(),
        "active_middle": active[side // 4 : -side // 4, side // 4 : -side // 4].mean(),
    }


def n39(r):
    return Finding(
        "N39",
        "In convolutional nets layer norm does worse than batch norm.",
        "batch norm: statistics over (N, H, W); layer norm: over (C, H, W)",
        f"Test accuracy: {r.listed('accuracy', '.2%', 'norm')}. Test loss: {r.listed('test_loss', '.4f', 'norm')}.",
        (
            r.difference("accuracy", {"norm": "batch"}, {"norm": "layer"}),
            r.difference("test_loss", {"norm": "layer"}, {"norm": "batch"}),
        ),
    )


def m38(r):
    def less(norm):
        one, other = (r.values(key, norm=norm) for key in ("active_middle", "active_border"))
        return Interval.of(one - other)

    return Finding(
        "M38",
        "Units whose receptive fields lie at the border of the image are rarely active, so that their statistics differ"
        " from those in the middle.",
        "share of units with ReLU(z) > 0",
        f"Active in the middle: {r.listed('active_middle', '.1%', 'norm')}. At the border:"
        f" {r.listed('active_border', '.1%', 'norm')}.",
        tuple(less(norm) for norm in r.each("norm")),
    )


def findings(r):
    return [n39(r), m38(r)]


def draw(r):
    figure, (right, active) = axes("Test accuracy", "Active units of the first layer")
    names = r.each("norm")
    bars(right, names, [100 * r.interval("accuracy", norm=name) for name in names])
    for k, key in enumerate(("active_middle", "active_border")):
        bars(active, names, [100 * r.interval(key, norm=name) for name in names], k, 2, key.removeprefix("active_"))
    for ax in (right, active):
        ax.set_ylabel("%", fontsize=8)
        ax.set_xlabel("norm", fontsize=8)
    legend(active)
    return figure
