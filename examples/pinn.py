"""A physics-informed network: it learns a damped oscillation from the equation alone, u'' + 0.4 u' + 4 u = 0.

Its derivatives by time are found by forward mode, twice; those of the loss by its parameters by backward through them.
The start, u(0) = 1 and u'(0) = 0, is built in. Trained by L-BFGS; with a file name as argument a figure is saved there.
"""

import sys

import numpy as np

import cunet
from cunet import nn, optim

DAMPING, STIFFNESS, END = 0.4, 4.0, 5.0


def exact(t):
    """Return the solution."""
    a = DAMPING / 2
    w = np.sqrt(STIFFNESS - a * a)
    return np.exp(-a * t) * (np.cos(w * t) + a / w * np.sin(w * t))


def slope(f):
    """Return the derivative of a function of times."""
    return lambda t: cunet.jvp(f, (t,), (np.ones_like(T),))[1]


T = np.linspace(0, END, 48)[:, None]


def trained(steps=12, seed=0):
    """Return a network that solves the equation, as a function of times."""
    cunet.manual_seed(seed)
    model = nn.Sequential(nn.Linear(1, 24), nn.Tanh(), nn.Linear(24, 1)).astype(np.float64)
    optimizer = optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")

    def u(t):
        return 1 + t * t * model(t / END * 2 - 1)

    def closure():
        optimizer.zero_grad()
        with cunet.create_graph():  # what jvp returns will be differentiated
            residual = slope(slope(u))(T) + DAMPING * slope(u)(T) + STIFFNESS * u(T)
            loss = (residual**2).mean()
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return u


def main(figure=None, steps=12):
    found = trained(steps)(T).data
    print(f"largest error {abs(found - exact(T)).max():.1e} of a solution between -1 and 1")
    if figure:
        from matplotlib import pyplot

        _, ax = pyplot.subplots(layout="constrained")
        ax.plot(T, exact(T), label="exact")
        ax.plot(T, found, "--", label="network")
        ax.set(xlabel="time", ylabel="u")
        ax.legend()
        pyplot.savefig(figure)


if __name__ == "__main__":
    main(*sys.argv[1:])
