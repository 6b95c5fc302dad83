"""What is measured: networks and functions, written once for every library that has PyTorch's layer names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .nets import bn_cnn, bn_net, char_rnn, lstm, mlp, mnist_cnn, transformer

BATCHES = 8  # distinct batches that a training job goes through, again and again


@dataclass(frozen=True)
class Job:
    """One row of the table.

    Attributes:
        key: short name, for the command line.
        title: what stands in the table.
        group: letter of the job's group.
        aims: targets for cunet's time over PyTorch's on the NumPy route and on the compiled route, or None.
        layers: names that a library's ``nn`` must have for this job.
        flops: of all matrix products of one call, or 0 where they do not decide.
        bytes: that one call must move between memory and core if it reads and writes each array once per pass.
    """

    key: str
    title: str
    group: str
    aims: tuple[float, float] | None = None
    layers: tuple[str, ...] = ()
    flops: float = 0
    bytes: float = 0


@dataclass(frozen=True)
class Training(Job):
    """Whole training steps: slice a batch, forward, cross entropy, backward, optimiser.

    Attributes:
        build: ``build(nn, drop)`` makes the model from a library's ``nn``; `drop` False: with dropout of p = 0.
        shape: of one sample.
        batch: samples in a step.
        optimizer: name and learning rate.
        codes: how many there are, where samples are sequences of them and each is labelled by another one.
    """

    build: Callable[[Any, bool], Any] = field(kw_only=True)
    shape: tuple[int, ...] = field(kw_only=True)
    batch: int = field(kw_only=True)
    optimizer: tuple[str, float] = ("Adam", 1e-3)
    codes: int = 0

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Return samples in [0, 1) and labels that a linear teacher gives, so that there is something to learn.

        A code is labelled by a sum of it and of the one before.
        """
        rng = np.random.default_rng(0)
        if self.codes:
            x = rng.integers(0, self.codes, (BATCHES * self.batch, *self.shape))
            return x, (x + 3 * np.roll(x, 1, axis=1)) % self.codes
        x = rng.random((BATCHES * self.batch, *self.shape), np.float32)
        teacher = rng.standard_normal((x[0].size, 10), np.float32)
        flat = x.reshape(len(x), -1) - 0.5
        return x, (flat @ teacher).argmax(axis=1)


@dataclass(frozen=True)
class Prediction(Job):
    """One sample through a net, in evaluation, without gradients.

    Attributes:
        build, shape: as of `Training`.
        batch: samples in a call.
    """

    build: Callable[[Any, bool], Any] = field(kw_only=True)
    shape: tuple[int, ...] = field(kw_only=True)
    batch: int = 1

    def data(self) -> np.ndarray:
        """Return samples in [0, 1)."""
        return np.random.default_rng(0).random((self.batch, *self.shape), np.float32)


@dataclass(frozen=True)
class Function(Job):
    """One layer, forward and backward, with gradients of its input and its parameters.

    Attributes:
        build: ``build(nn)`` makes the layer.
        shape: of the input.
        out: shape of the result, where it is another.
        weights: whether the layer draws weights, which must be the same in all libraries.
        labels: number of classes, for a loss that takes labels too.
    """

    build: Callable[[Any], Any] = field(kw_only=True)
    shape: tuple[int, ...] = field(kw_only=True)
    out: tuple[int, ...] | None = None
    weights: bool = False
    labels: int = 0


@dataclass(frozen=True)
class Step(Job):
    """One step of Adam over `count` parameters."""

    count: int = field(kw_only=True)


def mlp_flops(batch: int, sizes: tuple[int, ...]) -> int:
    """Count forward, weight gradients and input gradients; the first layer has no gradient of its input."""
    products = [2 * batch * n * m for n, m in zip(sizes, sizes[1:], strict=False)]
    return 3 * sum(products) - products[0]


def conv_flops(batch: int, *layers: tuple[int, int, int, int]) -> int:
    """Count as `mlp_flops` for layers (in channels, out channels, kernel side, output side)."""
    products = [2 * batch * n * m * k * k * side * side for n, m, k, side in layers]
    return 3 * sum(products) - products[0]


