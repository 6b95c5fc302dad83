"""What compiled convolution reads and holds: no element that a window does not see, nothing beyond an array."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from convolution_helpers import CASES, arrays_of
from native_helpers import needs_compiler

from cunet.kernels.backends.native import convolution

pytestmark = [pytest.mark.cpu_only, needs_compiler, pytest.mark.usefixtures("on")]


def element(windows, window, tap):
    """Return which element (d, h, w) a tap of a window meets; it may lie in the padding."""
    steps = zip(window, tap, windows.stride, windows.padding, windows.dilation, strict=True)
    return tuple(o * s - p + t * d for o, t, s, p, d in steps)


def seen(windows, at):
    """Return for which (tap, window) the element `at` = (d, h, w) is met, by counting."""
    marks = np.zeros((*windows.kernel, *windows.out), bool)
    for tap in np.ndindex(windows.kernel):
        for window in np.ndindex(windows.out):
            marks[tap + window] = element(windows, window, tap) == at
    return marks


@pytest.mark.parametrize("bad", [np.inf, np.nan])
@pytest.mark.parametrize("outputs", [2, 20])
@pytest.mark.parametrize("name", ["3x3", "same", "stride 2, a rest unused", "dilated"])
def test_what_is_not_finite_reaches_only_what_sees_it(name, outputs, bad, rng):
    """Rows of an image lie behind each other: windows that would reach from one into the next do not exist."""
    windows = CASES[name][0]
    x, w, b, gy = arrays_of(windows, 1, 1, 1, outputs, np.float32, rng)
    for at in [(0, 0, windows.sizes[2] - 1), (0, windows.sizes[1] - 1, 0), (0, 2, 3)]:
        met = seen(windows, at)
        x[0, 0][at], before = bad, x[0, 0][at]
        y, gw = convolution.convolve(x, w, b, windows, 1), convolution.weight_gradient(x, gy, windows, 1)
        x[0, 0][at] = before
        np.testing.assert_array_equal(~np.isfinite(y), np.broadcast_to(met.any((0, 1, 2)), y.shape))
        np.testing.assert_array_equal(
            ~np.isfinite(gw[:, 0]), np.broadcast_to(met.any((3, 4, 5)).ravel(), gw[:, 0].shape)
        )
    for at in [(0, 0, windows.out[2] - 1), (0, windows.out[1] - 1, 0)]:
        gy[0, 0][at], before = bad, gy[0, 0][at]
        gx = convolution.input_gradient(gy, w, windows, 1)
        gw = convolution.weight_gradient(np.ones_like(x), gy, windows, 1)
        gy[0, 0][at] = before
        reached = {element(windows, at, tap) for tap in np.ndindex(windows.kernel)}
        np.testing.assert_array_equal(~np.isfinite(gx).ravel(), [e in reached for e in np.ndindex(windows.sizes)])
        assert np.isfinite(gw[1:]).all() and not np.isfinite(gw[0]).all()


def run_compiled(script):
    """Run a script in a process of its own, on the compiled route; return what it printed."""
    env = os.environ | {"CUNET_NATIVE": "1"}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, env=env)
    assert not done.returncode, done.stderr
    return done.stdout


def test_memory_does_not_grow_with_the_batch():
    """A thread holds a padded image, whatever the batch; columns of this one would be 230 MB."""
    script = """
        import resource, numpy as np
        from cunet.kernels.backends.native import convolution
        from cunet.ops.windows import Windows
        windows = Windows((1, 24, 24), (1, 24, 24), (1, 5, 5), (1, 1, 1), (0, 2, 2), (1, 1, 1))
        x, w = np.ones((256, 16, 1, 24, 24), "f"), np.ones((16, 16, 1, 5, 5), "f")
        def step(k):
            y = convolution.convolve(x[:k], w, None, windows, 1)
            convolution.weight_gradient(x[:k], y, windows, 1)
            convolution.input_gradient(y, w, windows, 1)
            return y
        step(8)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        step(256)
        print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / x.nbytes)
    """
    assert float(run_compiled(script)) < 3  # the output, the gradient of the input, and a little


@pytest.mark.skipif(sys.platform != "linux", reason="asks the system for a page that nobody may read")
def test_nothing_is_read_beyond_an_array():
    """Vectors of the last windows of an image that is read in place would reach over its end."""
    script = """
        import ctypes, mmap, numpy as np
        from cunet.kernels.backends.native import convolution
        from cunet.ops.windows import Windows
        pages = mmap.mmap(-1, 2 * mmap.PAGESIZE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(pages))
        assert not ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + mmap.PAGESIZE), mmap.PAGESIZE, 0)
        for height, width, kernel in [(2, 4, 1), (4, 4, 2), (5, 5, 1), (9, 9, 1), (9, 7, 3), (17, 19, 3), (3, 21, 2)]:
            shape = (1, 2, 1, height, width)
            size = 2 * height * width
            x = np.frombuffer(pages, np.float32, size, mmap.PAGESIZE - 4 * size).reshape(shape)
            out = (1, height - kernel + 1, width - kernel + 1)
            windows = Windows((1, height, width), out, (1, kernel, kernel), (1, 1, 1), (0, 0, 0), (1, 1, 1))
            for outputs in (1, 3, 20):
                w = np.ones((outputs, 2, 1, kernel, kernel), np.float32)
                y = convolution.convolve(x, w, None, windows, 1)
                convolution.weight_gradient(x, y, windows, 1)
        print("read")
    """
    assert run_compiled(script) == "read\n"
