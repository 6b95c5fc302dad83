"""The simulated device itself: kernels run from their CUDA text, and the mistakes it is there for are seen."""

import math

import ml_dtypes
import numpy as np
import pytest

import sim
from cunet import kernels

cp = sim.namespace_or_skip()

from cupy.cuda.compiler import CompileException  # noqa: E402

from sim.state import block, options, stats  # noqa: E402

FLOATS = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]
TOLERANCE = {"float16": 1e-3, "bfloat16": 8e-3, "float32": 1e-6, "float64": 1e-14}


def close(actual, expected):
    actual = actual.get()
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    a, e = actual.astype(np.float64), expected.astype(np.float64)
    np.testing.assert_allclose(a, e, rtol=TOLERANCE[expected.dtype.name], atol=1e-30)


# -- the project's own decorators, every dtype and layout


@kernels.elementwise("T x, A slope", "T y, bool side", "side = x > 0; y = side ? x : slope * expm1(x)")
def sim_two_outputs(x, slope):
    return np.where(x > 0, x, slope * np.expm1(np.minimum(x, 0))), x > 0


@kernels.reduction("T in_x", "T out_y", map="(A)in_x", reduce="a + b", post="out_y = (T)a", identity="0")
def sim_sum(in_x, axis, keepdims):
    return np.sum(in_x, axis=axis, keepdims=keepdims)


MOMENTS = """
struct Moments {
  A count, mean, square;
  __device__ Moments() : count(0), mean(0), square(0) {}
  __device__ Moments(A value) : count(1), mean(value), square(0) {}
  __device__ Moments(A c, A m, A s) : count(c), mean(m), square(s) {}
};
__device__ inline Moments join(const Moments& p, const Moments& q) {
  A count = p.count + q.count;
  if (count == 0) return p;
  A d = q.mean - p.mean, share = q.count / count;
  return Moments(count, p.mean + d * share, p.square + q.square + d * d * p.count * share);
}
"""


@kernels.reduction(
    "T in_x",
    "A out_mean, A out_var",
    map="Moments((A)in_x)",
    reduce="join(a, b)",
    post="out_mean = a.mean, out_var = a.square / a.count",
    identity="Moments()",
    reduce_type="Moments",
    preamble=MOMENTS,
)
def sim_moments(in_x, axis, keepdims):
    return np.mean(in_x, axis=axis, keepdims=keepdims), np.var(in_x, axis=axis, keepdims=keepdims)


@kernels.grid(
    "raw T x, A factor, int64 count",
    "raw T y",
    """
    struct __align__(4 * sizeof(T)) Four { T value[4]; };
    const long long first = 4 * (long long)i;
    if (first + 4 <= count) {
      Four four = *(const Four*)(&x[first]);
      for (int j = 0; j < 4; ++j) four.value[j] = (T)((A)four.value[j] * factor);
      *(Four*)(&y[first]) = four;
    } else {
      for (long long j = first; j < count; ++j) y[j] = (T)((A)x[j] * factor);
    }
    """,
)
def sim_vector_loads(x, factor, count, *, shape):
    return x * factor


@pytest.fixture
def gpu():
    yield sim.install()
    sim.uninstall()


LAYOUTS = {
    "plain": lambda x: x,
    "transposed": lambda x: x.T,
    "strided": lambda x: x[::2, 1::3],
    "reversed": lambda x: x[:, ::-1],
    "3-d": lambda x: x.reshape(6, 10, -1).swapaxes(1, 2),
    "0-d": lambda x: x[0, 0].reshape(()),
    "empty": lambda x: x[:0],
}


@pytest.mark.parametrize("threads", [1, 32])
@pytest.mark.parametrize("dtype", FLOATS)
def test_an_elementwise_kernel_agrees_with_its_numpy_body(gpu, rng, dtype, threads):
    host = rng.standard_normal((6, 70)).astype(dtype)
    for layout in LAYOUTS.values():
        x = layout(host)
        with block(threads):
            y, side = sim_two_outputs(layout(cp.asarray(host)), 0.5)
        expected, expected_side = sim_two_outputs(np.asarray(x), 0.5)
        close(y, np.asarray(expected, dtype))
        np.testing.assert_array_equal(side.get(), expected_side)


