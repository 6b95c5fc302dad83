"""Builtin functions that call kernels: they do what launchers do, faster."""

import itertools
import sys
import threading
import time
import tracemalloc

import numpy as np
import pytest
from compiled_helpers import launcher
from helpers import run_script
from native_helpers import TRAIN, needs_compiler, once, said

from cunet.kernels import KERNELS, elementwise, inplace
from cunet.kernels.backends.native import backend, builtin, native, products
from cunet.ops.linalg import product

pytestmark = [pytest.mark.cpu_only, needs_compiler]

blas = pytest.mark.skipif(native.runtime() is None or not products.bound(), reason="no OpenBLAS")

F32, F64 = np.float32, np.float64


def both(name, dtype=F32):
    """Return what is called for a kernel, and its launcher."""
    kernel = KERNELS[name]
    return launcher(kernel, dtype), native.launcher(kernel, np.dtype(dtype).char)


def made(call, *args, **options):
    """Return what a call gives: arrays as bytes with all that is seen of them, or the kind of an error."""
    try:
        got = call(*args, **options)
    except Exception as error:
        return type(error), str(error)
    outs = got if isinstance(got, tuple) else (got,)
    seen = [(a.tobytes(), a.dtype, a.shape, a.strides, str(a.flags)) for a in outs if type(a) is np.ndarray]
    return type(got), len(outs), seen


def test_kernels_are_called_by_builtins(on):
    for name in ("elu_forward", "moments", "sgd"):
        assert type(both(name)[0]) is type(len), name


def odd(x):
    """Return an array in other layouts, dtypes and classes, and what is none."""
    packed = np.zeros(x.shape, [("skip", "i1"), ("value", x.dtype)])
    packed["value"] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    return {
        "itself": x, "transposed": x.T, "every second": x[::2], "backwards": x[::-1, ::-1], "read-only": frozen,
        "unaligned": packed["value"], "big-endian": x.astype(x.dtype.newbyteorder(">")), "halves": x.astype("e"),
        "subclass": np.ma.masked_array(x), "matrix": x.view(np.matrix), "integers": x.astype(int),
        "other floats": x.astype(F64 if x.dtype == F32 else F32), "empty": x[:0], "no columns": x[:, :0],
        "one": x[:1, :1], "0-d": x[:1, :1].reshape(()), "a row": x[0], "a column": x[:, :1], "more axes": x[None],
        "many axes": x.reshape(*(1,) * 20, *x.shape), "does not fit": np.ones((2, 3), x.dtype), "list": x.tolist(),
        "None": None, "word": "1", "float": 0.5, "int": 2, "negative": -3, "huge": 10**400, "long": 2**63,
        "flag": True, "nan": float("nan"), "NumPy's float": x.dtype.type(0.25), "NumPy's other float": F64(0.25),
        "NumPy's int": np.int64(2), "complex": 1j,
    }  # fmt: skip


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("name", ["elu_forward", "mse_forward", "normalize", "blend_statistics"])
def test_elementwise_calls_are_those_of_the_launcher(name, dtype, on, rng):
    called, known = both(name, dtype)
    x = rng.uniform(0.2, 0.8, (4, 4)).astype(dtype)
    plain = [x] * len(KERNELS[name].spec.ins)
    assert made(called, *plain) == made(known, *plain)
    for k in range(len(plain)):
        for which, a in odd(plain[k]).items():
            args = [*plain[:k], a, *plain[k + 1 :]]
            if k != KERNELS[name].lead or type(a) is np.ndarray:  # else another backend is asked
                assert made(called, *args) == made(known, *args), (k, which)
    assert called(*plain[:-1]) is NotImplemented
    assert called(*plain, x) is NotImplemented


@pytest.mark.parametrize("value", [0, 5, -5, 2**31, 2**63, 2**64, -(2**63), True, 1.0, None, np.int32(3)])
@pytest.mark.parametrize("kind", ["int32", "uint32", "int64", "uint64", "bool"])
def test_numbers_of_every_type(kind, value, on):
    @elementwise(f"T x, {kind} number", "T y", "y = x + A(number)")
    def add_number(x, number):
        return x + number

    x = np.arange(3.0)
    called = native.prepare(add_number, "d")
    assert type(called) is type(len)
    assert made(called, x, value) == made(native.launcher(add_number, "d"), x, value)


