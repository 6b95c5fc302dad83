"""Parameters in one buffer: one kernel call a step, whatever they are, and what may happen to them between steps."""

import numpy as np
import pytest
from helpers import host
from optimizer_helpers import draw, leaves, looped, train
from optimizer_rows import FULL_ROWS, ORACLES, adam_oracle, nadam_oracle

from cunet import optim
from cunet.autograd.tensor import Tensor
from cunet.kernels import listening
from cunet.kernels.backends.numpy import tuning

every_optimizer = pytest.mark.parametrize(("cls", "kw"), FULL_ROWS, ids=[cls.__name__ for cls, _ in FULL_ROWS])


@every_optimizer
def test_buffers_longer_than_a_block(cls, kw, dev, rng, monkeypatch):
    weights, grads = draw(rng, shapes=[(50,)], steps=3)
    whole, cut = leaves(dev, weights), leaves(dev, weights)
    train(cls(whole, **kw), whole, dev, grads)
    monkeypatch.setattr(tuning, "tuning", tuning.Tuning(inplace=16))
    train(cls(cut, **kw), cut, dev, grads)
    np.testing.assert_array_equal(host(whole[0]), host(cut[0]))


@pytest.fixture
def calls():
    """The kernels that were called, one entry per call; without that which makes flat buffers."""
    made = []

    def note(kernel, args, options, proceed):
        made.extend([kernel.name] if kernel.spec.kind == "inplace" and kernel.name != "gather_arrays" else [])
        return proceed()

    with listening(note):
        yield made


@pytest.mark.parametrize("count", [1, 3, 40])
def test_a_step_is_one_kernel_call_however_many_parameters(count, dev, calls):
    params = leaves(dev, [np.zeros((2, 3), np.float32) for _ in range(count)])
    opt = optim.AdamW(params)
    train(opt, params, dev, [[np.ones((2, 3), np.float32)] * count] * 2)
    assert calls == ["adam", "adam"]


def test_one_call_per_group_dtype_and_run_of_equal_step_counts(dev, calls):
    params = leaves(dev, [np.zeros(2, t) for t in "ffdff"])
    opt = optim.Adam([{"params": params[:4]}, {"params": params[4:]}])
    train(opt, params, dev, [[np.ones(2, p.data.dtype) for p in params]])
    assert len(calls) == 3  # float32 and float64 of the first group, and the second group
    grads = [np.ones(2, p.data.dtype) for p in params]
    train(opt, params, dev, [[grads[0], None, *grads[2:]]])  # a gap between the float32 parameters 0 and 3
    assert len(calls) == 3 + 4
    train(opt, params, dev, [grads])  # 0 and 1 now differ in step count, 0 and 3 do not stand together
    assert len(calls) == 3 + 4 + 5
    assert [s["step"] for s in opt.state] == [3, 2, 3, 3, 3]


def test_parameters_lie_in_one_buffer_from_the_first_step_on(dev):
    arrays = [np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([7.0, 8, 9])]
    params = leaves(dev, arrays)
    opt = optim.SGD(params, lr=1.0)
    assert all(p.data.base is None for p in params)  # making an optimiser changes nothing
    opt.step()
    for p, a in zip(params, arrays, strict=True):
        np.testing.assert_array_equal(host(p), a)
        np.testing.assert_array_equal(host(p.data.base), np.arange(1.0, 10.0))


@every_optimizer
def test_assigned_data_is_taken_into_the_buffer(cls, kw, dev, rng, calls):
    weights, grads = draw(rng, shapes=[(3,), (2, 2)], steps=2)
    params, same = leaves(dev, weights), leaves(dev, weights)
    opt, other = cls(params, **kw), cls(same, **kw)
    train(opt, params, dev, grads[:1])
    train(other, same, dev, grads[:1])
    view = params[1].data
    assigned = dev(rng.standard_normal((2, 2)))
    params[1].data = assigned
    same[1].data[...] = assigned
    calls.clear()
    train(opt, params, dev, grads[1:])
    assert len(calls) == 1 and params[1].data is view
    train(other, same, dev, grads[1:])
    for p, q in zip(params, same, strict=True):
        np.testing.assert_array_equal(host(p), host(q))


def test_state_follows_a_parameter_to_another_dtype(dev, rng):
    weights, grads = draw(rng, shapes=[(3,), (2, 2)], steps=4)
    params = leaves(dev, weights)
    opt = optim.Adam(params, lr=0.1)
    train(opt, params, dev, grads[:2])
    for p in params:
        p.data = p.data.astype(np.float32)
    train(opt, params, dev, [[g.astype(np.float32) for g in step] for step in grads[2:]])
    for p, expected in zip(params, looped(adam_oracle, weights, grads, lr=0.1), strict=True):
        assert host(p).dtype == np.float32
        np.testing.assert_allclose(host(p), expected, rtol=1e-5)


def test_state_follows_a_parameter_to_another_device(dev, rng):
    weights, grads = draw(rng, shapes=[(3,), (2, 2)])
    params = leaves(dev, weights)
    opt = optim.NAdam(params, lr=0.1)
    train(opt, params, dev, grads[:2])
    for p in params:
        p.data = host(p)
    train(opt, params, np.asarray, grads[2:4])
    for p in params:
        p.data = dev(p.data)
    train(opt, params, dev, grads[4:])
    for p, expected in zip(params, looped(nadam_oracle, weights, grads, lr=0.1), strict=True):
        np.testing.assert_allclose(host(p), expected, rtol=1e-11)


