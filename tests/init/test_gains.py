"""Fans against counted connections, gains against quadrature."""

import itertools
import math

import numpy as np
import pytest
from cases import activation, gated, rectifier

import cunet.random
from cunet import init
from cunet.ops.activation.registry import ACTIVATIONS

pytestmark = pytest.mark.cpu_only

FANS = [  # shape, keywords, fan_in, fan_out: counted by hand
    ((3, 5), {}, 5, 3),
    ((16, 3, 5, 5), {}, 75, 400),
    ((8, 4, 3), {}, 12, 24),
    ((8, 4, 3), {"groups": 2}, 12, 12),  # Conv1d(8, 8, 3, groups=2)
    ((32, 1, 3, 3), {"groups": 32}, 9, 9),  # depthwise
    ((64, 1, 3, 3), {"groups": 32}, 9, 18),  # depthwise, two outputs per channel
    ((3, 16, 5, 5), {"transposed": True}, 75, 400),  # ConvTranspose2d(3, 16, 5)
    ((8, 2, 3), {"transposed": True, "groups": 4}, 6, 6),  # ConvTranspose1d(8, 8, 3, groups=4)
    ((8, 6, 2, 2, 2), {"transposed": True, "groups": 2}, 32, 48),
]


@pytest.mark.parametrize(("shape", "keywords", "fan_in", "fan_out"), FANS)
def test_fans_table(shape, keywords, fan_in, fan_out):
    assert init.fans(shape, **keywords) == (fan_in, fan_out)


@pytest.mark.parametrize(("transposed", "groups"), [(False, 1), (False, 3), (True, 1), (True, 3)])
def test_fans_count_the_connections_of_a_convolution(transposed, groups):
    """Lists every product of a long 1-D convolution, away from its borders."""
    n_in, n_out, k, length = 6, 9, 3, 12
    into, out_of = {}, {}
    for co in range(n_out):
        for ci in range(n_in):
            if ci * groups // n_in != co * groups // n_out:
                continue
            for pos in range(length):
                for tap in range(k):
                    target = pos + tap if transposed else pos - tap
                    into[co, target] = into.get((co, target), 0) + 1
                    out_of[ci, pos] = out_of.get((ci, pos), 0) + 1
    shape = (n_in, n_out // groups, k) if transposed else (n_out, n_in // groups, k)
    assert init.fans(shape, transposed=transposed, groups=groups) == (into[4, 6], out_of[4, 6])


def mean_square(f):
    """Return E[f(z)**2] for a standard normal z, by quadrature between the kinks at 0, +-3 and 6."""
    mp = pytest.importorskip("mpmath")
    return mp.quad(lambda z: f(z) ** 2 * mp.npdf(z), [-30, -8, -3, 0, 3, 6, 12, 30])


def reference_activations():
    mp = pytest.importorskip("mpmath")
    c = mp.sqrt(2 / mp.pi)
    scale, alpha = mp.mpf("1.0507009873554804934"), mp.mpf("1.6732632423543772848")
    return {
        "linear": lambda z: z,
        "relu": lambda z: max(z, 0),
        "relu6": lambda z: min(max(z, 0), 6),
        "leaky_relu": lambda z: z if z > 0 else z / 100,
        "prelu": lambda z: z if z > 0 else z / 4,
        "elu": lambda z: z if z > 0 else mp.expm1(z),
        "celu": lambda z: z if z > 0 else mp.expm1(z),
        "selu": lambda z: scale * (z if z > 0 else alpha * mp.expm1(z)),
        "gelu": lambda z: z * mp.ncdf(z),
        "gelu_tanh": lambda z: z / 2 * (1 + mp.tanh(c * (z + mp.mpf("0.044715") * z**3))),
        "silu": lambda z: z / (1 + mp.exp(-z)),
        "mish": lambda z: z * mp.tanh(mp.log1p(mp.exp(z))),
        "softplus": lambda z: mp.log1p(mp.exp(z)),
        "softsign": lambda z: z / (1 + abs(z)),
        "hardswish": lambda z: z * min(max(z + 3, 0), 6) / 6,
    }


def test_gelu_takes_its_formula_as_param():
    assert init.calculate_gain("gelu", "tanh") == init.calculate_gain("gelu_tanh") != init.calculate_gain("gelu")


def test_gains_keep_the_second_moment():
    for name, f in reference_activations().items():
        assert init.calculate_gain(name) == pytest.approx(float(mean_square(f) ** -0.5), rel=1e-13), name


@pytest.mark.parametrize("name", [n for n, e in ACTIVATIONS.items() if e.gain and n not in ("sigmoid", "tanh")])
def test_every_gain_keeps_the_second_moment_of_its_row_in_the_table(name):
    """The gains of these two are conventions."""
    rows = [case for rows in (activation, rectifier, gated) for case in rows.CASES]
    row = next((case for case in rows if case.op.__name__ == name and case.scalar and not case.kwargs), None)
    if row is None:
        pytest.skip("no function of one number")
    ends = np.unique([-12, -6, 0, 6, 12, *row.kinks])
    nodes, weights = np.polynomial.legendre.leggauss(80)
    z = np.concatenate([(b - a) / 2 * nodes + (a + b) / 2 for a, b in itertools.pairwise(ends)])
    w = np.concatenate([(b - a) / 2 * weights for a, b in itertools.pairwise(ends)])
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    moment = sum(w * density * [row.scalar(float(x)) ** 2 for x in z])
    assert init.calculate_gain(name) == pytest.approx(moment**-0.5, rel=1e-9)


def test_gain_of_elu_with_its_alpha():
    mp = pytest.importorskip("mpmath")
    expected = mean_square(lambda z: z if z > 0 else mp.expm1(z) / 2)
    assert init.calculate_gain("elu", 0.5) == pytest.approx(float(expected**-0.5), rel=1e-13)


def test_gains_that_are_conventions():
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("sigmoid") == 1
    assert init.calculate_gain("selu") == 1  # LeCun's; PyTorch: 3/4
    assert init.calculate_gain("leaky_relu", 1.0) == 1
    assert init.calculate_gain("leaky_relu", 0.0) == math.sqrt(2)


def test_selu_gain_with_fan_in_is_lecun_normal():
    make = [init.lecun_normal(), init.kaiming_normal(nonlinearity="selu")]
    a, b = (m((30, 20), cunet.random.Generator(1), np.float64) for m in make)
    np.testing.assert_allclose(a, b, rtol=1e-15)


def test_complaints():
    with pytest.raises(ValueError, match=r"fans: weight must have at least 2 axes .*\(3,\)"):
        init.fans((3,))
    with pytest.raises(ValueError, match=r"groups must be >= 1 and divide shape\[0\] = 3, got 2"):
        init.fans((3, 4), groups=2)
    with pytest.raises(ValueError, match="unknown nonlinearity 'swish'; known: .*silu"):
        init.calculate_gain("swish")
    for name in ("relu", "linear", "gelu_tanh"):
        with pytest.raises(ValueError, match=f"{name!r} takes no param, got 0.1"):
            init.calculate_gain(name, 0.1)
    with pytest.raises(ValueError, match='gelu: approximate must be "none" or "tanh", got 0.1'):
        init.calculate_gain("gelu", 0.1)
