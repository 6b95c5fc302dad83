"""Compiled kernels: they agree with the NumPy bodies, whatever the layout, the threads and the state of the machine."""

import math
import os

import numpy as np
import pytest
from helpers import run_script, ulp_distance

from cunet.kernels import KERNELS, elementwise, reduction
from cunet.kernels.backends.native import build, native
from cunet.kernels.backends.numpy import backend as numpy_backend

pytestmark = pytest.mark.cpu_only

HAVE = native.runtime() is not None
needs_compiler = pytest.mark.skipif(not HAVE, reason="no C++ compiler that works")
wide_floats = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.fixture
def on(monkeypatch):
    monkeypatch.setattr(native, "active", True)


def ours(kind):
    return sorted(name for name, k in KERNELS.items() if k.spec.kind == kind and build.compilable(k, np.dtype("f")))


def launcher(kernel, dtype):
    return native.prepare(kernel, np.dtype(dtype).char)


# -- the mathematics

ORACLES = {
    "exp": math.exp,
    "expm1": math.expm1,
    "log": math.log,
    "log1p": math.log1p,
    "tanh": math.tanh,
    "erf": math.erf,
    "erfc": math.erfc,
    "normcdf": lambda x: math.erfc(-x / math.sqrt(2)) / 2,
}
AT_INFINITY = {
    "exp": (0, np.inf),
    "expm1": (-1, np.inf),
    "log": (np.nan, np.inf),
    "log1p": (np.nan, np.inf),
    "tanh": (-1, 1),
    "erf": (-1, 1),
    "erfc": (2, 0),
    "normcdf": (0, 1),
}


def make(operation):
    """Make a kernel of one function that shall not run on NumPy."""

    def refuse(x):
        raise AssertionError("the NumPy body ran")

    kernel = elementwise("T x", "T y", operation)(refuse)
    return kernel


@pytest.fixture(scope="module")
def functions():
    """Return kernels of the mathematical functions, by name; compiled together."""
    return {name: make(f"y = {name}(x)") for name in ORACLES}


def oracle(name, x):
    if math.isnan(x):
        return math.nan
    if math.isinf(x):
        return AT_INFINITY[name][x > 0]
    try:
        return ORACLES[name](x)
    except OverflowError:
        return math.inf
    except ValueError:
        return -math.inf if x == {"log": 0, "log1p": -1}[name] else math.nan


@needs_compiler
@wide_floats
@pytest.mark.parametrize("name", list(ORACLES))
def test_functions_are_accurate(name, dtype, functions, on, rng):
    top, info = (120, np.finfo(dtype)) if dtype == np.float32 else (800, np.finfo(dtype))
    x = np.concatenate(
        [
            rng.normal(size=3000),
            rng.uniform(-top, top, 3000),
            10.0 ** rng.uniform(math.log10(info.tiny) - 5, 30, 3000) * rng.choice([-1, 1], 3000),
            [0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, info.max, -info.max, info.tiny, info.smallest_subnormal],
            1 + np.arange(-8, 9) * info.eps,
        ]
    ).astype(dtype)
    y = functions[name](x)
    expected = np.array([oracle(name, float(v)) for v in x])
    off = ulp_distance(y, expected, dtype)
    allowed = 4 + (dtype == np.float64)
    if name == "normcdf":  # the oracle rounds its argument: at -x that costs x * x units
        off /= 1 + np.where(np.abs(x) < 40, x, 0).astype(np.float64) ** 2 * (dtype == np.float64)
    assert off.max() <= allowed, f"{off.max():.3g} ulp at {x[off.argmax()]!r}: {y[off.argmax()]!r}"


@needs_compiler
@wide_floats
@pytest.mark.parametrize("name", ["expm1", "log1p", "tanh", "erf"])
def test_odd_functions_keep_the_sign_of_zero(name, dtype, functions, on):
    y = functions[name](np.array([0.0, -0.0], dtype))
    assert np.signbit(y).tolist() == [False, True]


