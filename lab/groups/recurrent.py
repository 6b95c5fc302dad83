"""Recurrent nets: norms, longer sequences, and where to drop.

An LSTM reads MNIST row by row, 28 steps of 28 pixels; its last output is classified. Adam at 2e-3, batches of 64.
Norms: none, and layer norm of the gates; tested on images as they are, and with each row twice, 56 steps. Dropout
with p = 0.3: none; on the recurrent state, afresh at each step; on input, state and output, one mask for all steps; on
single recurrent weights; on input and output only.

Source: Ba et al. 2016, arXiv:1607.06450, section 6; Zaremba et al. 2014, arXiv:1409.2329; Gal and Ghahramani 2016,
arXiv:1512.05287, section 4.
"""

import numpy as np

import cunet
from cunet import F, nn, optim

from ..figures import axes, bars, legend
from ..findings import Finding
from ..nets import mnist, train

KINDS = ("none", "naive", "variational", "weights", "input and output", "layer norm")
P = 0.3


class Reader(nn.Module):
    """An LSTM over the rows of images (N, pixels), and a linear layer on its last output."""

    def __init__(self, kind, side, units):
        self.kind, self.side, self.units = kind, side, units
        options = {"variational": {"variational_dropout": P}, "weights": {"weight_drop": P}}.get(kind, {})
        recurrent = nn.LayerNormLSTM if kind == "layer norm" else nn.LSTM
        self.body = nn.LSTMCell(side, units) if kind == "naive" else recurrent(side, units, batch_first=True, **options)
        self.last = nn.Linear(units, 10)

    def forward(self, x):
        """Return scores (N, 10)."""
        rows = x.reshape(len(x), -1, self.side)
        ends = self.kind == "input and output"
        if self.kind != "naive":
            out = self.body(F.dropout(rows, P, self.training and ends))[0][:, -1]
            return self.last(F.dropout(out, P, self.training and ends))
        h = c = np.zeros((len(rows), self.units), np.float32)
        for t in range(rows.shape[1]):
            h, c = self.body(rows[:, t], (F.dropout(h, P, self.training), c))
        return self.last(h)


def settings(size):
    shared = {"steps": size.pick(2, 70, 500), "images": size.pick(64, 2000, 10000), "units": size.pick(8, 48, 64)}
    return [{"kind": kind, **shared} for kind in KINDS]


def judged(model, x, y):
    with model.evaluating(), cunet.no_grad():
        scores = np.concatenate([model(x[k : k + 250]).data for k in range(0, len(x), 250)])
    return (scores.argmax(axis=1) == y).mean(), F.cross_entropy(scores, y).item()


def run(kind, steps, images, units, seed):
    data = mnist(images, seed, test=1000)
    side = round(data.x.shape[1] ** 0.5)
    model = Reader(kind, side, units)
    train(model, optim.Adam(model.parameters(), 2e-3), data.x, data.y, steps=steps, batch=64, seed=seed)
    right, loss = judged(model, data.test_x, data.test_y)
    long = data.test_x.reshape(-1, side, side).repeat(2, axis=1).reshape(len(data.test_x), -1)
    seen = judged(model, data.x[:1000], data.y[:1000])[1]
    return {"accuracy": right, "accuracy_long": judged(model, long, data.test_y)[0], "gap": loss - seen}


def more(r, key, one, other):
    return r.difference(key, {"kind": one}, {"kind": other})


def n35(r):
    return Finding(
        "N35",
        "Layer norm has no statistics per time step, so that sequences may be longer than any it was trained on.",
        "mean and variance over the units of one sample at one step",
        f"Test accuracy on 28 rows: {r.listed('accuracy', '.1%', 'kind', ('none', 'layer norm'))}; on 56 rows, each row"
        f" twice: {r.listed('accuracy_long', '.1%', 'kind', ('none', 'layer norm'))}; guessing gives 10 %.",
        (r.interval("accuracy_long", kind="layer norm").above(0.15), more(r, "accuracy_long", "layer norm", "none")),
    )


def n38(r):
    return Finding(
        "N38",
        "Layer norm helps recurrent nets.",
        "LSTM with LN(W x), LN(U h) and LN(c)",
        f"Test accuracy: {r.listed('accuracy', '.1%', 'kind', ('none', 'layer norm'))}.",
        (more(r, "accuracy", "layer norm", "none"),),
    )


def n70(r):
    names = ("none", "naive", "input and output")
    return Finding(
        "N70",
        "The recurrent state must not be dropped afresh at each step; what does not recur may be.",
        "h_t = f(W dropout(x_t) + U h_{t-1})",
        f"Test accuracy: {r.listed('accuracy', '.1%', 'kind', names)}. Gap: {r.listed('gap', '.3f', 'kind', names)}.",
        (more(r, "accuracy", "none", "naive"), more(r, "accuracy", "input and output", "naive")),
    )


def n71(r):
    names = ("naive", "variational", "weights")
    return Finding(
        "N71",
        "With one mask for all time steps the state may be dropped too.",
        "h_t = f(W (m_x * x_t) + U (m_h * h_{t-1}))",
        f"Test accuracy: {r.listed('accuracy', '.1%', 'kind', names)}. Gap: {r.listed('gap', '.3f', 'kind', names)}.",
        (more(r, "accuracy", "variational", "naive"), more(r, "gap", "none", "variational")),
    )


def findings(r):
    return [n35(r), n38(r), n70(r), n71(r)]


def draw(r):
    figure, (right, gap) = axes("Test accuracy", "Test loss - training loss", height=3.6)
    for k, key in enumerate(("accuracy", "accuracy_long")):
        found = [100 * r.interval(key, kind=kind) for kind in KINDS]
        bars(right, list(KINDS), found, k, 2, ("28 rows", "56 rows")[k])
    bars(gap, list(KINDS), [r.interval("gap", kind=kind) for kind in KINDS], 2)
    right.set_ylabel("%", fontsize=8)
    gap.set_ylabel("nats", fontsize=8)
    for ax in (right, gap):
        ax.tick_params(axis="x", rotation=45)
    legend(right)
    return figure
