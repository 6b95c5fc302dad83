"""The networks that are trained, built from a library's ``nn`` that has PyTorch's layer names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def mlp(sizes: tuple[int, ...]) -> Callable[[Any, bool], Any]:
    """Return the builder of a ReLU network of these widths."""

    def build(nn: Any, drop: bool) -> Any:
        layers = []
        for i, (n, m) in enumerate(zip(sizes, sizes[1:], strict=False)):
            layers += [nn.ReLU()] * (i > 0) + [nn.Linear(n, m)]
        return nn.Sequential(*layers)

    return build


def bn_net(nn: Any, drop: bool) -> Any:
    """Build the MNIST network of Ioffe and Szegedy 2015 (arXiv:1502.03167, section 4.1)."""
    layers = []
    for n, m in ((784, 100), (100, 100), (100, 100)):
        layers += [nn.Linear(n, m), nn.BatchNorm1d(m), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Linear(100, 10))


def mnist_cnn(nn: Any, drop: bool) -> Any:
    """Build the network of PyTorch's MNIST example."""
    first, second = (0.25, 0.5) if drop else (0.0, 0.0)
    convolutions = [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)]
    head = [nn.Linear(9216, 128), nn.ReLU(), nn.Dropout(second), nn.Linear(128, 10)]
    return nn.Sequential(*convolutions, nn.Dropout(first), nn.Flatten(), *head)


def bn_cnn(nn: Any, drop: bool) -> Any:
    """Build conv 5x5, batch norm, ReLU, pooling, twice, and a linear layer.

    cunet's batch norm has the ReLU in it; an Identity keeps the numbering of the layers.
    """

    def normed(m: int) -> list[Any]:
        if nn.__name__ == "cunet.nn":
            return [nn.BatchNorm2d(m, activation="relu"), nn.Identity()]
        return [nn.BatchNorm2d(m), nn.ReLU()]

    layers = []
    for n, m in ((1, 16), (16, 32)):
        layers += [nn.Conv2d(n, m, 5, padding=2), *normed(m), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 7 * 7, 10))


def lstm(nn: Any, drop: bool) -> Any:
    """Build an LSTM that reads an image row by row, and a linear layer on its last output."""

    class RowReader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(28, 128, batch_first=True)
            self.fc = nn.Linear(128, 10)

        def forward(self, x: Any) -> Any:
            return self.fc(self.lstm(x)[0][:, -1])

    return RowReader()


def transformer(depth: int, width: int) -> Callable[[Any, bool], Any]:
    """Return the builder of encoder layers of 4 heads, the mean over places, and a linear layer."""

    def build(nn: Any, drop: bool) -> Any:
        class Encoder(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                options = {"dropout": 0.1 if drop else 0.0, "batch_first": True}
                layers = [nn.TransformerEncoderLayer(width, 4, 4 * width, **options) for _ in range(depth)]
                self.layers, self.head = nn.Sequential(*layers), nn.Linear(width, 10)

            def forward(self, x: Any) -> Any:
                return self.head(self.layers(x).mean(1))

        return Encoder()

    return build


def char_rnn(nn: Any, drop: bool) -> Any:
    """Build scores of the next of 97 characters at each place: those of all sequences one after the other."""

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.lstm = nn.Embedding(97, 64), nn.LSTM(64, 128, batch_first=True)
            self.scores = nn.Linear(128, 97)

        def forward(self, codes: Any) -> Any:
            return self.scores(self.lstm(self.embedding(codes))[0]).reshape(-1, 97)

    return Reader()
