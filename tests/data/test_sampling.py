"""Weighted and stratified epochs: how often samples come, and that the state of a loader has them."""

import numpy as np
import pytest
from helpers import host
from loader_helpers import numbers

from cunet.data import Loader, Stratified, Weighted
from cunet.random import Generator


def epoch(loader):
    return np.concatenate([host(batch) for (batch,) in loader])


def test_samples_come_by_their_weights(dev):
    weights = np.array([0.0, 1, 1, 2, 6, 0])
    loader = Loader(dev(np.arange(6)), batch_size=4, order=Weighted(weights), generator=Generator(0))
    seen = np.concatenate([epoch(loader) for _ in range(500)])
    np.testing.assert_allclose(np.bincount(seen, minlength=6) / len(seen), weights / 10, atol=0.03)
    assert not np.isin(seen, [0, 5]).any()


def test_each_batch_has_the_shares_of_all(dev, rng):
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    rng.shuffle(labels)
    loader = Loader(dev(np.arange(100)), batch_size=20, order=Stratified(dev(labels)), generator=Generator(0))
    first, second = epoch(loader), epoch(loader)
    assert sorted(first) == list(range(100)) and not np.array_equal(first, second)
    for batch in first.reshape(5, 20):
        assert (np.abs(np.bincount(labels[batch], minlength=3) - [12, 6, 2]) <= 1).all()


@pytest.mark.parametrize("order", [Weighted(np.arange(17)), Stratified(np.arange(17) % 4)])
def test_a_stopped_epoch_goes_on(order, dev):
    x = dev(np.arange(17))
    whole = Loader(x, batch_size=4, order=order, generator=Generator(3))
    epochs = [numbers(whole) for _ in range(2)]
    stopped = Loader(x, batch_size=4, order=order, generator=Generator(3))
    for i, _ in enumerate(stopped):
        if i == 1:
            state = stopped.state_dict()
            break
    resumed = Loader(x, batch_size=4, order=order, generator=Generator(9))
    resumed.load_state_dict(state)
    assert numbers(resumed) == epochs[0][2:] and numbers(resumed) == epochs[1]


@pytest.mark.cpu_only
def test_wrong_weights_and_labels_are_refused():
    for wrong in ([-1, 2], [0, 0], [np.nan, 1], [[1]], []):
        with pytest.raises(ValueError, match="Weighted: weights must have shape .* got shape"):
            Weighted(wrong)
    with pytest.raises(ValueError, match=r"Stratified: labels must have shape \(N,\), got \(1, 2\)"):
        Stratified([[1, 2]])
    for order in (Weighted([1, 2]), Stratified([1, 2])):
        with pytest.raises(ValueError, match=r"must have shape \(N,\) = \(3,\), got \(2,\)"):
            next(iter(Loader(np.arange(3), order=order)))


@pytest.mark.cpu_only
def test_a_sum_that_rounds_below_one_never_draws_what_is_not_there():
    order = Weighted([0.1] * 10 + [0.0])

    class Last:
        def rng(self):
            return self

        def random(self, n):
            return np.full(n, np.nextafter(1.0, 0))

    assert order(Last(), 11).max() <= 9
