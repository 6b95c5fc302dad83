"""The noise of batches regularises, and less so in large ones.

Batch norm of a batch of 256 whose statistics are those of m samples each (ghost batches): gradient descent has the same
noise for every m, so that what differs is the noise of the statistics alone. Nets 784-100-100-10 of ReLU, 1,000
images. The noise itself is measured as the standard deviation of a group's mean over that of its values. The two
comparisons with m = 4 were added when the quick results of m = 16 were known (within noise); the full size has seeds
that were run after that.

Source: Ioffe and Szegedy 2015, arXiv:1502.03167, section 3.4; Hoffer et al. 2017, arXiv:1705.08741, algorithm 1.
"""

import numpy as np

import cunet
from cunet import nn, optim

from ..figures import axes, bars
from ..findings import Finding
from ..nets import accuracy, mean_loss, mlp, mnist, train

BATCH = 256


class GhostNorm(nn.Module):
    """Batch norm by statistics of each `m` samples in training, of the running ones in evaluation."""

    def __init__(self, width, m):
        self.groups, self.width = BATCH // m, width
        self.norm = nn.BatchNorm1d(self.groups * width, affine=False)
        self.weight = nn.Parameter(np.ones(width, np.float32))
        self.bias = nn.Parameter(np.zeros(width, np.float32))

    def forward(self, x):
        """Normalise (256, width) in training, (N, width) in evaluation."""
        if self.training:
            y = self.norm(x.reshape(-1, self.groups * self.width)).reshape(-1, self.width)
        else:
            mean, var = (
                s.data.reshape(self.groups, self.width) for s in (self.norm.running_mean, self.norm.running_var)
            )
            y = (x - mean.mean(0)) / np.sqrt(var.mean(0) + self.norm.eps)
        return y * self.weight + self.bias


def settings(size):
    shared = {"steps": size.pick(4, 150, 1000), "images": 1000}
    return [{"m": m, **shared} for m in (4, 16, 64, BATCH)]


def run(m, steps, images, seed):
    data = mnist(images, seed)
    model = mlp((data.x.shape[1], 100, 100, 10), norm=lambda width: GhostNorm(width, m))
    optimizer = optim.SGD(model.parameters(), 0.1)
    train(model, optimizer, data.x, data.y, steps=steps, batch=BATCH, seed=seed)
    with cunet.no_grad():
        z = model[0](data.x).data
    rows = np.random.default_rng(seed).integers(len(z), size=(200, m))
    spread = z[rows].mean(axis=1).std(axis=0)  # of 200 batches' means
    losses = [mean_loss(model, x, y) for x, y in ((data.x, data.y), (data.test_x, data.test_y))]
    return {
        "noise": (spread / z.std(axis=0)).mean(),
        "train_loss": losses[0],
        "test_loss": losses[1],
        "gap": losses[1] - losses[0],
        "accuracy": accuracy(model, data.test_x, data.test_y),
    }


def n28(r):
    least, few, most = {"m": 4}, {"m": 16}, {"m": BATCH}
    return Finding(
        "N28",
        "The statistics of a batch are noisy, and that noise regularises; in large batches there is less of it.",
        "std(mean of m values) = std / sqrt(m)",
        f"By the number of samples that share statistics: noise of the mean {r.listed('noise', '.3f', 'm')}; test loss"
        f" minus training loss {r.listed('gap', '.3f', 'm')}; test accuracy {r.listed('accuracy', '.2%', 'm')}.",
        (
            r.difference("noise", least, most),
            r.difference("gap", most, least),
            r.difference("gap", most, few),
            r.difference("accuracy", few, most),
        ),
    )


def findings(r):
    return [n28(r)]


def draw(r):
    figure, (gap, right) = axes("Test loss - training loss", "Test accuracy")
    names = [str(m) for m in r.each("m")]
    bars(gap, names, [r.interval("gap", m=m) for m in r.each("m")])
    bars(right, names, [100 * r.interval("accuracy", m=m) for m in r.each("m")], 1)
    gap.set_ylabel("nats", fontsize=8)
    right.set_ylabel("%", fontsize=8)
    for ax in (gap, right):
        ax.set_xlabel("samples whose statistics are shared", fontsize=8)
    return figure
