"""Change the length of spatial axes: interpolation, and borders that repeat what is inside."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.op import Result, op
from ..autograd.tensor import Tensor
from ..device import Array, accumulator, array_module
from .array import pad as constant_pad

_LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}


@functools.lru_cache(maxsize=64)
def _sources(length: int, out: int, step: float, linear: bool, align_corners: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return where each output element is read: the element before it, and how far (0 to 1) towards the next."""
    at = np.arange(out, dtype=np.float64)
    if not linear:
        # Products like 3 * (1 / 3) must not fall below the whole number.
        return np.minimum(np.floor(at * step + 1e-9), length - 1).astype(np.int64), np.zeros(out)
    if align_corners:
        position = at * ((length - 1) / (out - 1) if out > 1 else 0.0)
    else:
        position = np.clip((at + 0.5) * step - 0.5, 0, length - 1)
    before = np.minimum(position.astype(np.int64), length - 1)
    return before, position - before


def _interpolated(x: Array, axis: int, before: np.ndarray, part: np.ndarray) -> Array:
    xp = array_module(x)
    y = x.take(xp.asarray(before), axis=axis)
    if not part.any():
        return y
    after = x.take(xp.asarray(np.minimum(before + 1, x.shape[axis] - 1)), axis=axis)
    weight = xp.asarray(part.reshape(-1, *(1,) * (x.ndim - 1 - axis)).astype(x.dtype))
    return y * (1 - weight) + after * weight


def _interpolated_backward(gy: Array, axis: int, before: np.ndarray, part: np.ndarray, length: int) -> Array:
    """Apply the transpose of `_interpolated` as a product: sums in one order, on any device."""
    matrix = np.zeros((length, len(before)))
    np.add.at(matrix, (before, np.arange(len(before))), 1 - part)
    np.add.at(matrix, (np.minimum(before + 1, length - 1), np.arange(len(before))), part)
    shape = gy.shape
    g = gy.reshape(int(np.prod(shape[:axis])), shape[axis], int(np.prod(shape[axis + 1 :])))
    gx = array_module(gy).asarray(matrix.astype(gy.dtype)) @ g
    return gx.reshape(*shape[:axis], length, *shape[axis + 1 :])


@op
def _interpolate(x, *, who, size, scale_factor, mode, align_corners, channels_last) -> Result:
    ndim = x.ndim - 2
    if not 1 <= ndim <= 3:
        raise ValueError(f"{who}: input must have 3 to 5 axes (N, C, *spatial), got shape {x.shape}")
    if mode != "nearest" and _LINEAR.get(mode) != ndim:
        raise ValueError(f'{who}: mode must be "nearest" or, for {ndim} spatial axes, '
                         f'"{list(_LINEAR)[ndim - 1]}", got {mode!r}')  # fmt: skip
    first = 1 if channels_last else 2
    axes = range(first, first + ndim)
    lengths = [x.shape[axis] for axis in axes]
    sizes, steps = _target(who, lengths, size, scale_factor)
    plan = [
        (axis, n, _sources(n, out, step, mode != "nearest", align_corners))
        for axis, n, out, step in zip(axes, lengths, sizes, steps, strict=True)
    ]
    wide = accumulator(x.dtype)
    y = x.astype(wide, copy=False)
    for axis, _, (before, part) in plan:
        y = _interpolated(y, axis, before, part)

    def vjp(gy):
        g = gy.astype(wide, copy=False)
        for axis, n, (before, part) in reversed(plan):
            g = _interpolated_backward(g, axis, before, part, n)
        return (g,)

    return y.astype(x.dtype, copy=False), vjp


def _target(who: str, lengths: list[int], size: Any, scale_factor: Any) -> tuple[list[int], list[float]]:
    """Return the new lengths, and how far apart in the input two neighbours of the output are."""
    if (size is None) == (scale_factor is None):
        raise ValueError(f"{who}: exactly one of size and scale_factor is required, got {size} and {scale_factor}")
    given = scale_factor if size is None else size
    values = tuple(given) if isinstance(given, (tuple, list)) else (given,) * len(lengths)
    kinds = (int, np.integer) if size is not None else (int, float, np.integer, np.floating)
    right = all(isinstance(v, kinds) and 0 < v < 2**31 for v in values)
    if len(values) != len(lengths) or not right or min(lengths) < 1:
        raise ValueError(
            f"{who}: {'scale_factor' if size is None else 'size'} must be "
            f"{'a number' if size is None else 'an int'} above 0, below 2**31, or one per spatial axis, "
            f"and no such axis may be empty; got {given!r} for {tuple(lengths)}"
        )
    if size is not None:
        return [int(v) for v in values], [n / int(v) for n, v in zip(lengths, values, strict=True)]
    sizes = [int(n * v) for n, v in zip(lengths, values, strict=True)]
    if min(sizes) < 1:
        raise ValueError(f"{who}: scale_factor {scale_factor} leaves nothing of {tuple(lengths)}")
    return sizes, [1 / v for v in values]


