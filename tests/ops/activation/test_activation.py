"""What the table of cases cannot say of activations; docs/claims.md says which test holds which claim."""

import math

import mpmath
import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, Tensor
from cunet.ops.activation.rectifier import SELU_ALPHA, SELU_SCALE


def derivative(f, x, dev, dtype=np.float64):
    """Return value and derivative of an elementwise op at `x`."""
    leaf = Tensor(dev(x, dtype), requires_grad=True)
    y = f(leaf)
    y.backward(dev(np.ones(np.shape(x)), dtype))
    return host(y), host(leaf.grad)


def test_sigmoid_derivative_is_y_times_1_minus_y_and_at_most_a_quarter(dev):
    x = np.linspace(-10, 10, 2001)
    y, slope = derivative(F.sigmoid, x, dev)
    np.testing.assert_allclose(slope, y * (1 - y), rtol=1e-10)
    assert slope.max() == slope[1000] == 0.25


def test_sigmoid_is_exactly_1_from_17_in_float32_but_its_derivative_is_not_0(dev):
    y, slope = derivative(F.sigmoid, [16.5, 17, 30, 80], dev, np.float32)
    assert (y[0] < 1) and (y[1:] == 1).all()
    np.testing.assert_allclose(slope, [math.exp(-x) / (1 + math.exp(-x)) ** 2 for x in (16.5, 17, 30, 80)], rtol=1e-6)


def test_hardsigmoid_conventions_differ_by_up_to_a_twelfth(dev):
    x = dev(np.linspace(-4, 4, 8001))
    pytorch, theano = host(F.hardsigmoid(x)), host(F.hardsigmoid(x, slope=0.2))
    np.testing.assert_allclose(pytorch, np.clip(np.linspace(-4, 4, 8001) / 6 + 0.5, 0, 1), atol=1e-15)
    assert abs(np.abs(pytorch - theano).max() - 1 / 12) < 1e-12


def test_softplus_has_no_threshold(dev):
    y, slope = derivative(F.softplus, [25.0, -25.0], dev)
    assert y[0] - 25 == pytest.approx(math.exp(-25), rel=1e-3)  # 0 with a threshold of 20
    assert y[1] == pytest.approx(math.exp(-25), rel=1e-10)
    assert slope[1] == pytest.approx(math.exp(-25), rel=1e-10)


def test_tanh_derivative_is_1_minus_tanh_squared(dev):
    _, slope = derivative(F.tanh, [1.0, -1.0], dev)
    np.testing.assert_allclose(slope, [0.41997434161402614] * 2, rtol=1e-14)  # (1 - tanh)**2: 0.0568 and 3.10


def test_softsign_saturates(dev):
    y, slope = derivative(F.softsign, [-1e4, -9.0, 9.0, 1e4], dev)
    np.testing.assert_allclose(y, [-1, -0.9, 0.9, 1], atol=1.01e-4)
    assert (np.abs(y) < 1).all()
    np.testing.assert_allclose(slope, [1e-8, 0.01, 0.01, 1e-8], rtol=1e-3)


def test_relu_keeps_only_its_result(dev):
    x = Tensor(dev(np.ones(4, np.float32)), requires_grad=True)
    y = F.relu(x)
    x.data = dev(np.full(4, np.nan, np.float32))  # what an op further back would do: x is not needed any more
    y.backward(dev(np.ones(4, np.float32)))
    assert (host(x.grad) == 1).all()


FLAT = [
    (F.relu, -1.0),
    (F.relu6, -1.0),
    (F.relu6, 7.0),
    (F.hardtanh, -2.0),
    (F.hardtanh, 2.0),
    (F.hardsigmoid, 4.0),
    (F.hardswish, -4.0),
    (F.threshold, 0.5),
]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("f", "x"), FLAT)
def test_a_flat_piece_gives_gradient_0_whatever_arrives(f, x, dtype, dev):
    leaf = Tensor(dev([x, x, x], dtype), requires_grad=True)
    f(leaf).backward(dev([np.inf, -np.inf, np.nan], dtype))
    np.testing.assert_array_equal(host(leaf.grad), [0, 0, 0])


def test_sqrt_of_relu_has_a_usable_gradient(dev):
    x = Tensor(dev([-1.0, 4.0]), requires_grad=True)
    cunet.sqrt(F.relu(x)).sum().backward()
    np.testing.assert_array_equal(host(x.grad), [0, 0.25])


