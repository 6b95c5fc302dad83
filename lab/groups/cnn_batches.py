"""Norms in a convolutional net at batches of 1, 2, 4 and 32: batch, layer, group, instance, none.

Two layers of 3 x 3 convolutions (8 and 16 channels), each with a norm, ReLU and max-pooling, then a linear layer; SGD
with momentum 0.9, whose rate is 0.02 for batches of 32 and falls as the batch does. All see the same number of images;
the quick size has no batches of 2. In training mode batch norm and instance norm are the same thing at a batch of 1: a
channel of one image has hundreds of values. What differs is evaluation, where batch norm has running statistics; beside
that accuracy stands the one by the batch's own statistics, in training mode, on test batches of the same size.

Source: Wu and He 2018, arXiv:1803.08494, section 4.1 and figure 5; Ba et al. 2016, arXiv:1607.06450, section 6.7.
"""

from cunet import optim

from ..figures import by_batch, legend
from ..findings import Finding
from ..nets import accuracy, accuracy_by_batch, mnist, train
from ..results import Interval
from .norms_cnn import NORMS, net

BATCHES, LARGE = (1, 2, 4), 32


def settings(size):
    shared = {"seen": size.pick(32, 512, 3072), "images": size.pick(100, 3000, 10000)}
    batches = size.pick((1, 4, LARGE), (1, 4, LARGE), (*BATCHES, LARGE))
    return [{"norm": norm, "batch": batch, **shared} for norm in NORMS for batch in batches]


def run(norm, batch, seen, images, seed):
    data = mnist(images, seed, test=1000)
    side = round(data.x.shape[1] ** 0.5)
    x, test_x = (a.reshape(-1, 1, side, side) for a in (data.x, data.test_x))
    model = net(norm, side)
    optimizer = optim.SGD(model.parameters(), 0.02 * batch / LARGE, momentum=0.9)
    train(model, optimizer, x, data.y, steps=seen // batch, batch=batch, seed=seed)
    right = accuracy(model, test_x, data.test_y)
    return {"accuracy": right, "accuracy_by_batch": accuracy_by_batch(model, test_x[:320], data.test_y[:320], batch)}


def lost(r, norm, batch=1):
    """Return, seed by seed, how much accuracy a norm loses against large batches."""
    return r.values("accuracy", norm=norm, batch=LARGE) - r.values("accuracy", norm=norm, batch=batch)


def n34(r):
    loss = {norm: lost(r, norm) for norm in NORMS}
    words = "; ".join(f"{norm}: {100 * Interval.of(loss[norm]):.1f}" for norm in NORMS)
    return Finding(
        "N34",
        "Batch norm suffers from small batches more than norms that see one sample at a time.",
        f"accuracy at batches of {LARGE} - at batches of 1, by norm",
        f"Test accuracy of batch norm by size of batch: {r.listed('accuracy', '.1%', 'batch', norm='batch')}; by the"
        f" batch's own statistics: {r.listed('accuracy_by_batch', '.1%', 'batch', norm='batch')}. Between {LARGE} and 1"
        f" are lost, in points: {words}.",
        tuple(Interval.of(loss["batch"] - loss[norm]) for norm in ("layer", "group", "instance")),
    )


def n38(r):
    one = Interval.of(lost(r, "layer"))
    return Finding(
        "N38",
        "Layer norm trains on one sample at a time, online.",
        "statistics over (C, H, W) of one sample",
        f"Test accuracy with layer norm: {r.listed('accuracy', '.1%', 'batch', norm='layer')}; with group norm:"
        f" {r.listed('accuracy', '.1%', 'batch', norm='group')}. Layer norm loses {100 * one:.1f} points at batches of"
        f" 1 against {LARGE}, where less than 3 is taken as working.",
        (one.below(0.03),),
    )


def n39(r):
    words = "; ".join(f"{norm}: {r.listed('accuracy', '.1%', 'batch', norm=norm)}" for norm in ("batch", "layer"))
    return Finding(
        "N39",
        "In convolutional nets layer norm does worse than batch norm.",
        "batch norm: statistics over (N, H, W); layer norm: over (C, H, W)",
        f"Test accuracy by size of batch; {words}.",
        tuple(r.difference("accuracy", {"norm": "batch"}, {"norm": "layer"}, batch=b) for b in r.each("batch")),
    )


def findings(r):
    return [n34(r), n38(r), n39(r)]


def draw(r):
    figure, (_, own) = by_batch(r, NORMS, r.each("batch"))
    legend(own, "norm", loc="lower left")
    return figure
