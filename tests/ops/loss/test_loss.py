"""Losses: numbers at their ends, what counts in a mean, and what is refused."""

import math

import numpy as np
import pytest
from helpers import assert_ulp, host, ulp_distance
from loss_helpers import run

from cunet import F
from cunet.autograd.tensor import Tensor

bce = F.binary_cross_entropy_with_logits
inf, nan = math.inf, math.nan


@pytest.mark.parametrize("gap", [5.0, 17.0, 30.0, 60.0])
def test_a_confident_right_answer_keeps_its_loss_and_gradient(gap, dev):
    """N64: softmax - 1 is 0 in float32 from a gap of 17; the loss and the gradient are exp(-gap) each."""
    y, gx = run(F.cross_entropy, [[gap, 0.0, -1.0]], [0], dev=dev)
    others = math.exp(-gap) + math.exp(-gap - 1)
    assert_ulp(y, math.log1p(others), np.float32, 4)
    total = 1 + others
    assert_ulp(gx, [[-others / total, math.exp(-gap) / total, math.exp(-gap - 1) / total]], np.float32, 4)


def test_a_confident_right_answer_keeps_its_gradient_with_probabilities(dev):
    y, gx = run(F.cross_entropy, [[30.0, 0.0]], np.array([[1.0, 0.0]], np.float32), dev=dev)
    assert_ulp(y, math.log1p(math.exp(-30)), np.float32, 4)
    p = math.exp(-30) / (1 + math.exp(-30))
    assert_ulp(gx, [[-p, p]], np.float32, 4)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_large_logits_do_not_overflow(smoothing, dev):
    """N64: exp(1e4) has no float."""
    x = np.array([[1e4, 0.0, -1e4], [1e4, 1e4, 1e4]])
    y, gx = run(F.cross_entropy, x, [2, 0], dev=dev, reduction="none", label_smoothing=smoothing)
    expected = [(1 - smoothing) * 2e4 + smoothing * 1e4, math.log(3)]
    assert_ulp(y, expected, np.float32, 2)
    k = smoothing / 3
    assert_ulp(gx[0], [1 - k, -k, smoothing - 1 - k], np.float32, 4)


def test_binary_cross_entropy_starts_from_logits_because_sigmoid_saturates(dev):
    """M32: a float32 sigmoid is exactly 1 from 17 on, so a loss of probabilities would be log(0) and its gradient 0."""
    z = np.array([17.0, 20.0, 50.0, 100.0, 1e4], np.float32)
    assert (np.float32(1) / (np.float32(1) + np.exp(-z)) == 1).all()
    y, gz = run(bce, z, np.zeros(5, np.float32), dev=dev, reduction="none")
    assert_ulp(y, [v + math.log1p(math.exp(-v)) for v in z.tolist()], np.float32, 1)
    assert_ulp(gz, np.ones(5), np.float32, 1)
    y, gz = run(bce, z, np.ones(5, np.float32), dev=dev, reduction="none")
    tail = [math.log1p(math.exp(-v)) for v in z.tolist()]
    small = [math.exp(-v) / (1 + math.exp(-v)) for v in z.tolist()]
    normal = np.array(tail) >= np.finfo(np.float32).tiny  # a GPU may flush what is below
    assert_ulp(y[normal], np.array(tail)[normal], np.float32, 4)
    assert_ulp(gz[normal], -np.array(small)[normal], np.float32, 4)
    assert np.isfinite(y).all()


def test_an_infinitely_sure_answer_is_right_or_infinitely_wrong(dev):
    y, gx = run(bce, [inf, -inf, inf, -inf], np.array([1, 0, 0, 1], np.float32), dev=dev, reduction="none")
    assert y.tolist() == [0, 0, inf, inf]
    assert gx.tolist() == [0, 0, 1, -1]


def test_binary_cross_entropy_is_symmetric(rng, dev):
    z, t = rng.uniform(-30, 30, 40), rng.uniform(0, 1, 40)
    y, gz = run(bce, z, t, dev=dev, dtype=np.float64, reduction="none")
    other, g_other = run(bce, -z, 1 - t, dev=dev, dtype=np.float64, reduction="none")
    np.testing.assert_allclose(y, other, rtol=1e-12)
    np.testing.assert_allclose(gz, -g_other, rtol=1e-9)


