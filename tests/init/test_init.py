"""Initialisers: distributions, structure, reproducibility and complaints. All of it runs on the CPU.

Statistical limits are five standard errors of the statistic, so a right initialiser fails one test in two million
seeds, and the seed is fixed anyway.
"""

import math
from statistics import NormalDist

import numpy as np
import pytest

import cunet.random
from cunet import init

pytestmark = pytest.mark.cpu_only
Z = NormalDist()


@pytest.fixture
def generator(rng):
    return cunet.random.Generator(int(rng.integers(2**63)), "test")


def check_moments(values, mean, variance, kurtosis):
    """Check mean and variance; the variance of a sample variance is ``(kurtosis - 1) * variance**2 / n``."""
    n = values.size
    assert abs(values.mean() - mean) <= 5 * math.sqrt(variance / n)
    assert abs(np.var(values) - variance) <= 5 * variance * math.sqrt((kurtosis - 1) / n)


def check_distribution(values, cdf):
    """Check against the distribution function: Kolmogorov's statistic exceeds 3 / sqrt(n) once in 30 million."""
    x = np.sort(values.ravel())
    steps = np.arange(x.size + 1) / x.size
    theory = np.array([cdf(v) for v in x])
    assert max(np.abs(theory - steps[1:]).max(), np.abs(theory - steps[:-1]).max()) <= 3 / math.sqrt(x.size)


NORMAL, UNIFORM = 3.0, 1.8  # kurtosis

# Shape (40, 25, 2, 3), as of a conv: fan_in = 25 * 6 = 150, fan_out = 40 * 6 = 240. Variances from the papers.
SCALED = [
    (init.xavier_uniform(), 2 / 390, UNIFORM),
    (init.xavier_normal(), 2 / 390, NORMAL),
    (init.xavier_normal(gain=5 / 3), 25 / 9 * 2 / 390, NORMAL),
    (init.xavier_uniform(gain=0.5), 0.25 * 2 / 390, UNIFORM),
    (init.kaiming_uniform(), 2 / 150, UNIFORM),
    (init.kaiming_normal(), 2 / 150, NORMAL),
    (init.kaiming_normal(mode="fan_out"), 2 / 240, NORMAL),
    (init.kaiming_uniform(a=math.sqrt(5)), 1 / (3 * 150), UNIFORM),  # PyTorch's default: U(+-1/sqrt(fan_in))
    (init.kaiming_normal(a=0.25, nonlinearity="prelu"), 2 / (1.0625 * 150), NORMAL),
    (init.kaiming_normal(nonlinearity="linear"), 1 / 150, NORMAL),
    (init.kaiming_uniform(nonlinearity="relu", mode="fan_out"), 2 / 240, UNIFORM),
    (init.lecun_uniform(), 1 / 150, UNIFORM),
    (init.lecun_normal(), 1 / 150, NORMAL),
]


@pytest.mark.parametrize(("initialiser", "variance", "kurtosis"), SCALED, ids=lambda v: repr(v)[:60])
def test_scaled_initialisers_have_the_variance_and_law_of_their_papers(initialiser, variance, kurtosis, generator):
    values = initialiser((40, 25, 2, 3), generator, np.float64)
    check_moments(values, 0, variance, kurtosis)
    std = math.sqrt(variance)
    if kurtosis == UNIFORM:
        bound = math.sqrt(3) * std
        assert np.abs(values).max() <= bound
        check_distribution(values, lambda v: (v + bound) / (2 * bound))
    else:
        check_distribution(values, NormalDist(0, std).cdf)


def test_scaled_initialisers_use_the_fans_they_are_given(generator):
    shape = (40, 25, 2, 3)
    fans = init.fans(shape, transposed=True)
    assert fans == (240, 150)
    check_moments(init.kaiming_normal()(shape, generator, fans=fans), 0, 2 / 240, NORMAL)
    check_moments(init.lecun_uniform()(shape, generator, fans=(7, 1)), 0, 1 / 7, UNIFORM)


