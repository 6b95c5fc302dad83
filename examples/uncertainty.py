"""What a network does not know: dropout at prediction time and an ensemble, on rotated digits and on noise.

A few networks are trained from different seeds. Their predictions are then looked at three ways: one network alone,
one network with dropout at work (Monte Carlo dropout), and all of them (a deep ensemble). The further the digits are
turned, the less sure a good prediction should be; of noise it should know nothing.
"""

import argparse
import math
from pathlib import Path

import numpy as np

import cunet
from cunet import F, Trainer, data, diagnose, nn, optim

ANGLES = [0, 15, 30, 45, 60, 90]


def rotated(images, degrees):
    """Turn images (N, side * side) about their middle, reading between the pixels; outside they are 0."""
    side = round(images.shape[1] ** 0.5)
    padded = np.pad(images.reshape(-1, side, side), ((0, 0), (1, 1), (1, 1)))
    angle, middle = np.deg2rad(degrees), (side - 1) / 2
    row, column = np.mgrid[:side, :side] - middle
    r = np.clip(np.cos(angle) * row - np.sin(angle) * column + middle + 1, 0, side + 0.999)
    c = np.clip(np.sin(angle) * row + np.cos(angle) * column + middle + 1, 0, side + 0.999)
    r0, c0 = r.astype(int), c.astype(int)
    dr, dc = r - r0, c - c0
    top = padded[:, r0, c0] * (1 - dc) + padded[:, r0, c0 + 1] * dc
    bottom = padded[:, r0 + 1, c0] * (1 - dc) + padded[:, r0 + 1, c0 + 1] * dc
    return (top * (1 - dr) + bottom * dr).reshape(len(images), -1).astype(images.dtype)


def share(epochs, batch_size, *arrays):
    """Return whole epochs, and the batches of the arrays that a part of one epoch goes over."""
    count = max(1, math.ceil(min(epochs, 1) * len(arrays[0]) / batch_size)) * batch_size
    return math.ceil(epochs), *(a[:count] for a in arrays)


def trained(seed, x, labels, args):
    """Return a network with dropout, and its trainer."""
    cunet.manual_seed(seed)
    width = args.hidden
    model = nn.Sequential(
        nn.Linear(x.shape[1], width), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(width, width), nn.ReLU(), nn.Dropout(0.5), nn.Linear(width, 10),
    )  # fmt: skip
    trainer = Trainer(model, F.cross_entropy, optim.Adam(model.parameters()), progress=False)
    epochs, *arrays = share(args.epochs, 128, x, labels)
    trainer.fit(data.Loader(*arrays, batch_size=128, shuffle=True, device="auto"), epochs=epochs)
    return model


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--epochs", type=float, default=10, help="passes over the images; 0.5 is one over half of them (default: 10)"
    )
    parser.add_argument("--train", type=int, default=10000, help="images to train on (default: 10000)")
    parser.add_argument("--hidden", type=int, default=256, help="units of the two hidden layers (default: 256)")
    parser.add_argument("--networks", type=int, default=5, help="of the ensemble (default: 5)")
    parser.add_argument("--samples", type=int, default=50, help="masks of dropout (default: 50)")
    parser.add_argument("--seed", type=int, default=0, help="of the first network (default: 0)")
    parser.add_argument("--data", choices=["auto", "mnist", "digits"], default="auto", help="auto: MNIST, else digits")
    parser.add_argument("--plot", type=Path, help="where to draw the calibration of the network alone (PNG)")
    return parser.parse_args()


def main():
    args = parse_arguments()
    train, test = data.load_images(args.data)
    x, labels = (a[: args.train] for a in train.arrays())
    images, right = (a[:2000] for a in test.arrays())
    print(f"{args.networks} networks on {len(x)} of {train!r}")
    models = [trained(args.seed + k, x, labels, args) for k in range(args.networks)]

    ways = {
        "one network": lambda x: diagnose.ensemble_predict(models[:1], x),
        "MC dropout": lambda x: diagnose.mc_dropout_predict(models[0], x, args.samples),
        "ensemble": lambda x: diagnose.ensemble_predict(models, x),
    }
    print("\nerror % / entropy (nats) / mutual information (nats), means over images")
    print(f"{'images':<12}" + "".join(f"{name:>22}" for name in ways))
    noise = np.random.default_rng(args.seed).permuted(images, axis=1)  # pixels as bright as a digit's, anywhere
    for name, shown in [(f"turned {a:>2}", rotated(images, a)) for a in ANGLES] + [("noise", noise)]:
        cells = []
        for predict in ways.values():
            p = predict(shown)
            error = "-" if name == "noise" else f"{100 * (p.mean.argmax(axis=1) != right).mean():.1f}"
            cells.append(f"{error:>6} / {p.entropy.mean():.2f} / {p.mutual_information.mean():.2f}")
        print(f"{name:<12}" + "".join(f"{cell:>22}" for cell in cells))

    logits = Trainer(models[0], F.cross_entropy, progress=False).predict(test.arrays()[0])
    half = len(logits) // 2  # one half finds the temperature, the other judges it
    temperature = diagnose.fit_temperature(logits[:half], test.arrays()[1][:half])
    print("\nexpected calibration error, on the second half of the test images")
    for name, divisor in [("one network", 1), (f"temperature {temperature:.2f}", temperature)]:
        p = F.softmax(logits[half:] / np.float32(divisor), axis=1).data
        found = diagnose.calibration(p, test.arrays()[1][half:])
        print(f"{name:<20} {100 * found.expected_error:.2f} %")
        if args.plot and divisor == 1:
            found.plot().figure.savefig(args.plot)
            print(f"calibration drawn to {args.plot}")


if __name__ == "__main__":
    main()
