"""Indexing: every kind that NumPy knows, with gradients that add up where an element was picked more than once."""

import numpy as np
import pytest
from helpers import host
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import cunet
from cunet import Tensor
from cunet import device as backend

quick = settings(max_examples=100)
shapes = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)


def check(dev, shape, index, move=lambda index: index):
    """Compare value and gradient of ``x[index]`` with counting which element went where."""
    size = int(np.prod(shape))
    a = np.arange(1.0, size + 1).reshape(shape)
    picked = np.arange(size).reshape(shape)[index]
    x = Tensor(dev(a), requires_grad=True)
    y = x[move(index)]
    assert y.shape == picked.shape
    np.testing.assert_array_equal(host(y), a[index])
    gy = np.asarray(np.arange(1.0, picked.size + 1)).reshape(picked.shape)
    y.backward(dev(gy))
    expected = [0.0] * size
    for k, g in zip(picked.ravel().tolist(), gy.ravel().tolist(), strict=True):
        expected[k] += g
    np.testing.assert_array_equal(host(x.grad), np.reshape(expected, shape))


@quick
@given(st.data())
def test_basic(dev, data):
    shape = data.draw(shapes)
    check(dev, shape, data.draw(hnp.basic_indices(shape, allow_newaxis=True)))


@quick
@given(st.data())
def test_integer_arrays(dev, data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=3))
    index = data.draw(
        hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, min_side=0, max_side=4))
    )
    check(dev, shape, index, lambda index: tuple(dev(i) for i in index))


@quick
@given(st.data())
def test_boolean_arrays(dev, data):
    shape = data.draw(hnp.array_shapes(max_dims=3, min_side=0, max_side=3))
    leading = shape[: data.draw(st.integers(1, len(shape)))]
    mask = data.draw(hnp.arrays(bool, leading))
    check(dev, shape, mask, dev)


def one_axis(n):
    return st.one_of(
        st.slices(n),
        st.lists(st.integers(-n, n - 1), min_size=2, max_size=2).map(np.array),
        st.integers(-n, n - 1),
    )


@quick
@given(st.data())
def test_mixtures_of_slices_numbers_arrays_and_new_axes(dev, data):
    shape = data.draw(hnp.array_shapes(max_dims=4, max_side=3))
    parts = [data.draw(one_axis(n)) for n in shape]
    if data.draw(st.booleans()):
        parts.insert(data.draw(st.integers(0, len(parts))), None)
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(parts)))
        parts[at : at + 2] = [...]
    check(
        dev,
        shape,
        tuple(parts),
        lambda index: tuple(dev(p) if isinstance(p, np.ndarray) else p for p in index),
    )


@pytest.mark.parametrize(
    "index",
    [
        (None, ..., slice(None, None, -1)),
        [0, 0, 1, 0],
        [[0, 1], [1, 1]],
        range(2),
        (slice(None), (0, 0, 2)),
        ([1, 0], [2, 2]),
        [True, False],
        ([True, False], slice(1, None)),
        [],
        np.int64(1),
        (),
        ...,
        True,
        False,
        (0, 0),
        (Ellipsis, None, 1),
        (np.array(1), [0, 0]),
    ],
    ids=str,
)
def test_ways_to_write_an_index(index, dev):
    plain = np.array(index) if isinstance(index, range) else index
    check(dev, (2, 3), plain, lambda _: index)


def test_tensors_as_indices(dev):
    x = Tensor(dev([1.0, 2.0, 3.0]), requires_grad=True)
    at = Tensor(dev([2, 2, 0]))
    (x[at] * 2).sum().backward()
    assert host(x.grad).tolist() == [2, 0, 4]
    assert host(x[Tensor(x.data > 1)]).tolist() == [2, 3]
    assert host(x[x > 1]).tolist() == [2, 3]


def test_repeated_indices_in_float16_add_up_in_float32(dev):
    x = Tensor(dev(np.zeros(2, np.float16)), requires_grad=True)
    x[dev(np.zeros(5000, np.int64))].sum().backward()  # float16 cannot count beyond 2048
    assert host(x.grad).tolist() == [5000, 0]
    assert x.grad.dtype == np.float16


def test_errors_are_those_of_numpy(dev):
    x = Tensor(dev([[1.0, 2.0]]))
    with pytest.raises(IndexError):
        x[5]
    with pytest.raises(IndexError):
        x[0, 0, 0]
    with pytest.raises(IndexError):
        x["a"]


def test_getitem_as_a_function_takes_arrays(dev):
    y = cunet.getitem(dev([1.0, 2.0]), slice(1, None))
    assert backend.is_array(y.data)
    assert host(y).tolist() == [2]


def test_sums_of_repeated_elements_are_taken_in_their_order(dev, device, rng, monkeypatch):
    """On a GPU atomics would add in another order in each run: float32 sums of such terms would show it."""
    gy = (rng.standard_normal(4000) * 10.0 ** rng.integers(-6, 6, 4000)).astype(np.float32)
    index = rng.integers(-5, 5, 4000)
    expected = np.zeros(5, np.float32)
    for i, g in zip(index, gy, strict=True):
        expected[i] += g
    if device == "gpu":
        monkeypatch.setattr(backend.gpu().add, "at", None)
    for place in (lambda i: dev(i), lambda i: (0, slice(None), dev(i))):
        a = dev(np.zeros((1, 1, 5) if isinstance(place(index), tuple) else 5, np.float32))
        x = Tensor(a, requires_grad=True)
        y = x[place(index)]
        y.backward(dev(gy.reshape(y.shape)))
        assert host(x.grad).tobytes() == expected.tobytes()
    x = Tensor(dev(np.zeros((2, 3), np.float32)), requires_grad=True)
    cunet.repeat(x, [2, 0, 3], axis=1).sum().backward()
    assert host(x.grad).tolist() == [[2, 0, 3]] * 2
