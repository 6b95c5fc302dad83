"""gaussian_nll_loss and poisson_nll_loss: PyTorch as a second oracle, where their formulas break, what is refused."""

import math

import mpmath
import numpy as np
import pytest
from helpers import host
from loss_helpers import compare, run

from cunet import F
from cunet.autograd.tensor import Tensor

REDUCTIONS = ("mean", "sum", "none")
inf, nan = math.inf, math.nan


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("shape", "var"), [((4, 6), (4, 6)), ((4, 4), (4,)), ((3, 4, 5), (3, 1, 5)), ((5,), (1,)), ((2, 1), (2,))], ids=str
)
def test_gaussian_as_in_pytorch(shape, var, full, rng, dev):
    for reduction in REDUCTIONS:
        compare(
            lambda x, t, v, r=reduction: F.gaussian_nll_loss(x, t, v, full, 0.25, r),
            lambda torch, x, t, v, r=reduction: torch.nn.functional.gaussian_nll_loss(x, t, v, full, 0.25, r),
            (rng.standard_normal(shape), rng.standard_normal(shape), rng.uniform(0, 2, var)),
            dev,
            rng,
            differentiable=(0, 1, 2),
        )


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("log_input", [False, True])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_poisson_as_in_pytorch(reduction, log_input, full, rng, dev):
    counts = rng.integers(0, 6, (4, 6)) + 0.25  # at 0 PyTorch's gradient of Stirling's formula is NaN
    compare(
        lambda x, t: F.poisson_nll_loss(x, t, log_input, full, reduction=reduction),
        lambda torch, x, t: torch.nn.functional.poisson_nll_loss(x, t, log_input, full, reduction=reduction),
        (rng.uniform(0.1, 3, (4, 6)), counts),
        dev,
        rng,
        differentiable=(0, 1),
    )


def test_one_variance_as_a_number_or_a_tensor(dev):
    x, t = dev(np.array([[0.5, 1.0]], np.float32)), dev(np.zeros((1, 2), np.float32))
    number, v = F.gaussian_nll_loss(x, t, 0.7), Tensor(dev(np.array(0.7, np.float32)), requires_grad=True)
    shared = F.gaussian_nll_loss(x, t, v)
    assert number.item() == shared.item() and number.dtype == np.float32
    shared.backward()
    expected = np.mean([(1 - a * a / 0.7) / 1.4 for a in (0.5, 1.0)])
    assert v.grad.shape == () and host(v.grad) == pytest.approx(expected, rel=1e-6)
    double = F.gaussian_nll_loss(dev(np.ones(1)), dev(np.zeros(1)), 0.1)
    assert double.item() == pytest.approx((math.log(0.1) + 10) / 2, rel=1e-14)


def test_gaussian_squares_do_not_leave_the_range(dev):
    far = [np.array([1e25], np.float32), np.zeros(1, np.float32), np.array([1e20], np.float32)]
    leaves = [Tensor(dev(a), requires_grad=True) for a in far]
    y = F.gaussian_nll_loss(*leaves)
    y.backward()
    assert y.item() == pytest.approx(5e29, rel=1e-5)
    assert host(leaves[0].grad)[0] == pytest.approx(1e5, rel=1e-5)
    assert host(leaves[2].grad)[0] == pytest.approx(-5e9, rel=1e-5)


def test_a_variance_below_eps_counts_as_eps_and_keeps_its_gradient(dev):
    v = Tensor(dev(np.array([0.0, 1e-9])), requires_grad=True)
    y = F.gaussian_nll_loss(dev(np.array([0.1, 0.1])), dev(np.zeros(2)), v, eps=0.01, reduction="none")
    y.sum().backward()
    np.testing.assert_allclose(host(y), (math.log(0.01) + 1) / 2)
    np.testing.assert_allclose(host(v.grad), 0, atol=1e-12)  # (1 - 0.1**2 / 0.01) / 0.02, as if there were no limit


def test_a_variance_below_0(device, dev):
    """An error on the CPU; on the GPU, where it would cost a synchronisation, NaN, also for the gradients."""
    x, v = dev(np.ones(3)), dev(np.array([1.0, -0.5, 0.0]))
    with pytest.raises(ValueError, match="gaussian_nll_loss: var must be at least 0, got -1.0"):
        F.gaussian_nll_loss(np.zeros(2), np.zeros(2), -1.0)
    if device == "cpu":
        with pytest.raises(ValueError, match="gaussian_nll_loss: var must be at least 0, got -0.5"):
            F.gaussian_nll_loss(x, x, v)
        return
    leaves = [Tensor(a, requires_grad=True) for a in (x, 0 * x, v)]
    y = F.gaussian_nll_loss(*leaves, reduction="none")
    y.sum().backward()
    for a in (y, *[leaf.grad for leaf in leaves]):
        assert np.isnan(host(a)).tolist() == [False, True, False]


