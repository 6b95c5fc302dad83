"""normalize, cosine_similarity, pairwise_distance: PyTorch as a second oracle, odd sizes, what is refused."""

import math

import numpy as np
import pytest
from helpers import host
from loss_helpers import compare

from cunet import F, nn
from cunet.autograd.tensor import Tensor

ORDERS = (0, 0.5, 1, 2, 3, math.inf)


@pytest.mark.parametrize("p", ORDERS)
@pytest.mark.parametrize("dim", [0, 1, -1, (0, 2)])
@pytest.mark.parametrize("eps", [1e-12, 1.5])
def test_normalize_as_in_pytorch(eps, dim, p, rng, dev):
    compare(
        lambda x: F.normalize(x, p, dim, eps),
        lambda torch, x: torch.nn.functional.normalize(x, p, dim, eps),
        (rng.standard_normal((3, 4, 5)),),
        dev,
        rng,
    )


@pytest.mark.parametrize(
    ("shapes", "dim"),
    [(((3, 4, 5), (3, 4, 5)), 1), (((3, 4, 5), (4, 5)), 1), (((3, 4, 5), (4, 1)), -1), (((5,),) * 2, 0)],
)
def test_cosine_similarity_as_in_pytorch(shapes, dim, rng, dev):
    compare(
        lambda a, b: F.cosine_similarity(a, b, dim),
        lambda torch, a, b: torch.nn.functional.cosine_similarity(a, b, dim),
        [rng.standard_normal(s) for s in shapes],
        dev,
        rng,
        differentiable=(0, 1),
    )


@pytest.mark.parametrize("p", ORDERS[1:])
@pytest.mark.parametrize("keepdim", [False, True])
def test_pairwise_distance_as_in_pytorch(keepdim, p, rng, dev):
    for shapes in (((3, 4), (3, 4)), ((3, 4), (4,)), ((4,), (4,))):
        compare(
            lambda a, b: F.pairwise_distance(a, b, p, keepdim=keepdim),
            lambda torch, a, b: torch.nn.functional.pairwise_distance(a, b, p, keepdim=keepdim),
            [rng.standard_normal(s) for s in shapes],
            dev,
            rng,
            differentiable=(0, 1),
        )


@pytest.mark.parametrize("scale", [1e-40, 1e-30, 1e30])
@pytest.mark.parametrize("p", ORDERS)
def test_no_square_or_power_leaves_the_range(p, scale, dev):
    """In float32 the square of 1e-30 is 0 and that of 1e30 infinite."""
    row = np.array([[3, -4, 0, 1]], np.float64)
    expected = host(F.normalize(dev(row), p))
    x = Tensor(dev((row * scale).astype(np.float32)), requires_grad=True)
    y = F.normalize(x, p, eps=0.0)
    tolerance = 1e-4 if scale == 1e-40 else 1e-5  # 1e-40 has a few places only
    if p != 0:
        np.testing.assert_allclose(host(y), expected, rtol=tolerance)
    y.backward(dev(np.array([[1, 2, 3, 4]], np.float32)))
    if scale != 1e-40:
        assert np.isfinite(host(x.grad)).all()
    far = F.pairwise_distance(x, dev(np.zeros((1, 4), np.float32)), p, eps=0.0)
    wide = F.pairwise_distance(dev(row), dev(np.zeros((1, 4))), p, eps=0.0)
    np.testing.assert_allclose(host(far).astype(float), host(wide) * (scale if p else 1), rtol=tolerance)


@pytest.mark.parametrize("p", ORDERS)
def test_vectors_of_0(p, dev):
    x = Tensor(dev(np.zeros((2, 3))), requires_grad=True)
    y = F.normalize(x, p)
    y.backward(dev(np.ones((2, 3))))
    assert not host(y).any()
    np.testing.assert_allclose(host(x.grad), 1e12)
    x.grad = None
    length = F.pairwise_distance(x, x, p, eps=0.0)
    length.backward(dev(np.ones(2)))
    assert not host(length).any() and not host(x.grad).any()


def test_a_vector_of_0_is_like_none(dev):
    x = Tensor(dev(np.array([[0.0, 0], [1, 1]])), requires_grad=True)
    y = F.cosine_similarity(x, dev(np.array([[3.0, 4], [1, 1]])))
    y.backward(dev(np.ones(2)))
    np.testing.assert_allclose(host(y), [0, 1])
    np.testing.assert_allclose(host(x.grad), [[0.6e8, 0.8e8], [0, 0]], atol=1e-12)


def test_the_largest_of_equals_share_the_gradient(dev):
    x = Tensor(dev(np.array([[2.0, -2, 1]])), requires_grad=True)
    F.pairwise_distance(x, dev(np.zeros((1, 3))), math.inf, eps=0.0).backward(dev(np.ones(1)))
    assert host(x.grad).tolist() == [[0.5, -0.5, 0]]


@pytest.mark.parametrize("p", ORDERS)
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 0, 3)], ids=str)
def test_empty(shape, p, dev):
    x = Tensor(dev(np.zeros(shape)), requires_grad=True)
    y = F.normalize(x, p)
    distances = F.pairwise_distance(x, x, p)
    similar = F.cosine_similarity(x, x)
    assert y.shape == shape and distances.shape == shape[:-1] and similar.shape == (shape[0], *shape[2:])
    (y.sum() + distances.sum() + similar.sum()).backward()
    assert x.grad.shape == shape and not host(distances).any() and not host(similar).any()


def test_one_number(dev):
    x = Tensor(dev(np.array(-3.0)), requires_grad=True)
    y = F.normalize(x, dim=0)
    y.backward()
    assert y.shape == x.grad.shape == () and y.item() == -1 and host(x.grad) == 0


def test_layers(rng, dev):
    x, y = dev(rng.standard_normal((3, 4))), dev(rng.standard_normal((3, 4)))
    np.testing.assert_array_equal(host(nn.CosineSimilarity(0, 1e-6)(x, y)), host(F.cosine_similarity(x, y, 0, 1e-6)))
    np.testing.assert_array_equal(
        host(nn.PairwiseDistance(1.0, keepdim=True)(x, y)), host(F.pairwise_distance(x, y, 1.0, keepdim=True))
    )
    assert repr(nn.CosineSimilarity(dim=-1)) == "CosineSimilarity(dim=-1)"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: F.normalize(x(3), p=-1), ValueError, "normalize: p, the order of the norm, must be at least 0"),
        (lambda x: F.normalize(x(3), p=math.nan), ValueError, "normalize: p, the order of the norm"),
        (lambda x: F.normalize(x(3)), np.exceptions.AxisError, "axis 1 is out of bounds"),
        (lambda x: F.normalize(x(3, 2).astype(int)), TypeError, "normalize: input must be an array of floating dtype"),
        (lambda x: F.cosine_similarity(x(3, 2), x(3)), ValueError, r"x1 and x2 must broadcast.*\(3, 2\) and \(3,\)"),
        (lambda x: F.cosine_similarity(x(2, 2), x(2, 2).astype(int)), TypeError, "cosine_similarity: x2 must be an"),
        (lambda x: F.pairwise_distance(x(), x()), ValueError, "pairwise_distance: x1 and x2 must have at least 1 axis"),
        (lambda x: F.cosine_similarity(x(2), x(), 0), ValueError, r"at least 1 axis, got shapes \(2,\) and \(\)"),
        (lambda x: F.pairwise_distance(x(2), x(2), p=-2), ValueError, "pairwise_distance: p, the order"),
    ],
)
def test_messages(call, error, message, dev):
    with pytest.raises(error, match=message):
        call(lambda *shape: dev(np.ones(shape)))
