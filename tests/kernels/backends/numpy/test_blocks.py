"""The NumPy route of kernels: long arrays cut into blocks over threads give what short ones give."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from helpers import turn

from cunet.kernels import KERNELS
from cunet.kernels.backends.numpy import backend, blocks, tuning
from cunet.system import cpu

pytestmark = pytest.mark.cpu_only

CUT = sorted(n for n, k in KERNELS.items() if k.spec.kind == "elementwise" and backend.cuttable(k.spec))
SHAPES = {
    "flat": lambda n, m: (n, m),
    "row": lambda n, m: (1, m),
    "vector": lambda n, m: (m,),
    "column": lambda n, m: (n, 1),
    "number": lambda n, m: (),
}
#: Bodies that are never called with such arguments: statistics are arrays, and factors of dropout are numbers.
NEVER = {("normalize", "number"), ("logsumexp_backward", "number")}


@pytest.fixture
def small_blocks(monkeypatch):
    """Cut arrays of a few hundred elements; return the counter of cuts."""
    monkeypatch.setattr(tuning, "tuning", tuning.Tuning(long=1, block=64, shared=64, threaded=256))
    monkeypatch.setattr(cpu, "cores", lambda: 3)
    monkeypatch.setattr(blocks, "cores", lambda: 3)
    done = []
    inner = blocks.cut

    def counted(*args):
        result = inner(*args)
        done.append(result is not NotImplemented)
        return result

    monkeypatch.setattr(blocks, "cut", counted)
    return done


def arguments(kernel, rng, dtype, other, n, m):
    """Make arguments: the data of full shape, statistics and factors of the shape named `other`."""
    args = []
    for param in kernel.spec.ins:
        shape = (n, m) if param.type == "T" else SHAPES[other](n, m)
        value = rng.uniform(0.1, 0.9, shape).astype(dtype)
        args.append(value if shape else float(value))
    return args


@pytest.mark.parametrize("name", [n for n in CUT if n != "drop_channels"])
def test_blocks_give_what_the_body_gives(name, small_blocks, rng):
    kernel = KERNELS[name]
    for dtype, other in itertools.product((np.float32, np.float64), SHAPES):
        if (name, other) in NEVER:
            continue
        with turn(dtype, other):
            args = arguments(kernel, rng, dtype, other, 37, 21)
            expected = kernel.body(*args)
            small_blocks.clear()
            got = backend.run(kernel, args, {})
            assert small_blocks == [True]
            several = isinstance(expected, tuple)
            for a, e in zip(got if several else [got], expected if several else [expected], strict=True):
                assert a.dtype == e.dtype
                np.testing.assert_allclose(a, e, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize(
    "args",
    [
        lambda x: (x, np.float64(0.5)),  # NumPy makes float64 of it
        lambda x: (x, np.ones((2, *x.shape), x.dtype)),  # the result is larger than x
        lambda x: (x[:1], 0.5),  # less than two blocks
    ],
)
def test_what_cannot_be_cut_is_not(args, small_blocks, rng):
    x = rng.normal(size=(30, 8)).astype(np.float32)
    body = np.multiply
    a = args(x)
    assert blocks.cut(body, a, a[0], [x.dtype]) is NotImplemented


def test_bodies_that_look_along_an_axis_are_left_whole():
    assert not {"label_backward", "smooth_label_backward", "nll_backward", "label_loss", "drop_elements"} & set(CUT)


@pytest.mark.parametrize("make", [lambda x: x.T, lambda x: x[::2], lambda x: x[::-1, ::-1]])
def test_other_layouts(make, small_blocks, rng):
    x = make(rng.normal(size=(60, 40)))
    got = blocks.cut(np.exp, [x], x, [x.dtype])
    np.testing.assert_array_equal(got, np.exp(x))


def test_an_error_in_a_block_comes_out(small_blocks):
    def body(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        blocks.cut(body, [np.ones(1000)], np.ones(1000), [np.dtype(float)])
    assert blocks.cut(np.exp, [np.ones(1000)], np.ones(1000), [np.dtype(float)]).shape == (1000,)


def test_blocks_are_silent(small_blocks):
    x = np.full(1000, 1e4, np.float32)
    assert np.isinf(blocks.cut(np.exp, [x], x, [x.dtype])).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_its_own_helpers():
    code = """
import os, numpy as np
from cunet.kernels.backends.numpy import blocks
from cunet.system import cpu
blocks.cores = cpu.cores = lambda: 3
x = np.linspace(0, 1, 1_000_000)
y = blocks.cut(np.exp, [x], x, [x.dtype])
pid = os.fork()
if pid == 0:
    z = blocks.cut(np.exp, [x], x, [x.dtype])
    os._exit(0 if (y == z).all() else 1)
_, status = os.waitpid(pid, 0)
raise SystemExit(os.waitstatus_to_exitcode(status))
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], timeout=60)
    assert done.returncode == 0


def test_cores_can_be_set(monkeypatch):
    monkeypatch.setenv("CUNET_NUM_THREADS", "5")
    assert cpu.cores.__wrapped__() == 5
    monkeypatch.setenv("CUNET_NUM_THREADS", "nonsense")
    assert cpu.cores.__wrapped__() >= 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="for glibc")
def test_memory_of_large_arrays_is_used_again():
    code = """
import resource, numpy as np
import cunet
x = np.ones(10_000_000, np.float32)
for _ in range(3):
    np.exp(x)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.exp(x)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    if not cpu.keep_memory():
        pytest.skip("this libc cannot be told")
    assert int(done.stdout) < 100
