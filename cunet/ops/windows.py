"""The windows that convolutions and pools slide over an array: where each begins, and which elements it meets.

Everything has three spatial axes: arrays with fewer get axes of length 1 in front, so that one
implementation serves 1, 2 and 3 dimensions.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..autograd.tensor import as_array
from ..device import Array
from .array import expand_dims, squeeze

Sizes = tuple[int, int, int]
Slices = tuple[Any, ...]

#: The windows as parameters of a CUDA kernel, in the order of `Windows`.
WINDOWS = ", ".join(
    f"int32 {letter}{axis}" for letter in ("x", "y", "k", "s", "p", "l") for axis in ("d", "h", "w")
)  # lengths before and after, kernel, stride, padding, dilation ("l" as in spacing along a line)


class Windows(NamedTuple):
    """Windows over three axes. Stride 0 means adaptive: window o of n is [floor(o x / n), ceil((o + 1) x / n))."""

    sizes: Sizes
    out: Sizes
    kernel: Sizes
    stride: Sizes
    padding: Sizes
    dilation: Sizes

    @classmethod
    def of(cls, numbers: Sequence[int]) -> Windows:
        """Return the windows whose `numbers` these are."""
        return cls(*(tuple(map(int, numbers[k : k + 3])) for k in range(0, 18, 3)))  # type: ignore[arg-type]

    def numbers(self) -> tuple[int, ...]:
        """Return what the CUDA parameters `WINDOWS` are given."""
        return tuple(itertools.chain(*self))

    @property
    def taps(self) -> int:
        """The number of elements in a window."""
        return math.prod(self.kernel)

    @property
    def total(self) -> int:
        """The number of windows."""
        return math.prod(self.out)

    def _along(self, axis: int) -> Iterator[tuple[int, slice, slice]]:
        x, y, k, s, p, step = (t[axis] for t in self)
        if not s:
            for o in range(y):
                for tap, at in enumerate(range(o * x // y, -(-(o + 1) * x // y))):
                    yield tap, slice(o, o + 1), slice(at, at + 1)
            return
        for tap in range(k):
            shift = tap * step - p
            first, last = max(0, -(shift // s)), min(y - 1, (x - 1 - shift) // s)
            if first <= last:
                yield tap, slice(first, last + 1), slice(first * s + shift, last * s + shift + 1, s)

    def meetings(self) -> Iterator[tuple[tuple[int, ...], Slices, Slices]]:
        """Yield (tap, slices of windows, slices of the elements that this tap of theirs meets).

        Padding is left out; together they are all pairs of window and element, each window's in its order.
        """
        for parts in itertools.product(*(tuple(self._along(axis)) for axis in range(3))):
            taps, windows, elements = zip(*parts, strict=True)
            yield taps, (..., *windows), (..., *elements)


def per_axis(who: str, name: str, value: Any, ndim: int, least: int = 1) -> tuple[int, ...]:
    """Return a number per axis of what may be one number for all; `who` complains about others."""
    values: Any = (value,) * ndim if isinstance(value, (int, np.integer)) else value
    plain = type(values) is tuple and len(values) == ndim and {int}.issuperset(map(type, values))
    if plain and least <= min(values) and max(values) < 2**31:
        return values
    if (
        not isinstance(values, (tuple, list))
        or len(values) != ndim
        or not all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) and v >= least for v in values)
    ):
        raise ValueError(f"{who}: {name} must be an int of at least {least}, or {ndim} of them, got {value!r}")
    if max(values) >= 2**31:
        raise ValueError(f"{who}: {name} must be below 2**31, got {value!r}")
    return tuple(map(int, values))


def useful(stride: Sequence[int], sizes: Sequence[int], out: Sequence[int]) -> tuple[int, ...]:
    """Return strides, no longer than the axis where there is one window: some loops count their steps."""
    return tuple(min(s, max(n, 1)) if o == 1 else s for s, n, o in zip(stride, sizes, out, strict=True))


def three(values: Sequence[int], fill: int) -> Sizes:
    """Return the values of 1 to 3 axes as those of 3, `fill` in front."""
    return (*(fill,) * (3 - len(values)), *values)  # type: ignore[return-value]


def check_fit(who: str, sizes: Sequence[int], reach: Sequence[int], padding: Sequence[int]) -> None:
    """Raise unless windows that reach over `reach` elements fit into the axes; `padding` counts both ends."""
    for axis, (size, span, pad) in enumerate(zip(sizes, reach, padding, strict=True)):
        if size + pad < span:
            raise ValueError(
                f"{who}: the kernel reaches over {span} elements on spatial axis {axis}, "
                f"but x has {size} there and padding adds {pad}"
            )


def to_planes(x: Array, channels_last: bool) -> Array:
    """Return ``(N, C, *spatial)`` as ``(N, C, D, H, W)``."""
    if channels_last:
        x = x.transpose(0, x.ndim - 1, *range(1, x.ndim - 1))
    return x.reshape(*x.shape[:2], *three(x.shape[2:], 1))


def from_planes(y: Array, ndim: int, channels_last: bool) -> Array:
    """Undo `to_planes` for `ndim` spatial axes."""
    y = y.reshape(*y.shape[:2], *y.shape[5 - ndim :])
    return y.transpose(0, *range(2, y.ndim), 1) if channels_last else y


def check_input(who: str, x: Array, ndim: int, channels_last: bool) -> tuple[int, ...]:
    """Return the spatial shape of `x`; raise if `x` has another number of axes than 2 + `ndim`."""
    if x.ndim != ndim + 2:
        names = ("D", "H", "W")[3 - ndim :] if ndim > 1 else ("L",)
        layout = ("N", *names, "C") if channels_last else ("N", "C", *names)
        raise ValueError(
            f"{who}: input must have {ndim + 2} axes ({', '.join(layout)}), or one sample, got shape {x.shape}"
        )
    return x.shape[1:-1] if channels_last else x.shape[2:]


def over_samples(op: Callable[..., Any], x: Any, *rest: Any, ndim: int, **static: Any) -> Any:
    """Call an op of `ndim` spatial axes; for `x` without an axis of samples before its channels, with that alone."""
    x = as_array(x) if isinstance(x, (list, tuple)) else x
    if getattr(x, "ndim", None) != ndim + 1:  # of what is no array the op says so
        return op(x, *rest, ndim=ndim, **static)
    y = op(expand_dims(x, axis=0), *rest, ndim=ndim, **static)
    return tuple(squeeze(part, axis=0) for part in y) if isinstance(y, tuple) else squeeze(y, axis=0)


def described(function: Any, name: str, doc: str, ndim: int, **words: str) -> Any:
    """Name a function that works on `ndim` spatial axes, and fill in its docstring."""
    axes = ["L"] if ndim == 1 else ["D", "H", "W"][3 - ndim :]
    kernel = ["k"] if ndim == 1 else [f"k{axis}" for axis in axes]
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc.format(
        ndim=ndim, es="is" if ndim == 1 else "es", axes=", ".join(axes), kernel=", ".join(kernel), **words
    )
    return function
