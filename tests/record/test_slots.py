"""Numbers that differ from step to step reach a graph's kernels by memory, and by nothing else. Simulated."""

import numpy as np
import pytest
from helpers import host
from optimizer_rows import FULL_ROWS, row_id
from record_helpers import PairOnGpu, batch, bn_net

import sim
from cunet import functional as F
from cunet import nn, optim
from cunet.optim import ondevice
from cunet.random import Generator, default_generator
from cunet.random.generator import Draw, stream_id

xp = sim.namespace_or_skip()
pytestmark = pytest.mark.usefixtures("simulated")

CALLS = 6


def with_dropout():
    return nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.4), nn.Dropout(0.1), nn.ReLU(), nn.Linear(8, 3))


def graph_of(pair, rng):
    for _ in range(4):
        pair.both(*batch(rng))
    return pair.compiled._entries[0].plan._graph


def words(arguments):
    """Return what a kernel was given by value, in words; addresses of memory as 0."""
    given = b"".join([a + bytes(-len(a) % 8) for a in arguments])
    return [0 if 1 << 40 <= w < 1 << 47 else w for w in np.frombuffer(given, np.uint64).tolist()]


@pytest.mark.parametrize("row", FULL_ROWS[::2], ids=row_id)
def test_two_captures_at_different_times_are_the_same(rng, row):
    """Of rates, decay, step counts and draws nothing is an argument."""
    cls, settings = row
    pair = PairOnGpu(with_dropout, lambda p: cls(p, **settings))
    first = graph_of(pair, rng)
    other = PairOnGpu(with_dropout, lambda p: cls(p, **settings))
    for _ in range(3):
        inputs = [xp.asarray(a) for a in batch(rng)]
        other.each(lambda side, inputs=inputs: side.step(*inputs))
    other.each(lambda side: side.optimizer.param_groups[0].update(lr=0.0371, weight_decay=0.123))
    second = graph_of(other, rng)
    assert [name for name, _ in first.kernels] == [name for name, _ in second.kernels]
    for (name, some), (_, others) in zip(first.kernels, second.kernels, strict=True):
        assert words(some) == words(others), name


def test_draws_that_are_arguments_are_found_out(rng, monkeypatch):
    """As if dropout's kernel did not read the number where it lies."""

    def as_numbers(self):
        self.call += 1
        return Draw(self.seed, stream_id(self.stream), self.call - 1)

    monkeypatch.setattr(Generator, "next", as_numbers)
    pair = PairOnGpu(with_dropout)
    for _ in range(CALLS + 1):  # it may settle
        pair.both(*batch(rng))
    report = pair.compiled.report()
    assert report.replays == 0 and "another one each time" in str(report), report


def test_scalars_that_are_arguments_are_found_out(rng, monkeypatch):
    class Never:
        def set(self, value):
            return None

        def reset(self, token):
            pass

        def get(self):
            return None

    monkeypatch.setattr(ondevice, "placing", Never())
    pair = PairOnGpu(bn_net, lambda p: optim.Adam(p, lr=0.01))
    for _ in range(CALLS):
        pair.both(*batch(rng))
    assert pair.replays == 0 and pair.compiled.report().plans == 0


def test_a_number_that_is_frozen_is_no_replay(rng, monkeypatch):
    """As if a replay did not write the scalars: the comparison sees it, whatever the capture noted."""
    from cunet.record.slots import Slots

    plain = Slots.fill

    def once(self, run, scalars, calls):
        if not scalars or not getattr(self, "filled", False):
            plain(self, run, scalars, calls)
            self.filled = bool(scalars)

    monkeypatch.setattr(Slots, "fill", once)
    pair = PairOnGpu(optimizer=lambda p: optim.Adam(p, lr=0.01))
    for _ in range(CALLS):
        pair.both(*batch(rng))
    assert "does not give the same bits" in str(pair.compiled.report())


def test_streams_are_as_they_were_behind_a_capture(rng):
    pair = PairOnGpu(with_dropout)
    graph_of(pair, rng)
    assert {g._counter for g in pair.compiled._entries[0]._watch.generators} == {None}
    assert ondevice.placing.get() is None


def test_a_stream_that_lies_on_the_gpu_goes_on(rng, monkeypatch):
    generator = default_generator("dropout")
    monkeypatch.setattr(generator, "_counter", None)
    generator.on_device()
    pair = PairOnGpu(with_dropout)
    for _ in range(CALLS):
        pair.both(*batch(rng))
    assert pair.replays == 2
    pair.each(lambda side: generator.commit())
    pair.both(*batch(rng))
    x = xp.ones(99)
    found = F.dropout(x, generator=generator)
    assert generator._counter is not None
    again = Generator(generator.seed, generator.stream, generator.call - 1)
    np.testing.assert_array_equal(host(found), host(F.dropout(x, generator=again)))
