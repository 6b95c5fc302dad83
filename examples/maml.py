"""Weights from which one step of gradient descent fits any sinusoid of ten points: model-agnostic meta-learning.

A task is a sinusoid of its own height and phase. `vmap` takes the step for all tasks of a batch at once, each with
weights of its own; the loss after it is differentiated by the weights before it, through the gradient. What it should
show: from these weights one step brings the error down by more than half, and from random ones, or those that fit all
tasks on average, it makes it worse. With a file name as argument a figure is saved there.
Finn et al. 2017, arXiv:1703.03400.
"""

import sys

import numpy as np

import cunet
from cunet import F, grad, nn, optim, vmap

POINTS, RATE = 10, 0.1
SIZES = (1, 40, 40, 1)


def start(rng):
    """Return weights and biases of a perceptron."""
    pairs = list(zip(SIZES, SIZES[1:], strict=False))
    weights = {f"w{k}": rng.standard_normal((n, m)) * (2 / m) ** 0.5 for k, (m, n) in enumerate(pairs)}
    return weights | {f"b{k}": np.zeros(n) for k, (_, n) in enumerate(pairs)}


def net(p, x):
    """Return what the perceptron makes of points of shape (N, 1)."""
    for k in range(len(SIZES) - 1):
        x = F.linear(cunet.tanh(x) if k else x, p[f"w{k}"], p[f"b{k}"])
    return x


def error(p, x, y):
    """Return the mean squared error."""
    return ((net(p, x) - y) ** 2).mean()


def adapted(p, x, y):
    """Return the weights after one step on the points of one task."""
    slopes = grad(error)(p, x, y)
    return {name: p[name] - RATE * slopes[name] for name in p}


def error_after(p, x, y, new_x, new_y):
    """Return the error at new points of a task after one step on others."""
    return error(adapted(p, x, y), new_x, new_y)


def tasks(rng, count):
    """Return points of so many sinusoids, twice: to fit, and to judge by."""
    height, phase = rng.uniform(0.5, 2, (count, 1, 1)), rng.uniform(0, 2 * np.pi, (count, 1, 1))
    xs = [rng.uniform(-1, 1, (count, POINTS, 1)) for _ in range(2)]
    return [a for x in xs for a in (x, height * np.sin(4 * x + phase))]


def trained(steps, rng, meta=True, batch=32):
    """Return weights that are good after a step on any task; without `meta` before it, on average."""
    p = {name: nn.Parameter(a) for name, a in start(rng).items()}
    optimizer = optim.Adam(p.values(), lr=5e-3)
    for _ in range(steps):
        x, y, new_x, new_y = tasks(rng, batch)
        optimizer.zero_grad()
        with cunet.create_graph():  # the step's gradient will be differentiated
            given = (x, y, new_x, new_y) if meta else (x, y)
            losses = vmap(error_after if meta else error, (None,) + (0,) * len(given))(p, *given)
        losses.mean().backward()
        optimizer.step()
    return {name: a.data for name, a in p.items()}


def main(figure=None, steps=600):
    cunet.manual_seed(0)
    ways = {
        "random": start(np.random.default_rng(1)),
        "fitted to all": trained(steps, np.random.default_rng(1), meta=False),
        "meta-learned": trained(steps, np.random.default_rng(1)),
    }
    x, y, new_x, new_y = tasks(np.random.default_rng(2), 200)
    for name, p in ways.items():
        before = vmap(error, (None, 0, 0))(p, new_x, new_y).data.mean()
        after = vmap(error_after, (None, 0, 0, 0, 0))(p, x, y, new_x, new_y).data.mean()
        print(f"{name}: error {before:.2f} before, {after:.2f} after one step")
    if figure:
        draw(figure, ways, x[1], y[1])


def draw(figure, ways, x, y):
    """Save what each way makes of one task, before and after the step."""
    from matplotlib import pyplot

    _, axes = pyplot.subplots(1, len(ways), figsize=(10, 3), sharey=True, layout="constrained")
    t = np.linspace(-1, 1, 200)[:, None]
    for ax, (name, p) in zip(axes, ways.items(), strict=True):
        ax.plot(t, net(p, t).data, ":", label="before")
        ax.plot(t, net(adapted(p, x, y), t).data, label="after one step")
        ax.plot(x, y, "k.", label="points")
        ax.set(title=name, xlabel="x")
    axes[0].legend()
    pyplot.savefig(figure)


if __name__ == "__main__":
    main(*sys.argv[1:])
