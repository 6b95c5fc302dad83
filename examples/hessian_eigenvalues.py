"""The curvature of a loss: the largest eigenvalues of its Hessian, by Lanczos' method on Hessian-vector products.

The Hessian of a network has as many rows as there are parameters, and is never written down: a product of it with a
direction costs about two gradients. With a file name as argument a figure is saved there.
"""

import functools
import sys

import numpy as np

import cunet
from cunet import F


def lanczos(product, size, steps, rng):
    """Return the eigenvalues of a symmetric matrix on the space of its powers, of which the outermost are its own."""
    basis = [rng.standard_normal(size)]
    basis[0] /= np.linalg.norm(basis[0])
    diagonal, beside = [], []
    for _ in range(steps):
        w = product(basis[-1])
        diagonal.append(w @ basis[-1])
        for v in basis + basis:  # twice: rounding would bring old directions back
            w = w - (w @ v) * v
        beside.append(np.linalg.norm(w))
        basis.append(w / beside[-1])
    return np.linalg.eigvalsh(np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1))


def along(loss, weights, v):
    """Return the Hessian of a loss times a direction."""
    return cunet.hvp(loss, (weights,), (v,))


def network(shapes):
    """Return a function of all weights in one row: the scores of an MLP."""
    ends = np.cumsum([a * b for a, b in shapes])[:-1]

    def scores(weights, x):
        for k, w in enumerate(np.split(weights, ends)):
            x = (cunet.tanh(x) if k else x) @ w.reshape(shapes[k])
        return x

    return scores


def main(figure=None, steps=20, epochs=60, samples=300):
    """Print the largest eigenvalues before and after training; return all that were found."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    x, labels, rng, shapes = images[:samples] / 16, labels[:samples], np.random.default_rng(0), [(64, 16), (16, 10)]
    scores = network(shapes)
    weights = np.concatenate([rng.standard_normal(a * b) / np.sqrt(a) for a, b in shapes])

    def loss(weights):
        return F.cross_entropy(scores(weights, x), labels)

    spectra = {}
    for name, count in (("before", 0), ("after", epochs)):
        for _ in range(count):
            weights = weights - 0.5 * cunet.grad(loss)(weights)
        product = functools.partial(along, loss, weights)
        spectra[name] = lanczos(product, weights.size, steps, rng)
        print(f"{name} training: loss {float(loss(weights)):.3f}, largest eigenvalues {spectra[name][:-5:-1].round(3)}")
    if figure:
        from matplotlib import pyplot

        _, ax = pyplot.subplots(layout="constrained")
        for name, found in spectra.items():
            ax.plot(found[::-1], "o-", label=f"{name} training")
        ax.set(xlabel="number", ylabel="eigenvalue of the Hessian")
        ax.legend()
        pyplot.savefig(figure)
    return spectra


if __name__ == "__main__":
    main(*sys.argv[1:])
