"""Batch norm before the activation, or after it.

Nets 784-100-100-100-10 on batches of 60, plain gradient descent, with batch norm before each activation, after it, and
without; accuracy on 2,000 test images, and the training loss.

Source: Ioffe and Szegedy 2015, arXiv:1502.03167, section 3.2.
"""

from cunet import nn, optim

from ..figures import axes, bars, legend
from ..findings import Finding
from ..nets import accuracy, mean_loss, mlp, mnist, train

ACTIVATIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}
PLACES = ("none", "before", "after")


def settings(size):
    shared = {"rate": 0.3, "steps": size.pick(4, 400, 2000), "images": size.pick(100, 6000, 20000)}
    return [{"activation": name, "place": place, **shared} for name in ACTIVATIONS for place in PLACES]


def run(activation, place, rate, steps, images, seed):
    data = mnist(images, seed)
    norm = None if place == "none" else nn.BatchNorm1d
    sizes = (data.x.shape[1], 100, 100, 100, 10)
    model = mlp(sizes, ACTIVATIONS[activation], norm=norm, after=place == "after")
    train(model, optim.SGD(model.parameters(), rate), data.x, data.y, steps=steps, batch=60, seed=seed)
    right = accuracy(model, data.test_x, data.test_y)
    return {"accuracy": right, "train_loss": mean_loss(model, data.x[:2000], data.y[:2000])}


def table(r):
    return "; ".join(f"with {name}, {r.listed('accuracy', '.2%', 'place', activation=name)}" for name in ACTIVATIONS)


def n9(r):
    return Finding(
        "N9",
        "Batch norm belongs before the activation, where the distribution is more symmetric.",
        "f(BN(W u)) or BN(f(W u))",
        f"Test accuracy by place: {table(r)}.",
        tuple(
            r.difference("accuracy", {"place": "before"}, {"place": "after"}, activation=name) for name in ACTIVATIONS
        ),
    )


def m29(r):
    return Finding(
        "M29",
        "It may stand before the activation or after it; that it must stand before is too much said.",
        "f(BN(W u)) or BN(f(W u))",
        f"Test accuracy by place: {table(r)}. Evidence is what batch norm after the activation gains over none, and"
        " that it is at most one point behind batch norm before it.",
        tuple(
            interval
            for name in ACTIVATIONS
            for interval in (
                r.difference("accuracy", {"place": "after"}, {"place": "none"}, activation=name),
                r.difference("accuracy", {"place": "after"}, {"place": "before"}, activation=name).above(-0.01),
            )
        ),
    )


def findings(r):
    return [n9(r), m29(r)]


def draw(r):
    figure, (right, loss) = axes("Test accuracy", "Training loss")
    for k, place in enumerate(PLACES):
        for ax, key, unit in ((right, "accuracy", 100.0), (loss, "train_loss", 1.0)):
            found = [unit * r.interval(key, activation=name, place=place) for name in ACTIVATIONS]
            bars(ax, list(ACTIVATIONS), found, k, 3, place)
    right.set_ylabel("%", fontsize=8)
    loss.set_ylabel("nats", fontsize=8)
    legend(right, "batch norm")
    return figure
