"""What an initialiser must know of a layer: the fans of its weight and the gain of its nonlinearity."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Fans = tuple[int, int]


def check_shape(who: str, shape: int | Sequence[int]) -> tuple[int, ...]:
    """Return `shape` as a tuple of integers >= 0; `who` complains otherwise."""
    sizes = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if not all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= 0 for n in sizes):
        raise ValueError(f"{who}: shape must be integers >= 0, got {shape!r}")
    return tuple(int(n) for n in sizes)


def fans(shape: Sequence[int], *, transposed: bool = False, groups: int = 1) -> Fans:
    """Count the inputs that one output sums (fan_in) and the outputs that one input feeds (fan_out).

    ``k = prod(kernel)``. Linear ``(out, in)`` and Conv ``(out, in/groups, *kernel)``:
    ``fan_in = in/groups * k``, ``fan_out = out/groups * k``. Transposed conv ``(in, out/groups, *kernel)``:
    the same two formulas, read from the other axes.

    PyTorch knows neither `transposed` (it swaps the two fans there) nor `groups` (its fan_out is that
    of the whole layer). Strides and dilations are not counted: a transposed conv of stride s sums
    only ``fan_in / s**d`` terms per output.

    Args:
        shape: of the weight, at least 2 axes.
        transposed: the weight is ``(in, out/groups, *kernel)``.
        groups: number of groups; divides ``shape[0]``.
    """
    sizes = check_shape("fans", shape)
    if len(sizes) < 2:
        raise ValueError(f"fans: weight must have at least 2 axes (out, in, *kernel), got shape {sizes}")
    if groups < 1 or sizes[0] % groups:
        raise ValueError(f"fans: groups must be >= 1 and divide shape[0] = {sizes[0]}, got {groups}")
    kernel = math.prod(sizes[2:])
    first, second = sizes[0] // groups * kernel, sizes[1] * kernel
    return (first, second) if transposed else (second, first)


#: ``1 / sqrt(E[f(z)**2])`` for z ~ N(0, 1), by quadrature to 17 digits; the tests compute them again.
_QUADRATURE_GAINS = {
    "celu": 1.2451983007007066,
    "gelu": 1.5335304411955353,
    "gelu_tanh": 1.5335805216661470,
    "silu": 1.6765324703310912,
    "mish": 1.4868475812732081,
    "softplus": 1.0418668355353017,
    "softsign": 2.3375333631085396,
    "hard_swish": 1.7366572127665416,
    "relu6": 1.4142135650950737,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor on a weight's std that makes up for what a nonlinearity does to the signal.

    - linear, identity, sigmoid: 1; tanh: 5/3; relu: sqrt(2); leaky_relu (param = negative slope, default
      0.01) and prelu (default 0.25): ``sqrt(2 / (1 + slope**2))``. These are PyTorch's values.
    - selu: 1, which with fan_in is LeCun's initialisation, the one under which SELU normalises itself.
      PyTorch's 3/4 gives up that fixed point for steadier gradients.
    - elu (param = alpha, default 1), celu, gelu, gelu_tanh, silu, mish, softplus, softsign, hard_swish,
      relu6: ``1 / sqrt(E[f(z)**2])`` for z ~ N(0, 1), which keeps the second moment from layer to layer
      as sqrt(2) does for relu; by quadrature, elu in closed form.

    Raises:
        ValueError: unknown nonlinearity, or a param for one that has none.
    """
    slopes = {"relu": None, "leaky_relu": 0.01, "prelu": 0.25}
    if param is not None and nonlinearity not in ("leaky_relu", "prelu", "elu"):
        raise ValueError(f"calculate_gain: {nonlinearity!r} takes no param, got {param!r}")
    if nonlinearity in slopes:
        slope = slopes[nonlinearity] if param is None else param
        return math.sqrt(2 / (1 + (slope or 0.0) ** 2))
    if nonlinearity == "elu":
        # E[expm1(z)**2; z < 0] = exp(2) Phi(-2) - 2 exp(1/2) Phi(-1) + 1/2, with 2 Phi(-a) = erfc(a / sqrt(2))
        negative = math.exp(2) / 2 * math.erfc(math.sqrt(2)) - math.exp(0.5) * math.erfc(math.sqrt(0.5)) + 0.5
        return 1 / math.sqrt(0.5 + (1.0 if param is None else param) ** 2 * negative)
    fixed = {"linear": 1.0, "identity": 1.0, "sigmoid": 1.0, "selu": 1.0, "tanh": 5 / 3, **_QUADRATURE_GAINS}
    if nonlinearity not in fixed:
        known = ", ".join(sorted([*slopes, "elu", *fixed]))
        raise ValueError(f"calculate_gain: unknown nonlinearity {nonlinearity!r}; known: {known}")
    return fixed[nonlinearity]
