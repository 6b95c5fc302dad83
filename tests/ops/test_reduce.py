"""Reductions, products and assembly over shapes that vary."""

import itertools
import math

import numpy as np
import pytest
from helpers import host
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import cunet
from cunet import Tensor
from cunet.ops.linalg import linear
from cunet.testing import gradcheck

quick = settings(max_examples=50)
seeds = st.integers(0, 2**32 - 1)
shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)


def apart(shape, seed):
    """Numbers of which no two are near each other, for maxima."""
    size = math.prod(shape)
    return (np.random.default_rng(seed).permutation(size) * 0.25 + 0.5).reshape(shape)


@st.composite
def reductions(draw, min_side=0):
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=min_side, max_side=3))
    axes = draw(st.lists(st.integers(0, len(shape) - 1), unique=True)) if shape else []
    signed = tuple(a - len(shape) if draw(st.booleans()) else a for a in axes)
    axis = draw(st.sampled_from([None, signed] + ([signed[0]] if signed else [])))
    return shape, axis, draw(st.booleans()), draw(seeds)


@pytest.mark.parametrize("name", ["sum", "prod", "logsumexp"])
@quick
@given(case=reductions())
def test_reductions_with_a_neutral_value(name, case, dev):
    shape, axis, keepdims, seed = case
    a = np.random.default_rng(seed).uniform(-1, 2, shape)
    f = getattr(cunet, name)
    y = f(Tensor(dev(a)), axis=axis, keepdims=keepdims)
    with np.errstate(divide="ignore"):
        expected = (
            np.log(np.exp(a).sum(axis, keepdims=keepdims))
            if name == "logsumexp"
            else getattr(a, name)(axis, keepdims=keepdims)
        )
    np.testing.assert_allclose(host(y), expected, rtol=1e-13, atol=1e-14)
    if a.size:
        gradcheck(lambda x: f(x, axis=axis, keepdims=keepdims), dev(a))
    else:
        x = Tensor(dev(a), requires_grad=True)
        f(x, axis=axis, keepdims=keepdims).sum().backward()
        assert x.grad.shape == shape


@pytest.mark.parametrize("name", ["mean", "var", "std", "max", "min"])
@quick
@given(case=reductions(min_side=1))
def test_reductions_of_at_least_one_value(name, case, dev):
    shape, axis, keepdims, seed = case
    a = apart(shape, seed)
    f = getattr(cunet, name)
    y = f(Tensor(dev(a)), axis=axis, keepdims=keepdims)
    np.testing.assert_allclose(host(y), getattr(np, name)(a, axis, keepdims=keepdims), rtol=1e-13)
    if name == "std":
        assume((host(y) > 0).all())  # a kink
    gradcheck(lambda x: f(x, axis=axis, keepdims=keepdims), dev(a))


@quick
@given(shape=shapes, data=st.data())
def test_cumsum(shape, data, dev):
    axis = data.draw(st.sampled_from([None, *range(-len(shape), len(shape))]))
    a = np.random.default_rng(0).standard_normal(shape)
    np.testing.assert_allclose(host(cunet.cumsum(Tensor(dev(a)), axis=axis)), np.cumsum(a, axis), rtol=1e-13)
    gradcheck(lambda x: cunet.cumsum(x, axis=axis), dev(a))


@pytest.mark.parametrize("name", ["sum", "max", "min", "prod", "cumsum"])  # not mean, in NumPy either
@pytest.mark.parametrize("axis", [0, -1])
def test_a_0d_tensor_has_an_axis_to_reduce_as_in_numpy(name, axis, dev):
    x = Tensor(dev(3.0), requires_grad=True)
    y = getattr(cunet, name)(x, axis=axis)
    assert host(y).item() == 3
    y.backward(dev(np.ones(y.shape)))
    assert host(x.grad) == 1


