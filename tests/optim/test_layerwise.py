"""LAMB, Adafactor and Muon: the papers' formulas, PyTorch's steps, state, recorded steps, and what goes wrong."""

import copy
import math
import pickle

import numpy as np
import pytest
from helpers import host, training_step
from optimizer_helpers import draw, leaves, through_files, train
from optimizer_rows import LAYER_ROWS

import cunet
from cunet import nn, optim
from cunet.autograd.tensor import Tensor
from cunet.optim.muon import orthogonalized

SHAPES = {
    optim.LAMB: [(3, 4), (4,), (), (2, 1, 5), (0, 2), (1,)],
    optim.Adafactor: [(3, 4), (4,), (), (2, 1, 5), (0, 2), (1,)],
    optim.Muon: [(3, 4), (5, 2), (1, 1), (0, 2), (1, 6)],
}
every_row = pytest.mark.parametrize(
    ("cls", "kw"), LAYER_ROWS, ids=[f"{cls.__name__}{i}" for i, (cls, _) in enumerate(LAYER_ROWS)]
)
every_class = pytest.mark.parametrize("cls", SHAPES, ids=[cls.__name__ for cls in SHAPES])


def norm(x):
    return math.sqrt(math.fsum(float(v) ** 2 for v in np.ravel(x)))


def lamb(w, grads, lr=1e-3, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.01):
    b1, b2 = betas
    for t in range(1, len(grads) + 1):
        m = sum((1 - b1) * b1 ** (t - 1 - i) * g for i, g in enumerate(grads[:t])) / (1 - b1**t)
        v = sum((1 - b2) * b2 ** (t - 1 - i) * g**2 for i, g in enumerate(grads[:t])) / (1 - b2**t)
        r = m / (np.sqrt(v) + eps) + weight_decay * w
        ratio = norm(w) / norm(r) if norm(w) and norm(r) else 1.0
        w = w - lr * ratio * r
    return w


def adafactor(w, grads, lr=0.01, beta2_decay=-0.8, eps=(None, 1e-3), d=1.0, weight_decay=0.0):
    least = (np.finfo(np.float64).eps if eps[0] is None else eps[0]) ** 2
    row = col = v = 0.0
    for t, g in enumerate(grads, 1):
        beta = 1 - t**beta2_decay
        if w.ndim < 2:
            v = beta * v + (1 - beta) * g**2
        else:
            row = beta * row + (1 - beta) * (g**2).sum(-1) / w.shape[-1]
            col = beta * col + (1 - beta) * (g**2).sum(-2) / w.shape[-2]
            v = np.einsum("...i,...j->...ij", row, col) / (row.sum(-1) / w.shape[-2])[..., None, None]
        u = g / np.sqrt(np.maximum(v, least))
        u = u / max(1, norm(u) / math.sqrt(w.size) / d)
        w = w * (1 - lr * weight_decay) - max(eps[1], norm(w) / math.sqrt(w.size)) * min(lr, t**-0.5) * u
    return w


def muon(w, grads, lr=1e-3, weight_decay=0.1, momentum=0.95, nesterov=True, adjust_lr_fn=None, **kw):
    """The iteration acts on singular values alone: they are found, and go through its polynomial."""
    (a, b, c), steps = kw.get("ns_coefficients", (3.4445, -4.775, 2.0315)), kw.get("ns_steps", 5)
    n, m, mean = *w.shape, 0.0
    scale = 0.2 * math.sqrt(max(n, m)) if adjust_lr_fn == "match_rms_adamw" else max(1, math.sqrt(n / m))
    for g in grads:
        mean = momentum * mean + (1 - momentum) * g
        left, s, right = np.linalg.svd(momentum * mean + (1 - momentum) * g if nesterov else mean, full_matrices=False)
        s = s / norm(s)
        for _ in range(steps):
            s = a * s + b * s**3 + c * s**5
        w = w * (1 - lr * weight_decay) - lr * scale * (left * s) @ right
    return w