AXES = {
    "none": {}, "all": {"axis": None}, "last": {"axis": -1}, "first": {"axis": 0}, "pair": {"axis": (1, 2)},
    "unsorted": {"axis": (2, 1)}, "negative": {"axis": (-2, -1)}, "twice": {"axis": (1, 1)}, "nothing": {"axis": ()},
    "apart": {"axis": (0, 2)}, "too far": {"axis": 3}, "too low": {"axis": (-4,)}, "list": {"axis": [1]},
    "flag": {"axis": True}, "NumPy's": {"axis": np.int64(1)}, "huge": {"axis": 10**30}, "word": {"axis": "1"},
    "kept": {"axis": (0, 1), "keepdims": True}, "dropped": {"axis": (1,), "keepdims": False},
    "kept all": {"keepdims": True}, "truthy": {"axis": 1, "keepdims": 1}, "unknown": {"axis": 1, "dims": True},
}  # fmt: skip


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("name", ["moments", "softmax_stats", "sum_elements"])
def test_reductions_are_those_of_the_launcher(name, axes, on, rng):
    called, known = both(name)
    for shape in ((3, 4, 5), (1, 1, 1), (3, 0, 5), (0, 4, 2)):
        x = rng.uniform(0.2, 0.8, shape).astype(F32)
        rest = [1e-5] * (len(KERNELS[name].spec.ins) - 1)
        assert made(called, x, *rest, **AXES[axes]) == made(known, x, *rest, **AXES[axes]), shape


@pytest.mark.parametrize("name", ["normalize_sums", "moments"])
def test_reductions_of_odd_arrays_are_those_of_the_launcher(name, on, rng):
    called, known = both(name)
    x = rng.uniform(0.2, 0.8, (4, 4)).astype(F32)
    plain = [1e-5 if p.name.startswith("extra") else x for p in KERNELS[name].spec.ins]
    for k in range(len(plain)):
        for which, a in odd(x).items():
            args = [*plain[:k], a, *plain[k + 1 :]]
            if k != KERNELS[name].lead or type(a) is np.ndarray:
                assert made(called, *args, axis=0) == made(known, *args, axis=0), (k, which)
    assert called(*plain[:-1], axis=0) is NotImplemented
    assert called(*plain, x, axis=0) is NotImplemented


@pytest.mark.parametrize("name", ["sgd", "sgd_momentum", "adam"])
def test_updates_are_those_of_the_launcher(name, on, rng):
    called, known = both(name)
    spec = KERNELS[name].spec
    plain = [rng.uniform(0.2, 0.8, (4, 4)).astype(F32) if p.type == "T" else 0.5 for p in spec.params]
    for k in range(len(plain)):
        for which, a in {"itself": plain[k], **odd(plain[0])}.items():
            got = []
            for call in (called, known):
                args = [b.copy() if type(b) is np.ndarray else b for b in plain]
                args[k] = a.copy("K") if type(a) is np.ndarray and which != "read-only" else a
                got.append((made(call, *args), [b.tobytes() for b in args if type(b) is np.ndarray]))
            assert got[0] == got[1], (k, which)


def test_an_update_with_too_few_arguments_or_into_no_array_is_refused(on):
    @inplace("T g, A lr", "T w", "w -= lr * g", scratch=0)
    def descend(g, lr, w):
        w -= lr * g

    g, w = np.ones(3, F32), np.ones(3, F32)
    descend(g, 0.5, w)
    for args in ((g, w), (g, 0.5, w, w), (g, 0.5, 0.5), (g, 0.5, np.ones((), F32))):
        assert native.prepare(descend, "f")(*args) is native.launcher(descend, "f")(*args) is NotImplemented
    assert w.tolist() == [0.5] * 3


def multiply():
    """Return what is called for products, and what it leaves calls to."""
    products.bind_if_started()
    return native.prepare(product, "f"), product.attached["native"].function


@blas
@pytest.mark.parametrize("dtype", [F32, F64])
def test_products_are_numpys_to_the_bit(dtype, on, rng):
    called, known = multiply()
    assert type(called) is type(len)
    for n, k, m in [*itertools.product((1, 2, 3, 8, 17), repeat=3), (60, 100, 10), (33, 64, 100), (60, 784, 100)]:
        x, y = rng.standard_normal((2 * n, 2 * k)).astype(dtype), rng.standard_normal((2 * k, 2 * m)).astype(dtype)
        turned = rng.standard_normal((m, k)).astype(dtype).T
        for a in (x[:n, :k], x[:n, k:], x[:n, ::2], x[::2, :k], x[n - 1 :: -1, :k], np.asfortranarray(x[:n, :k])):
            for b in (y[:k, :m], y[::2, ::2], turned):
                got = made(called, a, b)
                assert got == made(known, a, b), (a.strides, b.strides)
                if n * k * m < 1 << 18:  # larger ones are cut
                    assert got == made(np.matmul, a, b), (a.strides, b.strides)


