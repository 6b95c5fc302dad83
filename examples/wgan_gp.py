"""A generator of digits, and a critic whose slope is held at 1 by a penalty on its gradient: WGAN-GP.

The critic says how far drawn images are from real ones, as long as its slope is 1 at most. The penalty sees to that at
images between them, and is differentiated by the critic's weights, through the gradient by its images. What it should
show: slopes near 1, a distance that falls, and images that come near to real digits. With a file name as argument a
figure is saved there. Gulrajani et al. 2017, arXiv:1704.00028.
"""

import sys

import numpy as np

import cunet
from cunet import data, grad, nn, optim

NOISE, HIDDEN, BATCH, CRITIC_STEPS, PENALTY = 16, 128, 64, 5, 10.0


def models():
    """Return a generator of images of 64 numbers from 0 to 1, and a critic of them."""
    norms = [nn.BatchNorm1d(HIDDEN, activation="relu") for _ in range(2)]
    generator = nn.Sequential(
        nn.Linear(NOISE, HIDDEN), norms[0], nn.Linear(HIDDEN, HIDDEN), norms[1], nn.Linear(HIDDEN, 64), nn.Sigmoid()
    )
    critic = nn.Sequential(nn.Linear(64, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, 1))
    return generator, critic


def slopes(critic, images):
    """Return the length of the critic's gradient at each image."""
    g = grad(lambda x: critic(x).sum(), create_graph=True)(images)
    return cunet.sqrt((g**2).sum(axis=1) + 1e-12)


def learn(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def trained(real, steps, seed=0):
    """Return the generator, and for each of its steps the distance and the slope that the critic found."""
    cunet.manual_seed(seed)
    rng = np.random.default_rng(seed)
    generator, critic = models()
    improve, judge = (optim.Adam(m.parameters(), lr=1e-3, betas=(0.0, 0.9)) for m in (generator, critic))
    found = []
    for _ in range(steps):
        for _ in range(CRITIC_STEPS):
            images = real[rng.integers(len(real), size=BATCH)]
            drawn = generator(noise(rng, BATCH)).detach().data
            t = rng.random((BATCH, 1), np.float32)
            length = slopes(critic, t * images + (1 - t) * drawn)
            distance = critic(images).mean() - critic(drawn).mean()
            learn(judge, PENALTY * ((length - 1) ** 2).mean() - distance)
        learn(improve, -critic(generator(noise(rng, BATCH))).mean())
        found.append((distance.item(), length.data.mean()))
    return generator, np.array(found)


def noise(rng, count):
    return rng.standard_normal((count, NOISE), np.float32)


def main(figure=None, steps=500):
    real = data.Digits("train").arrays(standardise=False)[0].reshape(-1, 64)
    generator, found = trained(real, steps)
    with generator.evaluating(), cunet.no_grad():
        images = generator(noise(np.random.default_rng(1), 256)).data
    nearest = np.sqrt(((images[:, None] - real[None]) ** 2).sum(axis=2).min(axis=1)).mean()
    distance, slope = found[-20:].mean(axis=0)
    print(f"distance that the critic sees: {found[:20, 0].max():.2f} at first, {distance:.2f} in the end")
    print(f"slope of the critic: {slope:.2f}")
    print(f"distance of a drawn image from the nearest real one: {nearest:.2f}")
    if figure:
        draw(figure, found, images, real)


def draw(figure, found, images, real):
    """Save the distances, and drawn images above real ones."""
    from matplotlib import pyplot

    _, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.plot(found[:, 0], label="distance that the critic sees")
    left.plot(found[:, 1], label="slope of the critic")
    left.set(xlabel="step of the generator", ylim=(0, None))
    left.legend()
    framed = [np.pad(a[:30].reshape(3, 10, 8, 8), ((0, 0), (0, 0), (1, 1), (1, 1))) for a in (images, real)]
    right.imshow(np.concatenate(framed).transpose(0, 2, 1, 3).reshape(60, 100), cmap="gray_r")
    right.axhline(29.5)
    right.set(title="drawn, and below real", xticks=[], yticks=[])
    pyplot.savefig(figure)


if __name__ == "__main__":
    main(*sys.argv[1:])