def test_binary_is_the_two_class_case_of_cross_entropy(rng, dev):
    z, t = rng.uniform(-9, 9, 20), rng.integers(0, 2, 20)
    y, gz = run(bce, z, t.astype(float), dev=dev, dtype=np.float64)
    both, g_both = run(F.cross_entropy, np.stack([np.zeros(20), z], axis=1), t, dev=dev, dtype=np.float64)
    np.testing.assert_allclose(y, both, rtol=1e-13)
    np.testing.assert_allclose(gz, g_both[:, 1], rtol=1e-12)


def test_half_types_sum_in_float32(dev):
    n = 100_000
    y, gx = run(F.mse_loss, np.full(n, 3.0), np.zeros(n, np.float16), dev=dev, dtype=np.float16)
    assert y.dtype == gx.dtype == np.float16
    assert y == 9  # the sum, 9e5, is no float16
    assert ulp_distance(gx, np.full(n, 6 / n), np.float16).max() <= 1
    y, _ = run(F.cross_entropy, np.zeros((n, 4)), np.zeros(n, np.int64), dev=dev, dtype=np.float16)
    assert ulp_distance(y, math.log(4), np.float16) <= 1
    y, _ = run(F.nll_loss, np.full((n, 4), -2.0), np.zeros(n, np.int64), dev=dev, dtype=np.float16)
    assert y == 2


def test_l1_has_no_gradient_where_it_is_zero(dev):
    y, gx = run(F.l1_loss, [1.0, 2.0, 3.0, nan], np.array([1, 3, 2, 0], np.float32), dev=dev, reduction="none")
    np.testing.assert_array_equal(y, [0, 1, 1, nan])
    np.testing.assert_array_equal(gx, [0, -1, 1, nan])


def test_l1_passes_on_a_gradient_that_is_no_number(dev):
    x = Tensor(dev(np.array([1.0, 2.0])), requires_grad=True)
    F.l1_loss(x, dev(np.array([1.0, 3.0])), reduction="none").backward(dev(np.full(2, nan)))
    assert np.isnan(host(x.grad)).all()


def test_huber_at_its_corner_and_far_out(dev):
    x = np.array([0.0, 2.0, -2.0, 1e30, -inf, nan])
    y, gx = run(F.huber_loss, x, np.zeros(6, np.float32), dev=dev, delta=2.0, reduction="none")
    np.testing.assert_array_equal(y, np.array([0, 2, 2, 2e30, inf, nan], np.float32))
    np.testing.assert_array_equal(gx, [0, 2, -2, 2, -2, nan])


def test_divergence_of_a_distribution_from_itself_is_zero(rng, dev):
    p = rng.dirichlet(np.ones(7), 5)
    y, _ = run(F.kl_div, np.log(p), p, dev=dev, dtype=np.float64, reduction="batchmean")
    assert abs(y) < 1e-15
    y, _ = run(F.kl_div, np.log(p), np.log(p), dev=dev, dtype=np.float64, reduction="batchmean", log_target=True)
    assert y == 0


@pytest.mark.parametrize("log_target", [False, True])
def test_divergence_of_a_target_of_zero_is_zero(log_target, dev):
    t = np.array([-inf, 0.0] if log_target else [0.0, 1.0], np.float32)
    y, gx = run(F.kl_div, [-inf, -1.0], t, dev=dev, reduction="none", log_target=log_target)
    assert y.tolist() == [0, 1]
    assert gx.tolist() == [0, -1]


def test_the_gradient_for_a_log_target_at_its_ends(dev):
    """exp(t) (t - x + 1), which is 0 for a probability of 0."""
    t = Tensor(dev(np.array([-inf, 0.0], np.float32)), requires_grad=True)
    F.kl_div(dev(np.array([-1.0, -2.0], np.float32)), t, reduction="sum", log_target=True).backward()
    assert host(t.grad).tolist() == [0, 3]


def test_the_weighted_mean_divides_by_the_weights_of_the_labels(dev):
    """Not by their number: two classes of weight 1 and 3, one label each, both with loss log(2)."""
    y, gx = run(F.cross_entropy, np.zeros((2, 2)), [0, 1], dev=dev, weight=[1.0, 3.0])
    assert_ulp(y, math.log(2), np.float32, 1)
    assert_ulp(gx, [[-0.125, 0.125], [0.375, -0.375]], np.float32, 2)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("ignored", [-100, 1, 255])
