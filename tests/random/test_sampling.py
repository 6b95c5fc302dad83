"""Samples drawn by the library's streams: frequencies, the same draws everywhere, the ends of the range, errors."""

import numpy as np
import pytest
from helpers import host, training_step

import cunet
from cunet import F, Tensor, nn, optim, random
from cunet import device as backend
from cunet.random import Generator

MANY = 20_000


def test_classes_come_as_often_as_their_probabilities_say(dev):
    p = np.array([[0.1, 0.2, 0.7], [0.5, 0.0, 0.5]])
    with np.errstate(divide="ignore"):
        y = random.categorical(dev(np.log(p) + 3), shape=(MANY,))
    assert y.shape == (MANY, 2) and y.dtype == np.int64
    assert backend.device_of(y) == backend.device_of(dev(p))
    counts = np.stack([np.bincount(column, minlength=3) for column in host(y).T])
    np.testing.assert_allclose(counts / MANY, p, atol=0.012)  # more than three standard deviations
    assert counts[1, 1] == 0


def test_zeros_and_ones_come_as_often_as_their_probability_says(dev):
    p = np.array([0.0, 0.25, 1.0])
    y = host(random.bernoulli(dev(p), shape=(MANY,)))
    assert set(np.unique(y)) == {0, 1}
    np.testing.assert_allclose(y.mean(axis=0), p, atol=0.012)
    assert not y[:, 0].any() and y[:, 2].all()


def test_the_seed_decides_and_every_device_draws_the_same(dev, rng):
    logits, p = rng.standard_normal((50, 7)), rng.random(50)
    for draw, x in ((random.categorical, logits), (random.bernoulli, p)):
        first = host(draw(dev(x), generator=Generator(5)))
        assert (first == host(draw(x, generator=Generator(5)))).all()
        assert not (first == host(draw(dev(x), generator=Generator(6)))).all()
        cunet.manual_seed(9)
        once, again = host(draw(dev(x))), host(draw(dev(x)))
        assert not (once == again).all()
        cunet.manual_seed(9)
        assert (host(draw(dev(x))) == once).all()


def test_tensors_lists_and_numbers(dev):
    x = Tensor(dev([[0.0, -np.inf]], np.float16), requires_grad=True)
    assert host(random.categorical(x)).tolist() == [0]
    assert random.categorical([-np.inf, 0.0]).item() == 1
    assert random.bernoulli(1.0, shape=(2,)).tolist() == [1, 1]
    assert random.bernoulli(1.0).dtype == random.bernoulli([0.5]).dtype == np.float32
    assert random.bernoulli(Tensor(dev([0.5], np.float16))).dtype == np.float16
    assert random.bernoulli(1).item() == 1


def test_any_axis_and_no_rows(dev, rng):
    x = rng.standard_normal((4, 3, 2))
    y = random.categorical(dev(x), axis=1, generator=Generator(1))
    z = random.categorical(dev(np.moveaxis(x, 1, -1)), generator=Generator(1))
    assert y.shape == (4, 2) and (host(y) == host(z)).all()
    assert random.categorical(dev(np.zeros((0, 3)))).shape == (0,)
    assert random.categorical(dev(x), shape=(0,)).shape == (0, 4, 3)
    assert random.bernoulli(dev(np.zeros((0, 3)))).shape == (0, 3)


def test_large_logits_stay_in_range(dev):
    assert host(random.categorical(dev([[1e300, -1e300], [-1e300, -1e308]]))).tolist() == [0, 0]


@pytest.mark.parametrize("row", [[np.nan, 0.0], [np.inf, 0.0], [-np.inf, -np.inf]], ids=["nan", "inf", "nothing"])
def test_rows_that_are_no_distribution_are_refused(row, dev):
    with pytest.raises(ValueError, match="categorical: each row of logits must have a finite largest value"):
        random.categorical(dev([[0.0, 1.0], row]))


def test_what_does_not_fit_is_named(dev):
    with pytest.raises(ValueError, match=r"categorical: logits must have a class along axis -1, got shape \(2, 0\)"):
        random.categorical(dev(np.zeros((2, 0))))
    for p in (-0.1, 1.5, np.nan):
        with pytest.raises(ValueError, match=r"bernoulli: p must be in \[0, 1\]"):
            random.bernoulli(dev([0.5, p]))


def test_reinforce_learns_the_arm_that_pays(dev):
    layer = nn.Linear(1, 3).to(Tensor(dev([0.0])).device)
    optimizer = optim.Adam(layer.parameters(), lr=0.1)
    state = dev(np.ones((32, 1), np.float32))

    @training_step
    def step():
        optimizer.zero_grad()
        logits = layer(state)
        actions = random.categorical(logits)
        reward = (actions == 2).astype(np.float32)
        log_prob = -F.cross_entropy(logits, actions, reduction="none")
        (-log_prob * (reward - reward.mean())).mean().backward()
        optimizer.step()

    for _ in range(60):
        step()
    assert (host(random.categorical(layer(state), shape=(50,))) == 2).mean() > 0.9


@pytest.mark.parametrize("n", [3, np.int64(3), (3,), [3]], ids=repr)
def test_the_number_of_draws_may_be_one_number(n, dev):
    assert random.bernoulli(dev([0.25, 0.5]), shape=n).shape == (3, 2)
    assert random.categorical(dev([[0.0, 1.0]]), shape=n).shape == (3, 1)
