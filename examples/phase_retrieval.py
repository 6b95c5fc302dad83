"""Phase retrieval: an image from the sizes of its Fourier transforms, whose phases no camera sees.

The light behind an object is seen through a few masks of random phases; of each transform only the brightness is
measured. The object is found by gradient descent on what it would have looked like (L-BFGS). With a file name as
argument a figure is saved there.
"""

import sys

import numpy as np

import cunet
from cunet import nn, optim


def discs(side):
    """Return an image of three discs."""
    y, x = np.mgrid[:side, :side] / side
    return sum(
        v * ((x - a) ** 2 + (y - b) ** 2 < r**2)
        for a, b, r, v in [(0.4, 0.4, 0.2, 1), (0.7, 0.6, 0.12, 0.6), (0.3, 0.75, 0.1, 0.3)]
    )


def sizes(image, masks):
    """Return the sizes of the transforms of an image behind masks."""
    return abs(cunet.fft.fft2(image * masks, norm="ortho"))


def retrieved(measured, masks, steps=4, seed=0):
    """Return the image whose transforms have the measured sizes, and the loss after each step."""
    start = np.random.default_rng(seed).uniform(0, 1, measured.shape[1:])
    image = nn.Parameter(start)
    optimizer, losses = optim.LBFGS([image], line_search_fn="strong_wolfe"), []

    def closure():
        optimizer.zero_grad()
        loss = ((sizes(image, masks) - measured) ** 2).mean()
        loss.backward()
        return loss

    for _ in range(steps):
        losses.append(float(optimizer.step(closure)))
    return image.data, losses


def main(figure=None, side=32):
    rng, image = np.random.default_rng(1), discs(side)
    phases = rng.uniform(0, 2 * np.pi, (3, side, side))
    masks = cunet.Complex(cunet.tensor(np.cos(phases)), cunet.tensor(np.sin(phases)))
    found, losses = retrieved(sizes(cunet.tensor(image), masks).data, masks)
    found = found * np.sign((found * image).sum())  # nobody sees the sign either
    print(f"relative error {np.linalg.norm(found - image) / np.linalg.norm(image):.1e} after {len(losses)} steps")
    if figure:
        from matplotlib import pyplot

        _, axes = pyplot.subplots(1, 3, figsize=(9, 3), layout="constrained")
        for ax, (name, shown) in zip(axes, {"object": image, "found": found}.items(), strict=False):
            ax.imshow(shown, cmap="gray", vmin=0, vmax=1)
            ax.set_title(name)
        axes[2].semilogy(losses)
        axes[2].set(title="loss", xlabel="step")
        pyplot.savefig(figure)


if __name__ == "__main__":
    main(*sys.argv[1:])