def test_ties_share_the_gradient_evenly(dev):
    x = Tensor(dev([[2.0, 1.0, 2.0], [5.0, 5.0, 5.0]]), requires_grad=True)
    x.max(axis=1).sum().backward()
    np.testing.assert_allclose(host(x.grad), [[0.5, 0, 0.5], [1 / 3, 1 / 3, 1 / 3]])
    x.grad = None
    x.min().backward()
    assert host(x.grad).tolist() == [[0, 1, 0], [0, 0, 0]]
    a, b = (Tensor(dev([1.0]), requires_grad=True) for _ in range(2))
    cunet.maximum(a, b).backward()
    assert (host(a.grad), host(b.grad)) == (0.5, 0.5)


def test_a_nan_is_the_extreme_and_gets_the_gradient(dev):
    x = Tensor(dev([[2.0, math.nan, 3.0], [1.0, 2.0, 0.0]]), requires_grad=True)
    y = x.max(axis=1)
    np.testing.assert_array_equal(host(y), [math.nan, 2])
    y.sum().backward()
    assert host(x.grad).tolist() == [[0, 1, 0], [0, 1, 0]]


def test_spread_of_equal_values_has_gradient_zero(dev):
    x = Tensor(dev([[3.0, 3.0], [1.0, 5.0]]), requires_grad=True)
    x.std(axis=1).sum().backward()
    assert host(x.grad).tolist() == [[0, 0], [-0.5, 0.5]]


def test_too_few_values_for_a_variance(dev):
    for f in (cunet.var, cunet.std):
        with pytest.raises(ValueError, match=rf"{f.__name__}: ddof=1 needs more than 1 values over axis 0, got 1"):
            f(Tensor(dev(np.ones((1, 4)))), axis=0, ddof=1)


@pytest.mark.parametrize(
    ("values", "expected", "gradient"),
    [
        ([1000.0, 1000.0], 1000 + math.log(2), [0.5, 0.5]),
        ([-1000.0, -1000.0], -1000 + math.log(2), [0.5, 0.5]),
        ([-math.inf, 0.0], 0, [0, 1]),
        ([-math.inf, -math.inf], -math.inf, [0, 0]),
        ([math.inf, 0.0], math.inf, None),
        ([math.nan, 0.0], math.nan, None),
    ],
)
def test_logsumexp_at_the_edges(values, expected, gradient, dev):
    x = Tensor(dev(values), requires_grad=True)
    y = cunet.logsumexp(x)
    np.testing.assert_allclose(host(y), expected, rtol=1e-15)
    y.backward()
    if gradient is not None:
        np.testing.assert_allclose(host(x.grad), gradient, rtol=1e-12)


def test_half_types_are_accumulated_in_float32(dev):
    n = 70_000  # more than float16 can count, or hold
    x = Tensor(dev(np.full(n, 0.5, np.float16)), requires_grad=True)
    assert host(x.sum()) == 35_000
    assert host(cunet.cumsum(x))[-1] == 35_000
    y = x.mean()
    assert y.dtype == np.float16 and host(y) == 0.5
    (y * 1024).backward()
    np.testing.assert_allclose(host(x.grad).astype(float), 1024 / n, rtol=1e-3)
    x.grad = None
    (x.max() * 1024).backward()
    np.testing.assert_allclose(host(x.grad).astype(float), 1024 / n, rtol=1e-3)
    a = Tensor(dev(np.full((2, 5000), 1.0, np.float16)), requires_grad=True)
    assert host(a @ a.T).tolist() == [[5000, 5000], [5000, 5000]]
    assert (a @ a.T).dtype == np.float16
    assert host(cunet.einsum("ij,kj->ik", a, a)).tolist() == [[5000, 5000], [5000, 5000]]
    for stretched in (cunet.tile(a[:, :1], (1, 5000)), cunet.repeat(a[:, :1], 5000, axis=1)):
        a.grad = None
        stretched.backward(dev(np.ones((2, 5000), np.float16)))
        assert host(a.grad)[:, 0].tolist() == [5000, 5000]


def test_integers_reduce_as_in_numpy(dev):
    x = Tensor(dev([1, 2, 4]))
    assert (x.sum().dtype, x.mean().dtype, x.var().dtype) == (np.int64, np.float64, np.float64)
    assert x.sum().item() == 7
    assert x.mean().item() == pytest.approx(7 / 3)
    assert x.var().item() == pytest.approx(14 / 9)


