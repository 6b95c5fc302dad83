"""How often `cunet.diagnose.health` is right about nets that its rules and tests were not made with.

``python tools/health_rate.py`` makes 20 nets with a fault and 20 sound ones, of other sizes, kinds and data than those
of the tests, from several seeds each; prints which findings are wrong, and the rates. ``--cost`` measures what
observing steps costs.
"""

import argparse
import functools
import time

import numpy as np

import cunet
from cunet import F, Trainer, diagnose, init, nn, optim

BCE = "binary_cross_entropy_with_logits"


def net(*sizes, act=F.relu, norm=None, bias=True, last=(), **kwargs):
    """Return linear layers, each but the last with a norm, if there is one, and an activation."""
    layers = []
    for k, (a, b) in enumerate(zip(sizes, sizes[1:], strict=False)):
        layers.append(nn.Linear(a, b, bias=bias, **kwargs))
        if k < len(sizes) - 2:
            layers += [*([norm(b)] if norm else []), act]
    return nn.Sequential(*layers, *last)


def data(rng, n, *shape, classes=7):
    """Return points around one centre for each class, and the classes."""
    labels = rng.integers(0, classes, n)
    x = rng.normal(size=(n, *shape)) + rng.normal(size=(classes, *shape))[labels]
    return (x / np.sqrt(2)).astype(np.float32), labels


def conv(channels, classes, bias=False, norm=nn.BatchNorm2d, momentum=0.1, **kwargs):
    """Return two convolutions with a norm between, and scores of classes."""
    first = nn.Conv2d(3, channels, 3, padding=1, bias=bias, **kwargs)
    middle = norm(channels, momentum=momentum) if norm is nn.BatchNorm2d else norm(4, channels)
    second = nn.Conv2d(channels, 2 * channels, 3, stride=2, **kwargs)
    return nn.Sequential(first, middle, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(None, classes))


class Reader(nn.Module):
    """The class of a sequence (N, T, F), from the last step or the mean of all."""

    def __init__(self, rnn, hidden, classes, mean):
        """Take the recurrent layer."""
        self.rnn, self.scores, self.mean = rnn, nn.Linear(hidden, classes), mean

    def forward(self, x):
        """Return the scores."""
        y = self.rnn(x)[0]
        return self.scores(y.mean(axis=1) if self.mean else y[:, -1])


class Written(nn.Module):
    """Layers whose activations are in `forward`, with something behind the last."""

    def __init__(self, *sizes, end=None, spare=False):
        """Make the layers."""
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in zip(sizes, sizes[1:], strict=False)])
        self.end = [end]
        self.spare = nn.Linear(3, 3) if spare else None

    def forward(self, x):
        """Return the scores, or what is made of them."""
        for layer in self.layers[:-1]:
            x = F.elu(layer(x))
        y = self.layers[-1](x)
        return y if self.end[0] is None else self.end[0](y)


def made(model, batch, loss="cross_entropy", optimizer=optim.Adam, **options):
    """Return a model whose shapes are known, its batch, loss and optimiser."""
    for m in model.modules():  # lazy layers take their shapes
        m.training = False
    model(*batch[:-1])
    return model.train(), batch, loss, optimizer(model.parameters(), **options)


def one_hot(x, labels):
    """Return labels as rows of 0 and 1."""
    return x, np.eye(7, dtype=np.float32)[labels]


def set_to(model, layer, value):
    """Return a model with the biases of one layer set."""
    model[layer].bias.data[...] = value
    return model


def growing(rng, growth):
    """Return a recurrent net in which signals and gradients grow."""
    rnn = nn.RNN(5, 40, nonlinearity="relu", batch_first=True)
    rnn.weight_hh_l0.data = growth * init.orthogonal()((40, 40)).astype(np.float32)
    return made(Reader(rnn, 40, 7, False), data(rng, 50, 60, 5))


def stale(rng):
    """Return a net whose running statistics do not move."""
    model = conv(12, 7, momentum=1e-6)
    x, labels = data(rng, 40, 3, 9, 9)
    batch = 2 * x - 5, labels
    net = made(model, batch)
    for _ in range(60):
        model(batch[0])
    return net


