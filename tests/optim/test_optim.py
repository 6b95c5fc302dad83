"""Optimisers: every step against scalar loops in Python floats, and against PyTorch where it is installed."""

import numpy as np
import pytest
from helpers import host
from optimizer_helpers import draw, leaves, looped, train
from optimizer_rows import ORACLES, ROWS, row_id

from cunet import optim
from cunet.autograd.tensor import Tensor

every_row = pytest.mark.parametrize(("cls", "kw"), ROWS, ids=map(row_id, ROWS))


@every_row
def test_float64_steps_are_those_of_a_scalar_loop(cls, kw, dev, rng):
    weights, grads = draw(rng)
    params = leaves(dev, weights)
    train(cls(params, **kw), params, dev, grads)
    for p, w, expected in zip(params, weights, looped(ORACLES[cls], weights, grads, **kw), strict=True):
        assert host(p).dtype == np.float64
        np.testing.assert_allclose(host(p), expected, rtol=1e-11, atol=1e-13)
        assert not np.allclose(host(p), w, rtol=1e-6, atol=0)


@every_row
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_to_maximize_is_to_minimize_the_negative(cls, kw, dtype, dev, rng):
    weights, grads = draw(rng, dtype=dtype)
    down, up = leaves(dev, weights), leaves(dev, weights)
    train(cls(down, **kw), down, dev, [[-g for g in step] for step in grads])
    optimizer = cls(up, **kw, maximize=True)
    train(optimizer, up, dev, grads)
    assert optimizer.param_groups[0]["maximize"] is True
    for p, q, g in zip(down, up, grads[-1], strict=True):
        assert host(p).tobytes() == host(q).tobytes()
        assert host(q.grad).tobytes() == g.tobytes()  # gradients are only read


@every_row
def test_float32_steps_stay_close_to_float64(cls, kw, dev, rng):
    weights, grads = draw(rng, dtype=np.float32)
    params = leaves(dev, weights)
    train(cls(params, **kw), params, dev, grads)
    for p, expected in zip(params, looped(ORACLES[cls], weights, grads, **kw), strict=True):
        assert host(p).dtype == np.float32
        np.testing.assert_allclose(host(p), expected, rtol=1e-5, atol=2e-6)


@pytest.mark.cpu_only
@every_row
def test_steps_are_those_of_pytorch(cls, kw, dev, rng):
    torch = pytest.importorskip("torch")
    if not hasattr(torch.optim, cls.__name__):
        pytest.skip("PyTorch has no such optimiser")
    weights, grads = draw(rng, steps=40)
    params = leaves(dev, weights)
    theirs = [torch.nn.Parameter(torch.tensor(w)) for w in weights]
    opt, other = cls(params, **kw), getattr(torch.optim, cls.__name__)(theirs, **kw)
    for i, step in enumerate(grads):
        # Parameter 1 has no gradient in every third step; 3 has none before the fifth.
        step = [None if (j == 1 and i % 3 == 0) or (j == 3 and i < 4) else g for j, g in enumerate(step)]
        for p, t, g in zip(params, theirs, step, strict=True):
            p.grad, t.grad = (None, None) if g is None else (dev(g), torch.tensor(g))
        opt.step()
        other.step()
    # PyTorch keeps NAdam's product of momenta as a float32.
    rtol = 1e-6 if cls is optim.NAdam else 1e-11
    for p, t in zip(params, theirs, strict=True):
        np.testing.assert_allclose(host(p), t.detach().numpy(), rtol=rtol, atol=1e-12)


@pytest.mark.cpu_only
@every_row
def test_defaults_are_those_of_pytorch(cls, kw):
    torch = pytest.importorskip("torch")
    if not hasattr(torch.optim, cls.__name__):
        pytest.skip("PyTorch has no such optimiser")
    theirs = getattr(torch.optim, cls.__name__)([torch.nn.Parameter(torch.zeros(1))], **kw).defaults
    ours = cls([Tensor(np.zeros(1), requires_grad=True)], **kw).defaults
    assert ours == {k: theirs[k] for k in ours}