@pytest.mark.parametrize("threads", [1, 32])
@pytest.mark.parametrize("dtype", FLOATS)
def test_a_reduction_agrees_with_its_numpy_body(gpu, rng, dtype, threads):
    host = rng.uniform(1, 2, (6, 5, 14)).astype(dtype)
    for axis, keepdims in ((0, False), (1, True), (2, False), ((0, 2), True), ((1, 2), False), (None, False)):
        with block(threads):
            got = sim_sum(cp.asarray(host), axis=axis, keepdims=keepdims)
            strided = sim_sum(cp.asarray(host)[::2].T, axis=axis, keepdims=keepdims)
        close(got, np.asarray(sim_sum(host, axis=axis, keepdims=keepdims)))
        close(strided, np.asarray(sim_sum(host[::2].T, axis=axis, keepdims=keepdims)))


@pytest.mark.parametrize("threads", [1, 32])
@pytest.mark.parametrize("dtype", FLOATS)
def test_a_reduction_of_structs_with_two_outputs_agrees(gpu, rng, dtype, threads):
    host = (rng.standard_normal((7, 90)) + 5).astype(dtype)
    wide = np.float64 if dtype == np.float64 else np.float32
    for axis in (0, 1, None):
        with block(threads):
            mean, var = sim_moments(cp.asarray(host), axis=axis, keepdims=True)
        exact = host.astype(np.float64)
        close(mean, exact.mean(axis, keepdims=True).astype(wide))
        np.testing.assert_allclose(
            var.get(), exact.var(axis, keepdims=True), rtol=1e-12 if wide is np.float64 else 1e-5
        )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", [1, 4, 31, 128])
