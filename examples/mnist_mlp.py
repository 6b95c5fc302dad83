"""Train a multi-layer perceptron on MNIST: ``python examples/mnist_mlp.py --help``."""

import argparse
import math
import time
from pathlib import Path

import cunet
from cunet import F, Trainer, data, optim
from cunet.cli.nets import ACTIVATIONS, NORMS, OPTIMISERS, mlp


def writable(text):
    path = Path(text).expanduser()
    if not path.parent.is_dir():  # now, and not when the training is done
        raise argparse.ArgumentTypeError(f"there is no folder {path.parent}")
    return path


def share(epochs, batch_size, *arrays):
    """Return whole epochs, and the batches of the arrays that a part of one epoch goes over."""
    count = max(1, math.ceil(min(epochs, 1) * len(arrays[0]) / batch_size)) * batch_size
    return math.ceil(epochs), *(a[:count] for a in arrays)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--epochs", type=float, default=10, help="passes over the images; 0.5 is one over half of them")
    parser.add_argument("--batch-size", type=int, default=128, help="images per step")
    parser.add_argument("--hidden", type=int, nargs="*", default=[512, 256], help="sizes of the hidden layers")
    parser.add_argument(
        "--activation",
        choices=ACTIVATIONS,
        default="relu",
        metavar="NAME",
        help=f"of the hidden layers: {', '.join(ACTIVATIONS)}",
    )
    parser.add_argument("--norm", choices=NORMS, default="batch", help="before each activation")
    parser.add_argument("--dropout", type=float, default=0.2, help="probability to drop a unit")
    parser.add_argument("--init", default="kaiming_normal", help="initialiser of the weights, by name")
    parser.add_argument("--optimizer", choices=OPTIMISERS, default="adam", help="with its defaults")
    parser.add_argument("--lr", type=float, default=2e-3, help="highest learning rate of the one-cycle schedule")
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto", help="auto: a GPU if there is one")
    parser.add_argument("--seed", type=int, default=0, help="of the weights, the order of the images and dropout")
    parser.add_argument("--data", choices=["auto", "mnist", "digits"], default="auto", help="auto: MNIST, else digits")
    parser.add_argument("--save", type=writable, default="mnist_mlp.safetensors", help="where to write the weights")
    return parser.parse_args()


def main():
    args = parse_arguments()
    cunet.manual_seed(args.seed)
    train, test = data.load_images(args.data)
    epochs, x, labels = share(args.epochs, args.batch_size, *train.arrays())
    batches = data.Loader(x, labels, batch_size=args.batch_size, shuffle=True, device=args.device)
    sizes = [x.shape[1], *args.hidden, 10]
    model = mlp(sizes, activation=args.activation, norm=args.norm, dropout=args.dropout, init=args.init)
    optimizer = OPTIMISERS[args.optimizer](model.parameters(), lr=args.lr)
    schedule = optim.OneCycleLR(optimizer, max_lr=args.lr, total_steps=max(1, epochs * len(batches)))
    trainer = Trainer(
        model,
        F.cross_entropy,
        optimizer,
        metrics=["accuracy"],
        callbacks=[cunet.train.Schedule(schedule, per="batch")],
        device=args.device,
        unit="images",
    )
    print(f"{train!r}, {test!r}; cunet {cunet.__version__} on the {trainer.device}")
    print(model)
    valid = data.Loader(*test.arrays(), batch_size=500, device=args.device)
    begin = time.perf_counter()
    trainer.fit(batches, valid=valid, epochs=epochs)
    print(f"trained {trainer.epoch} epochs in {time.perf_counter() - begin:.1f} s")
    print(f"test accuracy {100 * trainer.evaluate(valid)['accuracy']:.2f} %")
    model.save(args.save)
    print(f"weights written to {args.save}")


if __name__ == "__main__":
    main()
