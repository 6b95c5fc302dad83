"""Steps that cannot be replayed run as they are written, and the report says why."""

import itertools
import random

import numpy as np
import pytest
from record_helpers import POISONED, STEPS, Pair, batch, mlp, records, refused, trained

import cunet
from cunet import functional as F
from cunet import nn
from cunet.record import entry

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(POISONED or not records(), reason="kernels run on NumPy here"),
]


def add(a, data):
    a += data


def copy(a, data):
    np.copyto(a, data)


def count(a, data):
    a.flat[0] = 3 + data.flat[0]


WRITES = [add, copy, count]


def test_numbers_made_of_arrays(rng):
    assert "returns a number" in refused(rng, lambda side: lambda x, y: float(trained(side, x, y)))
    assert "reads or writes an array" in refused(rng, lambda side: lambda x, y: str(float(trained(side, x, y))))


def test_branches_that_look_at_values(rng):
    def step(side):
        def branching(x, y):
            y = y if x[0, 0] < 10 else y[::-1]
            return trained(side, x, y)

        return branching

    assert "record_helpers.py:" in refused(rng, step)  # it names the line that comes to a kernel next


def test_numpy_of_the_users(rng):
    assert "reads or writes" in refused(rng, lambda side: lambda x, y: trained(side, np.tanh(x), y))


def test_zeros_that_nobody_writes_are_none(rng):
    def step(side):
        return lambda x, y: trained(side, cunet.add(x, np.zeros(x.shape, x.dtype)), y)

    pair = Pair(step=step)
    for _ in range(STEPS):
        pair.both(*batch(rng))
    assert pair.replays
    pair = Pair(step=lambda side: lambda x, y: trained(side, cunet.add(x, np.ones(x.shape, x.dtype)), y))
    for _ in range(STEPS):
        pair.both(*batch(rng))
    assert not pair.replays


def test_gradients_that_are_changed_by_numpy(rng):
    def step(side):
        def scaled(x, y):
            side.optimizer.zero_grad()
            loss = F.cross_entropy(side.model(x), y)
            loss.backward()
            for p in side.model.parameters():
                p.grad *= np.float32(0.5)
            side.optimizer.step()
            return loss

        return scaled

    assert "reads or writes" in refused(rng, step)


def test_weights_that_are_changed_by_numpy(rng):
    factor = np.full(1, 0.99, np.float32)

    def step(side):
        def decayed(x, y):
            loss = trained(side, x, y)
            for p in side.model.parameters():
                p.data *= factor
            return loss

        return decayed

    assert "the same bits" in refused(rng, step)


@pytest.mark.parametrize("write", WRITES, ids=lambda f: f.__name__)
def test_arrays_beside_the_step_that_numpy_writes(rng, write):
    def step(side):
        side.kept = [np.ones_like(p.data) for p in side.model.parameters()]

        def averaging(x, y):
            loss = trained(side, x, y)
            for a, p in zip(side.kept, side.model.parameters(), strict=True):
                write(a, p.data)
            return loss

        return averaging

    pair = Pair(step=step)
    for _ in range(STEPS):
        pair.both(*batch(rng))
    assert [a.tobytes() for a in pair.side.kept] == [a.tobytes() for a in pair.eager.kept]
    assert pair.replays == 0 and "writes into an array of shape" in str(pair.compiled.report())


def test_gradients_that_numpy_writes(rng):
    def step(side):
        for p in side.model.parameters():
            p.grad = np.ones_like(p.data)
        ones = [np.ones_like(p.data) for p in side.model.parameters()]

        def forward(x, y):
            for p, one in zip(side.model.parameters(), ones, strict=True):
                p.grad += one
            return F.cross_entropy(side.model(x), y).detach()

        return forward

    assert "writes into an array of shape" in refused(rng, step)


def test_files_that_can_be_written(rng, tmp_path):
    def step(side):
        name = tmp_path / str(id(side))
        side.file = np.memmap(name, np.float32, "w+", shape=3)
        return lambda x, y: trained(side, x, y) + 0 * float(side.file.shape[0])

    assert "is a file that can be written" in refused(rng, step)


