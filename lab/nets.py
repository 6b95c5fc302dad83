"""What the groups share: images, batches, nets, a loop of recorded steps, accuracy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

import cunet
from cunet import F, nn
from cunet.data import MNIST, Images


class Split(NamedTuple):
    """Images and labels to train on, and to test on: x float32 (N, pixels), standardised; y int64 (N,)."""

    x: np.ndarray
    y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


_read: list[Images] = []


def images(download: bool = True) -> list[Images]:
    """Return the training and the test split of MNIST, read once a process."""
    if not _read:
        _read[:] = MNIST("train", download=download), MNIST("test", download=download)
    return _read


def mnist(count: int, seed: int, test: int = 2000) -> Split:
    """Return some images of the training split, drawn by seed, and the first ones of the test split."""
    train, held = images()
    rows = np.random.default_rng(seed).permutation(len(train))[:count]
    return Split(*_arrays(train, rows), *_arrays(held, slice(test)))


def _arrays(split: Images, rows: Any) -> tuple[np.ndarray, np.ndarray]:
    pixels, labels = split[rows]
    x = pixels.reshape(len(pixels), -1).astype(np.float32) / split.PEAK
    return (x - np.float32(split.MEAN)) / np.float32(split.STD), labels


def batches(count: int, size: int, seed: int) -> Iterator[np.ndarray]:
    """Yield rows of batches for ever, in a new order each time all were there; the rest of an order is left out."""
    rng = np.random.default_rng([seed, 1])
    while True:
        order = rng.permutation(count)
        for k in range(0, count - size + 1, size):
            yield order[k : k + size]


def train(
    model: nn.Module,
    optimizer: Any,
    x: np.ndarray,
    y: np.ndarray,
    *,
    steps: int,
    batch: int,
    seed: int,
    loss: Callable[..., Any] = F.cross_entropy,
    look: Callable[[int], None] | None = None,
    every: int = 1,
) -> None:
    """Take steps of training, recorded; call ``look(step)`` before the first, after each `every` steps, at the end."""

    @cunet.compile
    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value.detach()

    rows = batches(len(x), min(batch, len(x)), seed)
    model.train()
    for k in range(steps):
        if look and k % every == 0:
            look(k)
        take = next(rows)
        step(x[take], y[take])
    if look:
        look(steps)


def mlp(
    sizes: tuple[int, ...],
    activation: Callable[[], Any] = nn.ReLU,
    *,
    norm: Callable[[int], Any] | None = None,
    after: bool = False,
    drop: float = 0.0,
    init: Any = None,
) -> nn.Sequential:
    """Return linear layers with an activation between them, a norm before or after it, and dropout behind it."""
    layers: list[Any] = []
    bias = None if init is None else "zeros"
    for before, width in zip(sizes[:-2], sizes[1:-1], strict=True):
        normed = [norm(width)] if norm else []
        layers += [nn.Linear(before, width, init=init, bias_init=bias)]
        layers += [activation(), *normed] if after else [*normed, activation()]
        layers += [nn.Dropout(drop)] if drop else []
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1], init=init, bias_init=bias))


def scores(model: nn.Module, x: np.ndarray) -> np.ndarray:
    """Return the outputs in evaluation mode."""
    with model.evaluating(), cunet.no_grad():
        return np.concatenate([model(x[k : k + 1000]).data for k in range(0, len(x), 1000)])


def accuracy(model: nn.Module, x: np.ndarray, y: np.ndarray) -> float:
    """Return the share of labels that are right in evaluation mode."""
    return float((scores(model, x).argmax(axis=1) == y).mean())


def accuracy_by_batch(model: nn.Module, x: np.ndarray, y: np.ndarray, size: int) -> float:
    """Return the share of labels that are right in training mode, by the statistics of batches of this size."""
    model.train()
    count = len(x) // size * size
    with cunet.no_grad():
        labels = [model(x[k : k + size]).data.argmax(axis=1) for k in range(0, count, size)]
    return float((np.concatenate(labels) == y[:count]).mean())


def mean_loss(model: nn.Module, x: np.ndarray, y: np.ndarray) -> float:
    """Return the mean cross-entropy in evaluation mode."""
    return F.cross_entropy(scores(model, x), y).item()


def first_at(values: list[float], level: float, every: int, limit: int) -> int:
    """Return the step of the first value of at least `level`, of one each `every` steps; `limit` if there is none."""
    return next((k * every for k, value in enumerate(values) if value >= level), limit)


def at_best_rate(
    rates: Iterable[float], seed: int, trained: Callable[[float], Any], x: np.ndarray, y: np.ndarray, most: float = 1e9
) -> tuple[float, float, Any]:
    """Train anew at each rate; return the least loss on some images, its rate, and the model that has it.

    Args:
        rates: tried, in this order; of equal losses the first one counts.
        seed: of weights and dropout, each time.
        trained: ``trained(rate)`` returns the model.
        x, y: the images and labels of the loss.
        most: what a loss that is more, or no number, counts as.
    """
    best: tuple[float, float, Any] | None = None
    for rate in rates:
        cunet.manual_seed(seed)
        model = trained(rate)
        loss = min(float(np.nan_to_num(mean_loss(model, x, y), nan=most)), most)
        if best is None or loss < best[0]:
            best = loss, rate, model
    assert best is not None, "no rates"
    return best
