"""What a loader takes and where batches lie: datasets, collation, devices, mapped files."""

import numpy as np
import pytest
from helpers import host
from loader_helpers import flat, numbers

import cunet
from cunet import device as backend
from cunet.data import Loader, collate
from cunet.random import Generator


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


class OnGpu:
    """An array that can be indexed only with its own kind, as CuPy's."""

    def __init__(self, x):
        self.x = x

    shape = property(lambda self: self.x.shape)
    ndim = property(lambda self: self.x.ndim)
    dtype = property(lambda self: self.x.dtype)

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


def test_a_tuple_or_dict_of_arrays_is_arrays(dev):
    x, y = dev(np.arange(10).reshape(5, 2)), dev(np.arange(5))
    batches = list(Loader((x, y), batch_size=2))
    assert [host(b).tolist() for _, b in batches] == [[0, 1], [2, 3], [4]]
    assert host(batches[2][0]).tolist() == [[8, 9]]
    named = list(Loader({"x": x, "y": cunet.Tensor(y)}, batch_size=3, shuffle=True))
    assert [list(batch) for batch in named] == [["x", "y"]] * 2
    for batch in named:
        np.testing.assert_array_equal(host(batch["x"])[:, 0], 2 * host(batch["y"]))
    with pytest.raises(ValueError, match="equal lengths"):
        Loader((x, y[:3]))
    with pytest.raises(ValueError, match="equal lengths"):
        Loader({"x": x, "y": y[:3]})


def test_floating_arrays_are_converted_once_and_integers_stay(dev):
    x, labels = dev(np.arange(10.0).reshape(5, 2)), dev(np.arange(5))
    loader = Loader(x, labels, batch_size=2, dtype=np.float32)
    assert [a.dtype for a in loader.arrays] == [np.float32, np.int64]
    for batch in loader:
        assert [a.dtype for a in batch] == [np.float32, np.int64]
    again = loader.astype(np.float64)
    assert next(iter(again))[0].dtype == np.float64 and loader.arrays[0].dtype == np.float32
    assert loader.astype(np.float32).arrays[0] is loader.arrays[0]  # nothing is copied that fits
    assert loader.state_dict() == again.state_dict() and loader.state_dict()["next_batch"] == 1
    with pytest.raises(TypeError, match="Loader: dtype must be floating, got int64"):
        Loader(x, dtype=np.int64)
    samples = Loader([(float(i), i) for i in range(3)], batch_size=3, dtype=np.float16)
    assert [a.dtype for a in next(iter(samples))] == [np.float16, np.int64]


@pytest.mark.cpu_only
def test_what_is_mapped_from_a_file_is_converted_when_it_is_cut(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(12.0).reshape(6, 2))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for loader in (Loader(mapped, batch_size=4, dtype=np.float32, device="cpu"), Loader(mapped).astype(np.float32)):
        assert loader.arrays[0] is mapped
        (batch, *_) = next(iter(loader))
        assert batch.dtype == np.float32 and batch[1].tolist() == [2, 3]


@pytest.mark.cpu_only
def test_what_can_be_read_as_an_array_says_how():
    class DataFrame(list):
        __module__ = "pandas"

        def to_numpy(self):
            return np.array(self)

    frame = DataFrame([[1.0], [2.0]])
    with pytest.raises(TypeError, match=r"number 0 is pandas DataFrame; pass its \.to_numpy\(\)"):
        Loader(frame, np.arange(2))
    with pytest.raises(TypeError, match=r"required, got pandas DataFrame; pass its \.to_numpy\(\)"):
        Loader(frame)