@needs_compiler
@wide_floats
@pytest.mark.parametrize("name", list(ORACLES))
def test_a_result_does_not_depend_on_its_place(name, dtype, functions, on, rng):
    x = rng.normal(size=67).astype(dtype) * 3
    whole = functions[name](x)
    one_by_one = np.concatenate([functions[name](x[k : k + 1]) for k in range(67)])
    assert whole.tobytes() == one_by_one.tobytes()


# -- kernels against their NumPy bodies

SHAPES = {
    "number": lambda shape: (),
    "full": lambda shape: shape,
    "row": lambda shape: (*(1,) * (len(shape) - 1), shape[-1]),
    "vector": lambda shape: shape[-1:],
    "column": lambda shape: (*shape[:-1], 1),
    "first": lambda shape: (shape[0], *(1,) * (len(shape) - 1)),
}


def values(param, shape, dtype, rng):
    if param.type in ("T", "A"):
        return rng.uniform(0.25, 0.75, shape).astype(dtype)
    return rng.integers(0, 3, shape)


def arguments(kernel, other, shape, dtype, rng):
    args = []
    for k, p in enumerate(kernel.spec.ins):
        a = values(p, shape if p.type == "T" else SHAPES[other](shape), dtype, rng)
        if p.type == "A":
            a = a / 16 + dtype(0.0625 * k)  # low before high
        args.append(a if np.ndim(a) else float(a))
    return args


def close(got, expected, dtype, ulp=16):
    """Compare in units of the largest element: where terms cancel, a small one cannot have all its places right."""
    several = isinstance(expected, tuple)
    for g, e in zip(got if several else [got], expected if several else [expected], strict=True):
        e = np.asarray(e)
        assert g.shape == e.shape
        assert g.dtype == e.dtype
        if g.size:
            top = np.abs(e).max()
            assert np.abs(g - e).max() <= ulp * np.finfo(dtype).eps * max(top, 0.1)


#: Bodies that look along an axis, and those whose factors are numbers only, are run by the cases of test_ops.
ELEMENTWISE = [
    n for n in ours("elementwise") if numpy_backend.cuttable(KERNELS[n].spec) and n not in ("drop_channels",)
]


#: Statistics are arrays of as many axes as the data.
NEVER = {
    ("normalize", "number"),
    ("normalize", "vector"),
    ("normalize_backward", "vector"),
    ("logsumexp_backward", "number"),
}


@needs_compiler
@wide_floats
@pytest.mark.parametrize("shape", [(1,), (7,), (5, 3), (3, 257), (2, 3, 5), (2, 300, 2), (1500, 1), (0, 4)], ids=str)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_agrees_with_numpy(name, shape, dtype, on, rng):
    kernel = KERNELS[name]
    for other in SHAPES:
        if (name, other) in NEVER:
            continue
        args = arguments(kernel, other, shape, dtype, rng)
        got = launcher(kernel, dtype)(*args)
        assert got is not NotImplemented
        with np.errstate(all="ignore"):
            close(got, kernel.body(*args), dtype)


EDGES = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e-38, 3e38, -3e38, 20.0, -20.0, 90.0, -90.0, -104.5]


@needs_compiler
@wide_floats
@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if n.endswith("_forward") and len(KERNELS[n].spec.ins) <= 2])
def test_edges_agree_with_numpy(name, dtype, on):
    kernel = KERNELS[name]
    with np.errstate(all="ignore"):
        x = np.array(EDGES * 3, dtype)
        args = [x if p.type == "T" else 0.5 for p in kernel.spec.ins]
        got, expected = launcher(kernel, dtype)(*args), kernel.body(*args)
        off = ulp_distance(got, expected.astype(np.float64), dtype)
    small = np.abs(expected) < 8 * np.finfo(dtype).smallest_subnormal  # NumPy's vectors may round them to 0
    assert np.where(small, np.abs(got) >= 16 * np.finfo(dtype).smallest_subnormal, off > 16).sum() == 0, (got, expected)


