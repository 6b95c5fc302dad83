"""What reaches the last sigmoid drifts less with batch norm.

The net of the batch norm paper's figure 1: 784-100-100-100-10 of sigmoids, batches of 60, weights N(0, 0.1²), rate 0.5.
Each 50 steps the inputs of the last hidden layer's 100 sigmoids are looked at on 500 test images, in evaluation mode:
their 15th, 50th and 85th percentiles. The drift of a unit is the range of its median during training; the relative
drift is that divided by the mean width of its band.

Source: Ioffe and Szegedy 2015, arXiv:1502.03167, section 4.1 and figure 1.
"""

import numpy as np

from cunet import init, nn, optim

from ..figures import COLOURS, axes, legend, line
from ..findings import Finding
from ..nets import mlp, mnist, scores, train

EVERY = 50
BN, PLAIN = {"norm": True}, {"norm": False}


def settings(size):
    shared = {"steps": size.pick(60, 1500, 8000), "images": size.pick(200, 10000, 30000), "rate": 0.5, "std": 0.1}
    return [{"norm": norm, **shared} for norm in (False, True)]


def run(norm, steps, images, rate, std, seed):
    data = mnist(images, seed)
    norms = nn.BatchNorm1d if norm else None
    model = mlp((data.x.shape[1], 100, 100, 100, 10), nn.Sigmoid, norm=norms, init=init.normal(std=std))
    inside = model[:-2]  # all before the last sigmoid
    bands, right = [], []

    def look(step):
        z = scores(inside, data.test_x[:500])
        bands.append(np.percentile(z, [15, 50, 85], axis=0))
        y = scores(model, data.test_x)
        right.append((y.argmax(axis=1) == data.test_y).mean())

    optimizer = optim.SGD(model.parameters(), rate)
    train(model, optimizer, data.x, data.y, steps=steps, batch=60, seed=seed, look=look, every=EVERY)
    seen = np.array(bands)[1:]  # (looks, 3, units); at first there are no running statistics
    moved = np.ptp(seen[:, 1], axis=0)
    width = (seen[:, 2] - seen[:, 0]).mean(axis=0)
    return {
        "drift": moved.mean(),
        "relative_drift": (moved / width).mean(),
        "accuracy_at_end": right[-1],
        "low": seen[:, 0, 0],
        "median": seen[:, 1, 0],
        "high": seen[:, 2, 0],
        "accuracy": right[1:],
    }


def n31(r):
    return Finding(
        "N31",
        "The distribution of what reaches a layer changes while the layers before it learn; batch norm reduces that.",
        "drift = max over steps of the median of z - min over steps; relative: / mean(85th - 15th percentile)",
        f"Mean over 100 units: {r.interval('drift', **PLAIN):.2f} without batch norm, {r.interval('drift', **BN):.2f}"
        f" with it; relative to the unit's own band {r.interval('relative_drift', **PLAIN):.2f} and"
        f" {r.interval('relative_drift', **BN):.2f}.",
        (r.difference("drift", PLAIN, BN), r.difference("relative_drift", PLAIN, BN)),
    )


def findings(r):
    return [n31(r)]


def draw(r):
    figure, (right, *units) = axes("Accuracy", "A unit, without batch norm", "The same with batch norm")
    for k, setting in enumerate((PLAIN, BN)):
        curves = r.values("accuracy", **setting)
        steps = np.minimum(np.arange(1, curves.shape[1] + 1) * EVERY, r.each("steps")[0])
        line(right, steps, 100 * curves, "batch norm" if k else "plain", k)
        for j, name in enumerate(("high", "median", "low")):
            curve = r.values(name, **setting)[0]
            units[k].plot(steps, curve, color=COLOURS[j], label=("85 %", "median", "15 %")[j], linewidth=1.2)
        units[k].set_xlabel("step", fontsize=8)
        units[k].set_ylabel("input of the sigmoid", fontsize=8)
    right.set_xlabel("step", fontsize=8)
    right.set_ylabel("test accuracy, %", fontsize=8)
    legend(right)
    top, low = (end(ax.get_ylim()[k] for ax in units) for end, k in ((max, 1), (min, 0)))
    for ax in units:
        ax.set_ylim(low, top + 0.2 * (top - low))
        legend(ax, loc="upper center", ncols=3)
    return figure
