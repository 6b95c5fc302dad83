"""Small batches: batch norm, layer norm and none.

Nets 784-100-100-10 of ReLU see the same number of images in batches of 1, 2, 8 and 64; the rate is 0.1 for batches of
64 and falls with the root of the batch. Batch norm refuses batches of one: they have no variance. Accuracy is that in
evaluation mode; beside it the accuracy by the batch's own statistics, in training mode, on test batches of that size.

Source: Ioffe 2017, arXiv:1702.03275, section 2; Ba et al. 2016, arXiv:1607.06450, section 6.6.
"""

from cunet import nn, optim

from ..figures import by_batch, legend
from ..findings import Finding
from ..nets import accuracy, accuracy_by_batch, mlp, mnist, train
from ..results import Interval

NORMS = {"none": None, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


def settings(size):
    seen = size.pick(64, 1280, 10240)
    return [
        {"norm": norm, "batch": batch, "seen": seen, "images": size.pick(100, 6400, 20000)}
        for norm in NORMS
        for batch in (1, 2, 8, 64)
        if (norm, batch) != ("batch", 1)
    ]


def run(norm, batch, seen, images, seed):
    data = mnist(images, seed)
    model = mlp((data.x.shape[1], 100, 100, 10), norm=NORMS[norm])
    optimizer = optim.SGD(model.parameters(), 0.1 * (batch / 64) ** 0.5)
    train(model, optimizer, data.x, data.y, steps=seen // batch, batch=batch, seed=seed)
    right = accuracy(model, data.test_x, data.test_y)
    return {
        "accuracy": right,
        "accuracy_by_batch": accuracy_by_batch(model, data.test_x[:640], data.test_y[:640], batch),
    }


def n34(r):
    loss = {
        norm: r.values("accuracy", norm=norm, batch=64) - r.values("accuracy", norm=norm, batch=2) for norm in NORMS
    }
    return Finding(
        "N34",
        "Batch norm suffers from small batches, and does not work for batches of one.",
        "accuracy at batches of 64 - at batches of 2, by norm",
        f"Test accuracy of batch norm by size of batch: {r.listed('accuracy', '.1%', 'batch', norm='batch')}; of layer"
        f" norm: {r.listed('accuracy', '.1%', 'batch', norm='layer')}; without:"
        f" {r.listed('accuracy', '.1%', 'batch', norm='none')}. Between 64 and 2 batch norm loses"
        f" {100 * Interval.of(loss['batch']):.1f} points, layer norm {100 * Interval.of(loss['layer']):.1f}, a net"
        f" without {100 * Interval.of(loss['none']):.1f}.",
        (Interval.of(loss["batch"] - loss["layer"]), Interval.of(loss["batch"] - loss["none"])),
    )


def n38(r):
    one = r.difference("accuracy", {"batch": 1}, {"batch": 64}, norm="layer")
    return Finding(
        "N38",
        "Layer norm trains on one sample at a time, online.",
        "h = f(g / std * (a - mean) + b), of one sample",
        f"Test accuracy with layer norm: {r.listed('accuracy', '.1%', 'batch', norm='layer')}; batches of one lose"
        f" {100 * one.below(0):.1f} points against 64, where less than 3 is taken as working.",
        (one.above(-0.03),),
    )


def findings(r):
    return [n34(r), n38(r)]


def draw(r):
    figure, (right, _) = by_batch(r, NORMS, sorted(r.each("batch")))
    legend(right, "norm")
    return figure