def test_vector_loads_agree(gpu, rng, dtype, size):
    host = rng.standard_normal(size).astype(dtype)
    close(
        sim_vector_loads(cp.asarray(host), 3.0, size, shape=cp.asarray(host).shape, threads=-(-size // 4)),
        sim_vector_loads(host, 3.0, size, shape=host.shape, threads=-(-size // 4)),
    )


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_types_are_rounded_as_by_numpy(rng, dtype):
    bits = rng.integers(0, 2**32, 20000, np.uint32)
    edges = np.float32([0, -0.0, math.inf, -math.inf, math.nan, 65504, 65520, 6e-8, 2.9e-8, 1e-40, 3.4e38, 1.00390625])
    host = np.concatenate([bits.view(np.float32), edges])
    cast = cp.ElementwiseKernel("float32 x", "T y", "y = (T)x", "sim_cast")
    back = cp.ElementwiseKernel("T x", "float32 y", "y = x", "sim_cast_back")
    made = cp.empty(host.shape, dtype)
    cast(cp.asarray(host), made)
    with np.errstate(all="ignore"):
        expected = host.astype(dtype)
    np.testing.assert_array_equal(made.get().astype(np.float32), expected.astype(np.float32))
    np.testing.assert_array_equal(back(made).get(), expected.astype(np.float32))


def test_a_wrong_sign_in_the_text_gives_another_result():
    x = cp.asarray(np.float32([0.5, 1.5]))
    right = cp.ElementwiseKernel("T x", "T y", "y = x - T(1)", "sim_sign")(x)
    wrong = cp.ElementwiseKernel("T x", "T y", "y = x + T(1)", "sim_sign")(x)
    assert right.get().tolist() == [-0.5, 0.5]
    assert wrong.get().tolist() == [1.5, 2.5]


def test_an_output_that_is_not_written_is_nan():
    kernel = cp.ElementwiseKernel("T x", "T y", "if (x > 0) y = x", "sim_forgets")
    assert np.isnan(kernel(cp.asarray(np.float32([1, -1]))).get()).tolist() == [False, True]


@pytest.mark.parametrize("index", ["i + 1", "i - 1", "4"])
def test_a_raw_index_outside_the_array_fails(index):
    kernel = cp.ElementwiseKernel("raw T x", "raw T y", f"y[i] = x[{index}]", "sim_outside")
    with pytest.raises(IndexError, match=r"sim_outside: array index out of range \([14] times\)"):
        kernel(cp.zeros(4), cp.empty(4), size=4)
    with pytest.raises(IndexError):
        kernel(cp.zeros((2, 4)).T[:2], cp.empty(4), size=4 if index != "i + 1" else 8)


def test_a_combine_that_is_right_in_sequence_only_is_caught_by_32_threads():
    # Horner's rule: a left fold, not associative. With one thread per block it is right.
    kernel = cp.ReductionKernel("T in_x", "T out_y", "in_x", "a * 2 + b", "out_y = a", "0", "sim_horner")
    digits = np.arange(20) % 2
    x = cp.asarray(digits.astype(np.float64))
    expected = int("".join(map(str, digits)), 2)
    with block(1):
        assert int(kernel(x)) == expected
    with block(32):
        assert int(kernel(x)) != expected


def test_elements_that_depend_on_each_other_are_caught_by_reversed_order():
    kernel = cp.ElementwiseKernel("raw T x", "raw T y", "y[i] = i ? y[i - 1] + x[i] : x[i]", "sim_running_sum")
    x, y = cp.asarray(np.arange(200.0)), cp.zeros(200)
    with block(1):
        kernel(x, y, size=200)
        assert float(y[-1]) == 199 * 100
    y.fill(0)
    with block(32):
        kernel(x, y, size=200)
        assert float(y[-1]) != 199 * 100


@pytest.mark.parametrize("text", ["y = nowhere(x)", "y = x * M_SQRT1_2", "y = INFINITY"])
def test_text_that_does_not_compile_says_so(text):
    with pytest.raises(CompileException):
        cp.ElementwiseKernel("T x", "T y", text, "sim_broken")(cp.zeros(3))


def test_arguments_are_refused_as_by_cupy():
    add = cp.ElementwiseKernel("T x, T y", "T z", "z = x + y", "sim_add")
    x = cp.zeros(3)
    for error, call in (
        (TypeError, lambda: add(x, np.zeros(3))),
        (TypeError, lambda: add(x, x.astype("f"))),
        (TypeError, lambda: add(x)),
        (ValueError, lambda: add(x, cp.zeros(2))),
        (ValueError, lambda: add(1.0, 2.0)),
        (ValueError, lambda: add(x, x, size=3)),
        (ValueError, lambda: add(x, x, cp.zeros((3, 1)))),
    ):
        with pytest.raises(error):
            call()


def test_kernels_are_counted_and_compiled_once():
    kernel = cp.ElementwiseKernel("T x", "T y", "y = x * T(3)", "sim_once")
    x = cp.zeros(3)
    kernel(x)
    with stats.counting() as counted:
        kernel(x)
        kernel(x + 1)
    assert (counted["launches"], counted["ops"], counted["compiled"], counted["syncs"]) == (2, 1, 0, 0)


@pytest.fixture
def nvrtc(monkeypatch):
    from sim import nvrtc

    reason = nvrtc.unavailable_reason()
    if reason:
        pytest.skip(reason)
    monkeypatch.setattr(options, "nvrtc", ("90",))


def test_nvrtc_refuses_what_only_gpp_takes(nvrtc):
    # std:: is there for g++, because the shim includes libc's headers; NVRTC has none.
    kernel = cp.ElementwiseKernel("T x", "T y", "y = std::hypot(x, x)", "sim_std")
    with pytest.raises(CompileException, match="NVRTC for sm_90"):
        kernel(cp.zeros(3))


@pytest.mark.slow
def test_nvrtc_compiles_the_kernel_that_cupy_builds_around_cub(nvrtc):
    x = cp.asarray(np.float32([0, 1]))
    good = cp.ReductionKernel("T in_v", "T out_v", "exp(in_v)", "a + b", "out_v = a", "0", "sim_cub")
    assert float(good(x)) == pytest.approx(1 + math.e, rel=1e-6)
    # CuPy replaces the letter x by in0 wherever it stands: ein0p(in0).
    bad = cp.ReductionKernel("T x", "T y", "exp(x)", "a + b", "y = a", "0", "sim_cub_trap")
    with pytest.raises(CompileException, match="ein0p"):
        bad(x)


@pytest.mark.parametrize("dtype", FLOATS)
def test_nvrtc_compiles_what_the_decorators_make(gpu, nvrtc, dtype):
    x = cp.ones((3, 4), dtype)
    sim_two_outputs(x, 0.5)
    sim_two_outputs(x[:, ::2], 0.5)
    sim_moments(x, axis=0)
    sim_sum(x, axis=1)
    sim_vector_loads(x.ravel(), 3.0, 12, shape=x.ravel().shape, threads=-(-12 // 4))