def test_uniform_and_normal(generator):
    values = init.uniform(-2, 5)((100, 100), generator)
    check_moments(values, 1.5, 49 / 12, UNIFORM)
    assert values.min() >= -2 and values.max() <= 5
    values = init.normal(3, 0.5)((100, 100), generator)
    check_moments(values, 3, 0.25, NORMAL)
    check_distribution(values, NormalDist(3, 0.5).cdf)


@pytest.mark.parametrize(
    ("low", "high"),
    [(-2, 2), (-1, 3), (-3, 1), (-0.5, 0.7), (-1.2, 1.25), (0.2, 0.9), (0.6, 9), (3, math.inf), (-math.inf, -4)]
    + [(-math.inf, 1), (0.3, math.inf), (2, 2.1), (-2.1, -2), (-math.inf, math.inf)],
)
def test_truncated_normal_follows_its_exact_distribution(low, high, generator):
    z = init.truncated_normal(low=low, high=high)((100, 90), generator, np.float64)
    assert z.shape == (100, 90) and z.min() >= low and z.max() <= high
    sign = -1 if low > 0 else 1  # upper tails from the left, where the distribution function is exact
    bottom, top = sorted((Z.cdf(sign * low), Z.cdf(sign * high)))
    check_distribution(sign * z, lambda v: (Z.cdf(v) - bottom) / (top - bottom))


def test_truncated_normal_bounds_are_in_units_of_std(generator):
    values = init.truncated_normal(10, 0.02)((200, 100), generator, np.float64)
    assert np.abs(values - 10).max() <= 0.04 + 1e-12
    assert np.abs(values - 10).max() > 0.039
    # Var of a normal truncated at +-2: 1 - 4 phi(2) / (2 Phi(2) - 1); kurtosis less than that of the normal
    variance = 1 - 4 * Z.pdf(2) / (2 * Z.cdf(2) - 1)
    assert math.sqrt(variance) == pytest.approx(0.8796, abs=1e-4)
    check_moments(values, 10, 0.02**2 * variance, NORMAL)


def test_a_far_tail_is_not_drawn_by_waiting_for_it(generator):
    z = init.truncated_normal(low=30, high=31)(1000, generator, np.float64)
    # Beyond 30 a normal is nearly exponential with rate 30: mean excess 1/30 - 2/30**3, from Mills' ratio.
    check_moments((z - 30) * 30, 1 - 2 / 900, 1.0, 9)


@pytest.mark.parametrize("shape", [(7, 7), (5, 11), (11, 5), (4, 3, 2, 2), (16, 2, 3), (1, 9)])
@pytest.mark.parametrize(("dtype", "limit"), [(np.float32, 1e-6), (np.float64, 1e-12)])
def test_orthogonal_rows_or_columns(shape, dtype, limit, generator):
    w = init.orthogonal(gain=2.0)(shape, generator, dtype)
    assert w.shape == shape and w.dtype == dtype and w.flags.c_contiguous
    m = w.reshape(shape[0], -1).astype(np.float64) / 2
    gram = m @ m.T if m.shape[0] <= m.shape[1] else m.T @ m
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=limit, rtol=0)


def test_orthogonal_is_haar(generator):
    """Without the sign of R the diagonal of Q leans to one side, and for 1x1 matrices only one sign is left."""
    make = init.orthogonal()
    q = np.array([make((3, 3), generator, np.float64) for _ in range(1500)])
    for entry in q.reshape(-1, 9).T:
        check_moments(entry, 0, 1 / 3, 1.8)  # an entry of Haar's O(3) is uniform in [-1, 1]
        check_distribution(entry, lambda v: (v + 1) / 2)
    # The trace is a character: +-chi_1 of SO(3), with E[chi_1**2] = 1, E[chi_1**4] = 3 as 1 x 1 = 0 + 1 + 2.
    trace = np.trace(q, axis1=1, axis2=2)
    check_moments(trace, 0, 1, 3)
    assert abs(np.sign(np.linalg.det(q)).mean()) <= 5 / math.sqrt(1500)
    assert {float(make((1, 1), generator)[0, 0]) for _ in range(40)} == {-1.0, 1.0}


