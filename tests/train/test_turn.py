"""Steps that are not plain ones, recorded: accumulated, checked, scaled and weighted; the bits are those without."""

import warnings

import numpy as np
import pytest
from checkpoint_helpers import Cut, StopAt, facts
from helpers import turn
from hypothesis import given, settings
from hypothesis import strategies as st
from record_helpers import POISONED, records
from trainer_helpers import At, Counting, Own
from turn_helpers import KINDS, fitted, halved, made, samples

import cunet
from cunet import F
from cunet.data import Loader
from cunet.train import EMA, Checkpoint

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(POISONED or not records(), reason="kernels run on NumPy here"),
]


def test_every_kind_of_update_is_replayed_with_the_same_bits(rng):
    for options in KINDS:
        with turn(options):
            data = samples(rng)
            expected, found = (fitted(mode, data, np.random.default_rng(1), **options) for mode in (False, "auto"))
            assert facts(found) == facts(expected)
            reports = found.reports()
            looks = "on_nan" in options or "loss_scale" in options
            assert reports["fit"].replays >= 20, reports["fit"]
            assert ("update" in reports) == looks and (not looks or reports["update"].replays >= 8)
            assert not expected.reports()


EVENTS = ["fine", "fine", "fine", "NaN", "huge", "ignored", "short", "rate", "held"]


@given(
    st.lists(st.sampled_from(EVENTS), min_size=4, max_size=20),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([None, "skip", "restore", "stop"]),
    st.sampled_from([None, "dynamic", 16.0]),
    st.sampled_from([None, 0.1]),
    st.sampled_from([None, {1: 2.0}]),
)
@settings(max_examples=8)
def test_any_run_of_batches_leaves_the_bits_of_one_that_is_not_recorded(script, every, policy, scale, norm, weights):
    rng = np.random.default_rng(5)
    batches = [made_batch(event, rng) for event in script for _ in range(3)]
    options = {"accumulate": every, "on_nan": policy, "loss_scale": scale, "clip_norm": norm}
    left = []
    for mode in (False, "auto"):
        seen = Held()
        callbacks = [seen, *(At(k, faster) for k, event in enumerate(script) if event == "rate")]
        trainer = made(mode, callbacks=callbacks, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what `on_nan` says, and that the loss is NaN without it
            try:
                trainer.fit(batches, epochs=2, class_weight=weights)
            except FloatingPointError as error:  # nothing of an epoch was finite
                left.append(str(error))
        left.append((facts(trainer), seen.bytes()))
        scaling = trainer.updates.scale
        left.append(scaling and scaling.state_dict())
    assert left[: len(left) // 2] == left[len(left) // 2 :]


def made_batch(event, rng):
    x, labels = samples(rng, 5 if event == "short" else 8)
    if event in ("NaN", "huge"):
        x[2, 1] = np.nan if event == "NaN" else 1e30  # of which the gradients overflow
    if event == "ignored":
        labels[:] = -100
    return x, labels


def faster(trainer):
    trainer.optimizer.set_rate(0, 0.3)


class Held(At):
    """Keep gradients that later steps must not write into."""

    def __init__(self):
        super().__init__(0, None)
        self.kept = []

    def on_batch_end(self, trainer):
        self.seen += 1
        if self.seen % 5 == 0:
            self.kept += [p.grad for p in trainer.model.parameters()]

    def bytes(self):
        return [None if a is None else a.tobytes() for a in self.kept]


def test_a_scale_that_is_halved_needs_no_other_plan(rng):
    report = halved(rng, 60)
    assert report.plans <= 2 and report.replays > 50, report


def test_a_run_that_is_cut_off_goes_on_with_the_bits_of_one_that_is_not_recorded(rng, tmp_path):
    stop = 29  # in the second epoch, where two batches wait for an update
    x, labels = samples(rng)
    x[31] = np.nan

    def trained(folder, mode, last=0):
        extra = [Checkpoint(folder, monitor=None, every_steps=29), StopAt(last)]
        options = {"accumulate": 4, "on_nan": "restore", "loss_scale": "dynamic", "average": EMA(0.9)}
        trainer = made(mode, callbacks=extra, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what `on_nan` says
            loader = Loader(x, labels, batch_size=4, shuffle=True, generator=cunet.Generator(3, "order"))
            trainer.fit(loader, epochs=4, class_weight={1: 2.0}, resume="auto")
        return trainer

    whole = trained(tmp_path / "whole", False)
    with pytest.raises(Cut):
        trained(tmp_path / "cut", "auto", stop)
    found = trained(tmp_path / "cut", "auto")
    assert facts(found) == facts(whole)
    assert found.updates.scale.state_dict() == whole.updates.scale.state_dict()


def test_steps_of_ones_own_are_recorded_beside_a_policy_as_far_as_they_can_be(rng):
    data = samples(rng)

    def run(kind, mode, options, **more):
        trainer = kind(made(mode).model, F.cross_entropy, "adam", device="cpu", progress=False, compile=mode, **options)
        trainer.fit(data, epochs=6, batch_size=8, **more)
        return trainer

    for kind, options in ((Own, {"on_nan": "skip"}), (Counting, {"accumulate": 2}), (Counting, {"on_nan": "skip"})):
        with turn(kind.__name__, options):
            expected, found = (run(kind, mode, options) for mode in (False, "auto"))
            assert facts(found) == facts(expected) and vars(found).get("count") == vars(expected).get("count")
            assert found.reports()["fit"].replays >= 20, found.reports()["fit"]
    unrecorded = run(Own, "auto", {}, class_weight={0: 2.0})
    assert facts(unrecorded) == facts(run(Own, False, {}, class_weight={0: 2.0}))
    report = unrecorded.reports()["fit"]
    assert report.replays == 0 and "weights of samples or labels in a step that" in str(report)


def test_plain_steps_and_others_take_turns_in_the_report(rng):
    data = samples(rng)
    trainer = made("auto")
    for weights in (None, {0: 2.0}, None):
        trainer.fit(data, epochs=2, batch_size=8, class_weight=weights)
        report = trainer.reports()["fit"]
        assert report.replays >= 5 and report.replays + report.recorded + report.eager in (16, 32), report
