"""Switchable normalisation: the shares of its three norms, by the size of the batch.

The convolutional net of the group on norms there, with batch norm or switchable normalisation, sees the same number of
images in batches of 2, 8 and 32 (the quick size: 2 and 32); SGD with momentum 0.9, whose rate is 0.05 for batches of 32
and falls as the batch does, and ten times that for the shares. They begin at a third each.

Source: Luo et al. 2018, arXiv:1806.10779, equations 3 and 5, figure 1.
"""

import numpy as np

from cunet import F, nn, optim

from ..figures import axes, bars, legend
from ..findings import Finding
from ..nets import accuracy, mnist, train

BATCHES, LARGE = (2, 8, 32), 32
SHARES = ("instance", "layer", "batch")


def settings(size):
    shared = {"seen": size.pick(64, 512, 2048), "images": size.pick(100, 3000, 10000)}
    batches = size.pick(BATCHES, (2, LARGE), BATCHES)
    return [{"norm": norm, "batch": b, **shared} for norm in ("batch", "switchable") for b in batches]


def net(norm, side):
    make = {"batch": nn.BatchNorm2d, "switchable": nn.SwitchableNorm2d}[norm]
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), make(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), make(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16 * (side // 4) ** 2, 10),
    )  # fmt: skip


def run(norm, batch, seen, images, seed):
    data = mnist(images, seed, test=1000)
    side = round(data.x.shape[1] ** 0.5)
    x, test_x = (a.reshape(-1, 1, side, side) for a in (data.x, data.test_x))
    model, rate = net(norm, side), 0.05 * batch / LARGE
    named = list(model.named_parameters())
    shares = [p for name, p in named if name.endswith(("mean_weight", "var_weight"))]
    rest = [p for name, p in named if not name.endswith(("mean_weight", "var_weight"))]
    groups = [{"params": rest}, *([{"params": shares, "lr": 10 * rate}] if shares else [])]
    train(model, optim.SGD(groups, rate, momentum=0.9), x, data.y, steps=seen // batch, batch=batch, seed=seed)
    found = {"accuracy": accuracy(model, test_x, data.test_y)}
    learnt = np.mean([F.softmax(p.detach(), axis=0).data for p in shares], axis=0) if shares else [np.nan] * 3
    return found | {f"share_{name}": share for name, share in zip(SHARES, learnt, strict=True)}


def findings(r):
    few, many = {"batch": BATCHES[0]}, {"batch": LARGE}
    words = "; ".join(f"{n}: {r.listed(f'share_{n}', '.3f', 'batch', norm='switchable')}" for n in SHARES)
    right = "; ".join(f"{norm}: {r.listed('accuracy', '.2%', 'batch', norm=norm)}" for norm in r.each("norm"))
    return [
        Finding(
            "SwitchableNorm",
            "Switchable normalisation takes less of batch norm where batches are small, and does better than it there.",
            "mean = sum(softmax(w)_k * mean_k), and the same of variances",
            f"Shares by size of batch, over means, variances and both layers; {words}. Test accuracy; {right}. The"
            f" comparisons are of batch norm's share at {LARGE} and {BATCHES[0]}, then of accuracies at {BATCHES[0]}.",
            (
                r.difference("share_batch", many, few, norm="switchable"),
                r.difference("accuracy", {"norm": "switchable"}, {"norm": "batch"}, **few),
            ),
        )
    ]


def draw(r):
    figure, (share, right) = axes("Shares", "Test accuracy")
    batches = r.each("batch")
    names = [str(batch) for batch in batches]
    for k, name in enumerate(SHARES):
        found = [100 * r.interval(f"share_{name}", norm="switchable", batch=b) for b in batches]
        bars(share, names, found, k, 3, name)
    for k, norm in enumerate(r.each("norm")):
        bars(right, names, [100 * r.interval("accuracy", norm=norm, batch=b) for b in batches], k, 2, norm)
    for ax, title in ((share, "of"), (right, "norm")):
        ax.set_xlabel("batch", fontsize=8)
        ax.set_ylabel("%", fontsize=8)
        legend(ax, title)
    return figure
