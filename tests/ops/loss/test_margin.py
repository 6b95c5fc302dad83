"""Losses with margins: PyTorch as a second oracle, the margin itself, what is refused."""

import itertools
import math

import numpy as np
import pytest
from helpers import host
from loss_helpers import compare, run

from cunet import F
from cunet.autograd.tensor import Tensor

REDUCTIONS = ("mean", "sum", "none")
inf, nan = math.inf, math.nan


@pytest.mark.parametrize("shape", [(), (5,), (4, 6), (0, 3)], ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_pairs_as_in_pytorch(reduction, shape, rng, dev):
    x, y, t = rng.standard_normal(shape), rng.standard_normal(shape), rng.choice([-1.0, 1.0], shape)
    compare(
        lambda a, b, t: F.margin_ranking_loss(a, b, t, 0.3, reduction),
        lambda torch, a, b, t: torch.nn.functional.margin_ranking_loss(a, b, t, 0.3, reduction=reduction),
        (x, y, t),
        dev,
        rng,
        differentiable=(0, 1, 2),
    )
    compare(
        lambda x, t: F.hinge_embedding_loss(x, t, 0.3, reduction),
        lambda torch, x, t: torch.nn.functional.hinge_embedding_loss(x, t, 0.3, reduction=reduction),
        (x, t),
        dev,
        rng,
    )
    compare(
        lambda x, t: F.soft_margin_loss(x, t, reduction),
        lambda torch, x, t: torch.nn.functional.soft_margin_loss(x, t, reduction=reduction),
        (9 * x, t),
        dev,
        rng,
    )


@pytest.mark.parametrize("shape", [(5, 6), (6,), (3, 1)], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("p", [1, 2])
def test_classes_as_in_pytorch(p, weighted, shape, rng, dev):
    weight = rng.uniform(0.5, 2, shape[-1]) if weighted else None
    for reduction in REDUCTIONS:
        compare(
            lambda x, t, r=reduction: F.multi_margin_loss(x, t, p, 0.7, None if weight is None else dev(weight), r),
            lambda torch, x, t, r=reduction: torch.nn.functional.multi_margin_loss(
                x, t, p, 0.7, None if weight is None else torch.tensor(weight), reduction=r
            ),
            (rng.standard_normal(shape), rng.integers(0, shape[-1], shape[:-1])),
            dev,
            rng,
        )


def test_equal_scores_are_drawn_apart(dev):
    """A hinge has no derivative at its margin; the one of before it is that of PyTorch, and the one that trains."""
    things = [Tensor(dev(np.array(a)), requires_grad=True) for a in ([1.0, 1], [1.0, 1], [1.0, -1])]
    loss = F.margin_ranking_loss(*things, reduction="sum")
    loss.backward()
    assert loss.item() == 0
    assert host(things[0].grad).tolist() == [-1, 1] and host(things[1].grad).tolist() == [1, -1]
    things = [Tensor(dev(np.array([a])), requires_grad=True) for a in (1.0, 0.5, 1.0)]
    F.margin_ranking_loss(*things, margin=0.5).backward()
    assert [host(x.grad)[0] for x in things] == [-1, 1, -0.5]
    things = [Tensor(dev(np.array([a])), requires_grad=True) for a in (1.0, 3.0, 0.5)]  # how sure an order is
    F.margin_ranking_loss(*things).backward()
    assert [host(x.grad)[0] for x in things] == [-0.5, 0.5, 2]
    y, gx = run(F.hinge_embedding_loss, [1.0, 1.0 + 2**-20], [-1, -1], dev=dev, reduction="none")
    assert y.tolist() == [0, 0] and gx.tolist() == [-1, 0]
    y, gx = run(F.soft_margin_loss, [3.0, 3.0], [0.5, -2.0], dev=dev, reduction="none")  # targets need not be 1 or -1
    np.testing.assert_allclose(y, [math.log1p(math.exp(-1.5)), math.log1p(math.exp(6))], rtol=1e-6)
    np.testing.assert_allclose(gx, [-0.5 / (1 + math.exp(1.5)), 2 / (1 + math.exp(-6))], rtol=1e-6)
    y, gx = run(F.multi_margin_loss, [[1.0, 0.0]], [0], dev=dev)
    assert y == 0 and not gx.any()


def test_a_sure_answer_costs_nothing_and_overflows_nowhere(dev):
    y, gx = run(F.soft_margin_loss, [1e30, -1e30, inf, -inf], [1, -1, 1, -1], dev=dev, reduction="none")
    assert not y.any() and not gx.any()
    y, gx = run(F.soft_margin_loss, [-3e38, 3e38, 20, -20], [1, -1, 1, 1], dev=dev, reduction="none")
    np.testing.assert_allclose(y, [3e38, 3e38, math.exp(-20), 20], rtol=1e-6)
    np.testing.assert_allclose(gx, [-1, 1, -math.exp(-20), -1], rtol=1e-6)


def test_nan_is_handed_on(dev):
    y, gx = run(F.margin_ranking_loss, [nan, 9.0], [0.0, 0.0], [1.0, 1.0], dev=dev, reduction="none")
    assert np.isnan(y).tolist() == [True, False]
    y, gx = run(F.hinge_embedding_loss, [nan, nan, 0], [1, -1, 1], dev=dev, reduction="none")
    assert np.isnan(y).tolist() == [True, True, False]
    y, gx = run(F.multi_margin_loss, [[0.0, nan, 9], [0, 9, 9]], [0, 1], dev=dev, reduction="none")
    assert np.isnan(y).tolist() == [True, False] and np.isnan(gx).any(axis=1).tolist() == [True, False]


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float16, np.float64])
def test_targets_of_other_dtypes_leave_that_of_the_loss(dtype, dev):
    x = dev(np.array([0.5, -0.5], np.float32))
    t = dev(np.array([1, -1], dtype))
    expected = np.float64 if dtype is np.float64 else np.float32
    for loss in (F.hinge_embedding_loss(x, t), F.soft_margin_loss(x, t), F.margin_ranking_loss(x, -x, t)):
        assert loss.dtype == expected