def interpolate(
    input: Any,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    *,
    channels_last: bool = False,
) -> Tensor:
    """Resample the spatial axes to another length.

    Output element i lies at ``i * L / L_out`` of the input, rounded down ("nearest"), or at
    ``(i + 1/2) * L / L_out - 1/2``, between two elements of each axis, which are mixed ("linear", "bilinear",
    "trilinear"); with `align_corners` at ``i * (L - 1) / (L_out - 1)``. The definitions are PyTorch's.

    Args:
        input: shape (N, C, *spatial), 1 to 3 spatial axes.
        size: the new lengths, one number or one per axis; or else
        scale_factor: what to multiply the lengths with (rounded down).
        mode: "nearest", or "linear", "bilinear", "trilinear" for 1, 2, 3 spatial axes.
        align_corners: whether the corners' centres (instead of their outer edges) fall together; not for "nearest".
        channels_last: `input` and the result are (N, *spatial, C).

    Returns:
        Shape (N, C, *new lengths), dtype of `input`.

    Raises:
        ValueError: both or none of size and scale_factor, or a mode that does not fit the number of axes.
    """
    options = {"size": size, "scale_factor": scale_factor, "mode": mode, "align_corners": bool(align_corners)}
    return _interpolate(input, who="interpolate", channels_last=channels_last, **options)


def _border(who: str, mode: str, length: int, before: int, after: int) -> np.ndarray:
    """Return which element of an axis each element of the padded axis repeats."""
    at = np.arange(-before, length + after)
    most = {"reflect": length - 1, "circular": length, "replicate": max(before, after) if length else 0}[mode]
    if max(before, after) > most:
        raise ValueError(f"{who}: {mode!r} padding of an axis of length {length} can be at most {most}, "
                         f"got {(before, after)}")  # fmt: skip
    if mode == "circular":
        return at % length
    if mode == "replicate":
        return at.clip(0, length - 1)
    return (length - 1) - np.abs((length - 1) - np.abs(at))


@op
def _pad_border(x, *, widths, mode) -> Result:
    xp = array_module(x)
    plan = [
        (axis, before, _border("pad", mode, x.shape[axis], before, after))
        for axis, (before, after) in enumerate(widths)
        if before or after
    ]
    y = x
    for axis, _, sources in plan:
        y = y.take(xp.asarray(sources), axis=axis)

    def vjp(gy):
        g = gy.astype(accumulator(gy.dtype), copy=False)
        for axis, before, sources in reversed(plan):
            lead = (slice(None),) * axis
            length = x.shape[axis]
            gx = g[(*lead, slice(before, before + length))].copy()
            for at in (*range(before), *range(before + length, len(sources))):
                gx[(*lead, int(sources[at]))] += g[(*lead, at)]
            g = gx
        return (g,)

    return y, vjp


def pad(
    input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None, *, channels_last: bool = False
) -> Tensor:
    """Add a border, described as PyTorch does: from the last axis backwards.

    Args:
        input: tensor or array.
        pad: (before, after) of the last axis, then of the one before it, and so on; at least 0.
        mode: "constant"; "reflect" (without repeating the edge), "replicate" (the edge) or "circular".
        value: of a constant border.
        channels_last: skip the last axis, which holds the channels.

    Returns:
        `input` with longer axes.

    Raises:
        ValueError: an odd number of widths, more than `input` has axes, or wider than the mode allows.
    """
    input = input if isinstance(input, Tensor) else Tensor(input)
    pairs = [tuple(pad[k : k + 2]) for k in range(0, len(pad), 2)][::-1]
    skipped = int(channels_last)
    if len(pad) % 2 or len(pairs) + skipped > input.ndim or any(w < 0 for pair in pairs for w in pair):
        raise ValueError(
            f"pad: pad must hold (before, after), at least 0, for at most {input.ndim - skipped} axes, got {tuple(pad)}"
        )
    widths = [(0, 0)] * (input.ndim - len(pairs) - skipped) + pairs + [(0, 0)] * skipped
    if mode == "constant":
        return constant_pad(input, pad_width=widths, value=0.0 if value is None else value)
    if mode not in ("reflect", "replicate", "circular"):
        raise ValueError(f'pad: mode must be "constant", "reflect", "replicate" or "circular", got {mode!r}')
    return _pad_border(input, widths=widths, mode=mode)
