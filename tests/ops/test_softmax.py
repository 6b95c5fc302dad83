"""softmax, log_softmax, logsumexp: what the table of cases cannot say."""

import math

import numpy as np
import pytest
from helpers import assert_ulp, host
from hypothesis import given
from hypothesis import strategies as st

import cunet
from cunet import F
from cunet.autograd.tensor import Tensor
from cunet.ops.logsumexp import logsumexp_forward
from cunet.ops.softmax_stats import softmax_stats

inf, nan = math.inf, math.nan


def gradient_of(f, x, gy=None):
    leaf = Tensor(x, requires_grad=True)
    y = f(leaf)
    y.backward(gy)
    return host(y), host(leaf.grad)


def test_softmax_sums_to_one_and_is_positive(rng, dev):
    y = host(F.softmax(dev(rng.uniform(-40, 40, (64, 100)), np.float32)))  # further apart a GPU flushes them to 0
    assert (y > 0).all()
    np.testing.assert_allclose(y.sum(axis=1, dtype=np.float64), 1, rtol=2e-6)


@pytest.mark.parametrize("shift", [-(2.0**20), -64.0, 1024.0, 2.0**20])
@pytest.mark.parametrize("f", [F.softmax, F.log_softmax], ids=lambda f: f.__name__)
def test_a_shift_of_all_scores_changes_no_bit(f, shift, rng, dev):
    """N50: one of the classes is redundant."""
    x = rng.integers(-40, 40, (5, 7)).astype(np.float32) / 8  # exact after the shift too
    assert host(f(dev(x + np.float32(shift)))).tobytes() == host(f(dev(x))).tobytes()


def test_two_classes_are_the_sigmoid_of_the_difference(rng, dev):
    """N50: softmax of (z, 0) is (sigmoid(z), 1 - sigmoid(z))."""
    z = rng.uniform(-20, 20, 50)
    y = host(F.softmax(dev(np.stack([z, np.zeros(50)], axis=1))))
    expected = [[1 / (1 + math.exp(-v)), 1 / (1 + math.exp(v))] for v in z]
    np.testing.assert_allclose(y, expected, rtol=1e-14)


def test_softmax_is_the_distribution_of_highest_entropy_for_its_mean_score(rng, dev):
    """N50: any move that keeps total and mean score lowers the entropy."""
    x = rng.uniform(-2, 2, 5)
    p = host(F.softmax(dev(x)))

    def entropy(q):
        return -math.fsum(v * math.log(v) for v in q)

    for _ in range(20):
        move = rng.standard_normal(5)
        basis, _ = np.linalg.qr(np.stack([np.ones(5), x], axis=1))
        move -= basis @ (basis.T @ move)
        move *= 0.5 * p.min() / np.abs(move).max()
        assert entropy(p + move) < entropy(p)


def test_softmax_inverts_the_canonical_link(rng, dev):
    """M33: it belongs to one choice among several, not to several yes-or-no choices."""
    p = rng.dirichlet(np.ones(6), 4)
    np.testing.assert_allclose(host(F.softmax(dev(np.log(p)))), p, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64], ids=lambda d: np.dtype(d).name)
def test_nothing_overflows(dtype, dev):
    top = np.finfo(dtype).max
    x = np.array([[top, -top, 0], [-top, -top, -top], [top, top, top]], dtype)
    y, gx = gradient_of(F.softmax, dev(x), dev(np.eye(3), dtype))
    np.testing.assert_array_equal(y, np.array([[1, 0, 0], [1 / 3] * 3, [1 / 3] * 3], dtype))
    assert np.isfinite(gx).all()
    assert host(cunet.logsumexp(dev(x), axis=1)).tolist() == [top, -top, top]