@pytest.mark.parametrize("wrong", [0, 2, nan])
def test_a_target_that_is_no_sign(wrong, device, dev):
    """An error on the CPU; on the GPU, where it would cost a synchronisation, NaN."""
    if device == "cpu":
        with pytest.raises(ValueError, match=f"hinge_embedding_loss: target must be 1 or -1, got {float(wrong)}"):
            run(F.hinge_embedding_loss, [0.5, 0.5], [1, wrong], dev=dev)
        return
    y, gx = run(F.hinge_embedding_loss, [0.5, 0.5], [1, wrong], dev=dev, reduction="none")
    assert np.isnan(y).tolist() == np.isnan(gx).tolist() == [False, True]


@pytest.mark.parametrize("wrong", [3, -1, 2**40, -(2**63) + 1])
def test_a_label_out_of_range(wrong, device, dev):
    x, t = np.zeros((3, 3)), [0, wrong, 2]
    if device == "cpu":
        with pytest.raises(ValueError, match=rf"multi_margin_loss: class labels must be 0 to 2; got {wrong}$"):
            run(F.multi_margin_loss, x, t, dev=dev)
        return
    y, gx = run(F.multi_margin_loss, x, t, dev=dev, reduction="none")
    assert np.isnan(y).tolist() == [False, True, False]
    assert np.isnan(gx[1]).any() and np.isfinite(gx[[0, 2]]).all()


def test_an_empty_batch(dev):
    for p, reduction in itertools.product((1, 2), ("sum", "none")):
        x = Tensor(dev(np.zeros((0, 3))), requires_grad=True)
        y = F.multi_margin_loss(x, dev(np.zeros(0, int)), p, reduction=reduction)
        y.sum().backward()
        assert not host(y).any() and x.grad.shape == (0, 3)
    assert np.isnan(F.multi_margin_loss(dev(np.zeros((0, 3))), dev(np.zeros(0, int))).item())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda x: F.margin_ranking_loss(x(4), x(4), x(3)),
            ValueError,
            r"margin_ranking_loss: all arrays must have the same shape, got input1 \(4,\), .*, target \(3,\)$",
        ),
        (lambda x: F.margin_ranking_loss(*[x(2).astype(int)] * 3), TypeError, "floating dtype is required, got int64"),
        (lambda x: F.margin_ranking_loss(x(2), x(2), x(2), reduction="avg"), ValueError, "reduction must be one of"),
        (lambda x: F.hinge_embedding_loss(x(2), x(3)), ValueError, "hinge_embedding_loss: both arrays must have"),
        (lambda x: F.soft_margin_loss(x(2), x(3)), ValueError, "soft_margin_loss: both arrays must have"),
        (lambda x: F.multi_margin_loss(x(2, 3), x(2)), TypeError, "multi_margin_loss: target must hold class labels"),
        (lambda x: F.multi_margin_loss(x(2, 3), x(3).astype(int)), ValueError, r"\(2,\), got \(3,\)"),
        (lambda x: F.multi_margin_loss(x(2, 3), x(2).astype(int), p=3), ValueError, "p must be 1 or 2, got 3"),
        (
            lambda x: F.multi_margin_loss(x(2, 3, 4), x(2).astype(int)),
            ValueError,
            r"input must have shape \(N, C\) or \(C,\) with at least one class, got \(2, 3, 4\)",
        ),
        (
            lambda x: F.multi_margin_loss(x(2, 3), x(2).astype(int), weight=[1.0, 2]),
            ValueError,
            r"multi_margin_loss: weight must have shape \(C,\) = \(3,\), got \(2,\)",
        ),
    ],
)
def test_messages(call, error, message, dev):
    with pytest.raises(error, match=message):
        call(lambda *shape: dev(np.ones(shape)))
