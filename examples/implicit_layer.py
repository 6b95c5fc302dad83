"""A layer that goes on until nothing changes: two spirals, told apart by a deep equilibrium.

The state settles at ``x = tanh(W x + U u)``; its gradient is implicit, so that no step of the way there is kept. With a
file name as argument a figure is saved there.
"""

import sys

import numpy as np

import cunet
from cunet import F, nn, optim


class Equilibrium(nn.Module):
    """The state at which a layer leaves its input as it is."""

    def __init__(self, width):
        self.inner, self.outer = nn.Linear(width, width, bias=False), nn.Linear(2, width)

    def forward(self, u):
        driven, w = self.outer(u), self.inner.weight
        w = w / (1 + cunet.sqrt((w * w).sum()))  # below 1 in size: what is apart comes closer together
        return cunet.fixed_point(lambda x: cunet.tanh(x @ w + driven), driven.detach(), tol=1e-4)


def spirals(count, rng):
    """Return points (2 * count, 2) of two spirals, and which each is of."""
    t = np.sqrt(rng.uniform(0.02, 1, (2, count))) * 2.2 * np.pi
    points = np.stack([t * np.cos(t), t * np.sin(t)], -1) / 7 * np.array([1, -1])[:, None, None]
    return points.reshape(-1, 2).astype(np.float32), np.repeat([0, 1], count)


def main(figure=None, steps=300, count=100):
    """Train, and return the share of points that are told apart."""
    cunet.manual_seed(0)
    x, labels = spirals(count, np.random.default_rng(0))
    model = nn.Sequential(Equilibrium(32), nn.Linear(32, 2))
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(x * 3), labels).backward()
        optimizer.step()
    with model.evaluating(), cunet.no_grad():
        right = float((model(x * 3).data.argmax(1) == labels).mean())
        print(f"told apart {right:.3f}")
        if figure:
            from matplotlib import pyplot

            grid = np.linspace(-1.1, 1.1, 80, dtype=np.float32)
            field = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
            p = F.softmax(model(field * 3), 1).data[:, 1].reshape(80, 80)
            _, ax = pyplot.subplots(figsize=(4, 4), layout="constrained")
            ax.contourf(grid, grid, p, cmap="RdBu", levels=20)
            ax.scatter(*x.T, c=labels, cmap="RdBu", edgecolors="k", s=12)
            pyplot.savefig(figure)
    return right


if __name__ == "__main__":
    main(*sys.argv[1:])