def training(
    key: str, title: str, build: Any, shape: tuple[int, ...], batch: int, flops: float, **more: Any
) -> Training:
    """Make a training job whose title names the batch too."""
    return Training(key, f"{title}, b{batch}", build=build, shape=shape, batch=batch, flops=flops, **more)


def wide_mlp(batch: int, width: int) -> Training:
    """Make the job of the scaling plot: an MLP with two hidden layers."""
    sizes = (784, width, width, 10)
    return training(
        f"mlp-{batch}-{width}", f"MLP {width}", mlp(sizes), (784,), batch, mlp_flops(batch, sizes), group="s"
    )


def training_jobs(tiny: bool) -> list[Training]:
    """Return jobs (a) to (d), (f), (h) and (i)."""
    sizes = (784, 512, 256, 10)
    b = (lambda n: 4) if tiny else (lambda n: n)
    cnn = ("Conv2d", "MaxPool2d")
    cnn_flops = conv_flops(b(64), (1, 32, 3, 26), (32, 64, 3, 24)) + 6 * b(64) * (9216 * 128 + 1280)
    bn_flops = conv_flops(b(128), (1, 16, 5, 28), (16, 32, 5, 14)) + 6 * b(128) * 15680
    lstm_flops = 6 * b(64) * (28 * (28 + 128) * 512 + 1280) - 2 * b(64) * 28 * 28 * 512
    image = (1, 28, 28)
    depth, width, length = (1, 16, 8) if tiny else (4, 128, 64)
    token = depth * (12 * width**2 + 2 * length * width) * 2  # of four products of width, two of 4 * width, attention
    char_flops = 6 * b(64) * length * ((64 + 128) * 512 + 128 * 97)
    return [
        training("mlp", "(a) MLP 784-512-256-10", mlp(sizes), (784,), b(128), mlp_flops(b(128), sizes), group="a",
                 aims=(0.95, 0.65)),
        training("bn-net", "(b) BN net 784-3x100-10", bn_net, (784,), b(60), mlp_flops(b(60), (784, 100, 100, 100, 10)),
                 group="b", aims=(0.55, 0.4), layers=("BatchNorm1d",), optimizer=("SGD", 0.1)),
        training("cnn", "(c) MNIST CNN", mnist_cnn, image, b(64), cnn_flops, group="c", aims=(1.4, 0.9), layers=cnn),
        training("bn-cnn", "(d) BN CNN 16-32 5x5", bn_cnn, image, b(128), bn_flops, group="d", aims=(2.0, 1.2),
                 layers=cnn),
        training("lstm", "(f) LSTM 128, 28 rows", lstm, (28, 28), b(64), lstm_flops, group="f", aims=(1.0, 0.7),
                 layers=("LSTM",)),
        training("transformer", f"(h) transformer encoder {depth} x {width}, length {length}",
                 transformer(depth, width), (length, width), b(32), 3 * b(32) * length * token, group="h",
                 layers=("TransformerEncoderLayer",)),
        training("char-rnn", f"(i) char-RNN, LSTM 128, length {length}", char_rnn, (length,), b(64), char_flops,
                 group="i", layers=("Embedding", "LSTM"), codes=97),
    ]  # fmt: skip


def prediction() -> Prediction:
    """Return job (j)."""
    flops = conv_flops(1, (1, 16, 5, 28), (16, 32, 5, 14)) / 3 + 2 * 15680
    return Prediction("predict", "(j) predict, CNN of (d), b1", "j", build=bn_cnn, shape=(1, 28, 28), flops=flops,
                      layers=("Conv2d", "MaxPool2d"))  # fmt: skip