FAULTS = {
    "labels outside: one class too few": lambda r: made(conv(12, 6), data(r, 40, 3, 9, 9)),
    "labels outside: percentages": lambda r: made(
        net(30, 50, 1), (data(r, 70, 30)[0], r.uniform(0, 100, (70, 1)).astype(np.float32)), BCE
    ),
    "wrong loss: softmax in forward": lambda r: made(Written(30, 80, 40, 7, end=F.softmax), data(r, 70, 30)),
    "wrong loss: sigmoid in forward": lambda r: made(
        Written(30, 80, 7, end=F.sigmoid), one_hot(*data(r, 70, 30)), BCE
    ),
    "wrong loss: nll of probabilities": lambda r: made(
        net(30, 50, 7, last=[nn.Softmax(1)]), data(r, 70, 30), "nll_loss"
    ),
    "unscaled inputs: columns of a table": lambda r: made(
        net(12, 40, 40, 7), (np.float32(data(r, 70, 12)[0] * 10.0 ** r.integers(0, 5, 12)), r.integers(0, 7, 70))
    ),
    "unscaled inputs: 16 bits": lambda r: made(
        conv(12, 7), (r.integers(0, 65536, (40, 3, 9, 9)).astype(np.float32), r.integers(0, 7, 40))
    ),
    "equal weights: constant kernels": lambda r: made(conv(12, 7, init=0.05), data(r, 40, 3, 9, 9)),
    "saturated units: tanh": lambda r: made(
        net(30, 200, 200, 200, 7, act=nn.Tanh(), init=init.normal(std=2)), data(r, 70, 30)
    ),
    "initialisation: 0.01": lambda r: made(net(30, *[300] * 6, 7, init=init.normal(std=0.01)), data(r, 70, 30)),
    "vanishing depth: sigmoid": lambda r: made(net(30, *[100] * 14, 7, act=nn.Sigmoid()), data(r, 70, 30)),
    "dead units: kernels": lambda r: made(set_to(conv(12, 7), 3, -30.0), data(r, 40, 3, 9, 9)),
    "no clipping: 60 steps": lambda r: growing(r, 2.5),
    "batch too small: 2": lambda r: made(net(30, 50, 7, norm=nn.BatchNorm1d, bias=False), data(r, 2, 30)),
    "bias before norm: kernels": lambda r: made(conv(20, 7, bias=True), data(r, 40, 3, 9, 9)),
    "decayed norm: SGD": lambda r: made(
        conv(12, 7), data(r, 40, 3, 9, 9), optimizer=optim.SGD, lr=0.01, weight_decay=1e-4
    ),
    "rate too high: Adam": lambda r: made(conv(12, 7), data(r, 40, 3, 9, 9), lr=1.0),
    "rate too low: momentum": lambda r: made(
        net(30, 90, 7, norm=nn.LayerNorm), data(r, 70, 30), optimizer=optim.SGD, lr=1e-7, momentum=0.9
    ),
    "no gradient: a spare layer": lambda r: made(Written(30, 80, 7, spare=True), data(r, 70, 30)),
    "stale statistics: momentum 1e-6": stale,
}  # fmt: skip

SOUND = {
    "leaky ReLU, 8 layers": lambda r: made(
        net(30, *[90] * 8, 7, act=nn.LeakyReLU(), init="kaiming_normal"), data(r, 70, 30)
    ),
    "GELU and LayerNorm": lambda r: made(net(30, *[90] * 6, 7, act=nn.GELU(), norm=nn.LayerNorm), data(r, 70, 30)),
    "ELU, 15 layers": lambda r: made(net(30, *[70] * 15, 7, act=F.elu, init="kaiming_normal"), data(r, 70, 30)),
    "GRU": lambda r: made(Reader(nn.GRU(5, 40, batch_first=True), 40, 7, True), data(r, 50, 25, 5)),
    "LSTM, bidirectional": lambda r: made(
        Reader(nn.LSTM(5, 40, 2, batch_first=True, bidirectional=True), 80, 7, False), data(r, 50, 25, 5)
    ),
    "convolutions": lambda r: made(conv(24, 7), data(r, 40, 3, 9, 9), optimizer=optim.SGD, lr=0.05, momentum=0.9),
    "GroupNorm, batches of 4": lambda r: made(conv(12, 7, norm=nn.GroupNorm), data(r, 4, 3, 9, 9)),
    "Conv1d": lambda r: made(
        nn.Sequential(nn.Conv1d(3, 20, 5), F.relu, nn.Conv1d(20, 20, 5), F.relu, nn.Flatten(), nn.Linear(None, 7)),
        data(r, 40, 3, 20),
    ),
    "transposed convolutions": lambda r: (
        x := data(r, 40, 3, 8, 8)[0],
        made(nn.Sequential(nn.Conv2d(3, 8, 2, 2), F.relu, nn.ConvTranspose2d(8, 3, 2, 2)), (x, x), "mse_loss"),
    )[1],
    "depthwise": lambda r: made(
        nn.Sequential(
            nn.Conv2d(3, 12, 1), nn.Conv2d(12, 12, 3, groups=12), F.silu, nn.Conv2d(12, 20, 1), F.silu,
            nn.Flatten(), nn.Linear(None, 7),
        ), data(r, 40, 3, 9, 9),
    ),
    "regression, RMSprop": lambda r: (
        x := data(r, 70, 30)[0],
        made(net(30, 60, 60, 1, act=F.softplus), (x, np.sin(x[:, :1])), "smooth_l1_loss", optim.RMSprop),
    )[1],
    "linear model": lambda r: made(net(30, 7), data(r, 70, 30), optimizer=optim.SGD, lr=0.1),
    "logistic, one output": lambda r: (
        b := data(r, 70, 30, classes=2),
        made(net(30, 1), (b[0], b[1][:, None].astype(np.float32)), BCE),
    )[1],
    "probabilities": lambda r: made(
        net(30, 60, 7, last=[nn.Sigmoid()]), one_hot(*data(r, 70, 30)), "binary_cross_entropy"
    ),
    "log-probabilities": lambda r: made(Written(30, 80, 7, end=F.log_softmax), data(r, 70, 30), "nll_loss"),
    "label smoothing": lambda r: made(
        net(30, 60, 7), data(r, 70, 30), functools.partial(F.cross_entropy, label_smoothing=0.1)
    ),
    "much dropout": lambda r: made(
        nn.Sequential(nn.Linear(30, 200), nn.ReLU(), nn.Dropout(0.8), nn.Linear(200, 7)), data(r, 70, 30)
    ),
    "pixels in [0, 1]": lambda r: made(conv(12, 7), (r.random((40, 3, 9, 9), np.float32), r.integers(0, 7, 40))),
    "one sigmoid layer": lambda r: made(net(30, 100, 7, act=F.sigmoid), data(r, 70, 30), optimizer=optim.SGD, lr=0.5),
    "AdamW without decay of norms": lambda r: (
        m := net(30, 90, 90, 7, norm=nn.RMSNorm),
        (m, data(r, 70, 30), "cross_entropy", optim.AdamW(optim.no_decay_groups(m, 0.1))),
    )[1],
}  # fmt: skip


