"""Batch renormalisation and batch norm at small batches.

Nets 784-100-100-10 of ReLU take the same number of steps of SGD with batches of 2, 4 and 32; the rate is 0.1 for
batches of 64 and falls with the root of the batch. Running statistics have momentum 0.02 in both norms. The limits of
the corrections are 1 and 0 for the first tenth of the steps and grow to 3 and 5 until half of them are made. Accuracy
is that in evaluation mode; beside it stands that in training mode, on test batches of the size that was trained with.

Source: Ioffe 2017, arXiv:1702.03275, sections 4.1 and 4.2.
"""

import functools

from cunet import nn, optim

from ..figures import by_batch, legend
from ..findings import Finding
from ..nets import accuracy, accuracy_by_batch, mlp, mnist, train

NORMS, BATCHES = ("batch", "renormalised"), (2, 4, 32)
MOMENTUM = 0.02


def settings(size):
    shared = {"steps": size.pick(4, 250, 2000), "images": size.pick(100, 6000, 20000)}
    return [{"norm": norm, "batch": batch, **shared} for norm in NORMS for batch in BATCHES]


def run(norm, batch, steps, images, seed):
    data = mnist(images, seed)
    growing = (steps // 10, steps // 2)
    layer = {
        "batch": functools.partial(nn.BatchNorm1d, momentum=MOMENTUM),
        "renormalised": functools.partial(nn.BatchRenorm1d, momentum=MOMENTUM, r_steps=growing, d_steps=growing),
    }[norm]
    model = mlp((data.x.shape[1], 100, 100, 10), norm=layer)
    optimizer = optim.SGD(model.parameters(), 0.1 * (batch / 64) ** 0.5)
    train(model, optimizer, data.x, data.y, steps=steps, batch=batch, seed=seed)
    right = accuracy(model, data.test_x, data.test_y)
    return {
        "accuracy": right,
        "accuracy_by_batch": accuracy_by_batch(model, data.test_x[:640], data.test_y[:640], batch),
    }


def findings(r):
    def gain(batch):
        return r.difference("accuracy", {"norm": "renormalised"}, {"norm": "batch"}, batch=batch)

    words = "; ".join(f"{norm}: {r.listed('accuracy', '.2%', 'batch', norm=norm)}" for norm in NORMS)
    return [
        Finding(
            "BatchRenorm",
            "Batch renormalisation does better than batch norm at small batches, and no worse at larger ones.",
            "(x - mean) / std * r + d, with r = std / running_std and d = (mean - running_mean) / running_std",
            f"Test accuracy by size of batch; {words}. Gained at batches of 32: {100 * gain(32):.2f} points, where a"
            " loss of less than 1 is taken as no worse. The comparisons are at 2, 4 and 32.",
            (gain(2), gain(4), gain(32).above(-0.01)),
        )
    ]


def draw(r):
    figure, (right, _) = by_batch(r, NORMS, BATCHES)
    legend(right, "norm")
    return figure
