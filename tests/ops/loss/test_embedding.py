"""cosine_embedding_loss and the triplet losses: PyTorch as a second oracle, vectors nearly alike, what is refused."""

import math

import mpmath
import numpy as np
import pytest
from helpers import host
from loss_helpers import compare

from cunet import F
from cunet.autograd.tensor import Tensor

REDUCTIONS = ("mean", "sum", "none")


@pytest.mark.parametrize("shape", [(5, 6), (6,), (3, 1)], ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cosine_as_in_pytorch(reduction, shape, rng, dev):
    compare(
        lambda a, b, t: F.cosine_embedding_loss(a, b, t, -0.2, reduction),
        lambda torch, a, b, t: torch.nn.functional.cosine_embedding_loss(a, b, t, -0.2, reduction=reduction),
        (rng.standard_normal(shape), rng.standard_normal(shape), rng.choice([-1, 1], shape[:-1])),
        dev,
        rng,
        differentiable=(0, 1),
    )


@pytest.mark.parametrize("shape", [(5, 6), (6,), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("p", [0.5, 1, 2, 3, math.inf])
@pytest.mark.parametrize("swap", [False, True])
def test_triplets_as_in_pytorch(swap, p, shape, rng, dev):
    for reduction in REDUCTIONS:
        compare(
            lambda a, b, c, r=reduction: F.triplet_margin_loss(a, b, c, 0.7, p, 1e-6, swap, r),
            lambda torch, a, b, c, r=reduction: torch.nn.functional.triplet_margin_loss(
                a, b, c, 0.7, p, 1e-6, swap, reduction=r
            ),
            [rng.standard_normal(shape) for _ in range(3)],
            dev,
            rng,
            differentiable=(0, 1, 2),
        )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("own", [False, True])
def test_a_distance_of_ones_own_as_in_pytorch(own, reduction, rng, dev):
    def distance(x, y):
        return ((x - y) ** 2).sum(-1)

    options = {"distance_function": distance if own else None, "margin": 0.5, "swap": True, "reduction": reduction}
    compare(
        lambda *x: F.triplet_margin_with_distance_loss(*x, **options),
        lambda torch, *x: torch.nn.functional.triplet_margin_with_distance_loss(*x, **options),
        [rng.standard_normal((5, 4)) for _ in range(3)],
        dev,
        rng,
        differentiable=(0, 1, 2),
    )


def one_minus_cosine(x, y):
    with mpmath.workdps(40):
        x, y = ([mpmath.mpf(float(v)) for v in a] for a in (x, y))
        return float(1 - mpmath.fdot(x, y) / mpmath.sqrt(mpmath.fdot(x, x) * mpmath.fdot(y, y)))


def test_vectors_that_are_nearly_alike_have_a_small_loss_and_not_none(rng, dev):
    x = rng.standard_normal(20).astype(np.float32)
    y = (x + 1e-4 * rng.standard_normal(20)).astype(np.float32)
    expected = one_minus_cosine(x, y)
    assert 1e-10 < expected < 1e-7  # 1 - cosine is 0 or 6e-8 in float32
    leaf = Tensor(dev(x), requires_grad=True)
    loss = F.cosine_embedding_loss(leaf, dev(y), dev(np.array(1)))
    assert loss.item() == pytest.approx(expected, rel=1e-2)
    loss.backward()
    wide = Tensor(dev(x.astype(np.float64)), requires_grad=True)
    F.cosine_embedding_loss(wide, dev(y.astype(np.float64)), dev(np.array(1))).backward()
    np.testing.assert_allclose(host(leaf.grad), host(wide.grad), rtol=0.05, atol=1e-8)


def test_vectors_of_0_and_huge_ones(dev):
    rows = np.array([[0, 0, 0], [0, 0, 0], [2e38, 2e38, 0]], np.float32)
    x = Tensor(dev(rows), requires_grad=True)
    y = dev(np.array([[1, 2, 2], [0, 0, 0], [1, 1, 0]], np.float32))
    loss = F.cosine_embedding_loss(x, y, dev(np.ones(3)), reduction="none")
    np.testing.assert_allclose(host(loss), [1, 1, 0], atol=1e-6)
    loss.sum().backward()
    np.testing.assert_allclose(host(x.grad)[0], [-1e6 / 3, -2e6 / 3, -2e6 / 3], rtol=1e-5)
    assert np.isfinite(host(x.grad)).all() and not host(x.grad)[1].any()


def test_a_cosine_at_the_margin_is_pushed_on(dev):
    x = Tensor(dev(np.array([[1.0, 0]])), requires_grad=True)
    margin = 1 - host(F.cosine_embedding_loss(x, dev(np.array([[0.0, 1]])), dev(np.array([1]))))
    loss = F.cosine_embedding_loss(x, dev(np.array([[0.0, 1]])), dev(np.array([-1])), float(margin))
    loss.backward()
    assert loss.item() == 0 and host(x.grad)[0, 1] == pytest.approx(1)


def test_a_triplet_of_one_vector_has_finite_gradients(dev):
    things = [Tensor(dev(np.ones((1, 3), np.float32)), requires_grad=True) for _ in range(3)]
    F.triplet_margin_loss(*things, eps=0.0).backward()
    assert not any(host(x.grad).any() for x in things)
    F.triplet_margin_loss(*things).backward()  # 1e-6 in each difference gives them a direction
    assert all(np.isfinite(host(x.grad)).all() for x in things)


@pytest.mark.parametrize("wrong", [0, 2])
def test_a_target_that_is_no_sign(wrong, device, dev):
    """An error on the CPU; on the GPU, where it would cost a synchronisation, NaN."""
    x, t = dev(np.ones((2, 3))), dev(np.array([1, wrong]))
    if device == "cpu":
        with pytest.raises(ValueError, match=f"cosine_embedding_loss: target must be 1 or -1, got {wrong}"):
            F.cosine_embedding_loss(x, x, t)
        return
    leaf = Tensor(x, requires_grad=True)
    y = F.cosine_embedding_loss(leaf, x, t, reduction="none")
    y.sum().backward()
    assert np.isnan(host(y)).tolist() == [False, True]
    assert np.isnan(host(leaf.grad)).all(axis=1).tolist() == [False, True]


def test_targets_without_a_sign_are_labels_too(dev):
    x = dev(np.ones((2, 3)))
    assert F.cosine_embedding_loss(x, x, dev(np.ones(2, np.uint8))).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda x: F.cosine_embedding_loss(x(4, 3), x(4, 2), x(4)),
            ValueError,
            r"cosine_embedding_loss: all arrays must have the same shape, got input1 \(4, 3\), input2 \(4, 2\)",
        ),
        (
            lambda x: F.cosine_embedding_loss(x(4, 3), x(4, 3), x(3)),
            ValueError,
            r"inputs must have shape \(N, D\) and target \(N,\), or \(D,\) and \(\), got \(4, 3\) and \(3,\)",
        ),
        (lambda x: F.cosine_embedding_loss(*[x(2, 2, 2)] * 2, x(2, 2)), ValueError, r"got \(2, 2, 2\)"),
        (lambda x: F.cosine_embedding_loss(*[x(2, 2)] * 2, x(2), reduction="avg"), ValueError, "reduction must be one"),
        (
            lambda x: F.triplet_margin_loss(x(4, 3), x(4, 3), x(3)),
            ValueError,
            r"triplet_margin_loss: anchor, positive and negative must have the same shape, got \[\(4, 3\), ",
        ),
        (lambda x: F.triplet_margin_loss(*[x(2, 3)] * 3, margin=0), ValueError, "margin must be above 0, got 0"),
        (lambda x: F.triplet_margin_loss(*[x(2, 3)] * 3, p=-1), ValueError, "p, the order of the norm, must be at le"),
        (lambda x: F.triplet_margin_loss(*[x(2, 3).astype(int)] * 3), TypeError, "pairwise_distance: x1 must be an ar"),
        (
            lambda x: F.triplet_margin_with_distance_loss(x(2, 3), x(4, 3), x(2, 3), distance_function=lambda a, b: b),
            ValueError,
            r"triplet_margin_with_distance_loss: both distances must have the same shape, got \(4, 3\) and \(2, 3\)",
        ),
    ],
)
def test_messages(call, error, message, dev):
    with pytest.raises(error, match=message):
        call(lambda *shape: dev(np.ones(shape)))