def function_jobs(tiny: bool) -> list[Job]:
    """Return the jobs of (e). Bytes: the number of times that an array of the input's size is read or written."""
    flat, image = ((8, 1024), (2, 64, 4, 4)) if tiny else ((4096, 1024), (64, 64, 28, 28))
    counts = (1000, 5000) if tiny else (10**6, 10**7)

    def function(key: str, title: str, build: Any, passes: float, shape: Any = flat, **more: Any) -> Function:
        return Function(key, f"(e) {title}", "e", (4, 1.2), build=build, shape=shape,
                        bytes=4 * passes * np.prod(shape, dtype=float), **more)  # fmt: skip

    half = (*image[:2], image[2] // 2, image[3] // 2)

    def convolution(key: str, title: str, size: int, passes: float, out: Any = image, **options: int) -> Function:
        channels = image[1]
        products = np.prod(out, dtype=float) * size * size * channels / options.get("groups", 1)
        return function(
            f"conv-{key}", f"conv {title}, {channels} to {channels}",
            lambda nn: nn.Conv2d(channels, channels, size, **options), passes, image, out=out, weights=True,
            flops=6 * products, layers=("Conv2d",),
        )  # fmt: skip

    # Forward reads x and writes y, backward reads x and gy and writes gx: 5. A batch norm reads x once more in
    # forward (statistics), x and gy once more in backward: 8. Dropout and pooling need no x in backward. A convolution
    # reads gy for both gradients: 6, of which 3 are of the size of the output.
    return [
        function("gelu", "GELU", lambda nn: nn.GELU(), 5),
        function("elu", "ELU", lambda nn: nn.ELU(), 5),
        function("sigmoid", "sigmoid", lambda nn: nn.Sigmoid(), 5),
        function("softmax-ce", "softmax cross entropy", lambda nn: nn.CrossEntropyLoss(), 3, labels=flat[1]),
        function("layer-norm", "layer norm", lambda nn: nn.LayerNorm(flat[1]), 5),
        function("batch-norm-1d", "batch norm 1d", lambda nn: nn.BatchNorm1d(flat[1]), 8),
        function("batch-norm-2d", "batch norm 2d", lambda nn: nn.BatchNorm2d(image[1]), 8, image),
        function("dropout", "dropout 0.5", lambda nn: nn.Dropout(0.5), 4),
        function("max-pool", "max-pool 2x2", lambda nn: nn.MaxPool2d(2), 2.5, image, out=half, layers=("MaxPool2d",)),
        convolution("3x3", "3x3", 3, 6, padding=1),
        convolution("1x1", "1x1", 1, 6),
        convolution("stride", "3x3, stride 2", 3, 3.75, half, padding=1, stride=2),
        convolution("depthwise", "3x3 depthwise", 3, 6, padding=1, groups=image[1]),
        # Reads g, w, m and v; writes w, m and v.
        *(Step(f"adam-{name}", f"(e) Adam, {name} weights", "e", (4, 1.2), count=n, bytes=28.0 * n)
          for name, n in zip(("1e6", "1e7"), counts, strict=True)),
    ]  # fmt: skip


def activation(layer: str, tiny: bool = False) -> Function:
    """Make the job of an activation, by its layer: group (x)."""
    given = (1.0, 0.0) if layer == "Threshold" else ()  # where PyTorch has no defaults
    shape = (8, 1024) if tiny else (4096, 1024)
    return Function(
        f"activation-{layer}", f"(x) {layer}", "x", layers=(layer,), build=lambda nn: getattr(nn, layer)(*given),
        shape=shape, bytes=4 * 5 * np.prod(shape, dtype=float),
    )  # fmt: skip


def activation_jobs(tiny: bool = False) -> dict[str, Job]:
    """Return a job for each elementwise activation of cunet, which are run when asked for."""
    from cunet.ops.activation.registry import ACTIVATIONS  # here: it must not count in the memory of its peers

    jobs = [activation(entry.layer, tiny) for entry in ACTIVATIONS.values() if entry.forward and entry.layer]
    return {job.key: job for job in jobs}


def all_jobs(tiny: bool = False) -> dict[str, Job]:
    """Return every job but (x) by key; `tiny`: at sizes that only show that they run."""
    jobs = training_jobs(tiny)
    return {job.key: job for job in [*jobs[:4], *function_jobs(tiny), *jobs[4:], prediction()]}
