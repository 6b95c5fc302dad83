"""Activations in shallow and deep nets.

Nets of 100 units a layer, 2 or 8 hidden layers, on batches of 64; He's weights for the rectifiers, LeCun's for the
others; plain gradient descent, the rate of three whose training loss is lowest. PReLU's slope is that of each layer's
one parameter, which starts at 0.25.

Source: Clevert et al. 2015, arXiv:1511.07289, section 4.1; He et al. 2015, arXiv:1502.01852, section 2.1.
"""

from cunet import nn, optim

from ..figures import axes, bars, legend
from ..findings import Finding
from ..nets import accuracy, at_best_rate, mlp, mnist, train

ACTIVATIONS = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softsign": nn.Softsign,
    "relu": nn.ReLU,
    "leaky": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "selu": nn.SELU,
}
RATES = (0.01, 0.1, 0.5)


def settings(size):
    shared = {"steps": size.pick(3, 90, 600), "images": size.pick(100, 6000, 10000)}
    return [{"activation": a, "depth": d, **shared} for d in (2, 8) for a in ACTIVATIONS]


def run(activation, depth, steps, images, seed):
    data = mnist(images, seed)
    scheme = "lecun_normal" if activation in ("sigmoid", "tanh", "softsign", "selu") else "kaiming_normal"

    def trained(rate):
        model = mlp((data.x.shape[1], *[100] * depth, 10), ACTIVATIONS[activation], init=scheme)
        train(model, optim.SGD(model.parameters(), rate), data.x, data.y, steps=steps, batch=64, seed=seed)
        return model

    loss, rate, model = at_best_rate(RATES, seed, trained, data.x[:2000], data.y[:2000])
    slopes = [layer.weight.data.item() for layer in model if isinstance(layer, nn.PReLU)]
    return {
        "train_loss": loss,
        "accuracy": accuracy(model, data.test_x, data.test_y),
        "rate": rate,
        "slope_of_the_first": slopes[0] if slopes else 0.0,
        "slope_of_the_last": slopes[-1] if slopes else 0.0,
    }


def deep(r, one, other):
    return r.difference("train_loss", {"activation": one}, {"activation": other}, depth=8)


def some(r, *names, depth=8):
    return r.listed("train_loss", ".3f", "activation", names, depth=depth)


def n59(r):
    return Finding(
        "N59",
        "ELU learns faster than ReLU and leaky ReLU in nets of more than five layers.",
        "z if z > 0 else exp(z) - 1",
        f"Training loss of eight layers after {r.each('steps')[0]} steps: {some(r, 'relu', 'leaky', 'elu')}. Of two"
        f" layers: {some(r, 'relu', 'leaky', 'elu', depth=2)}.",
        (deep(r, "relu", "elu"), deep(r, "leaky", "elu")),
    )


def n60(r):
    return Finding(
        "N60",
        "GELU is a smooth rectifier that does as well as ReLU or better.",
        "z * Phi(z)",
        f"Training loss of eight layers: {some(r, 'relu', 'gelu')}; of two: {some(r, 'relu', 'gelu', depth=2)}.",
        (deep(r, "relu", "gelu"), r.difference("train_loss", {"activation": "relu"}, {"activation": "gelu"}, depth=2)),
    )


def n55(r):
    return Finding(
        "N55",
        "Leaky ReLU has no dead zone, and so learns better than ReLU.",
        "max(0, z) + 0.01 min(0, z)",
        f"Training loss of eight layers: {some(r, 'relu', 'leaky')}.",
        (deep(r, "relu", "leaky"),),
    )


def n56(r):
    first, last = (r.interval(f"slope_of_the_{which}", activation="prelu", depth=8) for which in ("first", "last"))
    return Finding(
        "N56",
        "PReLU learns its slopes; layers near the input keep larger ones, as they keep more of what they see.",
        "max(0, z) + a min(0, z), a = 0.25 at first",
        f"Slopes of eight layers after training: {first:.3f} in the first, {last:.3f} in the last. Training loss:"
        f" {some(r, 'relu', 'prelu')}.",
        (
            r.interval("slope_of_the_first", activation="prelu", depth=8).of(
                r.values("slope_of_the_first", activation="prelu", depth=8)
                - r.values("slope_of_the_last", activation="prelu", depth=8)
            ),
            deep(r, "relu", "prelu"),
        ),
    )


def n62(r):
    return Finding(
        "N62",
        "Deep nets of sigmoids do not learn: their gradients vanish.",
        "sigmoid'(z) <= 1/4",
        f"Training loss of eight layers: {some(r, 'sigmoid', 'tanh', 'relu')} (log 10 is 2.303); of two:"
        f" {some(r, 'sigmoid', 'tanh', 'relu', depth=2)}.",
        (deep(r, "sigmoid", "tanh"), r.interval("train_loss", activation="sigmoid", depth=8).above(2.2)),
    )


def findings(r):
    return [n55(r), n56(r), n59(r), n60(r), n62(r)]


def draw(r):
    figure, (loss, right) = axes("Training loss", "Test accuracy")
    for k, depth in enumerate(r.each("depth")):
        for ax, key, unit in ((loss, "train_loss", 1.0), (right, "accuracy", 100.0)):
            found = [unit * r.interval(key, activation=name, depth=depth) for name in ACTIVATIONS]
            bars(ax, list(ACTIVATIONS), found, k, 2, f"{depth} layers")
            ax.tick_params(axis="x", rotation=45)
    loss.set_ylabel("nats", fontsize=8)
    right.set_ylabel("%", fontsize=8)
    legend(loss)
    return figure
