"""Rows of `cunet.ops.conv`. The oracles go over every product: from where to where, by which element of the kernel."""

import itertools

import numpy as np

from cunet import F

from . import Case


def per_axis(value, ndim):
    return (value,) * ndim if isinstance(value, int) else tuple(value)


def products(inside, outside, kernel, stride, padding, dilation):
    """Yield (position inside, position outside, tap) of what meets: ``outside = inside * stride + tap - padding``."""
    ndim = len(kernel)
    stride, dilation = per_axis(stride, ndim), per_axis(dilation, ndim)
    for at in itertools.product(*map(range, inside)):
        for tap in itertools.product(*map(range, kernel)):
            met = tuple(a * s + k * d - p for a, s, k, d, p in zip(at, stride, tap, dilation, padding, strict=True))
            if all(0 <= m < n for m, n in zip(met, outside, strict=True)):
                yield at, met, tap


def conv(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, channels_last=False):
    if channels_last:
        return np.moveaxis(conv(np.moveaxis(x, -1, 1), weight, bias, stride, padding, dilation, groups), 1, -1)
    kernel, ndim = weight.shape[2:], x.ndim - 2
    reach = [(k - 1) * d for k, d in zip(kernel, per_axis(dilation, ndim), strict=True)]
    if padding == "same":
        before, after = [r // 2 for r in reach], [r - r // 2 for r in reach]
    else:
        before = after = (0,) * ndim if padding == "valid" else per_axis(padding, ndim)
    lengths = [n + b + a - r for n, b, a, r in zip(x.shape[2:], before, after, reach, strict=True)]
    out = [len(range(0, n, s)) for n, s in zip(lengths, per_axis(stride, ndim), strict=True)]
    y = np.zeros((x.shape[0], weight.shape[0], *out))
    mine, theirs = weight.shape[0] // groups, weight.shape[1]
    for at, met, tap in products(out, x.shape[2:], kernel, stride, before, dilation):
        for o in range(weight.shape[0]):
            for c in range(theirs):
                y[(slice(None), o, *at)] += weight[(o, c, *tap)] * x[(slice(None), o // mine * theirs + c, *met)]
    return y if bias is None else y + bias.reshape(-1, *(1,) * ndim)


def conv_transpose(
    x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1, channels_last=False
):
    if channels_last:
        moved = np.moveaxis(x, -1, 1)
        y = conv_transpose(moved, weight, bias, stride, padding, output_padding, groups, dilation)
        return np.moveaxis(y, 1, -1)
    kernel, ndim = weight.shape[2:], x.ndim - 2
    settings = [per_axis(v, ndim) for v in (stride, padding, output_padding, dilation)]
    out = [
        (n - 1) * s + (k - 1) * d + 1 - 2 * p + e
        for n, k, s, p, e, d in zip(x.shape[2:], kernel, *settings, strict=True)
    ]
    mine, theirs = weight.shape[1], x.shape[1] // groups
    y = np.zeros((x.shape[0], mine * groups, *out))
    for at, met, tap in products(x.shape[2:], out, kernel, stride, settings[1], dilation):
        for c in range(x.shape[1]):
            for o in range(mine):
                y[(slice(None), c // theirs * mine + o, *met)] += weight[(c, o, *tap)] * x[(slice(None), c, *at)]
    return y if bias is None else y + bias.reshape(-1, *(1,) * ndim)


def normal(*shapes):
    return lambda rng: tuple(rng.standard_normal(s) for s in shapes)


def row(op, label, *shapes, **kwargs):
    reference = conv_transpose if "transpose" in op.__name__ else conv
    # Sums of up to 40 products: their rounding adds up to some ulp of the largest.
    return Case(op, kwargs, reference=reference, inputs=normal(*shapes), label=label, ulp=8, grad_ulp=16)


CASES = [
    row(F.conv1d, "plain", (2, 3, 7), (4, 3, 3), (4,)),
    row(F.conv1d, "no bias", (2, 2, 8), (2, 2, 3), stride=2, padding=1),
    row(F.conv1d, "one channel", (3, 1, 6), (2, 1, 4)),
    row(F.conv2d, "plain", (2, 3, 5, 6), (4, 3, 3, 2), (4,)),
    row(F.conv2d, "padded", (2, 2, 4, 5), (3, 2, 3, 3), (3,), padding=(1, 2)),
    row(F.conv2d, "same", (2, 2, 4, 5), (3, 2, 3, 4), (3,), padding="same"),
    row(F.conv2d, "same, dilated", (1, 2, 4, 5), (3, 2, 3, 4), (3,), padding="same", dilation=(1, 2)),
    row(F.conv2d, "valid", (1, 2, 4, 4), (3, 2, 3, 3), padding="valid"),
    row(F.conv2d, "strided", (2, 2, 6, 7), (3, 2, 3, 3), (3,), stride=(2, 3), padding=1),
    row(F.conv2d, "stride above the kernel", (2, 2, 7, 8), (3, 2, 2, 1), (3,), stride=3),
    row(F.conv2d, "dilated", (2, 2, 7, 6), (3, 2, 3, 2), (3,), dilation=(2, 3), padding=(0, 2)),
    row(F.conv2d, "strided and dilated", (1, 2, 7, 6), (2, 2, 3, 2), stride=2, dilation=(2, 1), padding=(1, 0)),
    row(F.conv2d, "groups", (2, 4, 4, 5), (6, 2, 3, 3), (6,), groups=2, padding=1),
    row(F.conv2d, "depthwise", (2, 3, 5, 5), (6, 1, 3, 3), (6,), groups=3),
    row(F.conv2d, "depthwise, strided", (2, 3, 5, 5), (3, 1, 3, 3), groups=3, stride=2, padding=1),
    row(F.conv2d, "pointwise", (2, 3, 4, 3), (4, 3, 1, 1), (4,)),
    row(F.conv2d, "pointwise groups", (2, 4, 4, 3), (4, 2, 1, 1), (4,), groups=2),
    row(F.conv2d, "pointwise, strided", (2, 3, 4, 5), (4, 3, 1, 1), (4,), stride=2),
    row(F.conv2d, "pointwise, padded", (2, 3, 2, 2), (2, 3, 1, 1), (2,), padding=1),
    row(F.conv2d, "padding beyond the kernel", (1, 1, 2, 2), (2, 1, 2, 2), (2,), padding=3),
    row(F.conv2d, "last", (2, 5, 4, 2), (3, 2, 3, 3), (3,), channels_last=True, padding=1),
    row(F.conv3d, "plain", (2, 2, 3, 4, 3), (2, 2, 2, 3, 2), (2,)),
    row(F.conv3d, "strided", (1, 2, 4, 3, 4), (2, 1, 2, 3, 2), (2,), stride=(2, 1, 2), padding=1, groups=2),
    # No two axes alike, so that one taken for another shows.
    row(
        F.conv3d,
        "each axis its own",
        (2, 2, 6, 7, 8),
        (2, 2, 3, 2, 4),
        stride=(1, 2, 3),
        padding=(1, 0, 2),
        dilation=(3, 1, 2),
    ),
    row(F.conv3d, "deep and strided", (1, 1, 5, 3, 3), (1, 1, 4, 2, 2), stride=2, padding=1),
    row(F.conv_transpose1d, "plain", (2, 3, 5), (3, 2, 3), (2,)),
    row(F.conv_transpose1d, "long", (1, 2, 3), (2, 2, 2), padding=1, dilation=3, output_padding=2),
    row(F.conv_transpose2d, "strided", (2, 2, 3, 4), (2, 3, 3, 3), (3,), stride=2, padding=1, output_padding=(1, 0)),
    row(F.conv_transpose2d, "groups", (2, 4, 3, 3), (4, 1, 2, 3), (2,), groups=2, padding=(0, 1)),
    row(F.conv_transpose2d, "pointwise", (2, 3, 2, 3), (3, 4, 1, 1), (4,)),
    row(F.conv_transpose2d, "gaps", (1, 2, 3, 2), (2, 2, 2, 1), (2,), stride=3, dilation=2),
    row(F.conv_transpose2d, "last", (2, 3, 3, 2), (2, 3, 3, 2), channels_last=True, stride=2),
    row(F.conv_transpose3d, "strided", (1, 2, 2, 3, 2), (2, 2, 2, 2, 3), (2,), stride=2, output_padding=1),
]