@st.composite
def products(draw):
    n, k, m = (draw(st.integers(0, 3)) for _ in range(3))
    batches = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, min_side=0, max_side=3)).input_shapes
    left, right = (*batches[0], n, k), (*batches[1], k, m)
    if draw(st.booleans()):
        left = (k,)
    if draw(st.booleans()):
        right = (k,)
    return left, right, draw(seeds)


@quick
@given(case=products())
def test_matmul(case, dev):
    left, right, seed = case
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal(left), rng.standard_normal(right)
    y = Tensor(dev(a)) @ Tensor(dev(b))
    np.testing.assert_allclose(host(y), np.matmul(a, b), rtol=1e-12, atol=1e-13)
    gradcheck(cunet.matmul, dev(a), dev(b))


def test_products_over_an_axis_of_length_0(dev):
    for f, shapes in [(cunet.matmul, [(5, 2, 0), (0, 3)]), (linear, [(5, 2, 0), (3, 0), (3,)])]:
        arrays = [Tensor(dev(np.ones(s)), requires_grad=True) for s in shapes]
        y = f(*arrays)
        assert y.shape == (5, 2, 3)
        y.sum().backward()
        assert [x.grad.shape for x in arrays] == shapes
    x, w = (Tensor(dev(np.ones(s)), requires_grad=True) for s in ((5, 2, 4), (0, 4)))
    linear(x, w).sum().backward()
    assert not host(x.grad).any()


def test_matmul_names_what_does_not_fit(dev):
    x = Tensor(dev(np.ones((2, 3))))
    with pytest.raises(ValueError, match=r"matmul: inner lengths must be equal, got shapes \(2, 3\) and \(2, 3\)"):
        x @ x
    with pytest.raises(ValueError, match="at least 1 axis"):
        x @ 2.0


@st.composite
def subscripts(draw):
    """Random valid einsums: any letters, repeated ones, letters summed alone, ellipses, implicit output."""
    lengths = {c: draw(st.integers(0, 3)) for c in "abcd"}
    dots = draw(st.lists(st.integers(1, 3), max_size=2))
    inputs, shapes = [], []
    for _ in range(draw(st.integers(1, 3))):
        letters = draw(st.text("abcd", max_size=3))
        shape = [lengths[c] for c in letters]
        if draw(st.booleans()):
            at = draw(st.integers(0, len(letters)))
            own = dots[draw(st.integers(0, len(dots))) :]
            own = [1 if draw(st.booleans()) else n for n in own]
            letters, shape = letters[:at] + "..." + letters[at:], shape[:at] + own + shape[at:]
        inputs.append(letters)
        shapes.append(tuple(shape))
    left = ",".join(inputs)
    if draw(st.booleans()):
        return left, shapes, draw(seeds)
    letters = draw(st.permutations(sorted(set(left) & set("abcd"))))
    output = "".join(letters[: draw(st.integers(0, len(letters)))])
    if "..." in left:
        at = draw(st.integers(0, len(output)))
        output = output[:at] + "..." + output[at:]
    return f"{left}->{output}", shapes, draw(seeds)


@settings(max_examples=150)
@given(case=subscripts())
def test_einsum(case, dev):
    text, shapes, seed = case
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(s) for s in shapes]
    y = cunet.einsum(text, *[Tensor(dev(a)) for a in arrays])
    np.testing.assert_allclose(host(y), np.einsum(text, *arrays), rtol=1e-11, atol=1e-12)
    gradcheck(lambda *xs: cunet.einsum(text, *xs), *[dev(a) for a in arrays])


def test_einsum_names_what_does_not_fit(dev):
    x = Tensor(dev(np.ones((2, 3))))
    with pytest.raises(ValueError, match="names 2 operands, got 1"):
        cunet.einsum("ij,jk->ik", x)
    with pytest.raises(ValueError, match="'ijk' does not fit an operand of 2 axes"):
        cunet.einsum("ijk->i", x)
    with pytest.raises(ValueError, match="'i' does not fit an operand of 2 axes"):
        cunet.einsum("i->i", x)


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
