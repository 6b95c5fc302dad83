"""Newer kinds of dropout: Gaussian, DropConnect, DropBlock, stochastic depth.

All nets see 1,000 images, by Adam at 1e-3 in batches of 50. Nets 784-200-200-10 of ReLU drop one half of their hidden
units; units multiplied by noise of the same variance; or one half of the weights of the last two layers. Two layers of
3 x 3 convolutions (8 and 16 channels) drop a tenth of the second one's map, by single values or by squares of 3 x 3.
Residual nets of 10 blocks of 64 units leave blocks out for single samples, with a probability that grows to one half.

Source: Srivastava et al. 2014, JMLR 15, section 10; Wan et al. 2013, "Regularization of neural networks using
DropConnect"; Ghiasi et al. 2018, arXiv:1810.12890; Huang et al. 2016, arXiv:1603.09382.
"""

from cunet import F, nn, optim

from ..figures import axes, bars
from ..findings import Finding
from ..nets import accuracy, mean_loss, mnist, train

#: what drops, by the net in which it does
KINDS = {
    "plain": ("none", "dropout", "Gaussian", "DropConnect"),
    "convolutions": ("none", "dropout", "DropBlock"),
    "residual": ("none", "stochastic depth"),
}
BLOCKS = 10


class Block(nn.Module):
    """``relu(x + drop(W2 relu(W1 x)))``."""

    def __init__(self, units, p):
        self.body = nn.Sequential(nn.Linear(units, units), nn.ReLU(), nn.Linear(units, units))
        self.drop = nn.StochasticDepth(p)

    def forward(self, x):
        """Return x (N, units) one block on."""
        return F.relu(x + self.drop(self.body(x)))


def plain(kind, pixels):
    drop = {"dropout": nn.Dropout, "Gaussian": nn.GaussianDropout}.get(kind, nn.Identity)
    linear = nn.DropConnect if kind == "DropConnect" else nn.Linear
    return nn.Sequential(
        nn.Linear(pixels, 200), nn.ReLU(), drop(), linear(200, 200), nn.ReLU(), drop(), linear(200, 10)
    )


def convolutions(kind, pixels):
    side = round(pixels**0.5)
    drop = {"dropout": lambda: nn.Dropout(0.1), "DropBlock": lambda: nn.DropBlock2d(0.1, 3)}.get(kind, nn.Identity)()
    return nn.Sequential(
        lambda x: x.reshape(-1, 1, side, side),
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), drop, nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16 * (side // 4) ** 2, 10),
    )  # fmt: skip


def residual(kind, pixels):
    most = 0.5 if kind == "stochastic depth" else 0.0
    blocks = [Block(64, most * (k + 1) / BLOCKS) for k in range(BLOCKS)]
    return nn.Sequential(nn.Linear(pixels, 64), nn.ReLU(), *blocks, nn.Linear(64, 10))


NETS = {"plain": plain, "convolutions": convolutions, "residual": residual}


def settings(size):
    shared = {"steps": size.pick(3, 150, 800), "images": size.pick(100, 1000, 1000)}
    return [{"net": net, "kind": kind, **shared} for net, kinds in KINDS.items() for kind in kinds]


def run(net, kind, steps, images, seed):
    data = mnist(images, seed)
    model = NETS[net](kind, data.x.shape[1])
    train(model, optim.Adam(model.parameters()), data.x, data.y, steps=steps, batch=50, seed=seed)
    return {
        "accuracy": accuracy(model, data.test_x, data.test_y),
        "test_loss": mean_loss(model, data.test_x, data.test_y),
        "train_loss": mean_loss(model, data.x, data.y),
    }


def gain(r, net, one, other):
    return r.difference("accuracy", {"kind": one}, {"kind": other}, net=net)


def words(r, net):
    """Return accuracies and losses of the kinds of a net, as words."""
    return (
        f"Test accuracy: {r.listed('accuracy', '.2%', 'kind', net=net)}; test loss:"
        f" {r.listed('test_loss', '.3f', 'kind', net=net)}."
    )


def gaussian(r):
    return Finding(
        "GaussianDropout",
        "Noise that multiplies does as well as dropping units, or better.",
        "x * N(1, p / (1 - p))",
        f"{words(r, 'plain')} Less than half a point below dropout counts as doing as well; the second comparison is"
        " with none.",
        (gain(r, "plain", "Gaussian", "dropout").above(-0.005), gain(r, "plain", "Gaussian", "none")),
    )


def connections(r):
    return Finding(
        "DropConnect",
        "Dropping weights does better than dropping units.",
        "x @ (mask * weight).T / (1 - p)",
        f"{words(r, 'plain')} The comparisons are with dropout and with none; the mask is one for the whole batch.",
        (gain(r, "plain", "DropConnect", "dropout"), gain(r, "plain", "DropConnect", "none")),
    )


def squares(r):
    return Finding(
        "DropBlock",
        "In maps of features dropping squares does better than dropping single values.",
        "x * mask of squares / mean(mask)",
        f"{words(r, 'convolutions')} The comparisons are with dropout and with none.",
        (gain(r, "convolutions", "DropBlock", "dropout"), gain(r, "convolutions", "DropBlock", "none")),
    )


def depth(r):
    return Finding(
        "StochasticDepth",
        "Residual nets whose blocks are left out at random in training do better on other data.",
        "x + drop(f(x)), p growing with depth to one half",
        words(r, "residual"),
        (gain(r, "residual", "stochastic depth", "none"),),
    )


def findings(r):
    return [gaussian(r), connections(r), squares(r), depth(r)]


def draw(r):
    figure, parts = axes("784-200-200-10", "Convolutions", "Ten residual blocks", height=3.4)
    for ax, (net, kinds) in zip(parts, KINDS.items(), strict=True):
        bars(ax, list(kinds), [100 * r.interval("accuracy", net=net, kind=kind) for kind in kinds])
        ax.tick_params(axis="x", rotation=40)
        ax.set_ylabel("test accuracy, %", fontsize=8)
    return figure
