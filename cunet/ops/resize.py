"""Change the length of spatial axes: interpolation, and borders that repeat what is inside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd.op import Result, op
from ..autograd.tensor import Tensor
from ..device import Array, accumulator, array_module, is_gpu_array
from .array import pad as constant_pad
from .operands import lifted
from .pool.pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from .resampling import Resampling, resample, resample_backward

#: The modes that mix neighbours, and for how many spatial axes they are.
_MIXING = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}


def _along(kernel: Any, x: Array, axis: int, out: int, how: Resampling) -> Array:
    """Run a kernel along one axis, which becomes `out` long."""
    before, behind = x.shape[:axis], x.shape[axis + 1 :]
    lengths = math.prod(before), math.prod(behind)
    y = kernel(x.reshape(lengths[0], x.shape[axis], lengths[1]), lengths[1], *how, shape=(lengths[0], out, lengths[1]))
    return y.reshape(*before, out, *behind)


@op
def _interpolate(x, *, who, size, scale_factor, mode, align_corners, channels_last) -> Result:
    first = 1 if channels_last else 2
    axes = range(first, first + x.ndim - 2)
    lengths = [x.shape[axis] for axis in axes]
    sizes, steps = _target(who, lengths, size, scale_factor)
    plan = [
        (axis, _how(n, out, step, mode, align_corners))
        for axis, n, out, step in zip(axes, lengths, sizes, steps, strict=True)
    ]
    wide = accumulator(x.dtype)
    y = x.astype(wide, copy=False)
    for axis, how in plan:
        y = _along(resample, y, axis, how.out, how)

    def vjp(gy):
        g = gy.astype(wide, copy=False)
        for axis, how in reversed(plan):
            g = _along(resample_backward, g, axis, how.length, how)
        return (g,)

    return y.astype(x.dtype, copy=False), vjp


def _how(length: int, out: int, step: float, mode: str, align_corners: bool) -> Resampling:
    if mode == "nearest":
        return Resampling(length, out, step, 0.0, 1)
    mixed = 4 if mode == "bicubic" else 2
    if align_corners:
        return Resampling(length, out, (length - 1) / (out - 1) if out > 1 else 0.0, 0.0, mixed)
    return Resampling(length, out, step, 0.5, mixed)


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
    ``(i + 1/2) * L / L_out - 1/2``, between elements of each axis, of which two ("linear", "bilinear", "trilinear") or
    four ("bicubic") are mixed; with `align_corners` at ``i * (L - 1) / (L_out - 1)``. "area" takes means, as
    `adaptive_avg_pool2d` does. The definitions are PyTorch's.

    Args:
        input: shape (N, C, *spatial), 1 to 3 spatial axes.
        size: the new lengths, one number or one per axis; or else
        scale_factor: what to multiply the lengths with (rounded down).
        mode: "nearest" or "area"; or "linear", "bilinear", "trilinear" for 1, 2, 3 spatial axes; or "bicubic" for 2.
        align_corners: whether the corners' centres (instead of their outer edges) fall together; not for "nearest"
            and "area".
        channels_last: `input` and the result are (N, *spatial, C).

    Returns:
        Shape (N, C, *new lengths), dtype of `input`.

    Raises:
        ValueError: both or none of size and scale_factor, or a mode that does not fit the number of axes.

    Source: Keys 1981, "Cubic convolution interpolation for digital image processing", equation 4 (bicubic).

    Example:
        >>> x = cunet.tensor([[[0.0, 8.0]]])
        >>> F.interpolate(x, scale_factor=2)
        Tensor([[[0., 0., 8., 8.]]])
        >>> F.interpolate(x, size=4, mode="linear")
        Tensor([[[0., 2., 6., 8.]]])
        >>> F.interpolate(x, size=5, mode="linear", align_corners=True)
        Tensor([[[0., 2., 4., 6., 8.]]])
    """
    who = "interpolate"
    x = lifted(input)
    ndim = x.ndim - 2
    if not 1 <= ndim <= 3:
        raise ValueError(f"{who}: input must have 3 to 5 axes (N, C, *spatial), got shape {x.shape}")
    if mode not in ("nearest", "area") and _MIXING.get(mode) != ndim:
        fit = ", ".join(f'"{name}"' for name, axes in _MIXING.items() if axes == ndim)
        raise ValueError(f'{who}: mode must be "nearest", "area" or, for {ndim} spatial axes, {fit}, got {mode!r}')
    if mode == "area":
        lengths = x.shape[1:-1] if channels_last else x.shape[2:]
        sizes, _ = _target(who, list(lengths), size, scale_factor)
        means = (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[ndim - 1]
        return means(x, tuple(sizes), channels_last)
    options = {"size": size, "scale_factor": scale_factor, "mode": mode, "align_corners": bool(align_corners)}
    return _interpolate(x, who=who, channels_last=channels_last, **options)


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


def _repeated(x: Array, axis: int, before: int, sources: np.ndarray) -> Array:
    """Return ``x.take(sources, axis)``; on a GPU by slices, so that nothing is sent there."""
    if not is_gpu_array(x):
        return x.take(array_module(x).asarray(sources), axis=axis)
    lead, end = (slice(None),) * axis, before + x.shape[axis]
    y = array_module(x).empty((*x.shape[:axis], len(sources), *x.shape[axis + 1 :]), x.dtype)
    y[(*lead, slice(before, end))] = x
    for some in (slice(0, before), slice(end, len(sources))):
        if len(sources[some]):
            y[(*lead, some)] = x[(*lead, _slice_of(*sources[some][[0, -1]].tolist()))]
    return y


def _slice_of(first: int, last: int) -> slice:
    """Return the slice of a border, whose elements go up, go down or are one: see `_border`."""
    if last < first:
        return slice(first, last - 1 if last else None, -1)
    return slice(first, last + 1)


@op
def _pad_border(x, *, widths, mode) -> Result:
    plan = [
        (axis, before, _border("pad", mode, x.shape[axis], before, after))
        for axis, (before, after) in enumerate(widths)
        if before or after
    ]
    y = x
    for axis, before, sources in plan:
        y = _repeated(y, axis, before, sources)

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

    Example:
        >>> x = cunet.tensor([[1.0, 2.0, 3.0]])
        >>> F.pad(x, (1, 2))
        Tensor([[0., 1., 2., 3., 0., 0.]])
        >>> F.pad(x, (2, 2), mode="reflect")
        Tensor([[3., 2., 1., 2., 3., 2., 1.]])
        >>> F.pad(x, (0, 0, 1, 0), value=9.0)
        Tensor([[9., 9., 9.],
                [1., 2., 3.]])
    """
    input = lifted(input)
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
