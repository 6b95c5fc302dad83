"""Deep nets without norms: LSUV, Fixup, delta-orthogonal convolutions.

Nets of 20 layers of 64 units of ReLU from Xavier's weights, from He's, and from LSUV, which scales orthogonal ones,
layer by layer, by a batch. Residual nets of 20 blocks of two layers of 64 units, from He's weights, from Fixup's (each
block ends in 0 and has a factor), and from He's with batch norm. Convolutional nets of 30 layers of 16 channels of
tanh, on maps of 7 x 7, from Xavier's weights and from delta-orthogonal ones. Plain gradient descent on batches of 64
(32 in convolutions), the best of some rates by training loss, of which 10 at most counts.

Source: Mishkin and Matas 2016, arXiv:1511.06422; Zhang et al. 2019, arXiv:1901.09321; Xiao et al. 2018,
arXiv:1806.05393.
"""

import numpy as np

from cunet import F, init, nn, optim

from ..figures import axes, bars
from ..findings import Finding
from ..nets import accuracy, at_best_rate, mlp, mnist, train

#: how it starts, by the net
KINDS = {
    "plain": ("Xavier", "He", "LSUV"),
    "residual": ("He", "batch norm", "Fixup"),
    "convolutions": ("Xavier", "delta-orthogonal"),
}
RATES = {"plain": (0.005, 0.02, 0.1), "residual": (0.02, 0.1), "convolutions": (0.05,)}
DEPTH, LAYERS = 20, 30


class Block(nn.Module):
    """``relu(x + scale * W2 relu(W1 x))``, with a norm behind each layer or with biases."""

    def __init__(self, units, norm):
        norms = [[nn.BatchNorm1d(units)] if norm else [] for _ in range(2)]
        one, two = (nn.Linear(units, units, init="kaiming_normal", bias_init="zeros") for _ in range(2))
        self.body = nn.Sequential(one, *norms[0], nn.ReLU(), two, *norms[1])
        self.scale = nn.Parameter(np.ones((), np.float32))

    def forward(self, x):
        """Return x (N, units) one block on."""
        return F.relu(x + self.body(x) * self.scale)


def plain(kind, x):
    scheme = "xavier_normal" if kind == "Xavier" else "kaiming_normal"
    model = mlp((x.shape[1], *[64] * DEPTH, 10), init=scheme)
    return nn.init.lsuv_(model, x[:500]) if kind == "LSUV" else model


def residual(kind, x):
    blocks = [Block(64, kind == "batch norm") for _ in range(DEPTH)]
    first, head = nn.Linear(x.shape[1], 64, init="kaiming_normal"), nn.Linear(64, 10)
    if kind == "Fixup":
        nn.init.fixup_([block.body for block in blocks], head)
    return nn.Sequential(first, nn.ReLU(), *blocks, head)


def convolutions(kind, x):
    side = round(x.shape[1] ** 0.5)
    scheme = init.xavier_normal() if kind == "Xavier" else init.delta_orthogonal()
    layers = [nn.Conv2d(1, 16, 4, stride=4), nn.Tanh()]
    for _ in range(LAYERS):
        layers += [nn.Conv2d(16, 16, 3, padding=1, init=scheme, bias_init="zeros"), nn.Tanh()]
    flat = 16 * (side // 4) ** 2
    return nn.Sequential(lambda x: x.reshape(-1, 1, side, side), *layers, nn.Flatten(), nn.Linear(flat, 10))


NETS = {"plain": plain, "residual": residual, "convolutions": convolutions}


def settings(size):
    steps, images = size.pick(2, 60, 200), size.pick(100, 5000, 10000)
    fewer = size.pick(2, 30, 100)
    return [
        {"net": net, "start": start, "steps": fewer if net == "convolutions" else steps, "images": images}
        for net, starts in KINDS.items()
        for start in starts
    ]


def run(net, start, steps, images, seed):
    data, batch = mnist(images, seed, test=1000), 32 if net == "convolutions" else 64

    def trained(rate):
        model = NETS[net](start, data.x)
        train(model, optim.SGD(model.parameters(), rate), data.x, data.y, steps=steps, batch=batch, seed=seed)
        return model

    loss, rate, model = at_best_rate(RATES[net], seed, trained, data.x[:1000], data.y[:1000], most=10.0)
    return {"train_loss": loss, "accuracy": accuracy(model, data.test_x, data.test_y), "rate": rate}


def faster(r, net, one, other):
    """Return by how much the training loss from one start is below that from another."""
    return r.difference("train_loss", {"start": other}, {"start": one}, net=net)


def words(r, net):
    return (
        f"Training loss: {r.listed('train_loss', '.3f', 'start', net=net)}; test accuracy:"
        f" {r.listed('accuracy', '.1%', 'start', net=net)}."
    )


def lsuv(r):
    return Finding(
        "LSUV",
        "Orthogonal weights, scaled layer by layer to outputs of variance 1, let deep nets learn at once.",
        "W <- W / sqrt(var(W x))",
        f"{words(r, 'plain')} The comparisons are with Xavier's weights, then with He's.",
        (faster(r, "plain", "LSUV", "Xavier"), faster(r, "plain", "LSUV", "He")),
    )


def fixup(r):
    return Finding(
        "Fixup",
        "From Fixup's weights deep residual nets learn without norms, as well as with them.",
        "W <- He * L**(-1 / (2 m - 2)), the last of each block 0",
        f"{words(r, 'residual')} The comparisons are with He's weights, then with batch norm.",
        (faster(r, "residual", "Fixup", "He"), faster(r, "residual", "Fixup", "batch norm")),
    )


def delta(r):
    return Finding(
        "DeltaOrthogonal",
        "Deep plain convolutional nets learn from delta-orthogonal weights, and not from Gaussian ones.",
        "W[:, :, middle] orthogonal, 0 elsewhere",
        words(r, "convolutions"),
        (faster(r, "convolutions", "delta-orthogonal", "Xavier"),),
    )


def findings(r):
    return [lsuv(r), fixup(r), delta(r)]


def draw(r):
    figure, parts = axes("20 layers of ReLU", "20 residual blocks", "30 convolutions of tanh", height=3.4)
    for ax, (net, starts) in zip(parts, KINDS.items(), strict=True):
        bars(ax, list(starts), [r.interval("train_loss", net=net, start=start) for start in starts])
        ax.tick_params(axis="x", rotation=40)
        ax.set_ylabel("training loss, nats", fontsize=8)
    return figure
