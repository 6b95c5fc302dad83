"""Small nets of every family, with the shapes of their inputs."""

from record_helpers import bn_net, mlp

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
