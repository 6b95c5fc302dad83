"""What the layers, parameters and norms of a model show in one step, measured where the arrays are."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from ..device import Array, accumulator, array_module, asnumpy
from ..nn.conv import ConvBase
from ..nn.linear import Embedding
from ..nn.module import Module
from ..nn.report import kind_of
from ..ops.activation.registry import ACTIVATIONS
from ..optim.groups import is_scale

#: Which percentiles are kept; of at most so many values, evenly spaced ones of a larger array.
PERCENTILES = (5, 15, 50, 85, 95)
SAMPLE = 4096
#: Activations between two limits, and those that are 0 wherever their slope is.
BOUNDED = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "hardsigmoid": (0.0, 1.0), "hardtanh": (-1.0, 1.0)}
RECTIFIED = frozenset({"relu", "relu6"})
#: How far from the middle of its limits, 1 being the limit, a unit is saturated: ``1 - t ** 2``, the share of its
#: greatest slope that a sigmoid or tanh has there, is below 1 / 20.
SATURATED = 0.975


class Spread(NamedTuple):
    """The distribution of the elements of an array.

    Attributes:
        mean, variance: of all elements.
        percentiles: see `PERCENTILES`.
    """

    mean: float
    variance: float
    percentiles: tuple[float, ...]

    @property
    def rms(self) -> float:
        """The root of the mean square."""
        return math.hypot(self.mean, math.sqrt(self.variance))

    @property
    def is_finite(self) -> bool:
        """Whether all elements are finite; a variance alone may be too large a number."""
        return math.isfinite(self.mean)


class LayerFigures(NamedTuple):
    """A layer's output, and the gradient of the loss that reaches it.

    Attributes:
        name, kind, shape: of the layer, and of its output.
        activation: the name of what the layer applies, or None.
        weighted: whether it multiplies by a weight matrix or kernels.
        output, gradient: their distributions; no gradient where none came.
        saturated: share of the elements that are, of a bounded activation; else 0.
        dead: share of the units that are 0, or get no gradient and are not above 0, for all samples.
        units: how many there are.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    activation: str | None
    weighted: bool
    output: Spread
    gradient: Spread | None
    saturated: float
    dead: float
    units: int

    @property
    def gradient_norm(self) -> float:
        """The Euclidean norm of the gradient; 0 where none came."""
        return 0.0 if self.gradient is None else self.gradient.rms * math.sqrt(math.prod(self.shape))


class Pack:
    """Numbers on a device, which are read together."""

    def __init__(self) -> None:
        self._parts: list[Array] = []
        self._count = 0

    def add(self, *values: Array) -> slice:
        """Note arrays; return where their values will lie."""
        first = self._count
        for value in values:
            value = array_module(value).asarray(value, dtype=np.float64).reshape(-1)
            self._parts.append(value)
            self._count += value.size
        return slice(first, self._count)

    def read(self) -> np.ndarray:
        """Return all values; the one wait for the device."""
        if not self._parts:
            return np.zeros(0)
        return asnumpy(array_module(self._parts[0]).concatenate(self._parts))


def spread_of(x: Array) -> tuple[Array, ...]:
    """Return mean, variance and percentiles of an array that is not empty, on its device."""
    wide = accumulator(x.dtype)
    xp = array_module(x)
    flat = x.reshape(-1)
    step = max(1, flat.size // SAMPLE)
    while math.gcd(step, flat.size) > 1:  # a step that divides the length of a row would see a few units alone
        step += 1
    some = xp.sort(flat[::step])
    at = [round(p / 100 * (some.size - 1)) for p in PERCENTILES]
    return flat.mean(dtype=wide), flat.var(dtype=wide), *[some[k] for k in at]


def spread_at(values: np.ndarray) -> Spread:
    """Return what `spread_of` found, of numbers on the host."""
    mean, variance, *percentiles = map(float, values)
    return Spread(mean, variance, tuple(percentiles))


def activation_of(layer: Any) -> str | None:
    """Return the name of the activation that a layer, a norm's epilogue or a plain function applies."""
    function = getattr(type(layer), "function", None) or getattr(layer, "activation", None) or layer
    while isinstance(function, functools.partial):
        function = function.func
    entry = ACTIVATIONS.get(getattr(function, "__name__", ""))
    return entry.name if entry is not None and entry.function is function else None


def is_weighted(layer: Any) -> bool:
    """Tell whether a layer multiplies what it is given by weights of two axes or more."""
    if not isinstance(layer, Module) or isinstance(layer, Embedding) or is_scale(layer):
        return False
    return any(name.startswith("weight") and getattr(v, "ndim", 0) > 1 for name, v in vars(layer).items())


def unit_axis(layer: Any, shape: tuple[int, ...], before: tuple[int, tuple[int, ...]]) -> int:
    """Return the axis of units in a layer's output; of a layer that says nothing that of the one before it."""
    if isinstance(layer, ConvBase):
        return -1 % len(shape) if layer.channels_last else 1
    if isinstance(getattr(layer, "axis", None), int) and hasattr(layer, "running_mean"):
        return layer.axis % len(shape)
    if is_weighted(layer) or len(shape) < 2:
        return len(shape) - 1
    axis, other = before
    return axis if len(other) == len(shape) else min(1, len(shape) - 1)


class Row:
    """One call of a layer: figures of its output, and, as soon as it comes, of the gradient."""

    def __init__(self, pack: Pack, name: str, layer: Any, y: Array, axis: int) -> None:
        self.name, self.layer, self.shape, self.axis = name, layer, y.shape, axis
        self.activation, self.weighted = activation_of(layer), is_weighted(layer)
        self._pack, self._others = pack, tuple(k for k in range(y.ndim) if k != axis)
        self._output, self._saturated, self._zero = pack.add(*spread_of(y)), pack.add(), pack.add()
        self._gradient = self._dead = pack.add()
        self._negative: Array | None = None
        if self.activation in BOUNDED:
            low, high = BOUNDED[self.activation]
            self._saturated = pack.add((abs(2 * y - (low + high)) > SATURATED * (high - low)).mean())
        if self.activation in RECTIFIED:
            self._zero = pack.add((~(y != 0).any(axis=self._others)).mean())
        if self.weighted:
            self._negative = ~(y > 0).any(axis=self._others)

    def append(self, gradient: Array) -> None:
        """Take in the gradient of the output."""
        self._gradient = self._pack.add(*spread_of(gradient))
        if self._negative is not None:
            self._dead = self._pack.add((self._negative & ~(gradient != 0).any(axis=self._others)).mean())
            self._negative = None

    def figures(self, values: np.ndarray) -> LayerFigures:
        """Return the figures, of what was read."""
        back = values[self._gradient]
        return LayerFigures(
            self.name, kind_of(self.layer), self.shape, self.activation, self.weighted, spread_at(values[self._output]),
            spread_at(back) if back.size else None, float(values[self._saturated].sum()),
            float(max(values[self._zero].sum(), values[self._dead].sum())), self.shape[self.axis] if self.shape else 1,
        )  # fmt: skip


def norm_of(x: Array) -> Array:
    """Return the Euclidean norm of an array, on its device."""
    xp = array_module(x)
    flat = x.reshape(-1).astype(accumulator(x.dtype), copy=False)
    return xp.sqrt(xp.vdot(flat, flat))


def alike(x: Array, tolerance: float) -> Array:
    """Tell whether the first rows of a matrix are equal, up to so much of their largest element."""
    rows = x[:3].reshape(min(3, len(x)), -1)
    return abs(rows - rows[:1]).max() <= tolerance * abs(rows).max()
