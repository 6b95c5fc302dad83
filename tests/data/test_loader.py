"""The loader: what an epoch holds, in which order, from which state it goes on, and what it refuses."""

import json
from itertools import pairwise

import numpy as np
import pytest
from helpers import host
from hypothesis import given
from hypothesis import strategies as st

import cunet
from cunet import device as backend
from cunet.data import Loader, collate
from cunet.data.loader import permutation
from cunet.random import Generator, manual_seed


def numbers(loader):
    """Return the batches of an epoch of a loader of one array as lists."""
    return [host(x).tolist() for (x,) in loader]


def flat(batches):
    return [i for batch in batches for i in batch]


class Squares:
    """A dataset of ``i -> (i, [i, i*i])`` that remembers what it was asked for."""

    def __init__(self, n):
        self.n, self.asked = n, []

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        assert type(i) is int
        self.asked.append(i)
        return i, np.array([i, i * i], np.float32)


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


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("stop", range(5))
def test_stopping_inside_an_epoch_and_going_on(dev, shuffle, stop):
    x = dev(np.arange(17))

    def make(seed):
        return Loader(x, batch_size=4, shuffle=shuffle, generator=Generator(seed))

    whole = make(3)
    epochs = [numbers(whole) for _ in range(3)]

    stopped = make(3)
    assert numbers(stopped) == epochs[0]
    for i, (batch,) in enumerate(stopped):
        assert host(batch).tolist() == epochs[1][i]
        if i == stop:
            state = json.loads(json.dumps(stopped.state_dict()))
            break

    resumed = make(99)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    assert numbers(resumed) == epochs[1][stop + 1 :]
    assert numbers(resumed) == epochs[2]


def test_a_state_between_epochs_begins_the_next_one():
    loader = Loader(np.arange(9), batch_size=4, shuffle=True, generator=Generator(3))
    numbers(loader)
    state = loader.state_dict()
    second = numbers(loader)
    resumed = Loader(np.arange(9), batch_size=4, shuffle=True, generator=Generator(0))
    resumed.load_state_dict(state)
    assert numbers(resumed) == second


def test_a_resumed_epoch_can_be_stopped_again():
    loader = Loader(np.arange(20), batch_size=4, shuffle=True, generator=Generator(3))
    expected = numbers(Loader(np.arange(20), batch_size=4, shuffle=True, generator=Generator(3)))
    seen = []
    for _ in range(len(expected)):
        iterator = iter(loader)
        seen.append(next(iterator)[0].tolist())
        loader.load_state_dict(loader.state_dict())
    assert seen == expected


def test_a_state_of_another_loader_is_refused_and_changes_nothing():
    def make(n=10, **kwargs):
        return Loader(np.arange(n), generator=Generator(1), **{"batch_size": 3, "shuffle": True, **kwargs})

    source = make()
    next(iter(source))
    state = source.state_dict()
    for other, reason in [
        (make(n=11), "n_samples 10, this loader 11"),
        (make(batch_size=4), "batch_size 3, this loader 4"),
        (make(shuffle=False), "shuffle=True, this loader False"),
    ]:
        before = other.state_dict()
        with pytest.raises(ValueError, match=reason):
            other.load_state_dict(state)
        assert other.state_dict() == before
    with pytest.raises(ValueError, match="at batch 5, this loader has 4"):
        make().load_state_dict({**state, "next_batch": 5})
    with pytest.raises(ValueError, match="must have the keys"):
        make().load_state_dict({"next_batch": 1})


def test_a_dataset_is_fetched_in_order_and_collated():
    data = Squares(5)
    batches = list(Loader(data, batch_size=2))
    assert data.asked == [0, 1, 2, 3, 4]
    assert [type(b) for b in batches] == [tuple] * 3
    np.testing.assert_array_equal(batches[1][0], [2, 3])
    np.testing.assert_array_equal(batches[1][1], [[2, 4], [3, 9]])
    assert batches[1][1].dtype == np.float32


def test_a_dataset_has_the_order_that_arrays_have():
    rows = numbers(Loader(np.arange(23), batch_size=5, shuffle=True, generator=Generator(2)))
    data = Squares(23)
    found = [i.tolist() for i, _ in Loader(data, batch_size=5, shuffle=True, generator=Generator(2))]
    assert found == rows and data.asked == flat(rows)


def test_a_list_is_a_dataset_and_single_samples_give_tuples_too():
    assert [b[0].tolist() for b in Loader([3, 1, 2], batch_size=2)] == [[3, 1], [2]]


def test_a_dataset_is_moved_batch_by_batch(device):
    for i, x in Loader(Squares(5), batch_size=2, device=device):
        assert backend.device_of(i) == backend.device_of(x) == device


