"""Long steps are replayed where that takes less time than the step as it is written, and only there."""

import numpy as np
import pytest
from record_helpers import POISONED, WARM, Side, batch, bn_net, records, sgd, trained

from cunet import functional as F
from cunet import nn
from cunet.record import CompiledStep, entry
from cunet.record.trial import Trial

pytestmark = pytest.mark.cpu_only


def measured(replay, written):
    """Return a trial of calls that take these seconds, but for the first ones, which are slow."""
    trial, calls = Trial(), ""
    while not trial.over:
        calls += "w" if trial.asks_for_written else "r"
        trial.note(written if trial.asks_for_written else replay + 9 * (len(calls) < 5))
    return trial, calls


def test_calls_are_measured_in_turns():
    trial, calls = measured(0.08, 0.1)
    assert calls == "rrrrrwrwrwrw" and trial.verdict() == ""


def test_a_gain_that_is_too_small_is_none():
    assert measured(0.094, 0.1)[0].verdict() == ""
    assert measured(0.096, 0.1)[0].verdict() == "a replay takes 96 ms, the step as written 100 ms"


@pytest.mark.skipif(POISONED or not records(), reason="kernels run on NumPy here")
@pytest.mark.parametrize("verdict", ["", "a replay takes longer"])
def test_a_plan_is_kept_or_let_go(rng, monkeypatch, verdict):
    monkeypatch.setattr(entry, "LONG", 0.0)
    monkeypatch.setattr(Trial, "verdict", lambda self: verdict)
    side = Side(bn_net, sgd, F.cross_entropy)
    step = CompiledStep(lambda x, y: trained(side, x, y), tries=True)
    for _ in range(WARM + 20):
        step(*batch(rng))
    report = step.report()
    assert report.refusals["measured beside its replays"] == 4
    assert report.plans == (not verdict) and (report.bytes > 0) == (not verdict)
    assert report.replays == 8 if verdict else report.replays > 8
    assert (verdict in report.refusals) == bool(verdict)


@pytest.mark.skipif(POISONED or not records(), reason="kernels run on NumPy here")
def test_steps_that_are_asked_for_are_not_tried(rng, monkeypatch):
    monkeypatch.setattr(entry, "LONG", 0.0)
    side = Side(bn_net, sgd, F.cross_entropy)
    step = CompiledStep(lambda x, y: trained(side, x, y))
    for _ in range(WARM + 20):
        step(*batch(rng))
    assert "measured beside its replays" not in step.report().refusals


@pytest.mark.skipif(POISONED or not records(), reason="kernels run on NumPy here")
def test_memory_of_a_plan_and_of_its_making_is_near_that_of_the_step(rng):
    side = Side(wide_net, sgd, F.cross_entropy)
    step = CompiledStep(lambda x, y: trained(side, x, y))
    x, y = rng.normal(size=(4000, 6)).astype(np.float32), rng.integers(0, 3, 4000)
    for _ in range(WARM):
        step(x, y)
    report = step.report()
    assert report.replays and report.peak_eager > 4_000_000
    assert report.peak < 1.2 * report.peak_eager and report.peak_recording < 1.3 * report.peak_eager, report


def wide_net():
    return nn.Sequential(nn.Linear(6, 64), nn.BatchNorm1d(64), nn.Sigmoid(), Reversed(), nn.Linear(64, 3))


class Reversed(nn.Module):
    """A layer that NumPy does, within a replay too."""

    def forward(self, x):
        return x[:, ::-1] * 1.0