def test_first_adam_step_is_lr_whatever_the_gradient(dev):
    p = Tensor(dev([1.0, 1.0, 1.0]), requires_grad=True)
    opt = optim.Adam([p], lr=0.25, eps=0.0)
    train(opt, [p], dev, [[np.array([1e-6, 3.0, -1e6])]])
    np.testing.assert_allclose(host(p), [0.75, 0.75, 1.25], rtol=1e-12)


def test_adam_eps_is_added_after_the_bias_correction(dev):
    p = Tensor(dev([1.0]), requires_grad=True)
    train(optim.Adam([p], lr=1.0, eps=1.0), [p], dev, [[np.array([1.0])]])
    np.testing.assert_allclose(host(p), [0.5], rtol=1e-12)  # 1 - 1 / (sqrt(1) + 1)


def test_momentum_starts_as_the_first_gradient_undampened(dev):
    p = Tensor(dev([0.0]), requires_grad=True)
    opt = optim.SGD([p], lr=1.0, momentum=0.5, dampening=0.5)
    train(opt, [p], dev, [[np.array([8.0])]])
    assert host(p)[0] == -8
    train(opt, [p], dev, [[np.array([0.0])]])
    assert host(p)[0] == -12


def test_centered_rmsprop_keeps_the_mean_of_gradients_in_its_state(dev):
    p = Tensor(dev([0.0]), requires_grad=True)
    opt = optim.RMSprop([p], centered=True, alpha=0.75)
    train(opt, [p], dev, [[np.array([8.0])], [np.array([4.0])]])
    assert host(opt.state[0]["grad_avg"])[0] == 2.5 and host(opt.state[0]["square_avg"])[0] == 16


def test_centered_rmsprop_survives_a_variance_that_rounds_below_zero(dev, rng):
    p = Tensor(dev(np.ones(1000), np.float32), requires_grad=True)
    opt = optim.RMSprop([p], lr=1e-3, centered=True, alpha=0.5, eps=1e-3)
    g = rng.standard_normal(1000).astype(np.float32)
    train(opt, [p], dev, [[g]] * 39)
    before = host(p).copy()
    train(opt, [p], dev, [[g]])
    step = (before - host(p)) / g  # lr / eps = 1, less what the variance is rounded to
    assert (step > 0.2).all()
    assert (step < 1.001).all()


def test_lion_leaves_an_element_without_any_gradient(dev):
    p = Tensor(dev([1.0, 1.0]), requires_grad=True)
    train(optim.Lion([p], lr=0.5), [p], dev, [[np.array([0.0, 2.0])]])
    assert host(p).tolist() == [1.0, 0.5]


def test_lion_leaves_an_element_whose_gradients_cancel(dev):
    p = Tensor(dev([1.0]), requires_grad=True)
    train(optim.Lion([p], lr=0.25, betas=(0.5, 0.5)), [p], dev, [[np.array([4.0])], [np.array([-2.0])]])
    assert host(p).tolist() == [0.75]  # the momentum is 2, and 2 / 2 - 2 / 2 has no sign


def test_nan_and_inf_gradients_reach_the_weights_without_warnings(dev):
    p = Tensor(dev([1.0, 1.0, 1.0]), requires_grad=True)
    train(optim.Adam([p]), [p], dev, [[np.array([np.nan, np.inf, 1.0])]])
    assert np.isnan(host(p)).tolist() == [True, True, False]


@every_row
def test_an_infinite_parameter_without_decay_stays_infinite(cls, kw, dev):
    """Nothing but a decay looks at the parameter: 0 * inf would make it NaN."""
    p = Tensor(dev([np.inf, 1.0]), requires_grad=True)
    optimizer = cls([p], **kw | {"weight_decay": 0.0})
    for _ in range(3):
        p.grad = dev([0.5, 0.5])
        optimizer.step()
    assert host(p)[0] == np.inf
    assert np.isfinite(host(p)[1])
