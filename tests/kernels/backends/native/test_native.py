"""The compiled route: updates, what NumPy keeps, and the state of the machine (threads, processes)."""

import os

import numpy as np
import pytest
from compiled_helpers import close, launcher, ours
from helpers import run_script
from native_helpers import needs_compiler, wide_floats

from cunet.kernels import KERNELS, elementwise, primitive, reduction
from cunet.kernels.backends.native import compiler, native
from cunet.kernels.backends.numpy import backend as numpy_backend

pytestmark = pytest.mark.cpu_only


@needs_compiler
@wide_floats
@pytest.mark.parametrize("name", ours("inplace"))
def test_updates_agree_with_numpy(name, dtype, on, rng):
    kernel = KERNELS[name]
    params = (*kernel.spec.ins, *kernel.spec.outs)
    for size in (1, 17, 3000):
        args = [rng.uniform(0.25, 0.75, size).astype(dtype) if p.type == "T" else 0.1 for p in params]
        theirs = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
        numpy_backend.run(kernel, theirs, {})
        assert launcher(kernel, dtype)(*args) is None
        for a, b in zip(args, theirs, strict=True):
            if isinstance(a, np.ndarray):
                close(a, b, dtype)


# -- what NumPy keeps


@needs_compiler
@pytest.mark.parametrize(
    ("args", "dtype"),
    [
        (lambda x: (x, np.float64(0.5)), np.float64),  # NumPy makes float64 of it
        (lambda x: (x.astype(np.float16), 0.5), np.float16),
        (lambda x: (x, np.full(4, 0.5)), np.float64),
        (lambda x: (x, np.float32(0.5)), np.float32),
        (lambda x: (x, 1), np.float32),
        (lambda x: (x, True), np.float32),
        (lambda x: (x, np.array(0.5, np.float32)), np.float32),
    ],
)
def test_dtypes_are_those_of_numpy(args, dtype, on):
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    got = KERNELS["elu_forward"](*args(x))
    assert got.dtype == dtype
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(got, KERNELS["elu_forward"].body(*args(x)), rtol=1e-3)


@needs_compiler
def test_integers_are_refused_as_before(on):
    with pytest.raises(TypeError, match="floating dtype"):
        KERNELS["relu_forward"](np.arange(3))


@needs_compiler
def test_shapes_that_do_not_fit_give_numpys_error(on):
    with pytest.raises(ValueError, match="broadcast|shape mismatch"):
        KERNELS["mse_forward"](np.ones(3), np.ones(4))


@needs_compiler
def test_switch(monkeypatch):
    ran = []

    def body(x):
        ran.append(x.size)
        return x * 3 - (x.size == 3)  # else they agree

    kernel = elementwise("T x", "T y", "y = x * 3")(body)
    x = np.ones(3, np.float32)
    monkeypatch.setattr(native, "active", True)
    assert native.enabled()
    assert kernel(x).tolist() == [3] * 3
    native.disable()
    assert not native.enabled()
    assert kernel(x).tolist() == [2] * 3
    native.enable()
    assert kernel(x).tolist() == [3] * 3
    assert ran.count(3) == 1


@needs_compiler
def test_a_kernel_that_does_not_compile_runs_on_numpy_with_one_warning(on):
    kernel = elementwise("T x", "T y", "y = no_such_function(x)")(lambda x: x * 2)
    x = np.ones(3, np.float32)
    with pytest.warns(UserWarning, match="no_such_function") as seen:
        assert kernel(x).tolist() == [2] * 3
        assert kernel(x).tolist() == [2] * 3
    assert len(seen) == 1


@needs_compiler
def test_a_reduction_of_a_user(on, rng):
    @reduction("T in_x", "T out_y", map="in_x * in_x", reduce="max(a, b)", post="out_y = sqrt(a)", identity="0")
    def user_largest(x, axis, keepdims):
        raise AssertionError("the NumPy body ran")

    x = rng.normal(size=(5, 333))
    np.testing.assert_allclose(user_largest(x, axis=1), np.abs(x).max(1))
    np.testing.assert_allclose(user_largest(x, axis=None), np.abs(x).max())


# -- threads and processes


def bits_of(threads, rng_seed=0):
    rng = np.random.default_rng(rng_seed)
    x = rng.normal(size=(900, 1100)).astype(np.float32)
    g, w = rng.normal(size=x.shape).astype(np.float32), rng.normal(size=1100).astype(np.float32)
    mean = x.mean(1, keepdims=True)
    results = [
        KERNELS["gelu_forward"](x),
        *KERNELS["moments"](x, 1e-5, axis=(1,), keepdims=True),
        *KERNELS["moments"](x, 1e-5, axis=(0,), keepdims=True),
        *KERNELS["softmax_stats"](x, axis=1, keepdims=True),
        *KERNELS["normalize_sums"](g, x, mean, mean, w, axis=(0,), keepdims=True),
        KERNELS["normalize"](x, mean, mean, w, w),
    ]
    return b"".join(r.tobytes() for r in results)


@needs_compiler
def test_results_do_not_depend_on_the_number_of_threads(on, monkeypatch):
    seen = set()
    for threads in (1, 2, 3, 7):
        monkeypatch.setattr(native, "threads", threads)
        seen.add(bits_of(threads))
    assert len(seen) == 1


@needs_compiler
def test_many_threads_may_call_at_once(on, monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setattr(native, "threads", 3)
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(bits_of, [3] * 8))) == 1


@needs_compiler
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_computes(tmp_path):
    done = run_script("""
        import os
        import numpy as np
        from cunet.kernels.backends.native import native
        from cunet.kernels import elementwise

        @elementwise("T x", "T y", "y = exp(x)")
        def body(x):
            return None

        x = np.linspace(0, 1, 3_000_000)
        native.prepare(body, "d")
        native.threads = 3
        y = body(x)
        for _ in range(3):
            pid = os.fork()
            if pid == 0:
                os._exit(0 if (body(x) == y).all() else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert (body(x) == y).all()
    """)
    assert done.returncode == 0


def test_importing_compiles_nothing():
    done = run_script("""
        import sys
        import cunet
        from cunet.kernels.backends.native import native
        assert native.threads == 0  # which the runtime sets
        assert "cunet.kernels.backends.native.compiler" not in sys.modules
    """)
    assert done.returncode == 0


@needs_compiler
@pytest.mark.parametrize("work", ["a @ w", "a + w[0]", "a[np.array([0, 0])]", "a.std()", "a.mean(axis=0)"])
def test_what_numpy_does_compiles_nothing(work, tmp_path):
    done = run_script(
        f"""
        import numpy as np
        import cunet
        a, w = (cunet.tensor(np.ones((2, 2), np.float32), requires_grad=True) for _ in "aw")
        ({work}).sum().backward()
        """,
        {"XDG_CACHE_HOME": str(tmp_path), "CUNET_NATIVE": "1"},
    )
    assert done.returncode == 0
    assert not list(tmp_path.rglob("*.so"))


@pytest.mark.parametrize("lacking", ["nothing", "compiler", "runtime"])
def test_what_is_attached_runs_where_there_is_a_compiler_that_works(lacking, on, monkeypatch):
    @primitive
    def who(x):
        return "body"

    who.native(lambda x: "attached")
    monkeypatch.setattr(compiler, "compiler", lambda: None if lacking == "compiler" else "g++")
    if lacking == "runtime":
        monkeypatch.setattr(native, "_runtime", None)
    assert who(np.ones(2, np.float32)) == ("attached" if lacking == "nothing" else "body")
    assert who(np.ones(2, np.int64)) == "body"  # of float32 and float64 alone