ROWS = {
    "one-masked": [-inf, 0.0, 0.0],
    "all-masked": [-inf, -inf, -inf],
    "one-infinite": [inf, 0.0, 1.0],
    "last-infinite": [0.0, 1.0, inf],
    "all-infinite": [inf, inf, inf],
    "both-infinite": [inf, -inf, 0.0],
    "nan": [0.0, nan, 1.0],
    "nan-and-inf": [nan, inf, -inf],
    "inf-and-nan": [-inf, inf, nan],
    "masked-and-nan": [-inf, -inf, nan],
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_with_infinities_and_nan(name, dev):
    row = ROWS[name]
    x = dev(np.array([row, [0.0, 0.0, 0.0]], np.float32))
    y, logs, total = host(F.softmax(x)), host(F.log_softmax(x)), host(cunet.logsumexp(x, axis=1))
    if name == "one-masked":
        assert y[0].tolist() == [0, 0.5, 0.5]
        assert_ulp(logs[0], [-inf, -math.log(2), -math.log(2)], np.float32, 2)
        assert_ulp(total[0], math.log(2), np.float32, 2)
    else:
        assert np.isnan(y[0]).all()
        assert np.isnan(logs[0]).all()
        expected = nan if "nan" in name else -inf if name == "all-masked" else inf
        np.testing.assert_equal(float(total[0]), expected)
    assert_ulp(y[1], [1 / 3] * 3, np.float32, 2)  # the other rows do not notice
    assert_ulp(total[1], math.log(3), np.float32, 2)


def test_masked_elements_get_no_gradient(dev):
    x = dev(np.array([[-inf, 1.0, 2.0]], np.float32))
    for f in (F.softmax, cunet.logsumexp):
        y, gx = gradient_of(f, x, dev(np.ones((1, 3) if f is F.softmax else (), np.float32)))
        assert gx[0, 0] == 0
        assert np.isfinite(gx).all()


def test_the_gradient_of_logsumexp_of_nothing_is_zero(dev):
    y, gx = gradient_of(lambda x: cunet.logsumexp(x, axis=1), dev(np.full((2, 3), -inf, np.float32)), dev(np.ones(2)))
    assert y.tolist() == [-inf, -inf]
    assert gx.tolist() == [[0.0] * 3] * 2


def test_logsumexp_of_close_to_one_element_keeps_its_small_part(dev):
    """log(1 + 3e-9) is not 0 in float32."""
    y = host(cunet.logsumexp(dev(np.array([0.0, -20.0, -21.0, -22.0]), np.float32)))
    expected = math.log1p(math.fsum(math.exp(v) for v in (-20, -21, -22)))
    assert_ulp(y, expected, np.float32, 2)


def test_the_gradient_of_logsumexp_is_exact_at_large_scores(dev):
    """From the rounded result, exp(x - y) would be off by 5e-4 here."""
    _, gx = gradient_of(cunet.logsumexp, dev(np.array([1e4, 1e4 - 1, 1e4 - 2]), np.float32))
    odds = [math.exp(v) for v in (0, -1, -2)]
    assert_ulp(gx, [v / math.fsum(odds) for v in odds], np.float32, 4)


def test_empty(dev):
    assert host(F.softmax(dev(np.zeros((0, 3), np.float32)))).shape == (0, 3)
    assert host(F.softmax(dev(np.zeros((3, 0), np.float32)))).shape == (3, 0)
    assert host(cunet.logsumexp(dev(np.zeros((2, 0), np.float32)), axis=1)).tolist() == [-inf, -inf]
    assert host(cunet.logsumexp(dev(np.float32(2.5)))) == 2.5


@pytest.mark.parametrize("kernel", [softmax_stats, logsumexp_forward], ids=lambda kernel: kernel.name)
def test_the_numbers_of_an_empty_row(kernel, dev):
    *_, top, rest = kernel(dev(np.zeros((2, 0), np.float32)), axis=1)
    assert host(top).tolist() == [-inf, -inf]
    assert np.isnan(host(rest)).all()


@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 2), (1, 2), (2, 0)], ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
def test_logsumexp_folds_the_axes_that_numpy_would(axis, keepdims, rng, dev):
    x = rng.uniform(-3, 3, (2, 3, 4))
    y = host(cunet.logsumexp(dev(x), axis=axis, keepdims=keepdims))
    np.testing.assert_allclose(y, np.log(np.exp(x).sum(axis=axis, keepdims=keepdims)), rtol=1e-13)


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=40))
def test_logsumexp_lies_between_its_bounds(dev, values):
    y = float(host(cunet.logsumexp(dev(np.array(values)))))
    slack = 1e-12 * (1 + abs(max(values)))
    assert max(values) - slack <= y <= max(values) + math.log(len(values)) + slack


def test_half_types_sum_in_float32(dev):
    """5000 equal scores: a float16 sum of ones stops at 2048."""
    y = host(F.softmax(dev(np.zeros((1, 5000), np.float16))))
    np.testing.assert_allclose(y, 1 / 5000, rtol=1e-3)
    _, gx = gradient_of(F.log_softmax, dev(np.zeros((1, 5000), np.float16)), dev(np.ones((1, 5000), np.float16)))
    np.testing.assert_allclose(gx, 0, atol=2e-3)


def test_integers_are_refused(dev):
    for f, name in ((F.softmax, "input"), (F.log_softmax, "input"), (cunet.logsumexp, "x")):
        with pytest.raises(TypeError, match=f"{f.__name__}: {name} must be an array of floating dtype, got int64"):
            f(dev(np.arange(3)))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_pytorch_agrees(name, axis, rng, dev):
    torch = pytest.importorskip("torch")
    x = rng.uniform(-8, 8, (3, 4, 5))
    ours = cunet.logsumexp if name == "logsumexp" else getattr(F, name)
    leaf, theirs = Tensor(dev(x), requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(leaf, axis=axis), getattr(torch, name)(theirs, axis)
    gy = rng.standard_normal(y.shape)
    y.backward(dev(gy))
    z.backward(torch.tensor(gy))
    np.testing.assert_allclose(host(y), z.detach().numpy(), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(host(leaf.grad), theirs.grad.numpy(), rtol=1e-12, atol=1e-13)