def test_a_changed_shape_is_refused_and_nothing_is_written(dev):
    params = leaves(dev, [np.zeros(2), np.zeros(2)])
    opt = optim.SGD(params, lr=1.0)
    train(opt, params, dev, [[np.ones(2), np.ones(2)]])
    params[1].grad = None
    params[1].data = dev(np.zeros(3))
    with pytest.raises(ValueError, match=r"shape \(2,\), got data of shape \(3,\)"):
        opt.step()
    assert host(params[0]).tolist() == [-1, -1]


def test_two_optimizers_may_share_a_parameter(dev):
    a, b, c = leaves(dev, [np.zeros(1), np.zeros(1), np.zeros(1)])
    one, two = optim.SGD([a, b], lr=1.0), optim.SGD([b, c], lr=10.0)
    for _ in range(3):
        train(one, [a, b], dev, [[np.ones(1), np.ones(1)]])
        train(two, [b, c], dev, [[np.ones(1), np.ones(1)]])
    assert [host(p)[0] for p in (a, b, c)] == [-3, -33, -30]


@every_optimizer
def test_parameters_without_a_gradient_are_left_alone(cls, kw, dev, rng):
    weights, grads = draw(rng, shapes=[(3,), (3,), (3,)])
    params = leaves(dev, weights)
    opt = cls(params, **kw)
    train(opt, params, dev, [[g[0], None, g[2]] for g in grads])
    np.testing.assert_array_equal(host(params[1]), weights[1])
    assert opt.state_dict()["state"][1] == {}
    train(opt, params, dev, [[None, g[1], None] for g in grads])
    for p, expected in zip(params, looped(ORACLES[cls], weights, grads, **kw), strict=True):
        np.testing.assert_allclose(host(p), expected, rtol=1e-11, atol=1e-13)


def test_gradients_are_only_read_and_may_be_views(dev, rng):
    base = rng.standard_normal((6, 8))
    params = leaves(dev, [np.zeros((4, 3)), np.zeros(()), np.zeros((2, 2))])
    big = dev(base)
    views = [big[::2, ::2].T, big[0, 0], big[4:, 6:][::-1]]
    expected = [-base[::2, ::2].T, -base[0, 0], -base[4:, 6:][::-1]]
    for count in (3, 1):  # joined, and a parameter alone
        for p, v in zip(params[:count], views, strict=False):
            p.grad = v if isinstance(v, type(big)) else dev(v)
            p.data = p.data * 0
        optim.SGD(params[:count], lr=1.0).step()
        for p, e in zip(params[:count], expected, strict=False):
            np.testing.assert_array_equal(host(p), e)
    np.testing.assert_array_equal(host(big), base)


def test_zero_grad_sets_none(dev):
    params = leaves(dev, [np.zeros(2), np.zeros(2)])
    opt = optim.SGD(params)
    train(opt, params, dev, [[np.ones(2), np.ones(2)]])
    opt.zero_grad()
    assert [p.grad for p in params] == [None, None]
    opt.step()  # no gradient anywhere is nothing to do


def test_empty_parameters_and_a_tied_parameter(dev):
    tied, empty = leaves(dev, [np.ones(2), np.zeros((0, 3))])
    opt = optim.Adam([empty, tied], lr=0.5, eps=0.0)
    y = (tied * tied).sum() + (empty * empty).sum()  # used twice: one gradient, the sum of both uses
    y.backward()
    assert host(tied.grad).tolist() == [2, 2]
    opt.step()
    assert host(tied).tolist() == [0.5, 0.5] and empty.data.shape == (0, 3)
    empty.grad, tied.grad = dev(np.zeros((0, 3))), None
    opt.step()


def test_a_backward_through_stepped_weights_is_refused(dev):
    used, skipped = leaves(dev, [np.ones(2), np.ones(2)])
    opt = optim.SGD([used, skipped])
    train(opt, [used, skipped], dev, [[np.ones(2), None]])
    stale, fine = (used * used).sum(), (skipped * skipped).sum()
    train(opt, [used, skipped], dev, [[np.ones(2), None]])
    with pytest.raises(RuntimeError, match="modified in place"):
        stale.backward()
    fine.backward()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_large_parameters_beside_small_ones(dtype, order, dev, rng):
    sizes = [(3,), (200, 200), (5,), (2, 2), (180, 190), (33000,), (1,)]
    arrays = [rng.standard_normal(s).astype(dtype) for s in sizes]
    grads = [np.asarray(rng.standard_normal(s).astype(dtype), order=order) for s in sizes]

    params = [Tensor(dev(a.copy()), requires_grad=True) for a in arrays]
    optimizer = optim.SGD(params, lr=0.125)
    for _ in range(2):
        for p, g in zip(params, grads, strict=True):
            p.grad = dev(g.copy(order="K"))
        params[3].grad = None
        optimizer.step()
    for k, (p, a, g) in enumerate(zip(params, arrays, grads, strict=True)):
        expected = a if k == 3 else (a.astype(np.float32) - 0.25 * g.astype(np.float32)).astype(dtype)
        np.testing.assert_allclose(host(p), expected, atol=4 * np.finfo(dtype).eps)
        assert p.grad is None or (host(p.grad) == g).all()