def test_eye_and_constants():
    np.testing.assert_array_equal(init.eye(3)((2, 3)), [[3, 0, 0], [0, 3, 0]])
    np.testing.assert_array_equal(init.constant(0.25)((2, 2)), [[0.25, 0.25], [0.25, 0.25]])
    np.testing.assert_array_equal(init.zeros()(3), [0, 0, 0])
    np.testing.assert_array_equal(init.ones()(()), 1)
    assert init.ones()(()).shape == ()


def test_constants_leave_the_generator_alone(generator):
    for make in (init.zeros(), init.ones(), init.constant(2), init.eye(), init.get(0.5)):
        make((2, 2), generator)
    init.dirac()((2, 2, 3), generator)
    assert generator.call == 0
    init.normal()((2, 2), generator)
    init.orthogonal()((2, 2), generator)
    init.truncated_normal()((2, 2), generator)
    assert generator.call == 3


def test_constant_weights_keep_units_equal_under_gradient_descent(rng):
    """The symmetry that a constant leaves in a weight matrix (and why zeros must not be the default of one)."""
    x, y = rng.standard_normal((20, 4)), rng.standard_normal((20, 1))

    def units_after_training(make):
        w1, w2 = (make(shape, cunet.random.Generator(3), np.float64) for shape in ((4, 5), (5, 1)))
        for _ in range(30):
            h = np.tanh(x @ w1)
            error = (h @ w2 - y) / len(x)
            w1, w2 = w1 - 0.3 * x.T @ ((error @ w2.T) * (1 - h * h)), w2 - 0.3 * h.T @ error
        return w1

    assert np.ptp(units_after_training(init.constant(0.3)), axis=1).max() < 1e-12
    assert np.ptp(units_after_training(init.zeros()), axis=1).max() == 0
    assert np.ptp(units_after_training(init.xavier_normal()), axis=1).min() > 1e-2


