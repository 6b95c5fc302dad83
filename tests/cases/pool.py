"""Rows of `cunet.ops.pool` and `cunet.ops.resize`. The oracles list each window's elements, or find each source."""

import itertools
import math
from fractions import Fraction

import numpy as np

from cunet import F

from . import Case
from .conv import per_axis


def sliding(length, kernel, stride, padding, dilation, ceil_mode):
    """Return the positions of each window along an axis, those in the padding too."""
    span = (kernel - 1) * dilation + 1
    windows = []
    start = -padding
    end = length + padding
    # Rounded up, one more if the last one left something out; none begins in the padding behind.
    while start + span <= end or (ceil_mode and start + span - stride < end and start < length):
        windows.append([start + k * dilation for k in range(kernel)])
        start += stride
    return windows


def adaptive(length, parts):
    return [
        list(range(math.floor(Fraction(o * length, parts)), math.ceil(Fraction((o + 1) * length, parts))))
        for o in range(parts)
    ]


def pooled(x, windows, fold, channels_last):
    """Fold each window: ``fold(values, positions, all taps)``; `windows` are lists of positions along each axis."""
    x = np.moveaxis(x, -1, 1) if channels_last else x
    sizes = x.shape[2:]
    y = np.empty((*x.shape[:2], *map(len, windows)))
    for n, c, *at in np.ndindex(*y.shape):
        taps = list(itertools.product(*(w[a] for w, a in zip(windows, at, strict=True))))
        inside = [t for t in taps if all(0 <= p < s for p, s in zip(t, sizes, strict=True))]
        y[(n, c, *at)] = fold([x[(n, c, *t)] for t in inside], inside, taps)
    return np.moveaxis(y, 1, -1) if channels_last else y


def largest(x, windows, return_indices, channels_last):
    sizes = x.shape[1:-1] if channels_last else x.shape[2:]

    def where(values, inside, taps):
        return np.ravel_multi_index(inside[values.index(max(values))], sizes)

    y = pooled(x, windows, lambda values, inside, taps: max(values), channels_last)
    return (y, pooled(x, windows, where, channels_last).astype(int)) if return_indices else y


def lengths(x, channels_last):
    return x.shape[1:-1] if channels_last else x.shape[2:]


def max_pool(
    x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False, channels_last=False
):
    sizes = lengths(x, channels_last)
    stride = kernel_size if stride is None else stride
    settings = [per_axis(v, len(sizes)) for v in (kernel_size, stride, padding, dilation)]
    windows = [sliding(*values, ceil_mode) for values in zip(sizes, *settings, strict=True)]
    return largest(x, windows, return_indices, channels_last)


def avg_pool(
    x,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
    channels_last=False,
):
    sizes = lengths(x, channels_last)
    stride = kernel_size if stride is None else stride
    kernel, stride, padding = (per_axis(v, len(sizes)) for v in (kernel_size, stride, padding))
    windows = [sliding(n, k, s, p, 1, ceil_mode) for n, k, s, p in zip(sizes, kernel, stride, padding, strict=True)]

    def mean(values, inside, taps):
        padded = [t for t in taps if all(-p <= q < n + p for q, n, p in zip(t, sizes, padding, strict=True))]
        return math.fsum(values) / (divisor_override or len(padded if count_include_pad else inside))

    return pooled(x, windows, mean, channels_last)


def adaptive_avg_pool(x, output_size, channels_last=False):
    sizes = lengths(x, channels_last)
    windows = [adaptive(n, o or n) for n, o in zip(sizes, per_axis(output_size, len(sizes)), strict=True)]
    return pooled(x, windows, lambda values, inside, taps: math.fsum(values) / len(values), channels_last)


def adaptive_max_pool(x, output_size, return_indices=False, channels_last=False):
    sizes = lengths(x, channels_last)
    windows = [adaptive(n, o or n) for n, o in zip(sizes, per_axis(output_size, len(sizes)), strict=True)]
    return largest(x, windows, return_indices, channels_last)


def hat(position, k):
    """Return the weight of element k at a position between elements."""
    return max(Fraction(0), 1 - abs(position - k))


def cubic(distance):
    """Return the cubic of Hermite through 1 at 0, 0 at 1 and 2, with slopes 0, -3/4, 0 there."""
    a, t = Fraction(-3, 4), abs(distance)
    if t <= 1:
        return 2 * t**3 - 3 * t**2 + 1 + a * (t**3 - t**2)
    t -= 1
    return a * (t**3 - 2 * t**2 + t) if t < 1 else Fraction(0)


def shares(n, position, mode):
    """Return the share of each of n elements in what lies at a position."""
    if mode != "bicubic":
        position = min(max(position, Fraction(0)), Fraction(n - 1))
        return [float(hat(position, k)) for k in range(n)]
    found = [Fraction(0)] * n
    for k in range(math.floor(position) - 2, math.floor(position) + 4):  # beyond the ends the last element goes on
        found[min(max(k, 0), n - 1)] += cubic(position - k)
    return [float(share) for share in found]


