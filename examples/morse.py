"""A CUDA text from someone's physics, differentiated: the Morse potential of a chain of atoms.

The text says the energy of a bond. Its gradient gives the forces, the Hessian how these change: where they are 0 the
chain is at rest, and there it gives the frequencies of vibrations. With a file name as argument a figure is saved.
"""

import sys

import numpy as np

import cunet

morse = cunet.differentiable(
    "T r, A depth, A width", "T energy", "A u = 1 - exp(-width * (r - 1)); energy = depth * u * u", name="morse"
)


def energy(x):
    """Return the energy of atoms at the places x along a line: bonds to neighbours, and weaker ones to the next."""
    return morse(x[1:] - x[:-1], 2.0, 1.5).sum() + morse((x[2:] - x[:-2]) / 2, 0.5, 1.5).sum()


def at_rest(x, steps=8):
    """Return where the forces are 0, by Newton's method; of all such places the nearest."""
    for _ in range(steps):
        x = x - np.linalg.lstsq(cunet.hessian(energy)(x), cunet.grad(energy)(x), rcond=1e-9)[0]
    return x


def main(figure=None, atoms=12):
    x = at_rest(np.arange(float(atoms)) * 1.15)
    stiffness = cunet.hessian(energy)(x)
    squares, modes = np.linalg.eigh(stiffness)
    print(f"largest force at rest {abs(cunet.grad(energy)(x)).max():.1e}, length {x[-1] - x[0]:.4f}")
    print("frequencies", np.sqrt(np.maximum(squares, 0)).round(3))  # the first is that of the chain as a whole
    if figure:
        from matplotlib import pyplot

        _, ax = pyplot.subplots(layout="constrained")
        for k in range(1, 5):
            ax.plot(x, 0.8 * modes[:, k] + k, "o-", label=f"{np.sqrt(squares[k]):.2f}")
        ax.set(xlabel="place of the atom", ylabel="mode")
        ax.legend(title="frequency")
        pyplot.savefig(figure)


if __name__ == "__main__":
    main(*sys.argv[1:])
