"""Gumbel softmax: it draws by the probabilities, softly or hard, with a gradient."""

import math
from fractions import Fraction

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, Tensor
from cunet.ops.sampling import _add_gumbel_noise
from cunet.random import Draw, Generator


def test_classes_come_as_often_as_their_probabilities_say(dev):
    p = np.array([0.1, 0.2, 0.7])
    logits = dev(np.broadcast_to(np.log(p), (20_000, 3)))
    y = host(F.gumbel_softmax(logits, tau=0.1))
    counts = np.bincount(y.argmax(axis=1), minlength=3)
    np.testing.assert_allclose(counts / 20_000, p, atol=0.012)  # more than three standard deviations


def test_noise_is_made_of_numpys_generator_to_the_last_places(dev):
    """Of a length that no whole number of blocks has; u are the middles of 2**52 parts of [0, 1]."""
    seed, stream, call, count = 2**63 + 5, 3, 7, 4099
    words = np.random.Philox(key=seed | stream << 64, counter=call << 64).random_raw(count)
    expected = [-math.log(-math.log(float(Fraction(2 * (int(word) >> 12) + 1, 2**53)))) for word in words]
    noise = _add_gumbel_noise(dev(np.full(count, 0.5)), draw=Draw(seed, stream, call))
    np.testing.assert_allclose(host(noise) - 0.5, expected, rtol=2e-15, atol=2e-15)


def test_a_hard_sample_is_one_hot_with_the_gradient_of_the_soft_one(dev, rng):
    x = rng.standard_normal((2, 5, 3))
    w = dev(rng.standard_normal((2, 5, 3)))
    results = []
    for hard in (False, True):
        cunet.manual_seed(3)
        leaf = Tensor(dev(x), requires_grad=True)
        y = F.gumbel_softmax(leaf, 0.7, hard, axis=1)
        (y * w).sum().backward()
        results.append((host(y), host(leaf.grad)))
    (soft, g_soft), (hot, g_hot) = results
    np.testing.assert_allclose(hot, soft == soft.max(axis=1, keepdims=True), atol=1e-15)
    np.testing.assert_array_equal(g_soft, g_hot)


def test_the_seed_decides_on_every_device(dev, rng):
    x = rng.standard_normal((3, 4)).astype(np.float32)
    draws = [host(F.gumbel_softmax(dev(x), generator=Generator(5))) for _ in range(2)]
    assert draws[0].tobytes() == draws[1].tobytes()
    np.testing.assert_allclose(draws[0], F.gumbel_softmax(x, generator=Generator(5)).data, rtol=1e-5)
    assert not (draws[0] == host(F.gumbel_softmax(dev(x), generator=Generator(6)))).any()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_dtype_stays(dtype, dev):
    for hard in (False, True):
        assert F.gumbel_softmax(dev(np.zeros((2, 3)), dtype), hard=hard).dtype == dtype
    assert F.gumbel_softmax(dev(np.zeros((0, 3)), dtype), hard=True).shape == (0, 3)


def test_the_axis_has_two_names(dev, rng):
    x = dev(rng.standard_normal((2, 3)))
    draws = [F.gumbel_softmax(x, generator=Generator(1), **kw) for kw in ({"axis": 0}, {"dim": 0}, {"dim": -2})]
    np.testing.assert_allclose(host(draws[0]).sum(axis=0), 1)
    assert host(draws[0]).tobytes() == host(draws[1]).tobytes() == host(draws[2]).tobytes()
    with pytest.raises(TypeError, match="gumbel_softmax: dim and axis are two names of one argument"):
        F.gumbel_softmax(x, dim=0, axis=1)


def test_what_does_not_fit_is_named(dev):
    with pytest.raises(ValueError, match="gumbel_softmax: tau must be positive, got 0"):
        F.gumbel_softmax(dev(np.zeros(3)), tau=0)
    with pytest.raises(TypeError, match="gumbel_softmax: logits must be an array of floating dtype, got int64"):
        F.gumbel_softmax(dev(np.zeros(3, np.int64)))
