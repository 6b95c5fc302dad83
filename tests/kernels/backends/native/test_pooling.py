"""Compiled pooling: any windows and any array agree with NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cunet import F
from cunet.autograd.tensor import Tensor
from cunet.kernels.backends.native import native
from cunet.ops.windows import Windows, three

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(native.runtime() is None, reason="no C++ compiler that works"),
]


def both_routes(work):
    """Return what `work` returns on the compiled route, and on NumPy's."""
    results = []
    with pytest.MonkeyPatch.context() as patch:
        for active in (True, False):
            patch.setattr(native, "active", active)
            results.append(work())
    return results


def pooled(name, x, *args, **options):
    """Return a pool's result and its gradient, with integers for the result's: sums of them are exact in any order."""
    x = Tensor(x, requires_grad=True)
    y = getattr(F, name)(x, *args, **options)
    gy = np.arange(y.data.size).reshape(y.data.shape) % 7 + 1
    (y * Tensor(gy.astype(y.data.dtype.newbyteorder("=")))).sum().backward()
    return y.data, x.grad


@pytest.mark.parametrize(
    ("shape", "kernel", "options"),
    [
        ((2, 3, 12, 14), 2, {"dilation": 2}),  # the windows of the fast path, but for the dilation
        ((2, 3, 12, 14), 2, {"dilation": (1, 2)}),
        ((2, 3, 12, 14), 2, {"dilation": (3, 1)}),
        ((1, 2, 4, 6, 6), (1, 2, 2), {"dilation": (3, 1, 1)}),  # of one element: no matter
    ],
    ids=str,
)
def test_the_fast_path_of_quarters_reads_the_dilation(shape, kernel, options, rng):
    x = rng.integers(-9, 9, shape).astype(np.float32)
    (y, gx), (y2, gx2) = both_routes(lambda: pooled(f"max_pool{len(shape) - 2}d", x, kernel, **options))
    np.testing.assert_array_equal(y, y2)
    np.testing.assert_array_equal(gx, gx2)


@st.composite
def pools(draw):
    """Draw windows over three axes, near to those of the fast paths, and some odd array to pool."""
    axes = []
    for _ in range(draw(st.integers(1, 3))):
        k, d = draw(st.sampled_from([1, 2, 2, 2, 3])), draw(st.sampled_from([1, 1, 2, 3]))
        s = draw(st.sampled_from([k, k, 1, 2, 3]))
        p, more = draw(st.integers(0, k // 2)), draw(st.integers(0, 6))
        size = max(1, (k - 1) * d + 1 - 2 * p) + more
        out = (size + 2 * p - (k - 1) * d - 1) // s + 1
        axes.append((size, max(1, out - draw(st.sampled_from([0, 0, 1]))), k, s, p, d))
    fill = (1, 1, 1, 1, 0, 1)
    windows = Windows(*(three(values, f) for values, f in zip(zip(*axes, strict=True), fill, strict=True)))
    return windows, draw(st.integers(1, 3)), draw(st.sampled_from(["f", "d"])), draw(st.integers(0, 2**32))


@settings(max_examples=300)
@given(pools())
def test_any_pool_agrees_with_numpy(case):
    from cunet.kernels.backends.native import pooling
    from cunet.ops.pool import kernels

    windows, planes, dtype, seed = case
    rng = np.random.default_rng(seed)
    x = rng.integers(-3, 4, (planes, *windows.sizes)).astype(dtype)
    shape = (planes, *windows.out)
    gy = rng.integers(1, 9, shape).astype(dtype)
    y = kernels.max_pool_forward.body(x, *windows.numbers(), shape=shape)
    for name, arrays, out in [
        ("max_pool_forward", {"x": x}, shape), ("max_pool_indices", {"x": x}, shape),
        ("max_pool_backward", {"gy": gy, "x": x, "y": y}, x.shape),
    ]:  # fmt: skip
        got = pooling.pool(name, arrays, windows.numbers(), out, 0, 0.0)
        if got is not NotImplemented:
            expected = getattr(kernels, name).body(*arrays.values(), *windows.numbers(), shape=out)
            np.testing.assert_array_equal(got, expected, err_msg=name)


# -- the door: byte order, alignment


def odd(name, a):
    """Return an array of the same elements that lies in memory in another way."""
    if name == "big-endian":
        return a.astype(a.dtype.newbyteorder(">"))
    if name == "unaligned":
        moved = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
        moved[...] = a
        return moved
    return np.ascontiguousarray(a[..., ::-1])[..., ::-1]


@pytest.mark.parametrize("layout", ["big-endian", "unaligned", "reversed"])
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_pools_read_any_array(name, layout, rng):
    x = rng.integers(-9, 9, (2, 3, 8, 8)).astype(np.float32)
    expected = pooled(name, x, 3, 2)
    for results in both_routes(lambda: pooled(name, odd(layout, x), 3, 2)):
        for a, e in zip(results, expected, strict=True):
            np.testing.assert_allclose(a, e, rtol=1e-6)
