"""What the tests of compiled convolution and pooling share: windows, both routes, and cases."""

import numpy as np

from cunet.kernels.backends.native import convolution, native
from cunet.ops.conv import primitives as conv
from cunet.ops.windows import Windows, three


def sliding(sizes, kernel, stride=1, padding=0, dilation=1):
    """Return windows; numbers stand for all axes."""
    ndim = len(sizes)
    stride, padding, dilation = ((v,) * ndim if isinstance(v, int) else v for v in (stride, padding, dilation))
    out = [
        (n + 2 * p - (k - 1) * d - 1) // s + 1
        for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True)
    ]
    assert min(out) > 0
    return Windows(three(sizes, 1), three(out, 1), three(kernel, 1), three(stride, 1), three(padding, 0),
                   three(dilation, 1))  # fmt: skip


def arrays_of(windows, n, groups, channels, outputs, dtype, rng):
    """Return x, weight, bias and gy; `channels` and `outputs` are those of a group."""
    shapes = (
        (n, groups * channels, *windows.sizes),
        (groups * outputs, channels, *windows.kernel),
        (groups * outputs,),
        (n, groups * outputs, *windows.out),
    )
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def compiled(x, w, b, gy, windows, groups):
    results = (
        convolution.convolve(x, w, b, windows, groups),
        convolution.input_gradient(gy, w, windows, groups),
        convolution.weight_gradient(x, gy, windows, groups, sums := np.empty_like(b)),
        sums,
    )
    assert all(r is not NotImplemented for r in results)
    return results


def by_numpy(x, w, b, gy, windows, groups):
    native.disable()
    try:
        return (
            conv.convolve(x, w, b, windows, groups),
            conv.convolve_input_gradient(gy, w, windows, groups),
            conv.convolve_weight_gradient(x, gy, windows, groups)[0],
            gy.sum((0, 2, 3, 4)),
        )
    finally:
        native.enable()


def agree(got, expected, terms):
    """Compare with room for the rounding of sums of so many terms of about 1."""
    for g, e, count in zip(got, expected, terms, strict=True):
        assert g.shape == e.shape and g.dtype == e.dtype
        off = np.abs(g - e).max()
        allowed = 8 * np.finfo(e.dtype).eps * max(count, 4) ** 0.5 * max(1, np.abs(e).max())
        assert off <= allowed, f"{off:.3g} > {allowed:.3g}"


def check(windows, n, groups, channels, outputs, dtype, rng):
    arrays = arrays_of(windows, n, groups, channels, outputs, dtype, rng)
    terms = channels * windows.taps, outputs * windows.taps, n * windows.total, n * windows.total
    agree(compiled(*arrays, windows, groups), by_numpy(*arrays, windows, groups), terms)


CASES = {
    "3x3": (sliding((9, 11), (3, 3)), 3, 1, 5, 9),
    "same": (sliding((8, 8), (3, 3), padding=1), 2, 1, 3, 17),
    "5x5 same": (sliding((14, 14), (5, 5), padding=2), 2, 1, 7, 33),
    "padding beyond the kernel": (sliding((5, 6), (2, 3), padding=4), 2, 1, 2, 3),
    "kernel of the size of the image": (sliding((6, 7), (6, 7)), 3, 1, 2, 8),
    "dilated": (sliding((13, 12), (3, 2), dilation=(2, 3), padding=(2, 1)), 2, 1, 4, 6),
    "stride 2, a rest unused": (sliding((10, 12), (3, 3), stride=2), 2, 1, 3, 5),
    "stride 3 beyond the kernel": (sliding((11, 10), (2, 1), stride=3), 2, 1, 3, 4),
    "stride, dilation, padding": (
        sliding((15, 14), (3, 4), stride=(2, 3), dilation=(3, 2), padding=(3, 2)),
        2,
        1,
        3,
        4,
    ),
    "stride 2, 1x1": (sliding((8, 9), (1, 1), stride=2), 2, 1, 5, 6),
    "1x1": (sliding((7, 9), (1, 1)), 2, 1, 12, 20),
    "1x1, padded": (sliding((4, 4), (1, 1), padding=1), 2, 1, 3, 4),
    "one element": (sliding((1, 1), (1, 1)), 1, 1, 1, 1),
    "groups": (sliding((9, 9), (3, 3), padding=1), 2, 3, 2, 4),
    "depthwise": (sliding((12, 13), (3, 3), padding=1), 2, 6, 1, 1),
    "depthwise, stride 2, 5x5": (sliding((12, 13), (5, 5), padding=2, stride=2), 2, 6, 1, 1),
    "depthwise, two outputs each": (sliding((9, 17), (1, 3), padding=(0, 1)), 2, 5, 1, 2),
    "1-d": (sliding((50,), (5,), padding=2), 2, 1, 3, 10),
    "1-d, stride 4": (sliding((50,), (8,), stride=4, padding=2), 2, 1, 3, 10),
    "3-d": (sliding((5, 6, 7), (3, 2, 3), padding=(1, 0, 1)), 2, 1, 2, 5),
    "3-d, strides": (sliding((7, 6, 9), (3, 3, 3), stride=(2, 1, 2), padding=1), 2, 2, 2, 3),
    "3-d, one deep": (sliding((3, 6, 7), (3, 3, 3), padding=(0, 1, 1)), 2, 1, 2, 5),
    "no wider than a vector": (sliding((16, 16), (3, 3), padding=1), 1, 1, 2, 24),
}
STRIPS = {
    "rows": (sliding((150, 120), (3, 3), padding=1), 2, 1, 12, 3),
    "rows with stride": (sliding((301, 160), (3, 3), stride=2, padding=1), 1, 1, 6, 3),
    "a line": (sliding((40000,), (9,), padding=4), 1, 1, 5, 3),
    "layers": (sliding((24, 40, 40), (3, 3, 3), padding=1), 1, 1, 5, 3),
    "layers in place": (sliding((24, 40, 40), (3, 3, 3)), 1, 1, 5, 3),
    "a line shorter than its padding": (sliding((5,), (2,), dilation=20, padding=20), 1, 1, 3, 4),
    "few samples": (sliding((33, 20), (3, 3), padding=1), 1, 1, 2, 40),
}