def interpolate(x, size=None, scale_factor=None, mode="nearest", align_corners=False, channels_last=False):
    first = 1 if channels_last else 2
    ndim = x.ndim - 2
    y = x
    for axis in range(ndim):
        n = x.shape[first + axis]
        factor = None if scale_factor is None else Fraction(per_axis(scale_factor, ndim)[axis])
        out = math.floor(n * factor) if factor else per_axis(size, ndim)[axis]
        step = 1 / factor if factor else Fraction(n, out)
        matrix = np.zeros((out, n))
        for o in range(out):
            if mode == "nearest":
                matrix[o, min(math.floor(o * step), n - 1)] = 1
                continue
            if mode == "area":
                part = adaptive(n, out)[o]
                matrix[o, part] = 1 / len(part)
                continue
            position = (o + Fraction(1, 2)) * step - Fraction(1, 2)
            if align_corners:
                position = Fraction(o * (n - 1), out - 1) if out > 1 else Fraction(0)
            matrix[o] = shares(n, position, mode)
        y = np.moveaxis(np.tensordot(matrix, y, (1, first + axis)), 0, first + axis)
    return y


def pad(x, pad, mode="constant", value=0.0, channels_last=False):
    modes = {"constant": {"constant_values": value}, "reflect": {}, "replicate": {}, "circular": {}}
    names = {"replicate": "edge", "circular": "wrap"}
    pairs = [(pad[k], pad[k + 1]) for k in range(0, len(pad), 2)][::-1]
    widths = [(0, 0)] * (x.ndim - len(pairs) - channels_last) + pairs + [(0, 0)] * channels_last
    return np.pad(x, widths, names.get(mode, mode), **modes[mode])


def normal(shape):
    return lambda rng: (rng.standard_normal(shape),)