def test_ignored_positions_count_nothing_even_with_nan_in_them(ignored, smoothing, rng, dev):
    x, t = rng.uniform(-3, 3, (4, 3)), np.array([0, ignored, 2, ignored])
    options = {"label_smoothing": smoothing, "ignore_index": ignored}
    x[1] = nan
    y, gx = run(F.cross_entropy, x, t, dev=dev, dtype=np.float64, **options)
    kept, g_kept = run(F.cross_entropy, x[[0, 2]], t[[0, 2]], dev=dev, dtype=np.float64, label_smoothing=smoothing)
    np.testing.assert_allclose(y, kept, rtol=1e-14)
    np.testing.assert_allclose(gx[[0, 2]], g_kept, rtol=1e-14)
    assert (gx[[1, 3]] == 0).all()


@pytest.mark.parametrize("f", [F.cross_entropy, F.nll_loss], ids=lambda f: f.__name__)
@pytest.mark.parametrize("options", [{"ignore_index": 0}, {"weight": [0.0, 2.0]}], ids=str)
def test_what_counts_nothing_gets_no_gradient_whatever_comes_from_above(f, options, dev):
    x = Tensor(dev(np.array([[-1.0, -2.0], [-1.0, -2.0]])), requires_grad=True)
    f(x, dev(np.array([0, 1])), reduction="none", **options).backward(dev(np.array([inf, 1.0])))
    assert (host(x.grad)[0] == 0).all()
    assert host(x.grad)[1, 1] < 0


@pytest.mark.parametrize("f", [F.cross_entropy, F.nll_loss], ids=lambda f: f.__name__)
def test_a_mean_over_no_label_is_nan_without_a_gradient(f, dev):
    y, gx = run(f, np.full((2, 3), -1.0), [-100, -100], dev=dev)
    assert np.isnan(y)
    assert (gx == 0).all()
    y, _ = run(f, np.full((2, 3), -1.0), [-100, -100], dev=dev, reduction="sum")
    assert y == 0


def test_a_mean_over_an_empty_batch_is_nan(dev):
    assert np.isnan(run(F.cross_entropy, np.zeros((0, 3)), np.zeros(0, np.int64), dev=dev)[0])
    assert np.isnan(run(F.mse_loss, np.zeros((0, 3)), np.zeros((0, 3), np.float32), dev=dev)[0])
    assert run(F.mse_loss, np.zeros((0, 3)), np.zeros((0, 3), np.float32), dev=dev, reduction="sum")[0] == 0


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_labels_of_any_integer_dtype(dtype, rng, dev):
    x, t = rng.uniform(-3, 3, (5, 4)), np.array([3, 0, 2, 1, 3])
    expected = run(F.cross_entropy, x, t, dev=dev)
    for a, b in zip(run(F.cross_entropy, x, t.astype(dtype), dev=dev), expected, strict=True):
        assert a.tobytes() == b.tobytes()


def test_the_last_axis_can_hold_the_classes(rng, dev):
    x, t = rng.uniform(-3, 3, (2, 5, 3)), rng.integers(0, 3, (2, 5))
    y, gx = run(F.cross_entropy, x, t, dev=dev, axis=-1)
    other, g_other = run(F.cross_entropy, np.moveaxis(x, -1, 1), t, dev=dev)
    assert_ulp(y, other, np.float32, 2)
    np.testing.assert_allclose(np.moveaxis(gx, -1, 1), g_other, rtol=1e-6)


def test_cross_entropy_is_one_node_of_the_tape(dev):
    """N64: softmax and cross-entropy are fused."""
    x = Tensor(dev(np.zeros((2, 3)), np.float32), requires_grad=True)
    y = F.cross_entropy(x, dev(np.array([0, 1])))
    assert y._node.parents[0] is x


def test_targets_take_the_dtype_of_predictions(dev):
    x = np.array([0.5, -1.0])
    for target in (np.array([1, 0]), np.array([True, False]), np.array([1, 0], np.uint8)):
        for f in (F.mse_loss, bce):
            y, gx = run(f, x, target, dev=dev)
            expected, g = run(f, x, target.astype(np.float32), dev=dev)
            assert y.dtype == gx.dtype == np.float32
            assert y == expected
            assert (gx == g).all()


def test_weights_that_want_a_gradient_are_refused(dev):
    x = Tensor(dev(np.zeros((2, 3)), np.float32), requires_grad=True)
    w = Tensor(dev(np.ones(3), np.float32), requires_grad=True)
    with pytest.raises(TypeError, match=r"cross_entropy: weight gets no gradient.*weight.detach\(\)"):
        F.cross_entropy(x, dev(np.array([0, 1])), weight=w)
    F.cross_entropy(x, dev(np.array([0, 1])), weight=w.detach()).backward()
    assert w.grad is None
