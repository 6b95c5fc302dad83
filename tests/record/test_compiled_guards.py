"""What is looked at before each replay: settings, state, modes, threads, code."""

import numpy as np
import pytest
from record_helpers import POISONED, WARM, Pair, batch, mlp, records, trained, warmed

import cunet
from cunet import functional as F
from cunet import nn, optim
from cunet.kernels import inplace
from cunet.kernels.backends.native import native
from cunet.nn.observe import observing

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(POISONED or not records(), reason="kernels run on NumPy here"),
]


def test_what_is_observed_runs_as_it_is_written(rng):
    pair = warmed(rng)
    seen = []
    with observing(lambda layer, out, owner, key: seen.append(key) or out):
        pair.both(*batch(rng))
    assert seen and "listens" in str(pair.compiled.report())


def test_recording_of_gradients_is_part_of_the_call(rng):
    model = mlp()
    step = cunet.compile(lambda x: model(x))
    for _ in range(WARM):
        with cunet.no_grad():
            y = step(batch(rng)[0])
            assert not y.requires_grad
        y = step(batch(rng)[0])
        assert y.requires_grad
        y.sum().backward()
    assert step.report().replays


def test_settings_that_choose_another_kernel_are_seen(rng):
    pair = warmed(rng, optimizer=lambda p: optim.SGD(p, lr=0.1, momentum=0.9))
    for momentum, nesterov in ((0.9, True), (0.0, False), (0.5, False), (0.9, False)):

        def change(side, momentum=momentum, nesterov=nesterov):
            side.optimizer.param_groups[0].update(momentum=momentum, nesterov=nesterov)

        pair.each(change)
        for _ in range(3):
            pair.both(*batch(rng))


def test_the_direction_of_steps_is_seen(rng):
    pair = warmed(rng)
    for maximize in (True, False, True):
        pair.each(lambda side, maximize=maximize: side.optimizer.param_groups[0].update(maximize=maximize))
        for _ in range(WARM):
            pair.both(*batch(rng))


def test_state_that_is_edited_is_seen(rng):
    pair = warmed(rng, optimizer=lambda p: optim.Adam(p))

    def forget_steps(side):
        side.optimizer.state[1]["step"] = 0

    def clear_moments(side):
        side.optimizer.state[0]["exp_avg"][...] = 0

    for change in (forget_steps, clear_moments):
        pair.each(change)
        for _ in range(3):
            pair.both(*batch(rng))


def test_groups_that_are_added_are_seen(rng):
    extra = [nn.Linear(6, 3), nn.Linear(6, 3)]
    extra[1].load_state_dict(extra[0].state_dict())

    def step(side):
        head = extra.pop()
        side.head = head

        def both(x, y):
            side.optimizer.zero_grad()
            loss = F.cross_entropy(side.model(x) + head(x), y)
            loss.backward()
            side.optimizer.step()
            return loss

        return both

    pair = Pair(step=step)
    for _ in range(WARM):
        pair.both(*batch(rng))
        pair.each(lambda side: [setattr(p, "grad", None) for p in side.head.parameters()])
    pair.each(lambda side: side.optimizer.add_param_group({"params": list(side.head.parameters()), "lr": 0.5}))
    for _ in range(2 * WARM):
        pair.both(*batch(rng))
        assert pair.side.head.weight.data.tobytes() == pair.eager.head.weight.data.tobytes()


def test_another_number_of_threads_is_seen(rng, monkeypatch):
    pair = warmed(rng)
    replays = pair.replays
    monkeypatch.setattr(native, "threads", native.threads + 1)
    pair.both(*batch(rng))
    assert pair.replays == replays


def test_globals_and_methods_that_are_exchanged_are_seen(rng, monkeypatch):
    class Scaled(nn.Module):
        def __init__(self):
            self.net = mlp()

        def forward(self, x):
            return self.net(x) * scale()

    pair = warmed(rng, Scaled)
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    for _ in range(3):
        pair.both(*batch(rng))
    monkeypatch.setattr(Scaled, "forward", lambda self, x: self.net(x))
    for _ in range(3):
        pair.both(*batch(rng))


FACTOR = 2.0


def scale():
    return FACTOR


def test_what_detect_anomaly_looks_at_runs_as_it_is_written():
    w = cunet.Tensor(np.ones(3, np.float32), requires_grad=True)
    step = cunet.compile(lambda x: cunet.log(w * x).sum().detach())
    good, bad = np.full(3, 2, np.float32), np.array([1, -1, 1], np.float32)
    for _ in range(6):
        step(good)
    with cunet.detect_anomaly():
        for _ in range(6):
            step(good)
        with pytest.raises(cunet.Anomaly, match="log made NaN"):
            step(bad)
    assert "looks at every op" in str(step.report())


@inplace("T g, A rate, A offset", "T w", "w -= rate * (g + offset)", scratch=0)
def drop_of_a_user(g, rate, offset, w):
    w -= rate * (g + offset)


def test_a_kernel_of_a_user_on_weights_is_no_step_of_the_optimiser(rng):
    """It takes the numbers that SGD's does, which a replay reads anew."""

    def step(side):
        def dropping(x, y):
            loss = trained(side, x, y)
            for p in side.model.parameters():
                drop_of_a_user(p.grad.reshape(-1), 0.125, 0.0, p.data.reshape(-1))
            return loss

        return dropping

    pair = Pair(optimizer=lambda p: optim.SGD(p, lr=0.125), step=step)
    for k in range(2 * WARM):
        if k == WARM:
            pair.each(lambda side: side.optimizer.param_groups[0].update(lr=0.5))
        pair.both(*batch(rng))
