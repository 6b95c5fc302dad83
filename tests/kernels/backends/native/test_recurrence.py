"""Products and loops over time in the runtime: they agree with NumPy, whatever the threads, lengths and layouts."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from helpers import host
from recurrent_helpers import parts, total

from cunet import Tensor, nn
from cunet.kernels.backends.native import native, products
from cunet.kernels.backends.numpy import tuning
from cunet.ops import linalg
from cunet.ops.recurrent import loop
from cunet.system import cpu

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(
        native.runtime() is None or not products.bound(), reason="no C++ compiler that works, or no OpenBLAS"
    ),
]


@pytest.fixture(autouse=True)
def on(monkeypatch):
    monkeypatch.setattr(native, "active", True)


@pytest.fixture
def loops(monkeypatch):
    """Return what became of each loop: whether it ran in the runtime."""
    seen = []
    run = loop.native_loop
    monkeypatch.setattr(loop, "native_loop", lambda *a, **k: seen.append(run(*a, **k)) or seen[-1])
    return seen


SIZES = [(1, 1, 1), (60, 784, 100), (100, 60, 784), (3, 700, 900), (1000, 300, 7), (128, 2, 512), (700, 1500, 90)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("turned", ["", "x", "y", "xy"])
def test_products_are_those_of_numpy(sizes, turned, dtype, rng, monkeypatch):
    n, k, m = sizes
    x = rng.standard_normal((k, n) if "x" in turned else (n, k)).astype(dtype)
    y = rng.standard_normal((m, k) if "y" in turned else (k, m)).astype(dtype)
    x, y = x.T if "x" in turned else x, y.T if "y" in turned else y
    seen = set()
    for threads in (1, 2, 3, 8):
        monkeypatch.setattr(native, "threads", threads)
        z = products.product(x, y)
        seen.add(z.tobytes())
    np.testing.assert_allclose(z, x @ y, atol=np.finfo(dtype).eps * 8 * k)
    assert len(seen) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sizes", [(64, 64, 64), (16, 1024, 16), (100, 20, 131), (250, 16, 64)])
def test_small_products_have_the_bits_of_numpy(sizes, dtype, rng):
    n, k, m = sizes
    assert n * k * m <= tuning.tuning.product  # a recorded step runs here what the step as written leaves to NumPy
    x, y = rng.standard_normal((n, k)).astype(dtype), rng.standard_normal((m, k)).astype(dtype)
    for a, b in ((x, y.T), (np.asfortranarray(x), y.T), (x, np.ascontiguousarray(y.T))):
        assert products.product(a, b).tobytes() == (a @ b).tobytes()


def test_products_of_parts_of_arrays(rng):
    x, y = rng.standard_normal((2, 300, 300)).astype(np.float32)
    for a, b in ((x[:, 20:], y[20:]), (x[::3], y), (x.T[5:90], y[:, :7]), (x[::-1], y), (x[:, ::2], y[:150])):
        z = products.product(a, b)
        if z is not NotImplemented:
            np.testing.assert_allclose(z, a @ b, rtol=1e-4, atol=1e-4)
    assert products.product(x[:, 20:], y[20:]) is not NotImplemented
    assert products.product(x[:, ::2], y[:150]) is NotImplemented


def test_only_large_products_of_plain_arrays_leave_numpy(rng, monkeypatch):
    seen = []

    def note(x, y):
        seen.append((x.shape, y.shape))
        return NotImplemented

    monkeypatch.setattr(linalg, "native_product", note)
    monkeypatch.setattr(linalg.product, "prepared", {"f": linalg.product.attached["native"].function})  # no builtin
    x, y = rng.standard_normal((2, 100, 100)).astype(np.float32)
    for a, b in ((x[:20], y), (x, y), (x.view(np.ma.MaskedArray), y), (x, y.view(np.ma.MaskedArray)), (x[None], y)):
        linalg.product(a, b)
    assert seen == [((100, 100), (100, 100)), ((1, 100, 100), (100, 100))]


@pytest.mark.parametrize("shapes", [((0, 3), (3, 2)), ((2, 0), (0, 3)), ((2, 3), (3, 0)), ((2, 3, 4), (3, 4, 5))])
def test_numpy_multiplies_what_is_empty_or_does_not_fit(shapes):
    x, y = (np.ones(s, np.float32) for s in shapes)
    assert products.product(x, y) is NotImplemented
    assert products.product(np.ones((2, 2), np.float32), np.ones((2, 2))) is NotImplemented
    assert products.product(np.ones((2, 2), np.int64), np.ones((2, 2), np.int64)) is NotImplemented


def test_the_threads_of_blas_are_left_as_they_were(rng):
    functions = cpu.openblas()
    before = functions["get"]()
    functions["set"](2)
    try:
        products.product(*rng.standard_normal((2, 300, 300)))
        nn.LSTM(3, 4)(np.ones((2, 3, 3), np.float32))
        assert functions["get"]() == 2
    finally:
        functions["set"](before)


def test_a_child_made_during_a_product_multiplies_too():
    code = """
    import os, signal, threading, numpy as np
    from cunet.kernels.backends.native import native
    from cunet.system import cpu
    from cunet.kernels.backends.native.products import product
    native.threads = 3
    x = np.ones((400, 400), np.float32)
    product(x, x)
    cpu.openblas()["set"](2)
    threading.Thread(target=lambda: [product(x, x) for _ in range(10**9)], daemon=True).start()
    for _ in range(20):
        child = os.fork()
        if not child:
            signal.alarm(20)
            right = (product(x, x) == 400).all() and cpu.blas_threads() == 2
            os._exit(0 if right else 1)
        assert os.waitpid(child, 0)[1] == 0
    os._exit(0)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=100)


