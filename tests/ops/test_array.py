"""Assembly of arrays over shapes that vary."""

import itertools

import numpy as np
import pytest
from helpers import host
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import cunet
from cunet import Tensor
from cunet.testing import gradcheck

quick = settings(max_examples=50)
shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)


@quick
@given(shape=hnp.array_shapes(max_dims=3, min_side=0, max_side=3), data=st.data())
def test_concatenate_and_split(shape, data, dev):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    lengths = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    k = axis % len(shape)
    arrays = [np.random.default_rng(i).standard_normal((*shape[:k], n, *shape[k + 1 :])) for i, n in enumerate(lengths)]
    whole = cunet.concatenate([Tensor(dev(a)) for a in arrays], axis=axis)
    np.testing.assert_array_equal(host(whole), np.concatenate(arrays, axis=axis))
    cuts = list(itertools.accumulate(lengths))[:-1]
    for part, a in zip(cunet.split(whole, cuts, axis), arrays, strict=True):
        np.testing.assert_array_equal(host(part), a)
    gradcheck(lambda *xs: cunet.concatenate(xs, axis), *[dev(a) for a in arrays])
    gradcheck(lambda x: cunet.split(x, cuts, axis=axis), whole.data)


@quick
@given(shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3), n=st.integers(1, 3), data=st.data())
def test_stack(shape, n, data, dev):
    axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
    arrays = [np.random.default_rng(i).standard_normal(shape) for i in range(n)]
    np.testing.assert_array_equal(
        host(cunet.stack([dev(np.asarray(a)) for a in arrays], axis)), np.stack(arrays, axis=axis)
    )
    gradcheck(lambda *xs: cunet.stack(xs, axis), *[dev(a) for a in arrays])


@quick
@given(shape=shapes, data=st.data())
def test_pad_tile_repeat_flip(shape, data, dev):
    a = np.random.default_rng(len(shape)).standard_normal(shape)
    widths = [data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2))) for _ in shape]
    reps = data.draw(st.lists(st.integers(0, 2), max_size=4).map(tuple))
    axis = data.draw(st.sampled_from([None, *range(-len(shape), len(shape))]))
    length = a.size if axis is None else shape[axis]
    counts = data.draw(st.one_of(st.integers(0, 3), st.lists(st.integers(0, 3), min_size=length, max_size=length)))
    if shape:  # NumPy pads no 0-d array
        np.testing.assert_array_equal(
            host(cunet.pad(Tensor(dev(a)), widths, -1.5)), np.pad(a, widths, constant_values=-1.5)
        )
        gradcheck(lambda x: cunet.pad(x, widths, -1.5), dev(a))
    for f, expected in [
        (lambda x: cunet.tile(x, reps), np.tile(a, reps)),
        (lambda x: cunet.repeat(x, counts, axis), np.repeat(a, counts, axis)),
        (lambda x: cunet.flip(x, axis), np.flip(a, axis)),
    ]:
        np.testing.assert_array_equal(host(f(Tensor(dev(a)))), expected)
        gradcheck(f, dev(a))


@quick
@given(shape=shapes, data=st.data())
def test_moving_axes(shape, data, dev):
    a = np.random.default_rng(len(shape)).standard_normal(shape)
    order = data.draw(st.permutations(range(len(shape))))
    signed = [k - len(shape) if data.draw(st.booleans()) else k for k in order]
    new = data.draw(st.lists(st.integers(0, len(shape) + 1), max_size=2, unique=True)) if len(shape) < 3 else [0]
    assume(all(k < len(shape) + len(new) for k in new))
    ones = tuple(k for k, n in enumerate(shape) if n == 1)
    for f, expected in [
        (lambda x: cunet.transpose(x, signed), np.transpose(a, signed)),
        (lambda x: cunet.expand_dims(x, tuple(new)), np.expand_dims(a, tuple(new))),
        (lambda x: cunet.squeeze(x), np.squeeze(a)),
        (lambda x: cunet.squeeze(x, ones), np.squeeze(a, ones)),
        (lambda x: cunet.broadcast_to(x, (2, *shape)), np.broadcast_to(a, (2, *shape))),
    ]:
        np.testing.assert_array_equal(host(f(Tensor(dev(a)))), expected)
        gradcheck(f, dev(a))


def test_nothing_to_join(dev):
    for f in (cunet.concatenate, cunet.stack):
        with pytest.raises(ValueError, match=rf"{f.__name__}: at least one tensor is required, got none"):
            f([])


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x: cunet.repeat(x, (1, 2), 0), "could not be broadcast"),
        (lambda x: cunet.repeat(x, 3, 1), "axis 1 is out of bounds"),
        (lambda x: cunet.split(x, 1), r"split: 1 or more parts of at least one axis .* got 1 of shape \(\)"),
        (lambda x: cunet.split(cunet.reshape(x, (1,)), 0), r"split: 1 or more parts .* got 0 of shape \(1,\)"),
    ],
    ids=["counts", "axis", "0-d", "no parts"],
)
def test_what_cannot_be_repeated_or_split_is_refused(call, message, dev):
    with pytest.raises(ValueError, match=message):
        call(Tensor(dev(np.float32(2))))


def test_a_number_is_repeated_as_one_element(dev):
    x = Tensor(dev(np.float32(2)), requires_grad=True)
    y = cunet.repeat(x, 3, 0)
    np.testing.assert_array_equal(host(y), np.float32([2, 2, 2]))
    y.sum().backward()
    assert host(x.grad) == 3
