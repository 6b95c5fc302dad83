"""Reductions over shapes that vary."""

import math

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
        ([math.inf, 0.0, -math.inf], math.inf, [math.nan, 0, 0]),
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


@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "prod", "logsumexp", "softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [(0, 0), (1, -1)])
def test_an_axis_is_named_once(name, axis, dev):
    f = getattr(cunet, name, None) or getattr(cunet.F, name)
    with pytest.raises(ValueError, match="axis"):
        f(dev(np.ones((2, 3), np.float32)), axis=axis)


EDGES = {
    "var of a sum that overflows": (cunet.var, [3e38, 3e38, 1.0], math.inf, None),
    "std of a sum that overflows": (cunet.std, [3e38, 3e38, 1.0], math.inf, None),
    "std of large values": (cunet.std, [1e20, 1.0, -1e20], math.inf, [1 / math.sqrt(6), 0, -1 / math.sqrt(6)]),
    "std of small values": (cunet.std, [1e-25, 2e-25, 3e-25], 0, [-1 / math.sqrt(6), 0, 1 / math.sqrt(6)]),
    "prod in order": (cunet.prod, [1e-30, 1e-30, 1e30, 1e30], 0, [1e30, 1e30, 1e-30, 1e-30]),
    "prod with a zero": (cunet.prod, [1e-30, 1e-30, 0.0, 1e30, 1e30], 0, [0, 0, 1, 0, 0]),
    "prod with a zero, overflow": (cunet.prod, [1e30, 1e30, 1e-30, 0.0, 1e-30], math.nan, [0, 0, 0, 1, 0]),
    "prod with inf": (cunet.prod, [2.0, math.inf, 3.0], math.inf, [math.inf, 6, math.inf]),
}


@pytest.mark.parametrize("name", EDGES)
def test_values_and_gradients_where_a_step_between_leaves_the_range(name, dev):
    f, values, expected, gradient = EDGES[name]
    x = Tensor(dev(values, np.float32), requires_grad=True)
    with np.errstate(all="ignore"):
        y = f(x)
        np.testing.assert_array_equal(host(y), np.float32(expected))
        y.backward()
    if gradient is not None:
        np.testing.assert_allclose(host(x.grad), gradient, rtol=2e-6, atol=2e-20)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 64, 1000])
def test_the_gradient_of_a_long_product(length, dev, rng):
    values = rng.uniform(0.5, 1.5, length) * 2.0 ** rng.integers(-60, 60, length)
    values *= 2.0 ** -(np.log2(values).mean())  # so that the whole is near 1, and many a part is not
    x = Tensor(dev(values), requires_grad=True)
    y = cunet.prod(x)
    y.backward()
    logs = np.log2(values)
    np.testing.assert_allclose(host(x.grad), 2.0 ** (math.fsum(logs) - logs), rtol=1e-9)


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


@pytest.mark.parametrize("name", ["sum", "mean", "var", "max", "logsumexp"])
def test_an_axis_named_twice_is_refused(name, dev):
    for axis in ((0, 0), (1, -1)):
        with pytest.raises(ValueError, match="named once|duplicate"):
            getattr(cunet, name)(Tensor(dev(np.ones((2, 3)))), axis=axis)
    with pytest.raises(ValueError, match="named once|duplicate"):
        getattr(cunet, name)(Tensor(dev(np.ones(3))), axis=(0, -1))


@pytest.mark.parametrize("op", [cunet.F.softmax, cunet.F.log_softmax])
@pytest.mark.parametrize("axis", [(0, 0), 2, -3], ids=str)
def test_softmax_refuses_an_axis_that_is_not_there_or_there_twice(op, axis, dev):
    with pytest.raises(ValueError, match="named once|out of bounds"):
        op(Tensor(dev(np.ones((2, 3)))), axis=axis)


@pytest.mark.parametrize("op", [cunet.logsumexp, cunet.F.softmax, cunet.F.log_softmax])
def test_a_number_has_an_axis_0(op, dev):
    x = Tensor(dev(np.float64(3)), requires_grad=True)
    y = op(x, axis=0)
    assert host(y) == {"logsumexp": 3, "softmax": 1, "log_softmax": 0}[op.__name__]
    y.backward()
    assert host(x.grad) == (1 if op is cunet.logsumexp else 0)


@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "prod"])
def test_a_dtype_to_compute_in(name, dev, rng):
    a = rng.uniform(200, 300, (3, 4)).astype(np.float16)
    x = Tensor(dev(a), requires_grad=True)
    for y in (getattr(cunet, name)(x, axis=0, dtype=np.float64), getattr(x, name)(axis=0, dtype="float64")):
        assert y.dtype == np.float64
        np.testing.assert_allclose(host(y), getattr(np, name)(a.astype(np.float64), axis=0), rtol=1e-13)
    y.backward(dev(np.ones(4)))
    assert x.grad.dtype == np.float16
    whole = dev([200, 100], np.uint8)
    assert getattr(cunet, name)(whole, dtype=np.float32).dtype == np.float32
    assert cunet.sum(whole, dtype=np.float32).item() == 300
