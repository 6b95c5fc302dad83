"""Small nets of every family, with the shapes of their inputs."""

from record_helpers import bn_net, mlp

import cunet
from cunet import functional as F
from cunet import nn


def seq(*layers):
    return lambda: nn.Sequential(*[layer() for layer in layers])


def linear(n, m):
    return lambda: nn.Linear(n, m)


def conv(n, m):
    return lambda: nn.Conv2d(n, m, 3)


class Reader(nn.Module):
    """Looks at a sequence, and tells a class by its last state."""

    def __init__(self, kind, **options):
        self.layer, self.head = kind(6, 8, batch_first=True, **options), nn.Linear(8, 3)

    def forward(self, x):
        y, _ = self.layer(x)
        return self.head(y[:, -1])


class Encoder(nn.Module):
    """A transformer's layer, and the mean over places."""

    def __init__(self):
        self.layer, self.head = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.2, batch_first=True), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.layer(x).mean(axis=1))


NETS = {
    "linear": (linear(6, 3), (6,)),
    "mlp": (mlp, (6,)),
    "batch norm": (bn_net, (6,)),
    "batch norm with activation": (seq(linear(6, 8), lambda: nn.BatchNorm1d(8, activation="relu"), linear(8, 3)), (6,)),
    "layer norm": (seq(linear(6, 8), lambda: nn.LayerNorm(8), nn.GELU, linear(8, 3)), (6,)),
    "RMS norm": (seq(linear(6, 8), lambda: nn.RMSNorm(8), nn.SiLU, linear(8, 3)), (6,)),
    "dropout": (seq(linear(6, 8), lambda: nn.Dropout(0.4), nn.ELU, linear(8, 3)), (6,)),
    "convolution": (
        seq(lambda: nn.Conv2d(2, 4, 3, padding=1), nn.ReLU, lambda: nn.MaxPool2d(2), nn.Flatten, linear(36, 3)),
        (2, 6, 6),
    ),
    "convolution with batch norm": (
        seq(conv(2, 4), lambda: nn.BatchNorm2d(4), nn.ReLU, lambda: nn.AvgPool2d(2), nn.Flatten, linear(16, 3)),
        (2, 6, 6),
    ),
    "strided 1-D convolution": (
        seq(lambda: nn.Conv1d(2, 4, 3, stride=2), nn.Tanh, nn.Flatten, linear(12, 3)),
        (2, 8),
    ),
    "group norm": (
        seq(lambda: nn.Conv2d(2, 4, 1), lambda: nn.GroupNorm(2, 4), nn.ReLU, nn.Flatten, linear(144, 3)),
        (2, 6, 6),
    ),
    "mean of planes": (
        seq(lambda: nn.Conv2d(2, 3, 3), lambda: nn.AdaptiveAvgPool2d(1), nn.Flatten),
        (2, 6, 6),
    ),
    "LSTM": (lambda: Reader(nn.LSTM), (5, 6)),
    "GRU of two layers": (lambda: Reader(nn.GRU, num_layers=2, dropout=0.2), (5, 6)),
    "RNN": (lambda: Reader(nn.RNN), (5, 6)),
    "transformer": (Encoder, (5, 8)),
}  # fmt: skip


#: Of rows (8, 6) and a matrix (6, 6): rows of 6.
MIXES = {
    "matrices": lambda x, w: cunet.einsum("ni,ji->nj", x, w),
    "three": lambda x, w: cunet.einsum("ni,ij,nj->nj", x, w, x),
    "a diagonal": lambda x, w: cunet.einsum("ni,ii->ni", x, w),
    "elements": lambda x, w: cunet.einsum("ni,jk->nj", x, w),
    "rows": lambda x, w: cunet.einsum("ni,ni->n", x, x)[:, None] * cunet.einsum("ij->j", w),
    "columns": lambda x, w: cunet.einsum("ni,ni->i", x, x) * x + w.sum(),
    "a number": lambda x, w: cunet.einsum("ij,ij->", w, w) * x,
    "inner": cunet.inner,
    "tensordot": lambda x, w: cunet.tensordot(x, w, axes=((1,), (1,))),
    "outer": lambda x, w: cunet.outer(x[:, 0], w[0]),
    "dot": lambda x, w: cunet.dot(x[:, None], w)[:, 0],
    "resampled": lambda x, w: F.interpolate((x @ w)[None], size=6, mode="linear")[0],
}


class Mixed(nn.Module):
    """A linear layer behind what `mix` makes of rows and a matrix."""

    def __init__(self, mix):
        self.mix, self.head = mix, nn.Linear(6, 3)
        self.weight = nn.Parameter(self.head.weight.data.T @ self.head.weight.data)

    def forward(self, x):
        return self.head(self.mix(x, self.weight))
