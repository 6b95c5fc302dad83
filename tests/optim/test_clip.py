"""Clipping of gradients by norm and by value."""

import math

import numpy as np
import pytest
from helpers import host

from cunet import optim
from cunet.autograd.tensor import Tensor


def with_grads(dev, *grads):
    params = []
    for g in grads:
        g = np.asarray(g)
        params.append(Tensor(dev(np.zeros(g.shape, g.dtype)), requires_grad=True))
        params[-1].grad = dev(g)
    return params


def flat(params):
    return np.concatenate([host(p.grad).astype(np.float64).ravel() for p in params])


def test_norm_by_hand(dev):
    params = with_grads(dev, [3.0, 0.0], [[4.0], [12.0]])
    total = optim.clip_grad_norm_(params, 6.5)
    assert total.shape == () and type(total) is type(params[0].data) and float(total) == 13.0
    np.testing.assert_allclose(flat(params), [1.5, 0, 2, 6], rtol=1e-6)


def test_gradients_within_the_norm_are_kept_to_the_bit(dev, rng):
    g = rng.standard_normal(50).astype(np.float32)
    params = with_grads(dev, g)
    optim.clip_grad_norm_(params, 1000.0)
    np.testing.assert_array_equal(host(params[0].grad), g)


@pytest.mark.cpu_only
@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, 0.5, math.inf])
@pytest.mark.parametrize("max_norm", [0.1, 1000.0])
def test_norms_are_those_of_pytorch(norm_type, max_norm, dev, rng):
    torch = pytest.importorskip("torch")
    grads = [rng.standard_normal(s) for s in [(3, 4), (), (5,), (0, 2)]]
    params = with_grads(dev, *grads)
    theirs = [torch.nn.Parameter(torch.zeros(g.shape, dtype=torch.float64)) for g in map(np.asarray, grads)]
    for t, g in zip(theirs, grads, strict=True):
        t.grad = torch.tensor(np.asarray(g))
    ours = optim.clip_grad_norm_(params, max_norm, norm_type)
    other = torch.nn.utils.clip_grad_norm_(theirs[:3], max_norm, norm_type)
    np.testing.assert_allclose(float(ours), float(other), rtol=1e-12)
    for p, t in zip(params, theirs, strict=True):
        np.testing.assert_allclose(host(p.grad), t.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("norm_type", [2.0, 3.0])
@pytest.mark.parametrize(
    ("dtype", "size"), [(np.float32, 1e20), (np.float32, 1e-30), (np.float64, 1e200), (np.float16, 6e4)]
)
def test_powers_neither_overflow_nor_underflow(norm_type, dtype, size, dev):
    grads = [np.full(4, size, dtype), np.full((2, 2), -size, dtype)]
    params = with_grads(dev, *grads)
    total = float(optim.clip_grad_norm_(params, 1e-3, norm_type))
    expected = float(grads[0][0]) * 8 ** (1 / norm_type)
    np.testing.assert_allclose(total, expected, rtol=1e-6)
    factor = min(1.0, 1e-3 / (expected + 1e-6))
    rtol = 1e-3 if dtype == np.float16 else 1e-5
    np.testing.assert_allclose(flat(params), flat(with_grads(dev, *grads)) * factor, rtol=rtol)
    assert params[0].grad.dtype == dtype


def test_zero_gradients(dev):
    params = with_grads(dev, np.zeros(3, np.float32))
    assert float(optim.clip_grad_norm_(params, 1.0)) == 0
    assert host(params[0].grad).tolist() == [0, 0, 0]


def test_dtypes_count_together(dev):
    params = with_grads(dev, np.full(1, 3.0, np.float32), np.full(1, 4.0), np.full(1, 12.0, np.float16))
    assert float(optim.clip_grad_norm_(params, 6.5)) == 13.0
    assert [p.grad.dtype for p in params] == [np.float32, np.float64, np.float16]
    np.testing.assert_allclose(flat(params), [1.5, 2, 6], rtol=1e-3)


@pytest.mark.parametrize("norm_type", [2.0, 1.0, math.inf])
def test_nonfinite_norms(norm_type, dev):
    params = with_grads(dev, np.array([1.0, np.inf], np.float32))
    assert float(optim.clip_grad_norm_(params, 1.0, norm_type)) == math.inf
    assert host(params[0].grad)[0] == 0 and np.isnan(host(params[0].grad)[1])
    params = with_grads(dev, np.array([1.0, np.nan, np.inf], np.float32))
    assert math.isnan(float(optim.clip_grad_norm_(params, 1.0, norm_type)))
    assert np.isnan(host(params[0].grad)).all()


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_error_if_nonfinite_leaves_the_gradients(bad, dev):
    params = with_grads(dev, [1.0, bad])
    with pytest.raises(RuntimeError, match="norm of the gradients is"):
        optim.clip_grad_norm_(params, 0.1, error_if_nonfinite=True)
    np.testing.assert_array_equal(host(params[0].grad), [1.0, bad])
    params = with_grads(dev, [1.0])
    optim.clip_grad_norm_(params, 0.5, error_if_nonfinite=True)
    np.testing.assert_allclose(host(params[0].grad), 0.5, rtol=1e-5)


def test_values(dev):
    params = with_grads(dev, [3.0, -0.5, np.nan], np.array([-9.0, np.inf], np.float16))
    optim.clip_grad_value_(params, 0.75)
    np.testing.assert_array_equal(host(params[0].grad), [0.75, -0.5, np.nan])
    np.testing.assert_array_equal(host(params[1].grad), [-0.75, 0.75])
    assert params[1].grad.dtype == np.float16


@pytest.mark.parametrize("clip", [lambda p: optim.clip_grad_norm_(p, 0.1), lambda p: optim.clip_grad_value_(p, 0.1)])
def test_old_gradients_are_not_written_and_new_ones_share_nothing_with_them(clip, dev):
    shared = dev(np.full((2, 3), 5.0))
    a, b, none = (Tensor(dev(np.zeros(s)), requires_grad=True) for s in [(2, 3), (3, 2), (1,)])
    a.grad, b.grad = shared, shared.T
    clip([a, b, none, a])  # a parameter given twice is clipped once
    np.testing.assert_array_equal(host(shared), np.full((2, 3), 5.0))
    assert (np.abs(host(a.grad)) <= 0.1).all() and (np.abs(host(b.grad)) <= 0.1).all() and none.grad is None
    before = host(b.grad).copy()
    a.grad *= 0  # in place: reaches neither the old array nor another parameter's
    np.testing.assert_array_equal(host(b.grad), before)


def test_one_tensor_a_generator_and_nothing(dev):
    (p,) = with_grads(dev, [3.0, 4.0])
    assert float(optim.clip_grad_norm_(p, 1.0)) == 5
    (p,) = with_grads(dev, [3.0, 4.0])
    assert float(optim.clip_grad_norm_((q for q in [p]), 1.0)) == 5
    p.grad = None
    assert float(optim.clip_grad_norm_([p], 1.0)) == 0 and float(optim.clip_grad_norm_([], 1.0)) == 0
    optim.clip_grad_value_([p], 1.0)


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: optim.clip_grad_norm_([], 0.0), "max_norm must be positive, got 0.0"),
        (lambda: optim.clip_grad_norm_([], math.nan), "max_norm"),
        (lambda: optim.clip_grad_norm_([], 1.0, 0), "norm_type must be positive"),
        (lambda: optim.clip_grad_value_([], -1.0), "clip_value must be positive"),
    ],
)
def test_bad_settings_are_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call()
