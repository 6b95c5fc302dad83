"""Two models that train against each other: a generator draws digits, a critic tells them from real ones.

A `Trainer` for several models and losses is one with a `step` of its own.
"""

import argparse
import math

import numpy as np

import cunet
from cunet import F, Trainer, data, nn, optim

SHADES = " .:-=+*#%@"


class GAN(nn.Module):
    """A generator of images of 8 x 8 pixels in [0, 1], and a critic whose score is that of a real image."""

    def __init__(self, noise, hidden):
        self.noise = noise
        norms = [nn.BatchNorm1d(hidden, activation="relu") for _ in range(2)]
        self.generator = nn.Sequential(
            nn.Linear(noise, hidden), norms[0], nn.Linear(hidden, hidden), norms[1], nn.Linear(hidden, 64), nn.Sigmoid()
        )
        self.critic = nn.Sequential(
            *(nn.Linear(64, hidden), nn.LeakyReLU(0.2), nn.Dropout(0.3)),
            *(nn.Linear(hidden, hidden), nn.LeakyReLU(0.2), nn.Dropout(0.3)),
            nn.Linear(hidden, 1),
        )

    def draw(self, count):
        """Draw images, of noise from a stream of cunet's: a run that is resumed goes on with the same."""
        noise = cunet.random.default_generator("noise").rng().standard_normal((count, self.noise), np.float32)
        return self.generator(cunet.tensor(noise, device=self.generator[0].weight.device))


class Adversaries(Trainer):
    """Let the critic learn, then the generator, whose images shall pass for real ones (Goodfellow et al. 2014)."""

    def step(self, real):
        ones, zeros = np.ones((len(real), 1), np.float32), np.zeros((len(real), 1), np.float32)
        critic, fake = self.model.critic, self.model.draw(len(real))
        critic_loss = self.score(critic(real), ones) + self.score(critic(fake.detach()), zeros)
        self.learn("critic", critic_loss)
        loss = self.score(critic(fake), ones)
        self.learn("generator", loss)
        return {"loss": loss, "critic_loss": critic_loss}, None

    def score(self, scores, target):
        return self.loss(scores, cunet.tensor(target, device=self.device))

    def learn(self, name, loss):
        self.optimizer[name].zero_grad()
        loss.backward()
        self.optimizer[name].step()


def share(epochs, batch_size, *arrays):
    """Return whole epochs, and the batches of the arrays that a part of one epoch goes over."""
    count = max(1, math.ceil(min(epochs, 1) * len(arrays[0]) / batch_size)) * batch_size
    return math.ceil(epochs), *(a[:count] for a in arrays)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--epochs", type=float, default=60, help="passes over the images; 0.5 is one over half of them")
    parser.add_argument("--batch-size", type=int, default=64, help="images per step")
    parser.add_argument("--noise", type=int, default=16, help="numbers that a drawn image is made of")
    parser.add_argument("--hidden", type=int, default=128, help="units of each hidden layer")
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate of both")
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto", help="auto: a GPU if there is one")
    parser.add_argument("--seed", type=int, default=0, help="of the weights, the order of the images and the noise")
    return parser.parse_args()


def shown(images):
    """Return images side by side, drawn with letters."""
    rows = np.clip(images.reshape(-1, 8, 8), 0, 1).transpose(1, 0, 2)
    return "\n".join("  ".join("".join(SHADES[int(9 * v)] * 2 for v in part) for part in row) for row in rows)


def main():
    args = parse_arguments()
    cunet.manual_seed(args.seed)
    real, _ = data.Digits("train").arrays(standardise=False)
    gan = GAN(args.noise, args.hidden)
    optimizers = {
        "generator": optim.Adam(gan.generator.parameters(), lr=args.lr, betas=(0.5, 0.999)),
        "critic": optim.Adam(gan.critic.parameters(), lr=args.lr, betas=(0.5, 0.999)),
    }
    trainer = Adversaries(gan, F.binary_cross_entropy_with_logits, optimizers, device=args.device, unit="images")
    epochs, used = share(args.epochs, args.batch_size, real)
    trainer.fit((used,), epochs=epochs, batch_size=args.batch_size)
    with gan.evaluating(), cunet.no_grad():
        images = cunet.tensor(gan.draw(500), device="cpu").data
    print(shown(images[:6]))
    nearest = np.sqrt(((images[:, None] - real[None]) ** 2).sum(axis=2).min(axis=1)).mean()
    print(f"distance of a drawn image from the nearest real one: {nearest:.2f}")


if __name__ == "__main__":
    main()
