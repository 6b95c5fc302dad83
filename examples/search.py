"""Tune a multi-layer perceptron on MNIST: TPE and a Gaussian process against chance, with as many trials each.

Every method searches several times, from different seeds. The first ten trials of a seed are the same for all of them,
as the two that learn from trials draw those by chance; what they make of them is what is compared.
"""

import argparse
import functools
from pathlib import Path

import numpy as np

from cunet import Trainer, data, nn, optim
from cunet.search import Float, Int, Pruning, search

SPACE = {
    "lr": Float(1e-4, 1e-1, log=True),
    "decay": Float(1e-5, 1e-1, log=True),
    "layers": Int(1, 3),
    "width": Int(16, 256, log=True),
    "dropout": Float(0, 0.6),
    "activation": ["relu", "tanh", "silu", "sigmoid"],
    "batch_size": [32, 64, 128],
}
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "silu": nn.SiLU, "sigmoid": nn.Sigmoid}


@functools.cache
def images(source, count):
    """Return so many images to train on, and as many others to choose by."""
    train, _ = data.load_images(source)
    x, labels = train.arrays()
    return (x[:count], labels[:count]), (x[count : 2 * count], labels[count : 2 * count])


def net(inputs, trial):
    layers, width = [], inputs
    for _ in range(trial["layers"]):
        layers += [nn.Linear(width, trial["width"]), ACTIVATIONS[trial["activation"]](), nn.Dropout(trial["dropout"])]
        width = trial["width"]
    return nn.Sequential(*layers, nn.Linear(width, 10))


def build(args, trial):
    train, valid = images(args.data, args.train)
    model = net(train[0].shape[1], trial)
    optimizer = optim.AdamW(model.parameters(), lr=trial["lr"], weight_decay=trial["decay"])
    watching = [Pruning(trial, "valid_loss")]
    trainer = Trainer(model, "cross_entropy", optimizer, metrics=["accuracy"], callbacks=watching, progress=False)
    return trainer.fit(train, valid, args.epochs, batch_size=trial["batch_size"])[-1]["valid_loss"]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--methods", nargs="+", default=["random", "tpe"], help="random, tpe, gp (default: two of them)"
    )
    parser.add_argument("--trials", type=int, default=15, help="of each search (default: 15)")
    parser.add_argument("--seeds", type=int, default=5, help="searches of each method (default: 5)")
    parser.add_argument("--epochs", type=int, default=3, help="of each trial (default: 3)")
    parser.add_argument("--train", type=int, default=600, help="images of each trial (default: 600)")
    parser.add_argument("--pruner", choices=["none", "median"], default="none", help="gives trials up (default: none)")
    parser.add_argument("--workers", type=int, default=1, help="processes; more than one needs --storage (default: 1)")
    parser.add_argument("--storage", help="file or address of a database that keeps the searches (default: none)")
    parser.add_argument("--data", choices=["auto", "mnist", "digits"], default="auto", help="auto: MNIST, else digits")
    parser.add_argument("--plot", type=Path, help="where to draw the last search (PNG)")
    return parser.parse_args()


def main():
    args = parse_arguments()
    pruner = None if args.pruner == "none" else args.pruner
    best = {method: [] for method in args.methods}
    for seed in range(args.seeds):
        for method in args.methods:
            found = search(
                functools.partial(build, args), SPACE, args.trials, method=method, pruner=pruner, seed=seed,
                storage=args.storage, workers=args.workers, name=f"{method} {seed}",
            )  # fmt: skip
            best[method].append(found.best.value)
            print(f"seed {seed}, {method:<7} {found.best.value:.4f} in {len(found.trials)} trials", flush=True)
    print(f"\nleast validation loss of {args.trials} trials, over {args.seeds} seeds")
    print(f"{'method':<8} {'mean':>8} {'deviation':>10} {'better than ' + args.methods[0]:>20}")
    for method, values in best.items():
        wins = sum(a < b for a, b in zip(values, best[args.methods[0]], strict=True))
        deviation = np.std(values, ddof=1) if len(values) > 1 else 0.0
        print(f"{method:<8} {np.mean(values):>8.4f} {deviation:>10.4f} {f'{wins} of {len(values)}':>20}")
    print(f"\nthe last search: {found}")
    if args.plot:
        found.plot().figure.savefig(args.plot)
        print(f"drawn to {args.plot}")


if __name__ == "__main__":
    main()
