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


def make(name):
    return init.constant(0.1) if name == "constant" else init.get(name)


@pytest.mark.parametrize(("shape", "gain"), [((5, 3, 3), 1.0), ((4, 4, 3, 5), 2.0), ((2, 1, 1, 3, 3), 0.5)])
def test_delta_orthogonal_keeps_norms(shape, gain, generator):
    w = init.delta_orthogonal(gain)(shape, generator, np.float64)
    centre = w[(..., *[k // 2 for k in shape[2:]])]
    np.testing.assert_allclose(centre.T @ centre, gain**2 * np.eye(shape[1]), atol=1e-12)
    assert np.count_nonzero(w) == centre.size  # 0 elsewhere
    x = np.asarray(cunet.random.Generator(3).rng().standard_normal((1, shape[1], *[7] * len(shape[2:]))))
    conv = {1: cunet.F.conv1d, 2: cunet.F.conv2d, 3: cunet.F.conv3d}[len(shape) - 2]
    y = conv(x, w, padding=tuple(k // 2 for k in shape[2:])).data
    assert np.linalg.norm(y) == pytest.approx(gain * np.linalg.norm(x))
    assert init.delta_orthogonal()((3, 2, 0)).shape == (3, 2, 0)


def test_delta_orthogonal_draws_from_all_rotations(generator):
    first = [init.delta_orthogonal()((2, 2, 1), generator, np.float64)[0, 0, 0] for _ in range(400)]
    assert abs(np.mean(first)) < 0.15  # the sign of the factors is drawn too