def layouts(a):
    wide = np.zeros([2 * n for n in a.shape], a.dtype)
    spread = wide[(slice(1, None, 2),) * a.ndim]
    spread[...] = a
    packed = np.zeros(a.shape, [("skip", "i1"), ("value", a.dtype)])
    packed["value"] = a
    frozen = a.copy()
    frozen.flags.writeable = False
    back = a[(slice(None, None, -1),) * a.ndim].copy()[(slice(None, None, -1),) * a.ndim]
    return {
        "transposed": np.asfortranarray(a),
        "spread": spread,
        "reversed": back,
        "unaligned": packed["value"],
        "read-only": frozen,
        "swapped bytes": a.astype(a.dtype.newbyteorder()),
        "subclass": np.ma.masked_array(a),
    }


@needs_compiler
@pytest.mark.parametrize("shape", [(6,), (7, 5), (3, 4, 300), (300, 3, 4)], ids=str)
def test_any_layout(shape, on, rng):
    kernel = KERNELS["normalize"]
    x = rng.normal(size=shape).astype(np.float32)
    column, row = (rng.uniform(0.5, 1, SHAPES[s](shape)).astype(np.float32) for s in ("column", "row"))
    expected = kernel(x, column, column, row, row)
    for name, odd in layouts(x).items():
        got = kernel(odd, column, column, row, row)
        np.testing.assert_array_equal(np.asarray(got), expected, err_msg=name, strict=False)
    got = kernel(x, *(layouts(a)["reversed"] for a in (column, column, row, row)))
    np.testing.assert_array_equal(got, expected)


REDUCTIONS = ours("reduction")


@needs_compiler
@wide_floats
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((1,), (0,)), ((7,), (0,)), ((1000,), (0,)), ((5, 3), (1,)), ((5, 3), (0,)), ((5, 3), (0, 1)),
        ((3, 1000), (1,)), ((1000, 3), (0,)), ((4, 600), (0,)), ((2, 3, 5), (1,)), ((2, 3, 5), (0, 1)),
        ((2, 3, 5), (1, 2)), ((3, 200, 7), (1,)), ((2, 3, 129), (2,)), ((300, 4, 2), (2,)),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_agree_with_numpy(name, shape, axes, dtype, on, rng):
    kernel = KERNELS[name]
    if name in ("softmax_stats", "logsumexp_forward") and len(axes) > 1:
        axes = axes[:1]
    kept = tuple(1 if k in axes else n for k, n in enumerate(shape))
    args = []
    for p in kernel.spec.ins:
        number = p.name.startswith("extra") or p.name in ("in_keep", "in_spread")
        args.append(0.5 if number else values(p, shape if p.type == "T" else kept, dtype, rng))
    call = launcher(kernel, dtype)
    got = call(*args, axis=axes, keepdims=True)
    assert got is not NotImplemented
    expected = kernel.body(*args, axis=axes if len(axes) > 1 or "norm" in kernel.__module__ else axes[0], keepdims=True)
    close(got, expected, dtype, 32 + math.prod(shape) / 50)
    flat = call(*args, axis=axes, keepdims=False)
    for a, b in zip(got if isinstance(got, tuple) else [got], flat if isinstance(flat, tuple) else [flat], strict=True):
        assert a.tobytes() == b.tobytes()


COLUMNS = [n for n in (*ours("elementwise"), *REDUCTIONS) if any(p.place == "col" for p in KERNELS[n].spec.ins)]
NUMBERS = {"in_keep", "in_spread", "scale", "keep", "spread", "total", "g"}


