"""Nets with one fault each, and sound ones, for the tests of `cunet.diagnose.health`."""

import functools

import numpy as np

from cunet import F, init, nn, optim


def points(rng, n=96, features=20, classes=5):
    """Return standard normal points, and labels that a linear map of them gives."""
    x = rng.normal(size=(n, features)).astype(np.float32)
    return x, (x @ rng.normal(size=(features, classes))).argmax(axis=1)


def images(rng, n=64, side=8, classes=4):
    """Return noisy images with a bright square, and in which corner it is."""
    x = 0.3 * rng.normal(size=(n, 1, side, side)).astype(np.float32)
    labels, half = rng.integers(0, classes, n), side // 2
    for image, k in zip(x, labels, strict=True):
        image[0, k // 2 * half :][:half, k % 2 * half :][:, :half] += 2
    return x, labels


def mlp(*sizes, act=F.relu, init=None, norm=None, bias=True, last=(), **kwargs):
    """Return linear layers, each but the last with a norm, if there is one, and an activation."""
    layers = []
    for k, (a, b) in enumerate(zip(sizes, sizes[1:], strict=False)):
        hidden = k < len(sizes) - 2
        layers.append(nn.Linear(a, b, bias=bias or not hidden, init=init, **kwargs))
        layers += [norm(b)] if hidden and norm else []
        layers += [act] if hidden else []
    return nn.Sequential(*layers, *last)


def classifier(rng, model, optimizer=optim.Adam, loss=F.cross_entropy, change=None, **options):
    """Return a net that is to tell points apart, with its batch, loss and optimiser."""
    x, labels = points(rng)
    batch = (x, labels) if change is None else change(x, labels)
    return model, batch, loss, optimizer and optimizer(model.parameters(), **options)


def one_hot(x, labels):
    return x, np.eye(5, dtype=np.float32)[labels]


class Unused(nn.Module):
    """A model that forgot one of its layers."""

    def __init__(self):
        self.first, self.second, self.forgotten = nn.Linear(20, 32), nn.Linear(32, 5), nn.Linear(32, 5)

    def forward(self, x):
        return self.second(F.relu(self.first(x)))


class Last(nn.Module):
    """The scores of the last step of a recurrent layer."""

    def __init__(self, rnn, hidden, classes):
        self.rnn, self.scores = rnn, nn.Linear(hidden, classes)

    def forward(self, x):
        return self.scores(self.rnn(x)[0][-1])


class Functional(nn.Module):
    """Layers whose activation is a function in `forward`, as PyTorch's users write them."""

    def __init__(self, sizes, act=F.relu, **kwargs):
        self.layers = [nn.Linear(a, b, **kwargs) for a, b in zip(sizes, sizes[1:], strict=False)]
        self.act = [act]

    def forward(self, x):
        for layer in self.layers[:-1]:
            x = self.act[0](layer(x))
        return self.layers[-1](x)


class Residual(nn.Module):
    """``x + layer(norm(x))``."""

    def __init__(self, width):
        self.norm, self.layer = nn.LayerNorm(width), nn.Linear(width, width)

    def forward(self, x):
        return x + F.gelu(self.layer(self.norm(x)))


def sequences(rng, length=40, n=32, features=6):
    """Return sequences (T, N, features), and whether their sums are positive."""
    x = rng.normal(size=(length, n, features)).astype(np.float32)
    return x, (x.sum(axis=(0, 2)) > 0).astype(np.int64)


def recurrent(rng, growth, cell=nn.RNN, **options):
    rnn = cell(6, 24, **options)
    x, labels = sequences(rng)
    if growth:
        rnn.weight_hh_l0.data = growth * init.orthogonal()((24, 24)).astype(np.float32)
    model = Last(rnn, 24, 2)
    return model, (x, labels), F.cross_entropy, optim.Adam(model.parameters())


def stale(rng):
    model = mlp(20, 32, 5, norm=functools.partial(nn.BatchNorm1d, momentum=0.0), bias=False, init="kaiming_normal")
    x, labels = points(rng)
    x += 3
    for _ in range(30):
        model(x)
    return model, (x, labels), F.cross_entropy, optim.Adam(model.parameters())


def houses(rng):
    x = np.column_stack([rng.uniform(1, 5, 96), rng.uniform(1000, 99999, 96)]).astype(np.float32)
    return x, ((0.3 * x[:, :1] + 5e-5 * x[:, 1:]) / 5).astype(np.float32)


def conv_net(rng, bias=False, channels=8, scale=1.0):
    x, labels = images(rng)
    model = nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1, bias=bias), nn.BatchNorm2d(channels, activation="relu"), nn.MaxPool2d(2),
        nn.Conv2d(channels, channels, 3, padding=1), F.relu, nn.Flatten(), nn.Linear(16 * channels, 4),
    )  # fmt: skip
    return model, (x * np.float32(scale), labels), F.cross_entropy, optim.Adam(model.parameters())


