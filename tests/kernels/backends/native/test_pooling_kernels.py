"""Compiled kernels of pooling agree with NumPy, whatever the windows, the elements and the threads."""

import numpy as np
import pytest
from convolution_helpers import sliding
from native_helpers import needs_compiler, wide_floats

from cunet import F
from cunet.autograd.tensor import Tensor
from cunet.kernels.backends.native import native, pooling
from cunet.ops.pool import kernels as pool_kernels
from cunet.ops.windows import Windows

pytestmark = [pytest.mark.cpu_only, needs_compiler, pytest.mark.usefixtures("on")]

POOLS = {
    "2x2": sliding((12, 14), (2, 2), 2),
    "2x2, odd sizes": sliding((9, 37), (2, 2), 2),
    "2x2, three deep": sliding((3, 6, 6), (1, 2, 2), (1, 2, 2)),
    "2x2x2": sliding((4, 6, 6), (2, 2, 2), 2),
    "3x3, stride 2": sliding((11, 14), (3, 3), 2, 1),
    "3x3": sliding((6, 40), (3, 3), 1, 1),
    "dilated": sliding((9, 9), (2, 3), (2, 1), (1, 1), (2, 2)),
    "gaps": sliding((10, 11), (2, 2), 3),
    "1-d": sliding((21,), (4,), 2, 1),
    "beyond the end": Windows((1, 5, 5), (1, 3, 3), (1, 2, 2), (1, 2, 2), (0, 0, 0), (1, 1, 1)),  # ceil_mode
}


def run_pool(name, arrays, windows, shape, *options):
    """Return the compiled result and NumPy's."""
    got = pooling.pool(name, arrays, windows.numbers(), shape, *options or (0, 0.0))
    expected = getattr(pool_kernels, name).body(*arrays.values(), *options, *windows.numbers(), shape=shape)
    return got, expected


def same(got, expected):
    assert got.dtype == expected.dtype and got.shape == expected.shape
    np.testing.assert_array_equal(got, expected)


@wide_floats
@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("kind", ["random", "ties", "nan", "infinity"])
def test_largest_elements_agree_with_numpy(kind, name, dtype, rng):
    windows = POOLS[name]
    x = rng.standard_normal((5, *windows.sizes)).astype(dtype)
    if kind == "ties":
        x = np.round(x)
    elif kind != "random":
        x[rng.random(x.shape) < 0.3] = np.nan if kind == "nan" else -np.inf
    out = (5, *windows.out)
    y, expected = run_pool("max_pool_forward", {"x": x}, windows, out)
    same(y, expected)
    same(*run_pool("max_pool_indices", {"x": x}, windows, out))
    gy = rng.integers(1, 9, out).astype(dtype)  # sums of these are exact in any order
    same(*run_pool("max_pool_backward", {"gy": gy, "x": x, "y": y}, windows, x.shape))


@wide_floats
@pytest.mark.parametrize("options", [(0, 0.0), (1, 0.0), (0, 3.0)], ids=str)
@pytest.mark.parametrize("name", POOLS)
def test_means_agree_with_numpy(name, options, dtype, rng):
    windows = POOLS[name]
    x = rng.integers(-9, 9, (5, *windows.sizes)).astype(dtype)
    same(*run_pool("avg_pool_forward", {"x": x}, windows, (5, *windows.out), *options))
    gy = rng.standard_normal((5, *windows.out)).astype(dtype)
    got, expected = run_pool("avg_pool_backward", {"gy": gy}, windows, x.shape, *options)
    np.testing.assert_allclose(got, expected, rtol=0, atol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_pooling_takes_the_compiled_route_where_there_is_one(name, rng, monkeypatch):
    taken = []
    original = pooling.pool

    def watched(kernel, *args):
        result = original(kernel, *args)
        taken.append((kernel, result is not NotImplemented))
        return result

    monkeypatch.setattr(pooling, "pool", watched)
    x = Tensor(rng.standard_normal((2, 3, 8, 8)).astype(np.float32), requires_grad=True)
    getattr(F, name)(x, 2).sum().backward()
    stem = name[:3]
    assert taken == [(f"{stem}_pool_forward", True), (f"{stem}_pool_backward", True)]
    del taken[:]
    getattr(F, f"adaptive_{name}")(Tensor(x.data), 3)  # parts of unequal length
    getattr(F, name)(Tensor(x.data), 8)  # one window over all
    getattr(F, name)(Tensor(x.data.astype(np.float16)), 2)  # which nobody asks it for
    assert [t for _, t in taken] == [False] * 2


def test_the_number_of_threads_changes_no_pool(rng, monkeypatch):
    windows = sliding((40, 41), (3, 3), 2, 1)
    x = rng.standard_normal((300, *windows.sizes)).astype(np.float32)
    results = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(native, "threads", threads)
        y = pooling.pool("max_pool_forward", {"x": x}, windows.numbers(), (300, *windows.out), 0, 0.0)
        gx = pooling.pool("max_pool_backward", {"gy": y, "x": x, "y": y}, windows.numbers(), x.shape, 0, 0.0)
        results.append(y.tobytes() + gx.tobytes())
    assert results[0] == results[1] == results[2]
