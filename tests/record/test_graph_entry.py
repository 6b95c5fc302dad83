"""Calls of a step on a GPU: which get a graph of their own, which run as they are written, and why. Simulated."""

from unittest import TestCase

import numpy as np
import pytest
from helpers import turn
from record_helpers import PairOnGpu, batch, bn_net, mlp, trained
from record_layers import CHANGES

import cunet
import sim
from cunet import functional as F
from cunet import nn, optim
from cunet.device import to_device
from cunet.kernels import listening

xp = sim.namespace_or_skip()
pytestmark = pytest.mark.usefixtures("simulated")

WARM = 5  # calls until one was replayed


def warmed(rng, *args, **kwargs):
    pair = PairOnGpu(*args, **kwargs)
    for _ in range(WARM):
        pair.both(*batch(rng))
    assert pair.replays == 1, pair.compiled.report()
    return pair


def refused(rng, step, *args, calls=4, **kwargs):
    """Run a kind of step on both sides; return the report as text."""
    pair = PairOnGpu(*args, step=step, **kwargs)
    for _ in range(calls):
        pair.both(*batch(rng))
    report = pair.compiled.report()
    assert report.replays == 0 and report.plans == 0, report
    return str(report)


def test_what_is_changed_between_steps_is_seen(rng):
    pair = warmed(rng, lambda: nn.Sequential(*bn_net(), nn.Dropout(0.2)))
    for change in CHANGES:
        with turn(change.__name__):
            pair.each(change)
            before, calls = pair.replays, 0
            while pair.replays == before:
                pair.both(*batch(rng))
                calls += 1
                assert calls < 9, pair.compiled.report()


def test_other_sizes_modes_and_precisions_have_graphs_of_their_own(rng):
    pair = warmed(rng)
    for _ in range(WARM):
        pair.both(*batch(rng, 3))
    with cunet.precision("tf32"):
        for _ in range(WARM):
            pair.both(*batch(rng))
    assert pair.compiled.report().plans == 3


def test_a_model_of_another_dtype_is_captured_anew(rng):
    pair = warmed(rng)
    pair.each(lambda side: side.model.astype(np.float64))
    for _ in range(WARM):
        x, y = batch(rng)
        pair.both(x.astype(np.float64), y)
    assert pair.replays == 2


def test_what_waits_for_the_gpu(rng):
    said = refused(rng, lambda side: lambda x, y: cunet.tensor(float(trained(side, x, y))))
    assert "waits for the GPU" in said and "test_graph_entry.py:" in said
    refused(rng, lambda side: lambda x, y: trained(side, x if x.max() < 99 else -x, y))
    said = refused(rng, lambda side: lambda x, y: trained(side, x * to_device(np.ones(6, "f"), "gpu"), y))
    assert "copies from the host" in said


def test_products_of_cupys(rng):
    said = refused(rng, lambda side: lambda x, y: trained(side, x @ xp.ones((6, 6), "f"), y))
    assert "during stream capture is currently unsupported" in said


class Decaying(optim.Optimizer):
    """A user's own, which makes its step in a way of its own."""

    def __init__(self, params):
        super().__init__(params, {"lr": 0.5})

    def step(self, closure=None):
        for p, state in zip(self.param_groups[0]["params"], self.state, strict=True):
            state["step"] = state.get("step", 0) + 1
            p.data -= 0.5 ** state["step"] * p.grad


def test_optimisers_that_count_on_the_cpu(rng):
    said = refused(rng, lambda side: lambda x, y: trained(side, x, y), optimizer=Decaying, calls=3)
    assert "Decaying counts its steps on the CPU" in said


def test_a_wrapper_that_counts_on_the_cpu(rng):
    def step(side):
        around = optim.Lookahead(side.optimizer, k=2)

        def stepped(x, y):
            around.zero_grad()
            loss = F.cross_entropy(side.model(x), y)
            loss.backward()
            around.step()
            return loss

        return stepped

    assert "around._since" in refused(rng, step)


def test_what_python_does_beside(rng):
    seen = []

    def noting(side):
        return lambda x, y: (seen.append(1), trained(side, x, y))[1]

    assert "called in a new way: seen" in refused(rng, noting)
    assert len(seen) == 8  # each call's, on both sides: nothing was run twice

    def decaying(side):
        def step(x, y):
            loss = trained(side, x, y)
            side.optimizer.param_groups[0]["lr"] *= 0.5
            return loss

        return step

    assert "settings of SGD are changed by more than its step" in refused(rng, decaying)


def test_arrays_of_the_cpu_that_are_written(rng):
    count = np.zeros(1)

    def counting(side):
        def step(x, y):
            count[...] += 1
            return trained(side, x, y)

        return step

    assert "writes into an array of the CPU" in refused(rng, counting)
    assert count == 8