IDENTICAL = [
    (F.identity, -9, 9, {}),
    (F.relu, 0, 9, {}),
    (F.relu6, 0, 6, {}),
    (F.hardtanh, -1, 1, {}),
    (F.leaky_relu, 0, 9, {}),
    (F.threshold, 1, 9, {}),
    (F.elu, 0, 9, {"alpha": 0.3}),
    (F.celu, 0, 9, {"alpha": 0.3}),
    (F.hardswish, 3, 9, {}),
]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("f", "low", "high", "kwargs"), IDENTICAL)
def test_x_passes_bit_for_bit_where_the_function_is_the_identity(f, low, high, kwargs, dtype, rng, dev):
    x = rng.uniform(low, high, 500).astype(dtype)
    x = x[(x > low) & (x < high)]
    leaf = Tensor(dev(x), requires_grad=True)
    y = f(leaf, **kwargs)
    gy = rng.standard_normal(x.shape).astype(dtype)
    y.backward(dev(gy))
    assert host(y).tobytes() == x.tobytes()
    assert host(leaf.grad).tobytes() == gy.tobytes()


def test_leaky_relu_has_no_dead_zone(dev):
    y, slope = derivative(F.leaky_relu, [-100.0, -1e-6, 3.0], dev)
    np.testing.assert_allclose(y, [-1, -1e-8, 3], rtol=1e-15)
    np.testing.assert_allclose(slope, [0.01, 0.01, 1], rtol=1e-15)


def test_prelu_weight_gradient_sums_the_negative_inputs_of_its_channel(dev):
    x = dev([[-1.0, -10.0, 100.0], [-2.0, 20.0, -200.0]])
    for shape, expected in (((3,), [-3.0, -10.0, -200.0]), ((1,), [-213.0])):
        weight = Tensor(dev(np.full(shape, 0.25)), requires_grad=True)
        y = F.prelu(x, weight)
        y.sum().backward()
        np.testing.assert_array_equal(host(y), [[-0.25, -2.5, 100], [-0.5, 20, -50]])
        np.testing.assert_array_equal(host(weight.grad), expected)


def test_prelu_sums_the_weight_gradient_of_float16_in_float32(dev):
    weight = Tensor(dev([0.25], np.float16), requires_grad=True)
    x = Tensor(dev(np.full(6000, -1.0), np.float16))
    F.prelu(x, weight, axis=0).backward(dev(np.ones(6000), np.float16))
    assert host(weight.grad)[0] == -6000  # adding ones in float16 stops at 2048
    assert host(weight.grad).dtype == np.float16


def test_prelu_of_a_scalar_takes_the_shared_weight(dev):
    x, weight = Tensor(dev(-2.0), requires_grad=True), Tensor(dev([0.25]), requires_grad=True)
    y = F.prelu(x, weight)
    y.backward()
    assert host(y) == -0.5
    assert host(x.grad) == 0.25
    np.testing.assert_array_equal(host(weight.grad), [-2])


@pytest.mark.parametrize(("shape", "axis", "weights"), [((2, 3), 1, (4,)), ((2, 3), 1, (1, 3)), ((3,), 1, (3,))])
def test_prelu_says_which_weight_it_needs(shape, axis, weights, dev):
    with pytest.raises(ValueError, match=r"prelu: weight must have shape \(1,\).* got \(" + str(weights[0])):
        F.prelu(dev(np.ones(shape)), dev(np.ones(weights)), axis=axis)


def test_threshold_jumps_at_theta(dev):
    y, _ = derivative(F.threshold, [1.0, np.nextafter(1.0, 2), -3.0], dev)
    np.testing.assert_array_equal(y, [0, np.nextafter(1.0, 2), 0])


def test_identity_returns_the_array_itself(dev):
    x = dev(np.ones(3))
    assert F.identity(x).data is x


def test_elu_saturates_at_minus_alpha_with_a_gradient_left(dev):
    y, slope = derivative(lambda x: F.elu(x, alpha=0.7), [-17, -20, -80], dev, np.float32)
    np.testing.assert_allclose(y, [-0.7] * 3, rtol=2e-7)
    np.testing.assert_allclose(slope, [0.7 * math.exp(x) for x in (-17, -20, -80)], rtol=1e-6)


def test_gelu_is_not_monotone(dev):
    x = np.linspace(-3, 3, 60001)
    y = host(F.gelu(dev(x)))
    assert y.min() == pytest.approx(-0.16997120747990366, abs=1e-9)
    assert x[y.argmin()] == pytest.approx(-0.7518, abs=1e-4)
    _, slope = derivative(F.gelu, [-0.7517915246935645, -2.0], dev)
    assert abs(slope[0]) < 1e-15
    assert slope[1] == pytest.approx(-0.0852318010781969, rel=1e-12)


