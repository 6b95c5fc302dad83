"""The layers that the jobs need, for JAX, under PyTorch's names; each holds its arrays, traced or not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


class Keys:
    """The key that the next dropout splits; set at the start of every trace."""

    current: Any = None


class Module:
    """Holds trained arrays and buffers by name, and other modules as attributes."""

    def __init__(self, **arrays: Any) -> None:
        self.arrays = arrays

    def __call__(self, *args: Any) -> Any:
        """Run `forward`."""
        return self.forward(*args)

    def forward(self, *args: Any) -> Any:
        """Compute the output."""
        raise NotImplementedError

    def children(self) -> Iterator[tuple[str, Module]]:
        """Yield modules below this one by name."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def slots(self, prefix: str = "") -> Iterator[tuple[str, Module, str]]:
        """Yield (full name, module, name) of every array."""
        for name in self.arrays:
            yield prefix + name, self, name
        for name, child in self.children():
            yield from child.slots(f"{prefix}{name}.")


class Sequential(Module):
    """Layers one after the other."""

    def __init__(self, *layers: Module) -> None:
        super().__init__()
        self.layers = layers

    def children(self) -> Iterator[tuple[str, Module]]:
        """Yield layers by number."""
        for i, layer in enumerate(self.layers):
            yield str(i), layer

    def forward(self, x: Any) -> Any:
        """Apply the layers."""
        for layer in self.layers:
            x = layer(x)
        return x


class _Function(Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.forward = function


def ReLU() -> Module:  # noqa: N802 (PyTorch's names)
    """Return the layer."""
    return _Function(jax.nn.relu)


def ELU() -> Module:  # noqa: N802
    """Return the layer."""
    return _Function(jax.nn.elu)


def Sigmoid() -> Module:  # noqa: N802
    """Return the layer."""
    return _Function(jax.nn.sigmoid)


def GELU() -> Module:  # noqa: N802
    """Return the exact one, by erf."""
    return _Function(lambda x: jax.nn.gelu(x, approximate=False))


def Flatten() -> Module:  # noqa: N802
    """Return the layer."""
    return _Function(lambda x: x.reshape(len(x), -1))


def MaxPool2d(size: int) -> Module:  # noqa: N802
    """Return the layer; strides are its size."""
    window = (1, 1, size, size)
    return _Function(lambda x: lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID"))


def CrossEntropyLoss() -> Module:  # noqa: N802
    """Return the mean over labels."""

    def loss(x: Any, labels: Any) -> Any:
        return -jnp.take_along_axis(jax.nn.log_softmax(x), labels[:, None], axis=1).mean()

    return _Function(loss)


def Dropout(p: float) -> Module:  # noqa: N802
    """Return the layer, in training."""

    def drop(x: Any) -> Any:
        if not p:
            return x
        Keys.current, key = jax.random.split(Keys.current)
        return jnp.where(jax.random.bernoulli(key, 1 - p, x.shape), x / (1 - p), 0)

    return _Function(drop)


class Linear(Module):
    """Affine map; the values come from a state."""

    def __init__(self, n: int, m: int) -> None:
        super().__init__(weight=jnp.zeros((m, n)), bias=jnp.zeros(m))

    def forward(self, x: Any) -> Any:
        """Return ``x @ weight.T + bias``."""
        return x @ self.arrays["weight"].T + self.arrays["bias"]


class Conv2d(Module):
    """Convolution of NCHW images."""

    def __init__(self, n: int, m: int, size: int, stride: int = 1, padding: int = 0, groups: int = 1) -> None:
        super().__init__(weight=jnp.zeros((m, n // groups, size, size)), bias=jnp.zeros(m))
        self.stride, self.padding, self.groups = (stride, stride), [(padding, padding)] * 2, groups

    def forward(self, x: Any) -> Any:
        """Return the map."""
        names = ("NCHW", "OIHW", "NCHW")
        y = lax.conv_general_dilated(
            x,
            self.arrays["weight"],
            self.stride,
            self.padding,
            dimension_numbers=names,
            feature_group_count=self.groups,
        )
        return y + self.arrays["bias"][:, None, None]


class BatchNorm2d(Module):
    """Batch norm in training, with running statistics."""

    axes: tuple[int, ...] = (0, 2, 3)

    def __init__(self, n: int) -> None:
        super().__init__(weight=jnp.ones(n), bias=jnp.zeros(n), running_mean=jnp.zeros(n), running_var=jnp.ones(n))

    def forward(self, x: Any) -> Any:
        """Normalise with the statistics of the batch."""
        a, shape = self.arrays, (-1,) + (1,) * (len(self.axes) - 1)
        mean, var = x.mean(self.axes), x.var(self.axes)
        count = x.size // mean.size
        a["running_mean"] = 0.9 * a["running_mean"] + 0.1 * lax.stop_gradient(mean)
        a["running_var"] = 0.9 * a["running_var"] + 0.1 * lax.stop_gradient(var) * (count / max(count - 1, 1))
        scale = a["weight"] * lax.rsqrt(var + 1e-5)
        return (x - mean.reshape(shape)) * scale.reshape(shape) + a["bias"].reshape(shape)


class BatchNorm1d(BatchNorm2d):
    """The same over (N, C)."""

    axes = (0,)


class LayerNorm(Module):
    """Layer norm over the last axis."""

    def __init__(self, n: int) -> None:
        super().__init__(weight=jnp.ones(n), bias=jnp.zeros(n))

    def forward(self, x: Any) -> Any:
        """Normalise each row."""
        mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        return (x - mean) * lax.rsqrt(var + 1e-5) * self.arrays["weight"] + self.arrays["bias"]


class LSTM(Module):
    """One layer of LSTM over (batch, time, features)."""

    def __init__(self, n: int, m: int, batch_first: bool = True) -> None:
        shapes = {
            "weight_ih_l0": (4 * m, n),
            "weight_hh_l0": (4 * m, m),
            "bias_ih_l0": (4 * m,),
            "bias_hh_l0": (4 * m,),
        }
        super().__init__(**{name: jnp.full(shape, 1 / math.sqrt(m)) for name, shape in shapes.items()})
        self.size = m

    def forward(self, x: Any) -> tuple[Any, None]:
        """Return the outputs (batch, time, size)."""
        a = self.arrays
        inputs = x @ a["weight_ih_l0"].T + (a["bias_ih_l0"] + a["bias_hh_l0"])

        def step(carry: Any, z: Any) -> Any:
            h, c = carry
            i, f, g, o = jnp.split(z + h @ a["weight_hh_l0"].T, 4, axis=1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        start = jnp.zeros((len(x), self.size))
        return lax.scan(step, (start, start), inputs.swapaxes(0, 1))[1].swapaxes(0, 1), None
