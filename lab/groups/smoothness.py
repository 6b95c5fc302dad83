"""Batch norm makes the loss smoother along the gradient.

Nets 784-100-100-100-10 trained at rate 0.1 on batches of 60. At ten moments of training a batch of 500 is taken, and
the loss and its gradient are computed at steps of 0.05 to 0.4 along the negative gradient, in training mode. Noted are
the range of the losses, how far the gradient moves from what it was, and the steepest change of it (the effective
smoothness), as means over the moments, as logarithms.

Source: Santurkar et al. 2018, arXiv:1805.11604, section 3.1 and figure 4.
"""

import numpy as np

from cunet import F, nn, optim

from ..figures import axes, bars, legend
from ..findings import Finding
from ..nets import accuracy, mlp, mnist, train

STEPS = (0.05, 0.1, 0.2, 0.4)
ACTIVATIONS = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU}
BN, PLAIN = {"norm": True}, {"norm": False}
KEYS = {"log10_range": "range of the loss", "log10_change": "move of the gradient", "log10_beta": "its steepest change"}


def settings(size):
    shared = {"steps": size.pick(10, 250, 2000), "images": size.pick(200, 5000, 30000)}
    return [{"activation": name, "norm": norm, **shared} for name in ACTIVATIONS for norm in (False, True)]


def at(model, x, y):
    model.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    return loss.item(), np.concatenate([p.grad.ravel() for p in model.parameters()])


def along(model, x, y):
    """Return range of the loss, largest move of the gradient and its largest ratio to the step."""
    before = [(p, p.data.copy()) for p in model.parameters()]
    loss, gradient = at(model, x, y)
    losses, moves, ratios = [loss], [], []
    for rate in STEPS:
        start = 0
        for p, data in before:
            p.data = data - np.float32(rate) * gradient[start : start + data.size].reshape(data.shape)
            start += data.size
        new, there = at(model, x, y)
        losses.append(new)
        moves.append(np.linalg.norm(there - gradient))
        ratios.append(moves[-1] / (rate * np.linalg.norm(gradient)))
    for p, data in before:
        p.data, p.grad = data, None
    return np.ptp(losses), max(moves), max(ratios)


def run(activation, norm, steps, images, seed):
    data = mnist(images, seed)
    norms = nn.BatchNorm1d if norm else None
    model = mlp((data.x.shape[1], 100, 100, 100, 10), ACTIVATIONS[activation], norm=norms)
    seen = []

    def look(step):
        seen.append(along(model, data.x[:500], data.y[:500]))

    optimizer = optim.SGD(model.parameters(), 0.1)
    every = max(1, steps // 10)
    train(model, optimizer, data.x, data.y, steps=steps, batch=60, seed=seed, look=look, every=every)
    means = np.log10(np.maximum(seen, 1e-12)).mean(axis=0)
    return {**dict(zip(KEYS, means, strict=True)), "accuracy": accuracy(model, data.test_x, data.test_y)}


def n32(r):
    def less(key, name):
        return r.difference(key, PLAIN, BN, activation=name)

    parts = [
        f"with {name} by {less('log10_range', name):.2f}, {less('log10_change', name):.2f} and"
        f" {less('log10_beta', name):.2f}"
        for name in ACTIVATIONS
    ]
    return Finding(
        "N32",
        "Batch norm works by making the loss smoother, rather than by keeping distributions where they are.",
        "range of L(w - t g); max |grad L(w - t g) - g|; max |grad L(w - t g) - g| / (t |g|)",
        f"By how much log10 of the three is less with batch norm: {'; '.join(parts)}.",
        tuple(less(key, name) for name in ACTIVATIONS for key in KEYS),
    )


def findings(r):
    return [n32(r)]


def draw(r):
    figure, panels = axes(*KEYS.values())
    for ax, key in zip(panels, KEYS, strict=True):
        ax.set_ylabel("log10, mean over training", fontsize=8)
        for k, setting in enumerate((PLAIN, BN)):
            found = [r.interval(key, activation=name, **setting) for name in ACTIVATIONS]
            bars(ax, list(ACTIVATIONS), found, k, 2, "batch norm" if k else "plain")
    legend(panels[0])
    return figure
