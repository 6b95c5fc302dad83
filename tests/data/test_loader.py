"""The loader: what an epoch holds, in which order, from which state it goes on, and what it refuses."""

from itertools import pairwise

import numpy as np
import pytest
from helpers import host
from hypothesis import given
from hypothesis import strategies as st
from loader_helpers import flat, numbers

import cunet
from cunet import device as backend
from cunet.data import Loader
from cunet.data.loader import permutation
from cunet.random import Generator, manual_seed


@given(n=st.integers(1, 40), batch_size=st.integers(1, 50), drop_last=st.booleans(), shuffle=st.booleans())
def test_an_epoch_holds_every_sample_once(n, batch_size, drop_last, shuffle):
    if drop_last and n < batch_size:
        return
    loader = Loader(np.arange(n), batch_size=batch_size, drop_last=drop_last, shuffle=shuffle)
    batches = numbers(loader)
    assert len(batches) == len(loader) and loader.n_samples == n
    seen = flat(batches)
    if drop_last:
        assert all(len(b) == batch_size for b in batches)
        assert n - len(seen) < batch_size and len(set(seen)) == len(seen)
    else:
        assert [len(b) for b in batches[:-1]] == [batch_size] * (len(batches) - 1) and len(batches[-1]) >= 1
        assert sorted(seen) == list(range(n))
    if not shuffle:
        assert seen == list(range(len(seen)))


def test_the_default_batch_size_is_128():
    assert [len(b) for b in numbers(Loader(np.arange(300)))] == [128, 128, 44]


def test_rows_of_all_arrays_stay_together(dev, rng):
    x, y = rng.normal(size=(50, 3, 2)).astype(np.float32), np.arange(50)
    batches = list(Loader(dev(x), dev(y), batch_size=8, shuffle=True))
    assert all(type(batch) is tuple and backend.is_array(part) for batch in batches for part in batch)
    for xb, yb in batches:
        assert xb.dtype == np.float32 and xb.shape[1:] == (3, 2)
        np.testing.assert_array_equal(host(xb), x[host(yb)])


def test_every_epoch_has_another_order_and_the_seed_brings_them_back(dev):
    x = dev(np.arange(100))
    loader = Loader(x, shuffle=True, generator=Generator(5, "mine"))
    first, second = flat(numbers(loader)), flat(numbers(loader))
    assert first != second and first != sorted(first)
    again = Loader(x, shuffle=True, batch_size=7, generator=Generator(5, "mine"))
    assert flat(numbers(again)) == first and flat(numbers(again)) == second
    assert flat(numbers(Loader(x, shuffle=True, generator=Generator(6, "mine")))) != first


def test_manual_seed_governs_loaders_without_a_generator():
    loader = Loader(np.arange(50), shuffle=True)
    manual_seed(3)
    first = numbers(loader)
    manual_seed(3)
    assert numbers(loader) == first
    assert flat(first) == flat(numbers(Loader(np.arange(50), shuffle=True, generator=Generator(3, "loader"))))


def test_an_epoch_without_shuffling_draws_nothing():
    generator = Generator(1)
    list(Loader(np.arange(5), generator=generator))
    assert generator.call == 0
    list(Loader(np.arange(5), generator=generator, shuffle=True))
    assert generator.call == 1


def test_orders_are_uniform():
    # each of the 24 orders of 4 things 250 times on average; standard deviation 15.5
    generator = Generator(11)
    counts = {}
    for _ in range(6000):
        order = tuple(permutation(generator.next(), 4).tolist())
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 24 and all(abs(c - 250) < 5 * 15.5 for c in counts.values())


def test_the_order_is_that_of_philox_words():
    words = np.random.Philox(key=9 | 4 << 64, counter=2 << 64).random_raw(6).tolist()
    by_word = sorted(range(6), key=words.__getitem__)
    assert permutation(cunet.random.Draw(9, 4, 2), 6).tolist() == by_word


@pytest.mark.cpu_only
def test_batches_in_order_are_views_and_shuffled_ones_are_not():
    x = np.arange(10)
    assert all(np.shares_memory(b, x) for (b,) in Loader(x, batch_size=3))
    assert not any(np.shares_memory(b, x) for (b,) in Loader(x, batch_size=3, shuffle=True))


def test_iterations_may_be_nested():
    loader = Loader(np.arange(6), batch_size=2, shuffle=True, generator=Generator(1))
    outer_seen, inner = [], []
    for (outer,) in loader:
        inner.append(flat(numbers(loader)))
        outer_seen += outer.tolist()
    assert sorted(outer_seen) == list(range(6)) and all(sorted(i) == list(range(6)) for i in inner)
    assert len({tuple(i) for i in [outer_seen, *inner]}) > 1
    fresh = Loader(np.arange(6), batch_size=2, shuffle=True, generator=Generator(1))
    assert [flat(numbers(fresh)) for _ in range(4)] == [outer_seen, *inner]


def test_zip_with_itself_gives_two_whole_epochs():
    loader = Loader(np.arange(5), batch_size=2)
    assert [(a.tolist(), b.tolist()) for (a,), (b,) in zip(loader, loader, strict=True)] == [
        ([0, 1], [0, 1]),
        ([2, 3], [2, 3]),
        ([4], [4]),
    ]


@pytest.mark.parametrize(
    "data, kwargs, error, reason",
    [
        ((np.zeros((5, 2)), np.zeros(4)), {}, ValueError, r"number 0 has shape \(5, 2\) and number 1 has shape \(4,\)"),
        ((np.zeros(5),), {"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ((np.zeros(5),), {"batch_size": 2.5}, TypeError, "batch_size must be a whole number, got 2.5"),
        ((np.zeros((0, 3)),), {}, ValueError, "at least one sample"),
        (([],), {}, ValueError, "at least one sample"),
        ((np.zeros(()),), {}, ValueError, "at least one axis, number 0 has none"),
        ((np.zeros(5),), {"batch_size": 6, "drop_last": True}, ValueError, "no batch: 5 samples, batch_size 6"),
        ((), {}, TypeError, "got nothing"),
        ((np.zeros(3), [1, 2, 3]), {}, TypeError, "number 1 is list"),
        ((iter([1]),), {}, TypeError, "got list_iterator"),
        ((np.zeros(3),), {"collate": list}, TypeError, "collate is for datasets"),
        ((np.zeros(3),), {"device": "tpu"}, ValueError, "tpu"),
    ],
)
def test_what_it_refuses(data, kwargs, error, reason):
    with pytest.raises(error, match=reason):
        Loader(*data, **kwargs)


def test_orders_of_successive_epochs_are_unrelated():
    loader = Loader(np.arange(1000), batch_size=1000, shuffle=True, generator=Generator(1))
    orders = [numbers(loader)[0] for _ in range(5)]
    # two random orders of 1000 have one fixed point in common on average
    assert all(sum(a == b for a, b in zip(p, q, strict=True)) < 10 for p, q in pairwise(orders))