def rates(seeds):
    """Print the rates of right answers, and what is wrong."""
    for title, nets in (("with a fault", FAULTS), ("sound", SOUND)):
        first = only = 0
        for name, make in nets.items():
            for seed in range(seeds):
                cunet.manual_seed(1000 + seed)
                found = diagnose.health(*make(np.random.default_rng(1000 + seed)), show=False)
                expected = [name.partition(":")[0]] if nets is FAULTS else []
                first += found.causes[:1] == expected
                only += found.causes == expected
                if found.causes != expected:
                    print(f"  {name}, seed {seed}: {'; '.join(f'{f.cause} at {f.where}, {f.seen}' for f in found)}")
        count = len(nets) * seeds
        if nets is FAULTS:
            print(f"{title}: {first} of {count} named first, {only} with nothing beside it")
        else:
            print(f"{title}: {only} of {count} without a finding")


def costs(rounds):
    """Print what an observed step costs: the least processor time of training in which one in four is, in turns."""
    kinds = {
        "MLP 20-50-50-3": (lambda: net(20, 50, 50, 3), (20,)),
        "MLP 784-512-256-10": (lambda: net(784, 512, 256, 10, norm=nn.BatchNorm1d, bias=False), (784,)),
        "convolutions": (lambda: conv(16, 10), (3, 16, 16)),
    }
    for name, (build, shape) in kinds.items():
        x, labels = data(np.random.default_rng(0), 32 * 24, *shape, classes=3)
        trainers = []
        for diagnosed in (False, 4):
            cunet.manual_seed(0)
            model = build()
            model(x[:2])
            optimizer = optim.Adam(model.parameters(), 1e-4)
            trainer = Trainer(model, "cross_entropy", optimizer, diagnose=diagnosed, progress=False, device="cpu")
            trainer.fit((x, labels), batch_size=32)
            trainers.append(trainer)
        spent = [[], []]
        for _ in range(rounds):
            for trainer, times in zip(trainers, spent, strict=True):
                begin = time.process_time()
                trainer.fit((x, labels), epochs=2, batch_size=32)
                times.append(time.process_time() - begin)
        plain, seen = map(min, spent)
        more, every = 4 * (seen / plain - 1), diagnose.recorder.EVERY
        print(
            f"{name}: a step takes {1e3 * plain / 48:.2f} ms, one that is observed as much as {1 + more:.1f};", end=" "
        )
        print(f"one in {every}: {more / every:.1%} more")


def main():
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="of each net")
    parser.add_argument("--cost", type=int, metavar="ROUNDS", help="measure the cost instead, in so many rounds")
    args = parser.parse_args()
    costs(args.cost) if args.cost else rates(args.seeds)


if __name__ == "__main__":
    main()