@pytest.mark.parametrize(
    ("shape", "groups"),
    [((4, 4, 3), 1), ((2, 5, 3), 1), ((6, 2, 3), 1), ((6, 2, 5), 3), ((6, 3, 3), 2), ((8, 1, 3), 4)],
)
def test_dirac_passes_channels_of_each_group(shape, groups, rng):
    w = init.dirac(groups)(shape, None, np.float64)
    out, per_group_in, k = shape
    x = rng.standard_normal((groups * per_group_in, 10))
    padded = np.pad(x, ((0, 0), (k // 2, k // 2)))
    y = np.zeros((out, 10))
    for o in range(out):
        group = o // (out // groups)
        for c in range(per_group_in):
            for t in range(10):
                for tap in range(k):
                    y[o, t] += w[o, c, tap] * padded[group * per_group_in + c, t + tap]
    for o in range(out):
        group, place = divmod(o, out // groups)
        expected = x[group * per_group_in + place] if place < per_group_in else np.zeros(10)
        np.testing.assert_array_equal(y[o], expected)


def test_dirac_in_two_and_three_dimensions():
    w = init.dirac()((2, 3, 3, 5))
    assert w.sum() == 2 and w[0, 0, 1, 2] == 1 and w[1, 1, 1, 2] == 1
    w = init.dirac()((1, 1, 3, 3, 3))
    assert w.sum() == 1 and w[0, 0, 1, 1, 1] == 1


ALL = ["constant", "dirac", "eye", "kaiming_normal", "kaiming_uniform", "lecun_normal", "lecun_uniform", "normal"]
ALL += ["ones", "orthogonal", "truncated_normal", "uniform", "xavier_normal", "xavier_uniform", "zeros"]


def make(name):
    return init.constant(0.1) if name == "constant" else init.get(name)


@pytest.mark.parametrize("name", ALL)
def test_one_draw_in_every_dtype(name):
    shape = (6, 4) if name == "eye" else (6, 4, 3)
    arrays = {d: make(name)(shape, cunet.random.Generator(5), d) for d in (np.float16, np.float32, np.float64)}
    for dtype, array in arrays.items():
        assert type(array) is np.ndarray and array.dtype == dtype and array.shape == shape
        assert array.flags.c_contiguous and array.flags.writeable
        np.testing.assert_array_equal(array, arrays[np.float64].astype(dtype))


def test_bfloat16():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    w = init.normal()((3, 4), cunet.random.Generator(5), bfloat16)
    assert w.dtype == bfloat16
    assert (w == init.normal()((3, 4), cunet.random.Generator(5), np.float64).astype(bfloat16)).all()


@pytest.mark.parametrize("name", ALL)
def test_the_default_generator_follows_manual_seed(name):
    shape = (6, 4) if name == "eye" else (6, 4, 3)
    random_one = name not in ("constant", "dirac", "eye", "ones", "zeros")
    cunet.random.manual_seed(11)
    first, second = make(name)(shape), make(name)(shape)
    cunet.random.manual_seed(11)
    np.testing.assert_array_equal(make(name)(shape), first)
    assert random_one == (not np.array_equal(first, second))
    cunet.random.manual_seed(12)
    assert random_one == (not np.array_equal(make(name)(shape), first))
    explicit = make(name)(shape, cunet.random.Generator(11, "init"))
    np.testing.assert_array_equal(explicit, first)


FIRST_VALUES = [
    (init.uniform(), [0.11335657915826103, 0.8755341746195474, 0.37563118921193306]),
    (init.normal(), [-2.854671691429516, 0.00724525246112665, 0.016282535887369862]),
    (init.truncated_normal(), [0.00724525246112665, 0.016282535887369862, 0.27108385982863265]),
    (init.kaiming_normal(), [-2.330829675723369, 0.0059157238624681025, 0.013294634880870492]),
    (init.xavier_uniform(), [-0.847093293223934, 0.8227541542128406, -0.2724784124748645]),
    (init.orthogonal(), [-0.8851237781537755, 0.005048587452568394, -0.46532828101408125]),
]


def test_the_numbers_of_seed_0_have_not_changed():
    """Written down from a run; a change of stream, or of NumPy's normals, changes every trained model."""

    def first(make, shape=(2, 3)):
        return make(shape, cunet.random.Generator(0, "init"), np.float64).ravel()[:3]

    for initialiser, expected in FIRST_VALUES:
        np.testing.assert_allclose(first(initialiser), expected, rtol=0, atol=1e-13, err_msg=repr(initialiser))
    np.testing.assert_array_equal(first(init.uniform()), FIRST_VALUES[0][1])  # bits alone: no rounding


@pytest.mark.parametrize("name", [n for n in ALL if n != "constant"])
def test_get_by_name(name):
    assert isinstance(init.get(name), init.Initializer)
    assert init.get(name).name == name
    assert init.get(getattr(init, name)).name == name  # the function itself, not called


def test_get_number_function_and_initialiser(generator):
    np.testing.assert_array_equal(init.get(0.5)((2,)), [0.5, 0.5])
    np.testing.assert_array_equal(init.get(np.float32(2))((2,)), [2, 2])
    made = init.normal()
    assert init.get(made) is made

    def ramp(shape, generator, dtype):
        assert isinstance(generator, cunet.random.Generator) and dtype == np.float32
        return np.arange(math.prod(shape)).reshape(shape)

    w = init.get(ramp)((2, 3), generator)
    assert w.dtype == np.float32
    np.testing.assert_array_equal(w, [[0, 1, 2], [3, 4, 5]])
    assert repr(init.get(ramp)) == "ramp()"
    init.get(ramp)((2, 3))  # the default generator is passed on, not None


def test_a_function_may_return_an_array_it_keeps():
    kept = np.ones((2, 2), np.float32)
    weight = init.get(lambda shape, generator, dtype: np.broadcast_to(kept[0], shape))((2, 2))
    weight += 1
    assert kept.max() == 1


def test_repr_shows_the_call():
    assert repr(init.xavier_uniform(2.0)) == "xavier_uniform(gain=2.0)"
    assert repr(init.kaiming_normal()) == "kaiming_normal(a=0.0, mode='fan_in', nonlinearity='leaky_relu')"
    assert repr(init.zeros()) == "zeros()"


@pytest.mark.parametrize("name", [n for n in ALL if n not in ("eye", "dirac")])
def test_empty_weights(name):
    assert make(name)((0, 5)).shape == (0, 5)
    assert make(name)((5, 0)).shape == (5, 0)


SCALED_NAMES = [n for n in ALL if n.startswith(("kaiming", "lecun", "xavier"))]


@pytest.mark.parametrize("name", [*SCALED_NAMES, "orthogonal"])
def test_a_vector_has_no_fans(name):
    message = rf"^{name}: weight must have at least 2 axes \(out, in, \*kernel\), got shape \(3,\)$"
    with pytest.raises(ValueError, match=message):
        make(name)((3,))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: init.eye()((2, 2, 2)), ValueError, r"eye: weight must have 2 axes \(out, in\), got shape \(2, 2, 2\)"),
        (lambda: init.dirac()((2, 2)), ValueError, r"dirac: weight must have 3 to 5 axes .*\(2, 2\)"),
        (lambda: init.dirac(2)((3, 2, 3)), ValueError, "dirac: groups must be .* 3, got 2"),
        (lambda: init.get("he_normal"), ValueError, "unknown name 'he_normal'; known: .*kaiming_normal"),
        (lambda: init.get(None), TypeError, "got NoneType"),
        (lambda: init.get(True), TypeError, "got bool"),
        (lambda: init.get(lambda shape, generator, dtype: np.zeros(3))((2,)), ValueError, r"return shape \(2,\)"),
        (lambda: init.normal(std=-1), ValueError, "normal: std must be >= 0, got -1"),
        (lambda: init.normal(std=math.nan), ValueError, "normal: std must be >= 0, got nan"),
        (lambda: init.uniform(1, 0), ValueError, "uniform: low must be <= high, got low=1, high=0"),
        (lambda: init.truncated_normal(low=2, high=2), ValueError, "low must be < high"),
        (lambda: init.kaiming_normal(mode="fan_avg"), ValueError, "kaiming_normal: mode must be .* got .fan_avg"),
        (lambda: init.kaiming_uniform(a=0.1, nonlinearity="relu"), ValueError, "'relu' takes no param, got 0.1"),
        (lambda: init.kaiming_uniform(nonlinearity="swish"), ValueError, "unknown nonlinearity 'swish'; known: .*silu"),
        (lambda: init.zeros()((2, -1)), ValueError, r"zeros: shape must be integers >= 0, got \(2, -1\)"),
        (lambda: init.zeros()((2, 1.5)), ValueError, "zeros: shape must be integers >= 0"),
        (lambda: init.ones()((2,), dtype=np.int32), TypeError, "ones: dtype must be floating, got int32"),
        (lambda: init.normal()((2,), np.random.default_rng(0)), TypeError, "normal: generator must be a cunet.random"),
        (lambda: init.normal()((2,), 3), TypeError, "normal: generator must be a cunet.random.Generator, got int"),
    ],
)
def test_complaints(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_complaint_takes_no_draw(generator):
    with pytest.raises(ValueError, match="at least 2 axes"):
        init.xavier_normal()((3,), generator)
    with pytest.raises(TypeError, match="floating"):
        init.normal()((3,), generator, np.int64)
    assert generator.call == 0