def distinct(shape):
    """Make elements that differ by at least 0.1: the largest is clear, also in half precision."""
    return lambda rng: ((rng.permutation(math.prod(shape)) - math.prod(shape) // 2).reshape(shape) * 0.125,)


def row(op, reference, label, shape, **kwargs):
    inputs = distinct if reference in (max_pool, adaptive_max_pool) else normal
    ulp = 16 if kwargs.get("mode") == "bicubic" else 4  # sums of 16 products with shares of both signs
    return Case(op, kwargs, reference=reference, inputs=inputs(shape), label=label, ulp=ulp, grad_ulp=16)


# No two axes alike, so that one taken for another shows.
OWN: dict[str, tuple[int, int, int]] = {"kernel_size": (4, 3, 2), "stride": (3, 2, 1), "padding": (2, 1, 0)}

CASES = [
    row(F.max_pool1d, max_pool, "plain", (2, 3, 7), kernel_size=2),
    row(F.max_pool2d, max_pool, "plain", (2, 2, 4, 6), kernel_size=2),
    row(F.max_pool2d, max_pool, "overlapping", (2, 2, 6, 5), kernel_size=3, stride=(2, 1), padding=1),
    row(F.max_pool2d, max_pool, "indices", (2, 2, 5, 5), kernel_size=(2, 3), stride=2, return_indices=True),
    row(F.max_pool2d, max_pool, "dilated", (1, 2, 6, 5), kernel_size=2, stride=1, dilation=(3, 2), padding=1),
    row(F.max_pool2d, max_pool, "stride above kernel", (1, 2, 7, 8), kernel_size=2, stride=3),
    row(F.max_pool2d, max_pool, "hanging over", (1, 2, 5, 6), kernel_size=3, stride=2, padding=1, ceil_mode=True),
    row(F.max_pool2d, max_pool, "last", (2, 4, 5, 3), kernel_size=2, stride=1, channels_last=True, return_indices=True),
    row(F.max_pool3d, max_pool, "plain", (1, 2, 3, 4, 3), kernel_size=(2, 2, 3), stride=1, return_indices=True),
    row(F.max_pool3d, max_pool, "padded", (1, 2, 3, 2, 3), kernel_size=2, stride=1, padding=1, return_indices=True),
    row(F.max_pool3d, max_pool, "each axis its own", (2, 1, 5, 7, 8), **OWN, dilation=(1, 2, 3), return_indices=True),
    row(F.avg_pool1d, avg_pool, "plain", (2, 3, 7), kernel_size=3, stride=2, padding=1),
    row(F.avg_pool2d, avg_pool, "plain", (2, 2, 4, 6), kernel_size=2),
    row(F.avg_pool2d, avg_pool, "without padding", (2, 2, 4, 5), kernel_size=3, padding=1, count_include_pad=False),
    row(F.avg_pool2d, avg_pool, "hanging over", (1, 2, 5, 6), kernel_size=3, stride=2, padding=1, ceil_mode=True),
    row(F.avg_pool2d, avg_pool, "hanging over, no padding", (1, 2, 5, 6), kernel_size=3, stride=3, ceil_mode=True),
    row(F.avg_pool2d, avg_pool, "divisor", (1, 2, 4, 4), kernel_size=2, stride=1, divisor_override=3),
    row(F.avg_pool2d, avg_pool, "last", (2, 4, 4, 3), kernel_size=2, channels_last=True),
    row(F.avg_pool3d, avg_pool, "plain", (1, 2, 3, 4, 3), kernel_size=2, stride=1),
    row(F.avg_pool3d, avg_pool, "each axis its own", (2, 1, 5, 7, 8), **OWN, ceil_mode=True),
    row(F.avg_pool3d, avg_pool, "each axis its own, without padding", (1, 1, 5, 7, 8), **OWN, count_include_pad=False),
    row(F.adaptive_avg_pool1d, adaptive_avg_pool, "uneven", (2, 3, 7), output_size=3),
    row(F.adaptive_avg_pool2d, adaptive_avg_pool, "global", (2, 3, 4, 5), output_size=1),
    row(F.adaptive_avg_pool2d, adaptive_avg_pool, "uneven", (2, 2, 5, 6), output_size=(3, 4)),
    row(F.adaptive_avg_pool2d, adaptive_avg_pool, "longer", (1, 2, 2, 3), output_size=(5, 3)),
    row(
        F.adaptive_avg_pool2d, adaptive_avg_pool, "kept, last", (2, 4, 5, 2), output_size=(None, 2), channels_last=True
    ),
    row(F.adaptive_avg_pool3d, adaptive_avg_pool, "uneven", (1, 2, 3, 4, 3), output_size=2),
    row(F.adaptive_avg_pool3d, adaptive_avg_pool, "each axis its own", (1, 2, 3, 5, 7), output_size=(2, 3, 4)),
    row(F.adaptive_max_pool1d, adaptive_max_pool, "uneven", (2, 3, 7), output_size=3),
    row(F.adaptive_max_pool2d, adaptive_max_pool, "uneven", (2, 2, 5, 7), output_size=(3, 4), return_indices=True),
    row(F.adaptive_max_pool2d, adaptive_max_pool, "global", (2, 3, 4, 5), output_size=1),
    row(F.adaptive_max_pool3d, adaptive_max_pool, "uneven", (1, 2, 3, 4, 3), output_size=(2, 1, 2)),
    row(F.adaptive_max_pool3d, adaptive_max_pool, "each axis its own", (1, 2, 3, 5, 7), output_size=(2, 3, 4)),
    row(F.interpolate, interpolate, "1d", (2, 3, 4), scale_factor=2),
    row(F.interpolate, interpolate, "2d", (2, 2, 3, 4), size=(5, 2)),
    row(F.interpolate, interpolate, "last", (2, 3, 4, 2), scale_factor=2, channels_last=True),
    row(F.interpolate, interpolate, "1d", (2, 3, 4), size=7, mode="linear"),
    row(F.interpolate, interpolate, "2d", (2, 2, 3, 4), scale_factor=2, mode="bilinear"),
    row(F.interpolate, interpolate, "2d", (2, 2, 3, 4), size=(5, 1), mode="bilinear", align_corners=True),
    row(F.interpolate, interpolate, "3d", (1, 2, 2, 3, 2), size=(3, 2, 4), mode="trilinear"),
    row(F.interpolate, interpolate, "2d", (2, 2, 3, 4), scale_factor=(2.5, 0.5), mode="bicubic"),
    row(F.interpolate, interpolate, "2d", (2, 2, 5, 1), size=(4, 3), mode="bicubic", align_corners=True),
    row(F.interpolate, interpolate, "last", (2, 3, 4, 2), size=(5, 7), mode="bicubic", channels_last=True),
    row(F.interpolate, interpolate, "1d", (2, 3, 5), size=3, mode="area"),
    row(
        F.interpolate, interpolate, "2d, last", (2, 3, 4, 2), scale_factor=(1.5, 2.25), mode="area", channels_last=True
    ),
    row(F.interpolate, interpolate, "3d", (1, 2, 2, 5, 4), size=(1, 3, 4), mode="area"),
    row(F.pad, pad, "two axes", (2, 3, 4), pad=(1, 2, 0, 1), value=2.0),
    row(F.pad, pad, "one axis", (2, 3, 4), pad=(2, 3), mode="reflect"),
    row(F.pad, pad, "two axes", (2, 2, 3, 4), pad=(1, 3, 2, 1), mode="reflect"),
    row(F.pad, pad, "two axes", (2, 2, 2, 3), pad=(1, 4, 2, 0), mode="replicate"),
    row(F.pad, pad, "two axes", (2, 2, 2, 3), pad=(3, 1, 0, 2), mode="circular"),
    row(F.pad, pad, "last", (2, 3, 4, 2), pad=(1, 2), mode="reflect", channels_last=True),
]