ORACLES = {optim.LAMB: lamb, optim.Adafactor: adafactor, optim.Muon: muon}


def expected(cls, weights, grads, **kw):
    pairs = [(w, [step[i] for step in grads]) for i, w in enumerate(weights)]
    return [ORACLES[cls](w, g, **kw) if w.size else w for w, g in pairs]


@every_row
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_steps_are_those_of_the_formula(cls, kw, dtype, dev, rng):
    weights, grads = draw(rng, SHAPES[cls], dtype=dtype)
    params = leaves(dev, weights)
    train(cls(params, **kw), params, dev, grads)
    if dtype == np.float32 and cls is optim.Adafactor:
        kw = {**kw, "eps": (kw.get("eps", (None,))[0] or np.finfo(dtype).eps, kw.get("eps", (0, 1e-3))[1])}
    wide = [[g.astype(np.float64) for g in step] for step in grads]
    rtol, atol = (1e-10, 1e-12) if dtype == np.float64 else (1e-5, 1e-5)
    for p, w, e in zip(
        params, weights, expected(cls, [w.astype(np.float64) for w in weights], wide, **kw), strict=True
    ):
        assert host(p).dtype == dtype
        np.testing.assert_allclose(host(p), e, rtol=rtol, atol=atol)
        assert not w.size or not np.allclose(host(p), w, rtol=1e-6, atol=0)


@pytest.mark.cpu_only
@every_row
def test_steps_settings_and_state_are_those_of_pytorch(cls, kw, rng):
    torch = pytest.importorskip("torch")
    if not hasattr(torch.optim, cls.__name__):
        pytest.skip("PyTorch has no such optimiser")
    shapes = [s for s in SHAPES[cls] if math.prod(s)]
    kw = kw | ({"d": 1.0} if "d" in kw else {})  # PyTorch wants at least 1
    weights, grads = draw(rng, shapes, steps=20)
    params, theirs = leaves(np.asarray, weights), [torch.nn.Parameter(torch.tensor(w)) for w in weights]
    opt, other = cls(params, **kw), getattr(torch.optim, cls.__name__)(theirs, **kw)
    assert {**other.defaults, "maximize": False, "foreach": 0} == {**opt.defaults, "foreach": 0}
    for i, step in enumerate(grads):
        for p, t, g in zip(params, theirs, step, strict=True):
            p.grad, t.grad = (None, None) if i % 3 == 0 and g.ndim == 2 else (g, torch.tensor(g))
        opt.step()
        other.step()
    # There Muon multiplies in bfloat16.
    tolerance = {"rtol": 0, "atol": 0.05 * kw.get("lr", 1e-3) * 20} if cls is optim.Muon else {"rtol": 1e-9}
    for i, (p, t) in enumerate(zip(params, theirs, strict=True)):
        np.testing.assert_allclose(p.data, t.detach().numpy(), **tolerance)
        assert {k: np.shape(v) for k, v in opt.state_dict()["state"][i].items() if k != "step"} == {
            k: tuple(v.shape) for k, v in other.state_dict()["state"][i].items() if k != "step"
        }


@every_row
def test_to_maximize_is_to_minimize_the_negative(cls, kw, dev, rng):
    weights, grads = draw(rng, SHAPES[cls], dtype=np.float16)
    down, up = leaves(dev, weights), leaves(dev, weights)
    train(cls(down, **kw), down, dev, [[-g for g in step] for step in grads])
    train(cls(up, **kw, maximize=True), up, dev, grads)
    for p, q, g in zip(down, up, grads[-1], strict=True):
        assert host(p).tobytes() == host(q).tobytes()
        assert host(q.grad).tobytes() == g.tobytes()  # gradients are only read


