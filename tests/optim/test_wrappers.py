"""SAM and Lookahead: the papers' formulas, state, copies, recorded steps, a Trainer, and what goes wrong."""

import copy
import math
import pickle

import numpy as np
import pytest
from helpers import host
from optimizer_helpers import SHAPES, draw, leaves, through_files, train

import cunet
from cunet import nn, optim
from cunet.autograd.tensor import Tensor
from cunet.train import Trainer


def quadratic(params, centres):
    """Return a loss whose gradient at w is ``scale * (w - centre)``, another scale for each parameter."""
    terms = [((i + 1.0) / 2 * (p - c) ** 2).sum() for i, (p, c) in enumerate(zip(params, centres, strict=True))]
    return sum(terms[1:], terms[0])


def closure_of(opt, loss_of):
    def closure():
        opt.zero_grad()
        loss = loss_of()
        loss.backward()
        return loss

    return closure


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_sam_steps_by_the_gradient_at_the_worst_point(adaptive, maximize, dtype, dev, rng):
    weights, centres = ([rng.standard_normal(s).astype(dtype) for s in SHAPES] for _ in range(2))
    params, idle = leaves(dev, weights), leaves(dev, [np.full(2, 3.0)])
    where = [dev(c) for c in centres]
    opt = optim.SAM(optim.SGD([*params, *idle], lr=0.1, maximize=maximize), rho=0.5, adaptive=adaptive)
    sign = -1.0 if maximize else 1.0
    losses = [opt.step(closure_of(opt, lambda: quadratic(params, where))) for _ in range(2)]
    ws = [w.astype(np.float64) for w in weights]
    for k in range(2):
        loss = sum((i + 1) / 2 * ((w - c) ** 2).sum() for i, (w, c) in enumerate(zip(ws, centres, strict=True)))
        assert float(host(losses[k])) == pytest.approx(loss, rel=1e-10 if dtype == np.float64 else 2e-2)
        gs = [sign * (i + 1) * (w - c) for i, (w, c) in enumerate(zip(ws, centres, strict=True))]
        t = [abs(w) if adaptive else np.ones_like(w) for w in ws]
        norm = math.sqrt(sum(((a * g) ** 2).sum() for a, g in zip(t, gs, strict=True)))
        there = [w + 0.5 * a * a * g / norm for w, a, g in zip(ws, t, gs, strict=True)]
        ws = [w - 0.1 * sign * (i + 1) * (q - c) for i, (w, q, c) in enumerate(zip(ws, there, centres, strict=True))]
    for p, w in zip(params, ws, strict=True):
        assert host(p).dtype == dtype
        np.testing.assert_allclose(host(p), w, **({"rtol": 1e-12} if dtype == np.float64 else {"atol": 1e-2}))
    assert (host(idle[0]) == 3).all()


def test_sam_at_a_minimum_stays_there(dev):
    (p,) = leaves(dev, [np.ones(3)])
    opt = optim.SAM(optim.SGD([p], lr=0.1))
    opt.step(closure_of(opt, lambda: ((p - dev(np.ones(3))) ** 2).sum()))
    assert (host(p) == 1).all()


