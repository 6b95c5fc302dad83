"""Copies into arrays that are there, and reshape and concatenate by them, against NumPy's."""

import numpy as np
import pytest

from cunet.kernels import assign as module
from cunet.kernels.assign import assign, concatenated, reshaped, stacked, zeros
from cunet.kernels.backends.native import native
from cunet.kernels.backends.numpy import tuning as settings

pytestmark = pytest.mark.cpu_only

DTYPES = ["f4", "f8", "i4", "i8", "u8", "?", "f2", "i2", ">f4"]
VIEWS = [
    lambda a: a,
    lambda a: a.transpose(0, 2, 1, 3),
    lambda a: a.transpose(3, 1, 2, 0),
    lambda a: a[::-1, ::2, :, ::3],
    lambda a: a[:, 1],
    lambda a: a[1, 2, 3, 1, ...],
    lambda a: a[:, :0],
    lambda a: a[:, :1, None],
]


@pytest.fixture(params=[1, 3])
def long(request, monkeypatch):
    """Take every array for a long one; in one thread, or three."""
    monkeypatch.setattr(module, "_suits", lambda x: type(x) is np.ndarray)
    monkeypatch.setattr(native, "threads", request.param)


def drawn(rng, dtype):
    return (rng.standard_normal((5, 6, 7, 40)) * 100).astype(dtype)


def test_assign_writes_what_numpy_writes(long, rng):
    for dtype in DTYPES:
        a, b = drawn(rng, dtype), drawn(rng, dtype)
        for view in VIEWS:
            expected, found = b.copy(), b.copy()
            view(expected)[...] = view(a)
            assign(view(found), view(a))
            assert found.tobytes() == expected.tobytes(), (dtype, VIEWS.index(view))


def test_assign_broadcasts_and_clears(long, rng):
    a = drawn(rng, "f4")
    for x in (a[0], a[:, :1], a[..., :1], a[0, 0, 0], a[0, 0, 0, :1], np.float32(3).reshape(()), 0):
        expected, found = a + 1, a + 1
        expected[...] = x
        assign(found, x)
        assert found.tobytes() == expected.tobytes()
    mixed = np.zeros(3)
    assign(mixed, np.arange(3))  # of another dtype: NumPy converts
    assert mixed.tolist() == [0, 1, 2]


def test_assign_of_many_neighbours_is_shared(monkeypatch, rng):
    monkeypatch.setattr(native, "threads", 3)
    x = rng.standard_normal(3_000_001).astype(np.float32)
    y = np.empty_like(x)
    assign(y, x)
    assert y.tobytes() == x.tobytes()


def test_assign_refuses_what_numpy_refuses(long):
    a = np.zeros((2, 3), np.float32)
    with pytest.raises(ValueError):
        assign(a, np.zeros((3, 2), np.float32))
    a.flags.writeable = False
    with pytest.raises(ValueError):
        assign(a, np.zeros((2, 3), np.float32))


def test_reshaped(long, rng):
    for dtype in DTYPES:
        a = drawn(rng, dtype)
        for view in VIEWS:
            v = view(a)
            for shape in (-1, (v.size,), (1, *v.shape), v.shape):
                expected, found = v.reshape(shape), reshaped(v, shape)
                assert found.shape == expected.shape and found.tobytes() == expected.tobytes()
                assert np.shares_memory(found, a) == np.shares_memory(expected, a)
    with pytest.raises(ValueError, match="cannot reshape array"):
        reshaped(a.transpose(), (3, -1, 11))


def test_concatenated(long, rng):
    a = drawn(rng, "f4")
    for axis in (0, 1, -1, None):
        for parts in ([a, a + 1], [a], [a.transpose(0, 2, 1, 3)] * 2, [a, a.astype("f8")]):
            expected, found = np.concatenate(parts, axis=axis), concatenated(parts, axis)
            assert (found.dtype, found.shape, found.strides) == (expected.dtype, expected.shape, expected.strides)
            assert found.tobytes() == expected.tobytes()
    for axis in (4, -5):
        with pytest.raises(np.exceptions.AxisError):
            concatenated([a, a], axis)
    with pytest.raises(ValueError):
        concatenated([a, a[:, :3]], 0)


def test_stacked(long, rng):
    a = drawn(rng, "f4")
    for axis in (0, 2, 4, -1, -5):
        for part in (a, a[0, 0, 0, 0, ...], a.transpose(0, 2, 1, 3)):
            if axis < part.ndim + 1 and -axis <= part.ndim + 1:
                expected, found = np.stack([part, part + 1], axis), stacked([part, part + 1], axis)
                assert (found.shape, found.strides) == (expected.shape, expected.strides)
                assert found.tobytes() == expected.tobytes()
    with pytest.raises(np.exceptions.AxisError):
        stacked([a, a], 5)
    with pytest.raises(ValueError, match="same shape"):
        stacked([a, a[:2]], 0)


def test_zeros():
    assert zeros(np.ones(3), (2, 3), np.float32).tolist() == [[0.0] * 3] * 2


def test_long_arrays_are_copied_by_the_runtime(monkeypatch, rng):
    calls = []
    monkeypatch.setattr(module, "assign", lambda y, x: calls.append(x.shape) or assign(y, x))
    a = rng.standard_normal((settings.tuning.long // 64 + 1, 64)).astype(np.float32)
    assert reshaped(a.T, -1).tobytes() == a.T.tobytes()
    reshaped(a[:2].T, -1), reshaped(a, -1)
    assert calls == ([a.T.shape] if native.active else [])
