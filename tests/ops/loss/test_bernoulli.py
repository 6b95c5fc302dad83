"""binary_cross_entropy of probabilities: the ends 0 and 1, PyTorch as second oracle, what is refused."""

import itertools
import math

import numpy as np
import pytest
from helpers import host
from loss_helpers import compare, run

from cunet import F, Tensor, nn

bce = F.binary_cross_entropy


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("p", "t", "loss", "slope"),
    [
        (0, 0, 0, 1),  # a right answer: the slope of -log(1 - p)
        (1, 1, 0, -1),
        (0, 1, 100, -1e12),  # a wrong one: the clamped logarithm, and a slope that is finite
        (1, 0, 100, 1e12),
        (0.5, 0.5, np.log(2), 0),
        (0, 0.5, 50, 0.5 - 0.5e12),
        (1e-30, 0, 1e-30, 1),
        (np.nan, 1, np.nan, np.nan),
    ],
)
def test_ends(p, t, loss, slope, dtype, dev):
    y, gradient = run(bce, [p], np.array([t], dtype), dev=dev, dtype=dtype, reduction="sum")
    np.testing.assert_allclose(y, loss, rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(gradient, [slope], rtol=1e-6)


@pytest.mark.parametrize(
    ("p", "slope", "target_slope"),
    [(0.0, 0.75 - 0.25e12, 100), (1.0, 0.75e12 - 0.25, -100), (0.5, 1, 0), (math.exp(-100.5), 0.75 - 0.25e12, 100)],
)
def test_gradients_of_both_where_2_comes_from_above(p, slope, target_slope, dev):
    """The logarithms are clamped in the gradient of the target too, below and beyond 100."""
    inputs, target = (Tensor(dev([value]), requires_grad=True) for value in (p, 0.25))
    bce(inputs, target, reduction="sum").backward(dev(2.0))
    np.testing.assert_allclose(host(inputs.grad), [2 * slope], rtol=1e-12)
    np.testing.assert_allclose(host(target.grad), [2 * target_slope], rtol=1e-12)


def test_a_logarithm_is_clamped_at_100(dev):
    p, t = np.exp([-99.5, -100.5]), np.ones(2)
    np.testing.assert_allclose(host(bce(dev(p), dev(t), reduction="none")), [99.5, 100], rtol=1e-12)


def test_probabilities_beside_0_and_1_keep_their_places(dev):
    """log(1 - p) of a small p, and the difference p - t of neighbours."""
    y, gradient = run(bce, [1e-7, 0.3], [0.0, 0.3 + 2.0**-40], dev=dev, dtype=np.float64, reduction="none")
    np.testing.assert_allclose(y[0], 1.00000005e-7, rtol=1e-12)
    np.testing.assert_allclose(gradient, [1.0000001, -(2.0**-40) / 0.21], rtol=1e-8)


@pytest.mark.parametrize("weighted", [False, True])
def test_as_in_pytorch(weighted, dev, rng):
    arrays = rng.uniform(0.001, 0.999, (5, 4)), rng.uniform(0, 1, (5, 4))
    weight = rng.uniform(0.5, 2, (5, 1)) if weighted else None
    for reduction, both in itertools.product(("mean", "sum", "none"), ((0,), (0, 1))):

        def theirs(torch, p, t, reduction=reduction):
            w = None if weight is None else torch.tensor(weight)
            return torch.nn.functional.binary_cross_entropy(p, t, w, reduction=reduction)

        own = None if weight is None else dev(weight)
        compare(lambda p, t, w=own, r=reduction: bce(p, t, w, r), theirs, arrays, dev, rng, both)


def test_the_layer_has_its_options(dev, rng):
    p, t = dev(rng.uniform(0.1, 0.9, (3, 2))), dev(rng.uniform(0, 1, (3, 2)))
    weight = np.array([1.0, 2.0])
    layer = nn.BCELoss(weight, reduction="sum").to("cpu")
    assert [name for name, _ in layer.named_buffers()] == ["weight"]
    layer.weight.data = dev(weight)
    assert layer(p, t).item() == bce(p, t, dev(weight), "sum").item()


@pytest.mark.parametrize("shape", [(0,), (0, 3), ()], ids=str)
def test_small_shapes(shape, dev):
    y, gradient = run(bce, np.full(shape, 0.25), np.ones(shape), dev=dev, reduction="sum")
    np.testing.assert_allclose(y, -np.log(0.25) * np.prod(shape, dtype=float), rtol=1e-6)
    assert gradient.shape == shape


@pytest.mark.cpu_only
@pytest.mark.parametrize("wrong", [-0.01, 1.01, 17.0])
def test_logits_are_refused(wrong):
    with pytest.raises(ValueError, match=r"^binary_cross_entropy: input must be probabilities, .*with_logits$"):
        bce(np.array([0.5, wrong]), np.array([1.0, 1.0]))


def test_wrong_arguments_are_named(dev):
    p = dev(np.full((2, 3), 0.5))
    with pytest.raises(ValueError, match=r"^binary_cross_entropy: both arrays must have the same shape"):
        bce(p, p[0])
    with pytest.raises(
        ValueError, match=r"^binary_cross_entropy: weight must broadcast to the shape of input \(2, 3\)"
    ):
        bce(p, p, [1.0, 2.0])
    with pytest.raises(ValueError, match=r"^binary_cross_entropy: reduction must be one of"):
        bce(p, p, reduction="batchmean")