def test_a_step_without_arguments(rng):
    pair, (x, y) = PairOnGpu(), [xp.asarray(a) for a in batch(rng)]
    step = cunet.compile(lambda: pair.side.step(x, y))
    for _ in range(3):
        pair.side.run(step)
        pair.eager.run(pair.eager.step, x, y)
        assert pair.side.state() == pair.eager.state()
    report = str(step.report())
    assert "0 replayed" in report and ("none of its arguments lies there" in report or "run on NumPy" in report)


def test_inputs_that_are_written_and_results_that_were_there(rng):
    def writing(side):
        def step(x, y):
            loss = trained(side, x, y)
            x *= 2
            return loss

        return step

    pair = PairOnGpu(step=writing)
    for _ in range(WARM):
        x, y = batch(rng)
        mine, its = xp.asarray(x), xp.asarray(x)
        pair.side.run(pair.compiled, mine, xp.asarray(y))
        pair.eager.run(pair.of_eager, its, xp.asarray(y))
        assert mine.tobytes() == its.tobytes() and pair.side.state() == pair.eager.state()
    assert "writes into an input" in str(pair.compiled.report())
    said = refused(rng, lambda side: lambda x, y: (trained(side, x, y), side.model[0].weight.data)[1])
    assert "was not made by the step" in said
    assert "part of a larger array" in refused(rng, lambda side: lambda x, y: side.model(x).detach().data[:, 0])


def test_arguments_of_two_devices_empty_ones_and_ones_with_gaps(rng):
    add = cunet.compile(lambda x, y: cunet.add(x, 1.0).detach())
    for x, y, why in (
        (xp.ones(3), np.ones(3), "the CPU and of the GPU"),
        (xp.ones((0, 3)), xp.ones(3), "empty"),
        (xp.ones((4, 6))[:, :3], xp.ones(3), "part of a larger array"),
    ):
        for _ in range(3):
            add(x, y)
        assert why in str(add.report())
    assert add.report().replays == 0


def test_an_error_of_the_step_is_its_own(rng):
    pair, wrong = PairOnGpu(), [False]

    def step(x, y):
        if wrong[0]:
            raise KeyError("mine")
        return pair.side.step(x, y)

    compiled = cunet.compile(step)
    for k in range(3 * WARM):
        wrong[0] = k in (1, 2, 9)
        x, y = (xp.asarray(a) for a in batch(rng))
        if wrong[0]:
            with pytest.raises(KeyError, match="mine"):
                pair.side.run(compiled, x, y)
        else:
            pair.side.run(compiled, x, y)
            pair.eager.run(pair.of_eager, x, y)
        assert pair.side.state() == pair.eager.state()
    assert not next(iter(cunet.record.place._streams.values())).is_capturing()


def test_a_step_within_a_capture_or_under_a_listener_runs_as_it_is_written(rng):
    pair = warmed(rng)
    x, y = (xp.asarray(a) for a in batch(rng))
    with listening(lambda kernel, args, options, proceed: proceed()):
        pair.both(x, y)
    outer = cunet.compile(lambda x, y: pair.compiled(x, y))
    for _ in range(WARM):
        pair.side.run(outer, x, y)
        pair.eager.run(pair.of_eager, x, y)
    stream = xp.cuda.Stream()
    with stream, xp.cuda.using_allocator(xp.cuda.MemoryPool().malloc):
        stream.begin_capture()
        pair.side.run(pair.compiled, x, y)
        stream.end_capture().launch()
    pair.eager.run(pair.of_eager, x, y)
    said = str(pair.compiled.report())
    assert "listens" in said and "a CUDA graph is captured" in said


def test_why_a_step_is_not_captured_is_said_once(rng):
    with TestCase().assertLogs("cunet", "INFO") as said:
        refused(rng, lambda side: lambda x, y: cunet.tensor(float(trained(side, x, y))))
    assert sum("runs as it is written" in line for line in said.output) == 1


def test_memory_for_the_comparison_is_asked_for(rng, monkeypatch):
    monkeypatch.setattr(xp.cuda.Device, "mem_info", (100, 1000), raising=False)
    monkeypatch.setattr(xp.cuda.Device, "__init__", lambda self, device=None: setattr(self, "id", 0))
    assert "find no room" in refused(rng, lambda side: lambda x, y: trained(side, x, y))


def test_steps_of_closures_are_none(rng):
    """LBFGS looks at its loss."""
    model = mlp().to("gpu")
    optimizer = optim.LBFGS(model.parameters(), max_iter=2)

    @cunet.compile
    def step(x, y):
        def closure():
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss

        return optimizer.step(closure)

    for _ in range(4):
        step(*[xp.asarray(a) for a in batch(rng)])
    assert step.report().replays == 0 and step.report().recorded >= 1
