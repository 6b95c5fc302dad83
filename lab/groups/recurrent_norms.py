"""Norms in a recurrent net: batch, layer, group, instance, none.

A plain recurrent net reads MNIST row by row, 28 steps of 28 pixels: ``h_t = tanh(norm(W x_t + U h_{t-1}))``; its last
state is classified. Layer norm and group norm (4 groups of units) see one sample at one step. Batch norm has statistics
of its own for each step, those of the last one beyond. A unit of one sample at one step is one value, of which there is
no instance norm; it is taken over all steps of ``W x``, and so sees the whole sequence. Weight and bias of each norm
start at 1 and 0. Adam at 2e-3, batches of 4 and 32, as many steps with either; tested on images as they are, and with
each row twice, 56 steps.

Source: Ba et al. 2016, arXiv:1607.06450, section 3 and equation 4; Cooijmans et al. 2017, arXiv:1603.09025, section 3.
"""

import numpy as np

from cunet import nn, optim

from ..figures import axes, bars, legend
from ..findings import Finding
from ..nets import accuracy, accuracy_by_batch, mnist, train
from ..results import Interval

KINDS = ("none", "batch", "layer", "group", "instance")
BATCHES = (4, 32)


class StepNorm(nn.Module):
    """Batch norm with statistics for each step of a sequence, and one weight and bias for all."""

    def __init__(self, units, steps):
        self.norms = nn.ModuleList([nn.BatchNorm1d(units, affine=False) for _ in range(steps)])
        self.weight = nn.Parameter(np.ones(units, np.float32))
        self.bias = nn.Parameter(np.zeros(units, np.float32))

    def forward(self, z, t):
        """Return `z` (N, units) of step `t` normalised."""
        return self.norms[min(t, len(self.norms) - 1)](z) * self.weight + self.bias


class Reader(nn.Module):
    """A recurrent net over the rows of images (N, pixels), and a linear layer on its last state."""

    def __init__(self, kind, side, units):
        self.kind, self.side = kind, side
        self.input, self.state = nn.Linear(side, units), nn.Linear(units, units, bias=False, init="orthogonal")
        self.norm = {
            "batch": lambda: StepNorm(units, side),
            "layer": lambda: nn.LayerNorm(units),
            "group": lambda: nn.GroupNorm(4, units),
            "instance": lambda: nn.InstanceNorm1d(units, affine=True),
        }.get(kind, nn.Identity)()
        self.last = nn.Linear(units, 10)

    def forward(self, x):
        """Return scores (N, 10)."""
        inputs = self.input(x.reshape(len(x), -1, self.side))
        if self.kind == "instance":
            inputs = self.norm(inputs.transpose(0, 2, 1)).transpose(0, 2, 1)
        h = None
        for t in range(inputs.shape[1]):
            z = inputs[:, t] if h is None else inputs[:, t] + self.state(h)
            h = self.normed(z, t).tanh()
        return self.last(h)

    def normed(self, z, t):
        """Return what tanh is applied to at step `t`."""
        if self.kind == "batch":
            return self.norm(z, t)
        return self.norm(z) if self.kind in ("layer", "group") else z


def settings(size):
    shared = {"steps": size.pick(2, 100, 500), "images": size.pick(64, 3000, 10000), "units": size.pick(8, 32, 48)}
    return [{"kind": kind, "batch": batch, **shared} for kind in KINDS for batch in BATCHES]


def run(kind, batch, steps, images, units, seed):
    data = mnist(images, seed, test=500)
    side = round(data.x.shape[1] ** 0.5)
    model = Reader(kind, side, units)
    train(model, optim.Adam(model.parameters(), 2e-3), data.x, data.y, steps=steps, batch=batch, seed=seed)
    long = data.test_x.reshape(-1, side, side).repeat(2, axis=1).reshape(len(data.test_x), -1)
    return {
        "accuracy": accuracy(model, data.test_x, data.test_y),
        "accuracy_long": accuracy(model, long, data.test_y),
        "accuracy_by_batch": accuracy_by_batch(model, data.test_x, data.test_y, batch),
    }


def better(r, one, other, key="accuracy"):
    return tuple(r.difference(key, {"kind": one}, {"kind": other}, batch=batch) for batch in BATCHES)


def words(r, key="accuracy", only=None):
    return "; ".join(f"with batches of {b}, {r.listed(key, '.1%', 'kind', only, batch=b)}" for b in BATCHES)


def n34(r):
    few, many = BATCHES
    lost = {
        kind: r.values("accuracy", kind=kind, batch=many) - r.values("accuracy", kind=kind, batch=few) for kind in KINDS
    }
    points = "; ".join(f"{kind}: {100 * Interval.of(lost[kind]):.1f}" for kind in KINDS)
    return Finding(
        "N34",
        "Batch norm suffers from small batches more than norms that see one sample at a time.",
        f"accuracy with batches of {many} - with batches of {few}, by norm",
        f"Lost, in points: {points}. Test accuracy of batch norm: {words(r, only=('batch',))}; by the batch's own"
        f" statistics: {words(r, 'accuracy_by_batch', ('batch',))}.",
        tuple(Interval.of(lost["batch"] - lost[kind]) for kind in ("layer", "group", "instance")),
    )


def n35(r):
    return Finding(
        "N35",
        "Layer norm has no statistics per time step, so that sequences may be longer than any it was trained on; batch"
        " norm has.",
        "mean and variance over the units of one sample at one step",
        f"Test accuracy on 28 rows: {words(r)}. On 56, each row twice: {words(r, 'accuracy_long')}; guessing gives"
        " 10 %.",
        better(r, "layer", "batch", "accuracy_long"),
    )


def n38(r):
    return Finding(
        "N38",
        "Layer norm helps recurrent nets.",
        "h_t = tanh(LN(W x_t + U h_{t-1}))",
        f"Test accuracy: {words(r)}. The comparisons are of layer norm with none, then with batch norm.",
        (*better(r, "layer", "none"), *better(r, "layer", "batch")),
    )


def findings(r):
    return [n34(r), n35(r), n38(r)]


def draw(r):
    titles = [f"Batches of {batch}" for batch in BATCHES]
    figure, parts = axes(*titles, share=True)
    for ax, batch in zip(parts, BATCHES, strict=True):
        for k, key in enumerate(("accuracy", "accuracy_long")):
            found = [100 * r.interval(key, kind=kind, batch=batch) for kind in KINDS]
            bars(ax, list(KINDS), found, k, 2, ("28 rows", "56 rows")[k])
        ax.set_xlabel("norm", fontsize=8)
    parts[0].set_ylabel("test accuracy, %", fontsize=8)
    legend(parts[0])
    return figure