@blas
def test_products_of_odd_things_are_those_of_the_launcher(on, rng):
    called, known = multiply()
    x = rng.standard_normal((4, 4)).astype(F32)
    for which, a in odd(x).items():
        assert made(called, x, a) == made(known, x, a), which
        if type(a) is np.ndarray:
            assert made(called, a, x) == made(known, a, x), which
    for more in ({"out": np.empty_like(x)}, {"add": True}, {"other": 1}):
        assert made(called, x, x, **more) == made(known, x, x, **more)
    assert made(called, x, x, None) == made(known, x, x, None)
    assert made(called, x[:, :2], x[:, :2].T) == made(np.matmul, x[:, :2], x[:, :2].T)  # a square, by another function
    assert made(called, x[:, :2], x[2:]) == made(np.matmul, x[:, :2], x[2:])  # overlaps
    assert made(called, x) == made(known, x)


@blas
def test_a_product_waits_for_no_compiler(on, monkeypatch):
    monkeypatch.setattr(product, "prepared", {})
    with monkeypatch.context() as patch:
        patch.setattr(native, "_runtime", backend._UNKNOWN)
        assert native.prepare(product, "f") is product.attached["native"].function
        product(np.ones((2, 2), F32), np.ones((2, 2), F32))
        assert native._runtime is backend._UNKNOWN
    assert product.prepared == {}
    product(np.ones((2, 2), F32), np.ones((2, 2), F32))
    assert type(product.prepared["f"]) is type(len)


def test_nothing_is_kept_of_a_call(on, rng):
    x = rng.uniform(0.2, 0.8, (30, 40)).astype(F32)
    calls = [
        lambda: both("elu_forward")[0](x, 0.5),
        lambda: both("moments")[0](x, 1e-5, axis=(0,), keepdims=True),
        lambda: both("sgd")[0](x, 0.0, 0.0, x),
        lambda: both("elu_forward")[0](x, None),
        lambda: both("mse_forward")[0](x, x.astype(F64)),
        lambda: product(x, x.T.copy()),
        lambda: product(x, x),
    ]
    for call in calls if products.bound() else calls[:-2]:
        held = [x, None, NotImplemented, native.launcher(KERNELS["elu_forward"], "f")]
        made(call)
        before = [sys.getrefcount(a) for a in held]
        tracemalloc.start()
        for _ in range(50):
            made(call)
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        after = [sys.getrefcount(a) for a in held]
        assert all(abs(a - b) < 10 for a, b in zip(before, after, strict=True))
        assert size < 20_000  # an array has 4,800 bytes


def test_what_does_not_fit_in_memory_is_an_error(on):
    called, known = both("mse_forward")
    for n, error in ((1 << 24, MemoryError), (1 << 40, ValueError)):
        x = np.broadcast_to(np.ones(1, F32), (1, n))
        got = made(called, x, x.T)
        assert got == made(known, x, x.T)
        assert issubclass(got[0], error)


class Counter:
    """Counts in another thread, which runs only where Python's lock is given away."""

    def __enter__(self):
        self.count, self._going = 0, True
        self._interval = sys.getswitchinterval()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        sys.setswitchinterval(1000)
        return self

    def _run(self):
        while self._going:
            self.count += 1
            time.sleep(1e-4)

    def __exit__(self, *error):
        sys.setswitchinterval(self._interval)
        self._going = False
        self._thread.join()


def test_other_threads_run_while_a_large_call_is_computed_and_not_in_a_small_one(on):
    called, _ = both("elu_forward")
    large, small = np.ones(3_000_000, F32), np.ones(100, F32)
    called(small, 1.0)
    with Counter() as counter:
        before, end = counter.count, time.monotonic() + 60
        while counter.count == before and time.monotonic() < end:
            called(large, 1.0)
        assert counter.count > before
        before = counter.count
        for _ in range(1000):
            called(small, 1.0)
        assert counter.count == before


@pytest.mark.parametrize(("where", "value"), [("abiflags", "d"), ("abiflags", "t"), ("implementation", "pypy")])
def test_other_pythons_have_no_builtins(where, value, monkeypatch):
    assert builtin.supported()
    monkeypatch.setattr(sys, where, type("its", (), {"name": value}) if where == "implementation" else value)
    assert not builtin.supported()


@once
def test_without_builtins_results_are_the_same():
    without = "from cunet.kernels.backends.native import builtin\nbuiltin.supported = lambda: False\n"
    check = """
from cunet.kernels import KERNELS
from cunet.kernels.backends.native import native
print(type(KERNELS["mse_forward"].prepared["f"]).__name__)
"""
    with_, without = (said(run_script(before + TRAIN + check)) for before in ("", without))
    assert with_ == [with_[0], "builtin_function_or_method"]
    assert without == [with_[0], "ElementwiseLauncher"]
