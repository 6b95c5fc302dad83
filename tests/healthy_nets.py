"""Sound nets, those of the examples among them, for the tests of `cunet.diagnose.health`."""

import functools
import importlib.util
import sys
from pathlib import Path
from unittest import mock

import numpy as np
from health_nets import Functional, Residual, classifier, conv_net, mlp, one_hot, recurrent

from cunet import F, data, nn, optim
from cunet.cli import nets


class Tagger(nn.Module):
    """A small transformer with the class of the mean."""

    def __init__(self):
        self.embedding, self.place = nn.Embedding(50, 32), nn.PositionalEncoding(32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=True)
        self.encoder, self.norm, self.scores = nn.TransformerEncoder(layer, 2), nn.LayerNorm(32), nn.Linear(32, 4)

    def forward(self, codes):
        return self.scores(self.norm(self.encoder(self.place(self.embedding(codes)))).mean(axis=1))


def example(name):
    """Return an example as a module."""
    path = Path(__file__).parents[1] / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"example_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with mock.patch.object(sys, "argv", [path.name]):
        return module, module.parse_arguments() if hasattr(module, "parse_arguments") else None


@functools.cache
def digits():
    return data.Digits("train").arrays(flatten=False)


def mnist_mlp(rng):
    _, args = example("mnist_mlp")
    net = {name: getattr(args, name) for name in ("activation", "norm", "dropout", "init")}
    x, labels = (a[:128] for a in digits())
    model = nets.mlp([64, *args.hidden, 10], **net)
    return model, (x.reshape(128, -1), labels), F.cross_entropy, optim.Adam(model.parameters(), args.lr)


def mnist_cnn(rng):
    _, args = example("mnist_cnn")
    net = {name: getattr(args, name) for name in ("channels", "hidden", "activation", "dropout", "init")}
    model = nets.cnn(8, **net)
    batch = tuple(a[:128] for a in digits())
    return model, batch, F.cross_entropy, optim.Adam(model.parameters(), args.lr)


def mnist_torch_style(rng):
    module, args = example("mnist_torch_style")
    x, labels = (a[:16] for a in digits())
    x = np.pad(x.repeat(3, 2).repeat(3, 3), ((0, 0), (0, 0), (2, 2), (2, 2)))
    model = module.Net()
    return model, (x, labels), F.nll_loss, optim.Adadelta(model.parameters(), lr=args.lr)


def char_rnn(rng):
    module, args = example("char_rnn")
    model = module.CharModel(args)
    codes = module.read(["shlex"])[: 16 * 33].reshape(16, 33).T

    def loss(prediction, target):
        return module.bits(prediction[0], target)

    return model, (codes[:-1], codes[1:]), loss, optim.Adam(model.parameters(), lr=args.lr)


def digits_gan(rng):
    module, args = example("digits_gan")
    critic = module.GAN(args.noise, args.hidden).critic
    real = data.Digits("train").arrays(standardise=False)[0][:32]
    x = np.concatenate([real, rng.random((32, 64), np.float32)])
    target = np.repeat(np.float32([1, 0]), 32)[:, None]
    return critic, (x, target), F.binary_cross_entropy_with_logits, optim.Adam(critic.parameters(), args.lr)


def feature_scaling(rng):
    x, y = example("feature_scaling")[0].houses(200, rng)
    model = nn.Linear(2, 1, dtype=np.float64)
    return model, (data.StandardScaler().fit_transform(x), y), F.mse_loss, optim.SGD(model.parameters(), lr=0.3)


def uncertainty(rng):
    x, labels = (a[:128] for a in digits())
    hidden = nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 128), nn.ReLU(), nn.Dropout(0.5)
    model = nn.Sequential(*hidden, nn.Linear(128, 10))
    return model, (x.reshape(128, -1), labels), F.cross_entropy, optim.Adam(model.parameters())


def autoencoder(rng):
    x = data.Digits("train").arrays(standardise=False)[0][:96]
    model = mlp(64, 32, 8, 32, 64, last=[nn.Sigmoid()])
    return model, (x, x), F.binary_cross_entropy, optim.Adam(model.parameters())


def trained(net, steps=80):
    model, (*inputs, target), loss, optimizer = net
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model(*inputs), target).backward()
        optimizer.step()
    return net


def transformer(rng):
    codes = rng.integers(0, 50, (32, 12))
    model = Tagger()
    optimizer = optim.AdamW(optim.no_decay_groups(model, 0.01))
    return model, (codes, codes.max(axis=1) // 13), F.cross_entropy, optimizer


def rare_words(rng):
    x = np.zeros((96, 400), np.float32)
    x[np.arange(96)[:, None], rng.integers(0, 400, (96, 8))] = 1
    model = mlp(400, 32, 2)
    return model, (x, (x[:, :200].sum(axis=1) > 4).astype(int)), F.cross_entropy, optim.Adam(model.parameters())


momentum = functools.partial(optim.SGD, lr=0.01, momentum=0.9)

#: Sound ones, of which nothing is to be said; those of the examples first.
HEALTHY = {
    "mnist_mlp": mnist_mlp,
    "mnist_cnn": mnist_cnn,
    "mnist_torch_style": mnist_torch_style,
    "char_rnn": char_rnn,
    "digits_gan": digits_gan,
    "feature_scaling": feature_scaling,
    "uncertainty": uncertainty,
    "autoencoder": autoencoder,
    "transformer": transformer,
    "rare words": rare_words,
    "residual": lambda r: classifier(r, nn.Sequential(nn.Linear(20, 32), *map(Residual, [32] * 12), nn.Linear(32, 5))),
    "tanh": lambda r: classifier(r, mlp(20, *[64] * 5, 5, act=F.tanh, init="xavier_normal"), momentum),
    "SELU": lambda r: classifier(r, mlp(20, *[64] * 20, 5, act=F.selu, init="lecun_normal"), momentum),
    "ReLU": lambda r: classifier(r, mlp(20, *[64] * 10, 5, init="kaiming_normal"), momentum),
    "functions in forward": lambda r: classifier(r, Functional([20, 64, 64, 5]), optim.SGD, lr=0.1),
    "a last layer of zeros": lambda r: classifier(r, mlp(20, 32, 32, 5, last=[nn.Linear(5, 5, init="zeros")])),
    "two sigmoid layers": lambda r: classifier(r, mlp(20, 32, 32, 5, act=F.sigmoid)),
    "LSTM": lambda r: recurrent(r, 0, nn.LSTM),
    "Brier score": lambda r: classifier(r, mlp(20, 32, 5, last=[nn.Softmax(1)]), loss=F.mse_loss, change=one_hot),
    "trained": lambda r: trained(classifier(r, mlp(20, 32, 5, norm=nn.BatchNorm1d, bias=False))),
    "trained convolutions": lambda r: trained(conv_net(r), 30),
}
