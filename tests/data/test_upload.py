"""Batches on their way to a GPU: values, and the order of work on two streams. On the simulated device."""

import ml_dtypes
import numpy as np
import pytest

import sim
from cunet.data import Loader, upload
from cunet.data.upload import Uploads, uploaded

xp = sim.namespace_or_skip()
pytestmark = pytest.mark.usefixtures("simulated")

ARRAYS = {
    "floats": np.arange(12, dtype="f").reshape(3, 4),
    "transposed": np.arange(12, dtype="f").reshape(3, 4).T,
    "backwards": np.arange(12, dtype="d")[::-1],
    "halves": np.arange(5, dtype="e"),
    "brain": np.arange(5).astype(ml_dtypes.bfloat16),
    "labels": np.arange(7),
    "flags": np.array([True, False, True]),
    "number": np.array(3.0),
    "nothing": np.ones((0, 3), "f"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_what_arrives_is_what_was_sent(name):
    x = ARRAYS[name]
    for _ in range(3):
        y = uploaded(x, "gpu")
        assert type(y) is xp.ndarray and y.dtype == x.dtype and y.base is None
        np.testing.assert_array_equal(y.get(), x)


def test_arrays_that_arrived_are_not_overwritten():
    sent = [np.full((3, 4), k, "f") for k in range(20)]
    arrived = [uploaded(x, "gpu") for x in sent]
    for x, y in zip(sent, arrived, strict=True):
        np.testing.assert_array_equal(y.get(), x)


def test_one_upload_and_one_copy_each_and_no_wait():
    x = np.ones((3, 4), "f")
    uploaded(x, "gpu")
    with xp._stats.forbid("syncs"), xp._stats.counting() as counted:
        uploaded(x, "gpu")
    assert (counted["uploads"], counted["ops"], counted["launches"]) == (1, 1, 0)


def test_the_cpu_and_arrays_that_are_there_are_left_alone():
    x = np.ones(3)
    assert uploaded(x, "cpu") is x
    y = xp.asarray(x)
    assert uploaded(y, "gpu") is y


@pytest.fixture
def order(monkeypatch):
    """What the streams and events of the simulated device are asked to do, in order."""
    log, cuda = [], xp.cuda
    names = {id(cuda.Stream.null): "computing"}

    def name(stream):
        return names.get(id(stream), "copying")

    for cls, method in ((cuda.Stream, "wait_event"), (cuda.Event, "record"), (xp.ndarray, "set")):
        plain = getattr(cls, method)

        def spy(self, *args, plain=plain, method=method, **kw):
            stream = self if method == "wait_event" else kw.get("stream") or args[-1]
            other = args[0] if method == "wait_event" else self
            log.append((method, name(stream), id(other) if method != "set" else None))
            return plain(self, *args, **kw)

        monkeypatch.setattr(cls, method, spy)
    return log


def test_each_stream_waits_for_the_other(order):
    uploads = Uploads(xp)
    uploads(np.ones(4, "f"))
    (slot,) = uploads._slots
    arrived, taken = id(slot.arrived), id(slot.taken)
    once = [
        ("wait_event", "copying", taken),
        ("set", "copying", None),
        ("record", "copying", arrived),
        ("wait_event", "computing", arrived),
        ("record", "computing", taken),
    ]
    assert order == [("record", "computing", taken), *once]  # new room waits for who had it before
    uploads(np.ones(3, "f"))
    assert order[6:] == once


def test_memory_that_is_still_read_is_not_written():
    uploads = Uploads(xp)
    for k in range(upload._SLOTS):
        uploads(np.ones(4, "f"))
        assert len(uploads._slots) == k + 1
        for slot in uploads._slots:
            slot.arrived.done = False
    with xp._stats.counting() as counted:
        uploads(np.ones(4, "f"))
    assert counted["syncs"] == 1
    assert len(uploads._slots) == upload._SLOTS


def test_large_arrays_keep_no_room(monkeypatch):
    monkeypatch.setattr(upload, "_LARGEST", 64)
    monkeypatch.setattr(upload, "_uploads", {})
    assert uploaded(np.ones(17, "f"), "gpu").sum().item() == 17
    assert not upload._uploads


def test_loaders_of_datasets_use_it_and_what_is_moved_once_does_not(monkeypatch):
    monkeypatch.setattr(upload, "_uploads", {})
    list(Loader(np.ones((6, 2), "f"), batch_size=2, device="gpu"))
    assert not upload._uploads
    list(Loader([np.ones(2, "f")] * 6, batch_size=2, device="gpu"))
    assert len(upload._uploads) == 1