def test_own_collate():
    loader = Loader(Squares(4), batch_size=2, collate=lambda samples: {"n": len(samples), "i": np.array(samples[0][0])})
    assert list(loader) == [{"n": 2, "i": 0}, {"n": 2, "i": 2}]


def test_collate_of_every_kind():
    assert collate([1, 2]).dtype == np.int64 and collate([True, False]).dtype == bool
    assert collate([0.5, 2.0]).dtype == np.float32
    assert collate([np.float64(0.5), np.float64(2)]).dtype == np.float64
    found = collate([{"x": [1, (2.0, 3)]}, {"x": [4, (5.0, 6)]}])
    assert list(found) == ["x"] and type(found["x"]) is tuple
    np.testing.assert_array_equal(found["x"][0], [1, 4])
    np.testing.assert_array_equal(found["x"][1][1], [3, 6])


@pytest.mark.parametrize(
    "samples, reason",
    [
        ([np.zeros(3), np.zeros(3), np.zeros(2)], r"\(3,\) and \(2,\) \(numbers 0 and 2 of the batch\)"),
        ([(1, 2), (1,)], r"equal lengths, got \[1, 2\]"),
        ([{"a": 1}, {"b": 1}], r"equal keys, got \['a'\] and \['b'\]"),
    ],
)
def test_collate_refuses_what_does_not_fit(samples, reason):
    with pytest.raises(ValueError, match=reason):
        collate(samples)


def test_arrays_are_moved_once(device):
    x = np.arange(10)
    loader = Loader(x, batch_size=4, device=device, shuffle=True)
    assert all(backend.device_of(b) == device for (b,) in loader)
    assert sorted(flat(numbers(loader))) == list(range(10))


def test_auto_is_the_device_at_hand(device):
    assert Loader(np.arange(3), device="auto").device == device


def test_tensors_give_their_arrays(dev):
    x = cunet.tensor(dev(np.arange(4, dtype=np.float32)))
    batches = list(Loader(x, batch_size=3))
    assert all(backend.is_array(b) for (b,) in batches)
    assert list(Loader([x, x]))[0][0].shape == (2, 4)


def test_mapped_files_are_arrays(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(7))
    loader = Loader(np.load(tmp_path / "x.npy", mmap_mode="r"), batch_size=3, shuffle=True)
    assert sorted(flat(numbers(loader))) == list(range(7))


@pytest.mark.parametrize(
    "data, kwargs, error, reason",
    [
        ((np.zeros((5, 2)), np.zeros(4)), {}, ValueError, r"number 0 has shape \(5, 2\) and number 1 has shape \(4,\)"),
        ((np.zeros(5),), {"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ((np.zeros(5),), {"batch_size": 2.5}, TypeError, "float"),
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


class OnGpu:
    """An array that can be indexed only with its own kind, as CuPy's."""

    def __init__(self, x):
        self.x = x

    shape = property(lambda self: self.x.shape)
    ndim = property(lambda self: self.x.ndim)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, rows):
        assert isinstance(rows, (slice, OnGpu)), "an index of the wrong device"
        return OnGpu(self.x[rows.x if isinstance(rows, OnGpu) else rows])


class FakeGpu:
    """Stands for CuPy and counts uploads."""

    ndarray = OnGpu

    def __init__(self):
        self.uploads = 0

    def asarray(self, x):
        self.uploads += 1
        return OnGpu(x)


@pytest.mark.cpu_only
def test_on_the_gpu_an_epoch_costs_one_upload(monkeypatch):
    gpu = FakeGpu()
    monkeypatch.setattr(backend, "_gpu", gpu)
    loader = Loader(np.arange(20), np.arange(20) * 10, batch_size=3, shuffle=True, device="gpu")
    assert gpu.uploads == 2
    seen = [(x.x, y.x) for x, y in loader]
    assert gpu.uploads == 3
    assert sorted(flat(x.tolist() for x, _ in seen)) == list(range(20))
    assert all((y == 10 * x).all() for x, y in seen)
    list(Loader(OnGpu(np.arange(5)), batch_size=2))
    list(Loader(OnGpu(np.arange(5)), batch_size=2, shuffle=True))
    assert gpu.uploads == 4
    with pytest.raises(ValueError, match="one device, got gpu, cpu; pass device="):
        Loader(OnGpu(np.arange(5)), np.arange(5))


def test_orders_of_successive_epochs_are_unrelated():
    loader = Loader(np.arange(1000), batch_size=1000, shuffle=True, generator=Generator(1))
    orders = [numbers(loader)[0] for _ in range(5)]
    # two random orders of 1000 have one fixed point in common on average
    assert all(sum(a == b for a, b in zip(p, q, strict=True)) < 10 for p, q in pairwise(orders))
