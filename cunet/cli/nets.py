"""The nets of `cunet train mnist-mlp` and `mnist-cnn`, which the examples train too."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, get_args

from .. import functional, optim
from ..nn.batch_norm import BatchNorm1d, BatchNorm2d
from ..nn.container import Sequential
from ..nn.conv import Conv2d
from ..nn.dropout import Dropout
from ..nn.linear import Flatten, Linear
from ..nn.module import Module
from ..nn.norm import LayerNorm, RMSNorm
from ..nn.pool import MaxPool2d

NORMS: dict[str, Any] = {"none": None, "batch": BatchNorm1d, "layer": LayerNorm, "rms": RMSNorm}
OPTIMISERS: dict[str, Any] = {
    "sgd": partial(optim.SGD, momentum=0.9),  # a one-cycle schedule moves the momentum, so there has to be one
    "rmsprop": partial(optim.RMSprop, momentum=0.9),
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "lion": optim.Lion,
}
Activation = Literal[
    "relu", "elu", "gelu", "selu", "silu", "mish", "tanh", "sigmoid", "leaky_relu", "softplus", "softsign"
]

ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)


def mlp(sizes: Sequence[int], *, activation: Activation, norm: str, dropout: float, init: str) -> Module:
    """Return linear layers of these widths; between them a norm, an activation and dropout."""
    layers: list[Any] = []
    for fan_in, fan_out in zip(sizes, sizes[1:-1], strict=False):
        layers.append(Linear(fan_in, fan_out, bias=norm != "batch", init=init))  # batch norm would subtract it
        if NORMS[norm]:
            layers.append(NORMS[norm](fan_out))
        layers += [getattr(functional, activation), Dropout(dropout)]
    return Sequential(*layers, Linear(sizes[-2], sizes[-1]))


def cnn(side: int, *, channels: Sequence[int], hidden: int, activation: str, dropout: float, init: str) -> Module:
    """Return two stages of convolution, batch norm and pooling, and a dense layer, for square grey images."""
    first, second = channels

    def stage(c_in: int, c_out: int) -> list[Any]:  # no bias before a batch norm: its gradient would be 0
        return [
            Conv2d(c_in, c_out, 5, padding="same", bias=False, init=init),
            BatchNorm2d(c_out, activation=activation),
            MaxPool2d(2),
        ]

    dense = Linear(second * (side // 4) ** 2, hidden, bias=False, init=init)
    head = [BatchNorm1d(hidden, activation=activation), Dropout(dropout), Linear(hidden, 10)]
    return Sequential(*stage(1, first), *stage(first, second), Flatten(), dense, *head)
