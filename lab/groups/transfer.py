"""Other data, the same weights: statistics estimated again.

A net 784-100-100-10 with batch norm is trained on plain images and meets others: paler and brighter ones, ones with
noise, negatives. Its running statistics are then replaced by those of 500 of the new images, without labels. At last
the last layer alone is trained on 200 labelled new images, with the old statistics frozen or with the new ones.

Source: Li et al. 2016, arXiv:1603.04779, section 3.
"""

import copy

import numpy as np

from cunet import nn, optim

from ..figures import axes, bars, legend
from ..findings import Finding
from ..nets import accuracy, mlp, mnist, scores, train
from ..results import Interval

SHIFTS = ("pale", "noisy", "negative")


def shifted(x, name, rng):
    if name == "pale":
        return (0.4 * x + 1).astype(np.float32)
    return x + rng.standard_normal(x.shape, np.float32) if name == "noisy" else -x


def settings(size):
    shared = {"steps": size.pick(4, 400, 2000), "images": size.pick(100, 6000, 20000)}
    return [{"shift": name, **shared} for name in SHIFTS]


def tuned(model, x, y, test_x, test_y, seed):
    """Return the accuracy after the last layer was trained on what the others make of new images."""
    last = copy.deepcopy(model[-1])
    optimizer = optim.SGD(last.parameters(), 0.05)
    train(last, optimizer, scores(model[:-1], x), y, steps=100, batch=50, seed=seed)
    return accuracy(last, scores(model[:-1], test_x), test_y)


def run(shift, steps, images, seed):
    data, rng = mnist(images, seed), np.random.default_rng(seed)
    model = mlp((data.x.shape[1], 100, 100, 10), norm=nn.BatchNorm1d)
    train(model, optim.SGD(model.parameters(), 0.1), data.x, data.y, steps=steps, batch=60, seed=seed)
    new = shifted(data.x[-500:], shift, rng), data.y[-500:]
    test = shifted(data.test_x, shift, rng), data.test_y
    found = {"plain": accuracy(model, data.test_x, data.test_y), "frozen": accuracy(model, *test)}
    found["frozen_tuned"] = tuned(model, new[0][:200], new[1][:200], *test, seed)
    nn.recompute_batch_norm(model, [new[0]])
    found["again"] = accuracy(model, *test)
    found["again_tuned"] = tuned(model, new[0][:200], new[1][:200], *test, seed)
    return found


def n33(r):
    def gain(one, other, shift):
        return Interval.of(r.values(one, shift=shift) - r.values(other, shift=shift))

    return Finding(
        "N33",
        "Batch norm couples a net to its data less: where other data come, new statistics are enough to go on from.",
        "mean, var <- those of the new images; weights as they are",
        f"Accuracy on the new images with the old statistics: {r.listed('frozen', '.1%', 'shift')}; with new ones:"
        f" {r.listed('again', '.1%', 'shift')}. The same with the last layer trained on 200 of them:"
        f" {r.listed('frozen_tuned', '.1%', 'shift')}, and {r.listed('again_tuned', '.1%', 'shift')}.",
        tuple(
            gain(*pair, shift) for pair in (("again", "frozen"), ("again_tuned", "frozen_tuned")) for shift in SHIFTS
        ),
    )


def findings(r):
    return [n33(r)]


def draw(r):
    figure, panels = axes("Weights as they are", "Last layer trained on 200", share=True)
    for ax, end in zip(panels, ("", "_tuned"), strict=True):
        for k, key in enumerate(("frozen", "again")):
            found = [100 * r.interval(key + end, shift=shift) for shift in SHIFTS]
            bars(ax, list(SHIFTS), found, k, 2, ("old statistics", "new statistics")[k])
        ax.set_xlabel("new images", fontsize=8)
    panels[0].set_ylabel("accuracy on them, %", fontsize=8)
    legend(panels[0])
    return figure
