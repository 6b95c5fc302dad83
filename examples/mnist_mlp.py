"""Train a multi-layer perceptron on MNIST: ``python examples/mnist_mlp.py --help``."""

import argparse
import time
from functools import partial
from pathlib import Path

import cunet
from cunet import F, Trainer, data, nn, optim

NORMS = {"none": None, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm, "rms": nn.RMSNorm}
OPTIMISERS = {
    "sgd": partial(optim.SGD, momentum=0.9),  # the schedule moves the momentum, so there has to be one
    "rmsprop": partial(optim.RMSprop, momentum=0.9),
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "lion": optim.Lion,
}
ACTIVATIONS = ["relu", "elu", "gelu", "selu", "silu", "mish", "tanh", "sigmoid", "leaky_relu", "softplus", "softsign"]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--hidden", type=int, nargs="*", default=[512, 256], help="sizes of the hidden layers")
    parser.add_argument("--activation", choices=ACTIVATIONS, default="relu")
    parser.add_argument("--norm", choices=NORMS, default="batch")
    parser.add_argument("--dropout", type=float, default=0.2, help="probability to drop a unit")
    parser.add_argument("--init", default="kaiming_normal", help="initialiser of the weights, by name")
    parser.add_argument("--optimizer", choices=OPTIMISERS, default="adam")
    parser.add_argument("--lr", type=float, default=2e-3, help="highest learning rate of the one-cycle schedule")
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", choices=["auto", "mnist", "digits"], default="auto")
    parser.add_argument("--save", default="mnist_mlp.safetensors", help="where to write the weights")
    args = parser.parse_args()
    if not Path(args.save).expanduser().absolute().parent.is_dir():  # now, not after the training
        parser.error(f"--save: there is no folder {Path(args.save).parent}")
    return args


def build_mlp(sizes, args):
    layers = []
    for fan_in, fan_out in zip(sizes, sizes[1:-1], strict=False):
        layers.append(nn.Linear(fan_in, fan_out, init=args.init))
        if NORMS[args.norm]:
            layers.append(NORMS[args.norm](fan_out))
        layers += [getattr(F, args.activation), nn.Dropout(args.dropout)]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


def main():
    args = parse_arguments()
    cunet.manual_seed(args.seed)
    train, test = data.load_images(args.data)
    x, labels = train.arrays()
    batches = data.Loader(x, labels, batch_size=args.batch_size, shuffle=True)
    model = build_mlp([x.shape[1], *args.hidden, 10], args)
    optimizer = OPTIMISERS[args.optimizer](model.parameters(), lr=args.lr)
    schedule = optim.OneCycleLR(optimizer, max_lr=args.lr, total_steps=max(1, args.epochs * len(batches)))
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
    begin = time.perf_counter()
    trainer.fit(batches, valid=test.arrays(), epochs=args.epochs)
    print(f"trained {trainer.epoch} epochs in {time.perf_counter() - begin:.1f} s")
    print(f"test accuracy {100 * trainer.evaluate(test.arrays())['accuracy']:.2f} %")
    model.save(args.save)
    print(f"weights written to {args.save}")


if __name__ == "__main__":
    main()