def regression(rng, scale=1.0, last=(), **kwargs):
    x, _ = points(rng)
    target = np.tanh(x[:, :1]) * np.float32(scale)
    model = mlp(20, 32, 1, last=last, **kwargs)
    return model, (x, target), F.mse_loss, optim.Adam(model.parameters())


def with_bias(net, layer, value):
    """Set the biases of one layer of a net."""
    net[0][layer].bias.data[...] = value
    return net


#: One fault each, by the cause that is to be named and what it is.
SABOTAGED = {
    ("labels outside", "counted from 1"): lambda r: classifier(r, mlp(20, 32, 5), change=lambda x, t: (x, t + 1)),
    ("labels outside", "-1 for none"): lambda r: classifier(r, mlp(20, 32, 5), change=lambda x, t: (x, t - 1)),
    ("labels outside", "-1 and 1"): lambda r: classifier(
        r, mlp(20, 32, 5), loss=F.binary_cross_entropy_with_logits,
        change=lambda x, t: (x, 2 * np.eye(5, dtype=np.float32)[t] - 1),
    ),
    ("wrong loss", "softmax twice"): lambda r: classifier(r, mlp(20, 32, 5, last=[nn.Softmax(1)])),
    ("wrong loss", "sigmoid twice"): lambda r: classifier(
        r, mlp(20, 32, 5, last=[nn.Sigmoid()]), loss=nn.BCEWithLogitsLoss(), change=one_hot
    ),
    ("wrong loss", "nll of scores"): lambda r: classifier(r, mlp(20, 32, 5), loss=F.nll_loss),
    ("unscaled inputs", "bytes"): lambda r: conv_net(r, scale=60.0),
    ("unscaled inputs", "rooms and square feet"): lambda r: (
        m := mlp(2, 16, 1), houses(r), F.mse_loss, optim.SGD(m.parameters(), lr=0.01)
    ),
    ("unscaled inputs", "thousandths"): lambda r: classifier(r, mlp(20, 32, 5), change=lambda x, t: (x / 1000, t)),
    ("unscaled targets", "prices"): lambda r: regression(r, scale=1e5),
    ("equal weights", "a constant"): lambda r: classifier(r, mlp(20, 32, 5, init=0.1)),
    ("equal weights", "zeros"): lambda r: classifier(r, mlp(20, 32, 32, 5, init="zeros")),
    ("initialisation", "too small for 10 ReLU layers"): lambda r: classifier(
        r, mlp(20, *[64] * 10, 5, init=init.normal(std=0.02))
    ),
    ("initialisation", "standard normal"): lambda r: classifier(r, mlp(20, *[64] * 4, 5, init=init.normal())),
    ("saturated units", "tanh of large weights"): lambda r: classifier(
        r, mlp(20, 64, 64, 5, act=F.tanh, init=init.normal())
    ),
    ("saturated units", "sigmoid of large weights"): lambda r: classifier(
        r, mlp(20, 64, 64, 5, act=F.sigmoid, init=init.normal(std=3.0))
    ),
    ("vanishing depth", "10 sigmoid layers"): lambda r: classifier(
        r, mlp(20, *[64] * 10, 5, act=F.sigmoid, init="xavier_normal")
    ),
    ("exploding depth", "60 layers with batch norm"): lambda r: classifier(
        r, mlp(20, *[64] * 60, 5, norm=nn.BatchNorm1d, bias=False, init="kaiming_normal")
    ),
    ("dead units", "biases of -20"): lambda r: with_bias(classifier(r, mlp(20, 64, 64, 5)), 2, -20.0),
    ("dead output", "ReLU of scores"): lambda r: with_bias(regression(r, last=[nn.ReLU()]), 2, -9.0),
    ("no clipping", "a recurrent ReLU"): lambda r: recurrent(r, 2.2, nonlinearity="relu"),
    ("no clipping", "a recurrent tanh"): lambda r: recurrent(r, 5.0),
    ("no gradient", "a layer that is not used"): lambda r: classifier(r, Unused()),
    ("batch too small", "4 samples"): lambda r: classifier(
        r, mlp(20, 32, 5, norm=nn.BatchNorm1d, bias=False), change=lambda x, t: (x[:4], t[:4])
    ),
    ("bias before norm", "linear"): lambda r: classifier(r, mlp(20, 32, 5, norm=nn.BatchNorm1d)),
    ("bias before norm", "convolution"): lambda r: conv_net(r, bias=True),
    ("stale statistics", "momentum 0"): stale,
    ("decayed norm", "AdamW over all"): lambda r: classifier(
        r, mlp(20, 32, 5, norm=nn.LayerNorm), optimizer=optim.AdamW
    ),
    ("rate too high", "SGD"): lambda r: classifier(r, mlp(20, 32, 5), optimizer=optim.SGD, lr=30.0),
    ("rate too high", "Adam"): lambda r: classifier(r, mlp(20, 32, 5), lr=3.0),
    ("rate too low", "SGD"): lambda r: classifier(r, mlp(20, 32, 5), optimizer=optim.SGD, lr=1e-6),
    ("rate too low", "Adam"): lambda r: classifier(r, mlp(20, 32, 5), lr=1e-7),
}  # fmt: skip