def run(layer, x, gy_is_a_sum=False, **options):
    """Return outputs, states and all gradients of a layer."""
    x = Tensor(x, requires_grad=True)
    y, state = layer(x, **options)
    (y.sum() if gy_is_a_sum else total(y, state)).backward()
    found = [y, *parts(state), x.grad, *[p.grad for p in layer.parameters()]]
    for p in layer.parameters():
        p.grad = None
    return [host(a) for a in found]


KINDS = [(nn.RNN, {}), (nn.RNN, {"nonlinearity": "relu"}), (nn.LSTM, {}), (nn.GRU, {})]
each_kind = pytest.mark.parametrize(("make", "more"), KINDS)


@each_kind
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [1, 7, 17, 65])
@pytest.mark.parametrize("bias", [True, False])
def test_loops_are_those_of_python(make, more, dtype, batch, bias, loops, rng, monkeypatch):
    layer = make(5, 19, bidirectional=True, bias=bias, dtype=dtype, **more)
    x = rng.standard_normal((6, batch, 5)).astype(dtype)
    lengths = rng.integers(1, 7, batch)
    for options in ({}, {"lengths": lengths}, {"gy_is_a_sum": True}):
        loops.clear()
        found = run(layer, x, **options)
        assert loops == [True] * 4
        monkeypatch.setattr(native, "active", False)
        for a, b in zip(found, run(layer, x, **options), strict=True):
            tolerance = 100 * np.finfo(dtype).eps * max(1, abs(b).max())
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)
        monkeypatch.setattr(native, "active", True)


@each_kind
def test_loops_with_masks_and_first_states(make, more, loops, rng, monkeypatch):
    x = rng.standard_normal((4, 33, 5))
    first = tuple(rng.standard_normal((1, 33, 6)) for _ in range(2 if make is nn.LSTM else 1))
    results = []
    for active in (True, False):
        monkeypatch.setattr(native, "active", active)
        layer = make(5, 6, dtype="float64", variational_dropout=(0, 0.5, 0), generator=np_generator(), **more)
        layer.mask_generator = np_generator()
        results.append(run(layer, x, hx=first if make is nn.LSTM else first[0]))
    assert loops == [True, True]
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def np_generator():
    from cunet.random import Generator

    return Generator(7)


@each_kind
def test_results_do_not_depend_on_the_number_of_threads(make, more, rng, monkeypatch):
    layer = make(30, 40, **more)
    x = rng.standard_normal((5, 130, 30)).astype(np.float32)
    seen = set()
    for threads in (1, 2, 3, 7):
        monkeypatch.setattr(native, "threads", threads)
        seen.add(b"".join(a.tobytes() for a in run(layer, x, lengths=[5] * 100 + [2] * 30)))
    assert len(seen) == 1


def test_half_types_and_odd_layouts_take_the_loop_of_python(loops, rng):
    layer = nn.LSTM(5, 6, dtype="float16")
    run(layer, rng.standard_normal((3, 2, 5)).astype(np.float16))
    assert loops == []  # which nobody asks the runtime for
    layer = nn.LSTM(5, 6)
    layer.weight_hh_l0.data = np.asfortranarray(layer.weight_hh_l0.data)
    expected = run(nn_copy(layer), rng.standard_normal((3, 2, 5)).astype(np.float32) * 0)
    found = run(layer, np.zeros((3, 2, 5), np.float32))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def nn_copy(layer):
    other = nn.LSTM(5, 6)
    other.load_state_dict(layer.state_dict())
    return other