@needs_compiler
@wide_floats
@pytest.mark.parametrize("shape", [(5, 7), (3, 40), (2, 3, 300), (4, 9000)], ids=str)
@pytest.mark.parametrize("other", ["column", "row"])
@pytest.mark.parametrize("name", COLUMNS)
def test_factors_along_a_row_beside_numbers(name, other, shape, dtype, on, rng):
    kernel = KERNELS[name]
    if other == "row" and "norm" not in kernel.__module__:
        pytest.skip("it is about rows")
    special = {
        "t": rng.integers(0, shape[-1], SHAPES["column"](shape)), "c": np.arange(shape[-1]), "ignored": 1,
        **{name: 0.5 for name in NUMBERS},
    }  # fmt: skip
    args = []
    for k, p in enumerate(kernel.spec.ins):
        place = "full" if p.type == "T" else "row" if p.place == "col" else other
        args.append(special[p.name] if p.name in special else values(p, SHAPES[place](shape), dtype, rng) + k)
        if isinstance(args[-1], np.ndarray) and p.type in ("T", "A"):
            args[-1] = args[-1].astype(dtype) / 4
    fold = (len(shape) - 1,) if other == "column" else tuple(range(len(shape) - 1))
    axes = {"axis": fold, "keepdims": True} if kernel.spec.kind == "reduction" else {}
    got = launcher(kernel, dtype)(*args, **axes)
    assert got is not NotImplemented
    with np.errstate(all="ignore"):
        expected = kernel.body(*args, **axes)
    close(got, expected, dtype, 32 + shape[-1] / 50)


@needs_compiler
@wide_floats
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", ["moments", "join_moments", "softmax_stats", "logsumexp_forward"])
def test_what_is_folded_twice_agrees_at_the_edges(name, axis, dtype, on, rng):
    kernel = KERNELS[name]
    x = rng.normal(size=(13, 200)).astype(dtype)
    for row, (place, value) in enumerate(
        [(0, np.nan), (63, np.inf), (64, -np.inf), (199, np.nan), (198, -np.inf), (100, np.finfo(dtype).max)]
    ):
        x[row, place] = value
    x[6], x[7], x[8, :100], x[9] = -np.inf, 3.0, np.inf, 4096 + x[9]
    x[10, [5, 70, 140]] = 9.0  # ties in several lanes
    x = np.ascontiguousarray(x.T) if axis == 0 else x
    args = [x, np.abs(x)] if name == "join_moments" else [x]
    args += [1e-5] * (len(kernel.spec.ins) - len(args))
    axes = (axis,) if "moments" in name else axis
    got = launcher(kernel, dtype)(*args, axis=axes, keepdims=True)
    with np.errstate(all="ignore"):
        expected = kernel.body(*args, axis=axes, keepdims=True)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=256 * np.finfo(dtype).eps)


@needs_compiler
@pytest.mark.parametrize("axis", [0, 1])
def test_a_compiled_variance_is_never_negative(axis, on, rng):
    x = np.repeat(rng.uniform(0.1, 10, (3000, 1)).astype(np.float32), 777, axis=1)  # equal numbers: rounding is all
    x = np.ascontiguousarray(x.T) if axis == 0 else x
    _, var, rstd = launcher(KERNELS["moments"], "f")(x, 0.0, axis=(axis,), keepdims=True)
    assert (var >= 0).all()
    assert (var <= 1e-9).all()
    assert (rstd > 0).all()


@needs_compiler
@pytest.mark.parametrize("axes", [(0, 2), (0, 1, 3)])
def test_axes_that_are_no_neighbours_stay_with_numpy(axes, on, rng):
    x = rng.normal(size=(2, 3, 4, 5))
    call = launcher(KERNELS["softmax_dot"], "d")
    assert call(x, x, axis=axes, keepdims=True) is NotImplemented
    np.testing.assert_allclose(KERNELS["softmax_dot"](x, x, axis=axes, keepdims=True), (x * x).sum(axes, keepdims=True))


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
        ran.append(1)
        return x * 2

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
    assert ran == [1]


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
