"""What an initialiser must know of a layer: the fans of its weight and the gain of its nonlinearity."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..ops.activation.registry import ACTIVATIONS

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

    Returns:
        ``(fan_in, fan_out)``.

    Raises:
        ValueError: the weight has fewer than 2 axes, or `groups` does not divide the first.

    Example:
        >>> init.fans((64, 3, 7, 7))  # of a convolution from 3 to 64 channels
        (147, 3136)
        >>> init.fans((64, 3, 7, 7), transposed=True)
        (3136, 147)
        >>> init.fans((64, 1, 3, 3), groups=64)  # depthwise
        (9, 9)
    """
    sizes = check_shape("fans", shape)
    if len(sizes) < 2:
        raise ValueError(f"fans: weight must have at least 2 axes (out, in, *kernel), got shape {sizes}")
    if groups < 1 or sizes[0] % groups:
        raise ValueError(f"fans: groups must be >= 1 and divide shape[0] = {sizes[0]}, got {groups}")
    kernel = math.prod(sizes[2:])
    first, second = sizes[0] // groups * kernel, sizes[1] * kernel
    return (first, second) if transposed else (second, first)


#: Names that are no function's: PyTorch's of the identity, and the other formula of GELU.
_OTHER_NAMES: dict[str, tuple[str, str | None]] = {"linear": ("identity", None), "gelu_tanh": ("gelu", "tanh")}


def calculate_gain(nonlinearity: str, param: float | str | None = None) -> float:
    """Return the factor on a weight's std that makes up for what a nonlinearity does to the signal.

    Each activation says its gain beside its op (`cunet.ops.activation.registry`); a name without one is an error.

    - linear, identity, sigmoid: 1; tanh: 5/3; relu: sqrt(2); leaky_relu (param = negative slope, default
      0.01) and prelu (default 0.25): ``sqrt(2 / (1 + slope**2))``. These are PyTorch's values.
    - selu: 1, which with fan_in is LeCun's initialisation, the one under which SELU normalises itself.
      PyTorch's 3/4 gives up that fixed point for steadier gradients.
    - all others, such as elu (param = alpha, default 1), gelu (param = approximate; "gelu_tanh" is its "tanh")
      and silu: ``1 / sqrt(E[f(z)**2])`` for z ~ N(0, 1), which keeps the second moment from layer to layer as
      sqrt(2) does for relu; by quadrature to 17 digits, elu in closed form.

    Raises:
        ValueError: unknown nonlinearity, or a param for one that has none.

    Example:
        >>> init.calculate_gain("relu"), init.calculate_gain("tanh"), init.calculate_gain("leaky_relu", 0.2)
        (1.4142135623730951, 1.6666666666666667, 1.3867504905630728)
    """
    gains = {name: entry.gain for name, entry in ACTIVATIONS.items() if entry.gain is not None}
    name, setting = _OTHER_NAMES.get(nonlinearity, (nonlinearity, None))
    if name not in gains:
        known = ", ".join(sorted([*gains, *_OTHER_NAMES]))
        raise ValueError(f"calculate_gain: unknown nonlinearity {nonlinearity!r}; known: {known}")
    gain = gains[name]
    if param is not None and (setting or not callable(gain)):
        raise ValueError(f"calculate_gain: {nonlinearity!r} takes no param, got {param!r}")
    if not callable(gain):
        return gain
    given = setting if param is None else param
    return gain() if given is None else gain(given)