def test_lists_that_grow(rng):
    def step(side):
        losses = []

        def noting(x, y):
            losses.append(trained(side, x, y))
            return losses[-1]

        return noting

    assert "losses" in refused(rng, step)


def test_counters(rng):
    def step(side):
        count = 0

        def counting(x, y):
            nonlocal count
            count += 1
            return trained(side, x, y)

        return counting

    assert "in a new way: the step.count" in refused(rng, step)


def test_rates_that_the_step_changes(rng):
    def step(side):
        def scheduled(x, y):
            loss = trained(side, x, y)
            side.optimizer.param_groups[0]["lr"] *= 0.9
            return loss

        return scheduled

    assert "settings or state of SGD" in refused(rng, step)


@pytest.mark.parametrize("draw", [random.random, np.random.rand])
def test_random_numbers_of_others(rng, draw):
    def step(side):
        def noisy(x, y):
            return trained(side, x, y) if draw() < 2 else None

        return noisy

    refused(rng, step)


def test_iterators(rng):
    def step(side):
        counter = itertools.count()

        def numbered(x, y):
            next(counter)
            return trained(side, x, y)

        return numbered

    assert "iterator" in refused(rng, step)


def test_graphs_that_outlive_the_step(rng):
    assert "graph" in refused(rng, lambda side: lambda x, y: side.model(x))


def test_printing(rng, capsys):
    def step(side):
        def printing(x, y):
            print("step")
            return trained(side, x, y)

        return printing

    refused(rng, step)
    assert capsys.readouterr().out == "step\n" * 2 * STEPS


def test_arrays_that_are_handed_to_the_system(rng, tmp_path):
    model = mlp()
    with open(tmp_path / "log", "wb", buffering=0) as file:
        hand = file.write

        def logged(x):
            y = model(x).detach()
            hand(y.data)
            return y

        step = cunet.compile(logged)
        x = batch(rng)[0]
        step(x)
        with pytest.raises(OSError, match="Bad address") as error:
            step(x)
        assert "cannot be recorded" in error.value.__notes__[0]
        for _ in range(5):
            step(x)
    assert (tmp_path / "log").read_bytes() == model(x).data.tobytes() * 6
    assert "to the system" in str(step.report())


def test_steps_that_write_more_than_is_compared(rng, monkeypatch):
    monkeypatch.setattr(entry, "_MOST", 10)
    assert "more than 10 bytes" in refused(rng, lambda side: lambda x, y: trained(side, x, y))


def test_steps_of_which_few_are_alike_are_soon_let_alone(rng):
    model = mlp()
    step = cunet.compile(lambda x: model(x).detach())
    for n in range(1, 200):
        step(batch(rng, n)[0])
    assert "few calls are alike" in str(step.report()) and step.report().recorded == 0


def test_layers_that_keep_what_they_saw(rng):
    class Keeps(nn.Module):
        def __init__(self):
            self.net = mlp()
            self.last = None

        def forward(self, x):
            self.last = self.net(x)
            return self.last

    pair = Pair(Keeps)
    for _ in range(STEPS):
        pair.both(*batch(rng))
        assert pair.side.model.last.data.tobytes() == pair.eager.model.last.data.tobytes()
    assert pair.replays == 0 and "last" in str(pair.compiled.report())


def test_the_environment_may_forbid_recording(rng, monkeypatch):
    monkeypatch.setenv("CUNET_COMPILE", "0")
    assert "8 eager: CUNET_COMPILE=0" in refused(rng, lambda side: lambda x, y: trained(side, x, y))


def test_without_compiled_kernels_a_step_runs_as_it_is_written(rng):
    pair = Pair()
    cunet.native.disable()
    try:
        for _ in range(STEPS):
            pair.both(*batch(rng))
    finally:
        cunet.native.enable()
    assert pair.compiled.report().eager == STEPS and "NumPy" in str(pair.compiled.report())