@every_row
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_training_goes_on_exactly_after_loading_and_copying(cls, kw, dtype, dev, rng):
    weights, grads = draw(rng, SHAPES[cls], dtype=dtype)
    grads[1][1] = None  # so that step counts differ
    params = leaves(dev, weights)
    opt = cls([{"params": params[:2], "lr": 0.03}, {"params": params[2:]}], **kw)
    train(opt, params, dev, grads[:3])
    assert [s["step"] for s in opt.state][:3] == [3, 2, 3]
    copies = leaves(dev, [host(p).copy() for p in params])
    other = cls([{"params": copies[:2]}, {"params": copies[2:]}])
    other.load_state_dict(through_files(opt.state_dict()))
    others = [other, copy.deepcopy(opt), pickle.loads(pickle.dumps(opt))]
    train(opt, params, dev, grads[3:])
    for one in others:
        again = [p for group in one.param_groups for p in group["params"]]
        train(one, again, dev, grads[3:])
        for p, q in zip(params, again, strict=True):
            assert host(p).tobytes() == host(q).tobytes()


@pytest.mark.cpu_only
@every_class
def test_a_state_of_another_shape_is_refused(cls):
    def stepped(*shape):
        p = Tensor(np.ones(shape), requires_grad=True)
        opt = cls([p])
        train(opt, [p], np.asarray, [[np.ones(shape)]])
        return opt

    with pytest.raises(ValueError, match=rf"{cls.__name__}: state 0: \w+ must have shape \(3, [14]\), got \(4, [14]\)"):
        stepped(3, 4).load_state_dict(stepped(4, 4).state_dict())


@every_class
def test_gradients_in_other_layouts(cls, dev, rng):
    w, g = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    plain, odd = leaves(dev, [w, w])
    strided = dev(np.stack([g, g], axis=2).transpose(1, 0, 2).copy()).transpose(1, 0, 2)[..., 1]
    train(cls([plain], lr=0.1), [plain], dev, [[g]])
    odd.grad = strided
    cls([odd], lr=0.1).step()
    assert host(plain).tobytes() == host(odd).tobytes()


@every_class
def test_no_gradient_and_no_weight_are_no_nan(cls, dev):
    params = leaves(dev, [np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)])
    opt = cls(params, lr=0.5, weight_decay=0.0)
    train(opt, params, dev, [[np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)]])
    assert (host(params[0]) < 0).all()
    assert (host(params[1]) == 1).all()


@every_class
def test_tiny_and_huge_gradients_are_no_nan(cls, dev):
    for size in (1e-30, 1e18):
        (p,) = leaves(dev, [np.ones((2, 3), np.float32)])
        train(cls([p], lr=0.1), [p], dev, [[np.full((2, 3), size, np.float32)]] * 2)
        assert np.isfinite(host(p)).all()


def test_a_step_of_lamb_is_a_part_of_the_norm(dev, rng):
    w, g = rng.standard_normal((4, 3)) * 100, rng.standard_normal((4, 3)) * 1e-5
    (p,) = leaves(dev, [w])
    train(optim.LAMB([p], lr=0.25, weight_decay=0.0), [p], dev, [[g]])
    assert norm(host(p) - w) == pytest.approx(0.25 * norm(w))


def test_muon_makes_singular_values_alike(dev, rng):
    left, right = (np.linalg.qr(rng.standard_normal((n, 4)))[0] for n in (8, 5))
    x = dev(left * [3.0, 1.0, 0.3, 0.1] @ right.T)
    for u in (x, x.T):
        s = np.linalg.svd(host(orthogonalized(u, (3.4445, -4.775, 2.0315), 5, 1e-7)), compute_uv=False)[:4]
        assert ((s > 0.65) & (s < 1.25)).all()
    np.testing.assert_allclose(host(orthogonalized(x, (1.5, -0.5, 0.0), 30, 1e-7)), left @ right.T, atol=1e-9)