def test_sam_gives_the_weights_back_where_the_closure_fails(dev):
    (p,) = leaves(dev, [np.ones(3)])
    opt, calls = optim.SAM(optim.SGD([p], lr=0.1)), []

    def closure():
        calls.append(host(p).copy())
        if len(calls) == 2:
            raise KeyError("here")
        return closure_of(opt, lambda: (p**2).sum())()

    with pytest.raises(KeyError, match="here"):
        opt.step(closure)
    assert (calls[1] > 1).all()
    assert (host(p) == 1).all()
    with pytest.raises(TypeError, match="SAM: step needs a closure"):
        opt.step()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_lookahead_goes_a_part_of_the_way(dtype, dev, rng):
    weights, grads = draw(rng, steps=7, dtype=dtype)
    params = leaves(dev, weights)
    train(optim.Lookahead(optim.SGD(params, lr=0.1, momentum=0.5), k=3, alpha=0.25), params, dev, grads)
    for i, (p, w) in enumerate(zip(params, weights, strict=True)):
        fast = slow = w.astype(np.float64)
        velocity = 0.0
        for t, step in enumerate(grads, 1):
            velocity = 0.5 * velocity + step[i].astype(np.float64)
            fast = fast - 0.1 * velocity
            if t % 3 == 0:
                fast = slow = slow + 0.25 * (fast - slow)
        tolerance = {np.float64: 1e-12, np.float32: 1e-5, np.float16: 4e-3}[dtype]
        assert host(p).dtype == dtype
        np.testing.assert_allclose(host(p), fast, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("steps", [0, 2, 3])
def test_lookahead_goes_on_exactly_after_loading_and_copying(steps, dev, rng):
    weights, grads = draw(rng, steps=7, dtype=np.float32)
    params = leaves(dev, weights)
    opt = optim.Lookahead(optim.Adam(params, lr=0.03), k=3)
    train(opt, params, dev, grads[:steps])
    copies = leaves(dev, [host(p).copy() for p in params])
    other = optim.Lookahead(optim.Adam(copies), k=3)
    other.load_state_dict(through_files(opt.state_dict()))
    others = [other, copy.deepcopy(opt), pickle.loads(pickle.dumps(opt))]
    train(opt, params, dev, grads[steps:])
    for one in others:
        again = [p for group in one.param_groups for p in group["params"]]
        train(one, again, dev, grads[steps:])
        for p, q in zip(params, again, strict=True):
            assert host(p).tobytes() == host(q).tobytes()


@pytest.mark.cpu_only
def test_lookahead_refuses_a_state_of_another_shape():
    def stepped(n):
        p = Tensor(np.ones(n), requires_grad=True)
        opt = optim.Lookahead(optim.SGD([p]))
        train(opt, [p], np.asarray, [[np.ones(n)]])
        return opt

    opt = stepped(2)
    with pytest.raises(ValueError, match=r"Lookahead: state 0: slow must have shape \(2,\), got \(3,\)"):
        opt.load_state_dict(stepped(3).state_dict())
    plain = optim.SGD([Tensor(np.ones(2), requires_grad=True)])
    opt.load_state_dict(plain.state_dict())  # one without slow weights: they begin anew
    assert opt.state_dict() == plain.state_dict()


@pytest.mark.parametrize("kind", ["sam", "lookahead"])
def test_recorded_steps_are_the_same(kind, dev, rng):
    data = dev(rng.standard_normal((20, 3)))

    def weights(compiled):
        w = Tensor(dev(np.full((3, 2), 0.5)), requires_grad=True)
        inner = optim.Adam([w], lr=0.05)
        opt = optim.SAM(inner, rho=0.1) if kind == "sam" else optim.Lookahead(inner, k=3)

        def step():
            return opt.step(closure_of(opt, lambda: ((Tensor(data) @ w - 1) ** 2).mean()))

        step = cunet.compile(step) if compiled else step
        for _ in range(20):
            step()
        return host(w)

    assert weights(False).tobytes() == weights(True).tobytes()


@pytest.mark.cpu_only
def test_a_trainer_takes_them(rng):
    x = rng.standard_normal((32, 3)).astype(np.float32)
    y = (x.sum(axis=1) > 0).astype(np.int64)

    class Flat(Trainer):
        def step(self, *batch):
            results = []

            def closure():
                self.optimizer.zero_grad()
                results.append(self.compute(*batch))
                results[-1][0].backward()
                return results[-1][0]

            self.optimizer.step(closure)
            return results[0]

    for kind, cls in ((optim.SAM, Flat), (optim.Lookahead, Trainer)):
        model = nn.Linear(3, 2)
        inner = optim.Adam(model.parameters(), lr=0.1)
        trainer = cls(model, cunet.F.cross_entropy, kind(inner))
        history = trainer.fit((x, y), epochs=12, batch_size=8)
        assert history[-1]["loss"] < 0.5 * history[0]["loss"]
        optim.StepLR(inner, 1, gamma=0.5).step()
        assert trainer.optimizer.param_groups[0]["lr"] == 0.05
        assert trainer.optimizer.rate(0) == 0.05


@pytest.mark.cpu_only
def test_what_goes_wrong():
    inner = optim.SGD([Tensor(np.ones(2), requires_grad=True)], lr=0.5)
    for make, error, match in [
        (lambda: optim.SAM("adam"), TypeError, "SAM: optimizer must be an Optimizer, got str"),
        (lambda: optim.SAM(inner, rho=-1), ValueError, "SAM: rho must be >= 0, got -1"),
        (lambda: optim.Lookahead(inner, k=0), ValueError, "Lookahead: k must be at least 1, got 0"),
        (lambda: optim.Lookahead(inner, alpha=0), ValueError, r"Lookahead: alpha must be in \(0, 1\], got 0"),
    ]:
        with pytest.raises(error, match=match):
            make()
    assert repr(optim.SAM(inner)).startswith("SAM(rho=0.05, adaptive=False, optimizer=SGD(")


@pytest.mark.cpu_only
def test_k_may_be_an_integer_of_numpy():
    opt = optim.Lookahead(optim.SGD([Tensor(np.ones(1, np.float32), requires_grad=True)], lr=0.5), k=np.int64(3))
    assert type(opt.k) is int and opt.k == 3
