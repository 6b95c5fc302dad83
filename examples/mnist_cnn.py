"""Train a convolutional network with batch norm on MNIST: ``python examples/mnist_cnn.py --help``."""

import argparse
import math
import time
from pathlib import Path

import cunet
from cunet import F, Trainer, data, optim
from cunet.cli.nets import cnn


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
    parser.add_argument("--epochs", type=float, default=5, help="passes over the images; 0.5 is one over half of them")
    parser.add_argument("--batch-size", type=int, default=128, help="images per step")
    parser.add_argument("--channels", type=int, nargs=2, default=[20, 40], help="channels of the two stages")
    parser.add_argument("--hidden", type=int, default=128, help="units of the dense layer")
    parser.add_argument(
        "--activation",
        choices=["relu", "elu", "gelu", "silu", "leaky_relu"],
        default="relu",
        help="after each batch norm",
    )
    parser.add_argument("--dropout", type=float, default=0.4, help="probability to drop a unit of the dense layer")
    parser.add_argument("--init", default="kaiming_normal", help="initialiser of the weights, by name")
    parser.add_argument("--optimizer", choices=["sgd", "adam", "adamw"], default="adam", help="with its defaults")
    parser.add_argument("--lr", type=float, default=4e-3, help="highest learning rate of the one-cycle schedule")
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto", help="auto: a GPU if there is one")
    parser.add_argument("--seed", type=int, default=0, help="of the weights, the order of the images and dropout")
    parser.add_argument("--data", choices=["auto", "mnist", "digits"], default="auto", help="auto: MNIST, else digits")
    parser.add_argument("--save", type=writable, default="mnist_cnn.safetensors", help="where to write the weights")
    return parser.parse_args()


def main():
    args = parse_arguments()
    cunet.manual_seed(args.seed)
    train, test = data.load_images(args.data)
    epochs, images, labels = share(args.epochs, args.batch_size, *train.arrays(flatten=False))
    batches = data.Loader(images, labels, batch_size=args.batch_size, shuffle=True, device=args.device)
    net = {name: getattr(args, name) for name in ("channels", "hidden", "activation", "dropout", "init")}
    model = cnn(images.shape[-1], **net)
    kinds = {"sgd": optim.SGD, "adam": optim.Adam, "adamw": optim.AdamW}
    optimizer = kinds[args.optimizer](model.parameters(), lr=args.lr)
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
    valid = data.Loader(*test.arrays(flatten=False), batch_size=500, device=args.device)
    begin = time.perf_counter()
    trainer.fit(batches, valid=valid, epochs=epochs)
    print(f"trained {len(images) * epochs} images in {time.perf_counter() - begin:.1f} s")
    print(f"test accuracy {100 * trainer.evaluate(valid)['accuracy']:.2f} %")
    model.save(args.save)
    print(f"weights written to {args.save}")


if __name__ == "__main__":
    main()