@every_class
def test_it_trains_in_recorded_steps_too(cls, dev, rng):
    x, target = rng.standard_normal((40, 3)), np.array([[1.0, 0.2], [-2.0, 1.0], [0.5, 3.0]])
    data, y = dev(x), dev(x @ target)

    def last_loss(lr, compiled):
        w = Tensor(dev(np.full((3, 2), 0.1)), requires_grad=True)
        opt = cls([w], lr=lr, weight_decay=0.0)

        def step():
            opt.zero_grad()
            loss = ((Tensor(data) @ w - y) ** 2).mean()
            loss.backward()
            opt.step()
            return loss

        step = cunet.compile(step) if compiled else training_step(step)
        return [float(host(step())) for _ in range(30)][-1]

    losses = [last_loss(lr, False) for lr in (0.3, 0.05)]
    assert min(losses) < 0.2 * ((x @ target) ** 2).mean()
    assert losses == [last_loss(lr, True) for lr in (0.3, 0.05)]


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("cls", "kw", "match"),
    [
        (optim.LAMB, {"betas": (0.9, 1.0)}, r"betas must be in \[0, 1\)"),
        (optim.LAMB, {"weight_decay": -1.0}, "weight_decay must be in"),
        (optim.Adafactor, {"eps": 1e-3}, "eps must be two numbers, got 0.001"),
        (optim.Adafactor, {"eps": (None, -1.0)}, "eps must be in"),
        (optim.Adafactor, {"beta2_decay": 0.1}, "beta2_decay must be <= 0 and d > 0, got 0.1 and 1.0"),
        (optim.Adafactor, {"d": 0}, "beta2_decay must be <= 0 and d > 0, got -0.8 and 0"),
        (optim.Muon, {"momentum": 1.0}, "momentum must be in"),
        (optim.Muon, {"ns_steps": 2.5}, "ns_steps must be a whole number, got 2.5"),
        (optim.Muon, {"ns_steps": 100}, "ns_steps must be in"),
        (optim.Muon, {"ns_coefficients": (1.0, 2.0)}, "ns_coefficients must be three numbers"),
        (optim.Muon, {"adjust_lr_fn": "other"}, "adjust_lr_fn must be None"),
    ],
)
def test_bad_settings_are_refused(cls, kw, match):
    with pytest.raises((TypeError, ValueError), match=f"{cls.__name__}: {match}"):
        cls([Tensor(np.ones((2, 2)), requires_grad=True)], **kw)


@pytest.mark.cpu_only
def test_muon_takes_matrices_alone():
    model = nn.Linear(3, 2)
    with pytest.raises(ValueError, match=r"Muon: parameter 'bias' must have two axes, got shape \(2,\)"):
        optim.Muon(model.named_parameters())


@every_row
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_rate_on_the_gpu_trains_as_one_on_the_host(cls, kw, dtype, dev, rng):
    if isinstance(dev(np.zeros(1)), np.ndarray):
        pytest.skip("needs a GPU, or a simulated one")
    weights, grads = draw(rng, SHAPES[cls], dtype=dtype)
    both = [leaves(dev, weights) for _ in range(2)]
    kw = {k: v for k, v in kw.items() if k != "lr"}
    optimizers = [cls(params, lr=lr, **kw) for params, lr in zip(both, (0.1, dev(np.array(0.1))), strict=True)]
    schedules = [
        optim.OneCycleLR(optimizer, max_lr=0.5, total_steps=9, cycle_momentum=cls is not optim.Adafactor)
        for optimizer in optimizers
    ]
    grads[2][1] = None
    for step in grads:
        for params, optimizer, schedule in zip(both, optimizers, schedules, strict=True):
            train(optimizer, params, dev, [step])
            schedule.step()
    assert [[int(s["step"]) for s in o.state] for o in optimizers] == [[6, 5, *[6] * (len(weights) - 2)]] * 2
    assert not isinstance(optimizers[1].state[0]["step"], int)
    rtol = {"e": 2e-3, "f": 1e-5, "d": 1e-12}[np.dtype(dtype).char]
    for p, q in zip(*both, strict=True):
        np.testing.assert_allclose(host(q).astype("d"), host(p).astype("d"), rtol=rtol, atol=rtol)