def stirling(x, t):
    """Return the whole loss of a rate exp(x), with Stirling's formula, in 50 digits."""
    with mpmath.workdps(50):
        x, t = mpmath.mpf(float(x)), mpmath.mpf(float(t))
        return float(mpmath.exp(x) - t * x + t * mpmath.log(t) - t + mpmath.log(2 * mpmath.pi * t) / 2)


@pytest.mark.parametrize("count", [2.0, 1e3, 1e6, 1e9])
def test_large_counts_that_were_foreseen_cost_little(count, dev):
    """Near exp(x) = t the terms of the loss are millions of times the loss: added up, no place of it is right."""
    x = np.float32(math.log(count))
    y, gx = run(F.poisson_nll_loss, [x], [count], dev=dev, full=True)
    # a place of x, 1e-6 of the rate, is worth t * 1e-12 / 2 of the loss
    assert y == pytest.approx(stirling(x, count), rel=1e-5, abs=count * 1e-12)
    rate = np.float32(count * 1.001)
    y, _ = run(F.poisson_nll_loss, [rate], [count], dev=dev, log_input=False, full=True)
    assert y == pytest.approx(stirling(np.log(np.float64(rate)), count), rel=2e-3)


def test_a_count_of_0_costs_the_rate_even_if_that_is_0(dev):
    y, gx = run(F.poisson_nll_loss, [-inf, -1e4, 0.0], [0, 0, 0], dev=dev, reduction="none", full=True)
    assert y.tolist() == [0, 0, 1] and gx.tolist() == [0, 0, 1]
    options = {"log_input": False, "eps": 0.0, "full": True, "reduction": "none"}
    y, gx = run(F.poisson_nll_loss, [0.0, 2.0, 0.0], [0, 0, 3], dev=dev, **options)
    assert y.tolist() == [0, 2, inf] and gx.tolist() == [1, 1, -inf]


def test_stirlings_formula_begins_above_a_count_of_1(dev):
    for log_input in (True, False):
        x, t = (Tensor(dev(np.array([0.5, 0.5, 0.5])), requires_grad=True), Tensor(dev(np.array([0.0, 1.0, 1.5]))))
        t.requires_grad = True
        plain = F.poisson_nll_loss(x, t, log_input, False, 0.0, "none")
        plain.sum().backward()
        slopes, t.grad = host(t.grad), None
        full = F.poisson_nll_loss(x, t, log_input, True, 0.0, "none")
        full.sum().backward()
        term = 1.5 * math.log(1.5) - 1.5 + math.log(3 * math.pi) / 2
        np.testing.assert_allclose(host(full) - host(plain), [0, 0, term], atol=1e-14)
        np.testing.assert_allclose(host(t.grad) - slopes, [0, 0, math.log(1.5) + 1 / 3], atol=1e-14)


def test_integer_counts_leave_the_dtype_of_the_loss(dev):
    counts = dev(np.array([0, 5], np.int64))
    for log_input in (True, False):
        assert F.poisson_nll_loss(dev(np.ones(2, np.float16)), counts, log_input, True).dtype == np.float16


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: F.gaussian_nll_loss(x(4, 3), x(4), 1.0), ValueError, "gaussian_nll_loss: both arrays must have"),
        (
            lambda x: F.gaussian_nll_loss(x(4, 3), x(4, 3), x(3)),
            ValueError,
            r"var must have the shape of input \(4, 3\), or be shared along an axis of it, got \(3,\)",
        ),
        (lambda x: F.gaussian_nll_loss(x(4, 3), x(4, 3), x(4, 2)), ValueError, r"got \(4, 2\)"),
        (lambda x: F.gaussian_nll_loss(x(2), x(2), x(2), eps=0), ValueError, "eps must be above 0, got 0"),
        (lambda x: F.gaussian_nll_loss(x(2), x(2), x(2), reduction="avg"), ValueError, "reduction must be one of"),
        (lambda x: F.poisson_nll_loss(x(2), x(3)), ValueError, "poisson_nll_loss: both arrays must have"),
        (lambda x: F.poisson_nll_loss(x(2), x(2), reduction="avg"), ValueError, "poisson_nll_loss: reduction must be"),
    ],
)
def test_messages(call, error, message, dev):
    with pytest.raises(error, match=message):
        call(lambda *shape: dev(np.ones(shape)))