def test_gelu_tanh_is_close_to_gelu_but_another_function(dev):
    x = dev(np.linspace(-8, 8, 16001))
    exact, tanh = host(F.gelu(x)), host(F.gelu(x, approximate="tanh"))
    assert np.abs(exact - tanh).max() == pytest.approx(4.73e-4, rel=1e-3)
    sigmoid_form = host(x * F.sigmoid(1.702 * x))
    assert 0.0195 < np.abs(exact - sigmoid_form).max() <= 0.0205


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("f", "limit"),
    [
        (F.gelu, lambda x: x * mpmath.ncdf(x)),
        (F.silu, lambda x: x / (1 + mpmath.exp(-x))),
        (F.mish, lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x)))),
    ],
)
def test_gates_keep_relative_accuracy_far_to_the_left(f, limit, dtype, dev):
    x = [-6.0, -8.0, -11.0, -12.5]
    y, slope = derivative(f, x, dev, dtype)
    eps = 100 * np.finfo(dtype).eps  # the conditions of the functions are about x * x
    with mpmath.workdps(60):
        np.testing.assert_allclose(y, [float(limit(mpmath.mpf(v))) for v in x], rtol=eps)
        np.testing.assert_allclose(slope, [float(mpmath.diff(limit, mpmath.mpf(v))) for v in x], rtol=eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gelu_derivative_does_not_suffer_from_the_rounding_of_x_times_x(dtype, rng, dev):
    x = rng.uniform(-12, -8, 50).astype(dtype)
    _, slope = derivative(F.gelu, x, dev, dtype)
    with mpmath.workdps(60):
        expected = [float(mpmath.ncdf(v) + v * mpmath.npdf(v)) for v in map(mpmath.mpf, x.tolist())]
    np.testing.assert_allclose(slope, expected, rtol=6 * np.finfo(dtype).eps)


@pytest.mark.cpu_only
def test_selu_constants_fix_mean_0_and_variance_1_to_17_digits():
    with mpmath.workdps(30):
        scale, alpha = mpmath.mpf(SELU_SCALE), mpmath.mpf(SELU_ALPHA)

        def moment(power):
            def term(z):
                y = scale * (z if z > 0 else alpha * mpmath.expm1(z))
                return y**power * mpmath.npdf(z)

            return mpmath.quad(term, [-30, -8, -2, 0, 2, 8, 30])

        assert abs(moment(1)) < 3e-16
        assert abs(moment(2) - 1) < 6e-16


def variances(f, init, x, layers=32):
    """Return mean and variance of the activations after each of `layers` layers."""
    generator = cunet.Generator(0)
    found = []
    for _ in range(layers):
        weight = cunet.device.like(init((x.shape[1], x.shape[1]), generator), x)
        x = f(F.linear(x, weight)).data
        found.append((float(x.mean()), float(x.var())))
    return np.array(found)


def test_selu_with_lecun_normal_keeps_mean_and_variance_through_32_layers(rng, dev):
    x = dev(rng.standard_normal((128, 512)).astype(np.float32))
    moments = variances(F.selu, cunet.init.lecun_normal(), x)
    assert np.abs(moments[:, 0]).max() < 0.05
    assert moments[:, 1].min() > 0.9
    assert moments[:, 1].max() < 1.1
    # He's initialisation, or an ELU instead, leaves the fixed point
    he = variances(F.selu, cunet.init.kaiming_normal(nonlinearity="relu"), x)
    assert he[-1, 1] > 50
    elu = variances(F.elu, cunet.init.lecun_normal(), x)
    assert elu[-1, 1] < 0.2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: F.softplus(x, beta=0.0), r"softplus: beta must be > 0, got 0\.0"),
        (lambda x: F.celu(x, alpha=-1.0), r"celu: alpha must be > 0, got -1\.0"),
        (lambda x: F.hardsigmoid(x, slope=0.0), r"hardsigmoid: slope must be > 0, got 0\.0"),
        (
            lambda x: F.hardtanh(x, min_val=1.0, max_val=1.0),
            r"hardtanh: min_val must be < max_val, got 1\.0 and 1\.0",
        ),
        (lambda x: F.gelu(x, approximate="erf"), r'gelu: approximate must be "none" or "tanh", got \'erf\''),
        (lambda x: F.glu(x), r"glu: input must have an even length along dim=-1, got shape \(2, 3\)"),
        (lambda x: F.glu(x, axis=2), r"glu: input must have an even length along dim=2, got shape \(2, 3\)"),
    ],
)
def test_wrong_settings_are_named(call, message, dev):
    with pytest.raises(ValueError, match=message):
        call(dev(np.ones((2, 3))))


@pytest.mark.parametrize("function", [F.relu, F.elu, F.gelu, F.sigmoid, F.hardswish])
def test_integers_are_refused_in_the_name_of_the_function(function, dev):
    with pytest.raises(TypeError, match=rf"^{function.__name__}: a floating dtype is required, got int64"):
        function(dev(np.arange(3)))
