"""Steps on a GPU that are not plain ones, as CUDA graphs: the bits are those without. Always simulated."""

import copy
import warnings

import numpy as np
import pytest
from checkpoint_helpers import Cut, StopAt, facts
from helpers import host, turn
from record_helpers import POISONED, records
from trainer_helpers import At, Counting, Own
from turn_helpers import KINDS, fitted, halved, made, samples

import cunet
import sim
from cunet import F, nn
from cunet.train import EMA, SWA, Checkpoint, Trainer

sim.namespace_or_skip()
pytestmark = pytest.mark.usefixtures("simulated")


class Compiled(Trainer):
    """Records its step by itself, around what the trainer records."""

    @cunet.compile
    def step(self, *batch):
        return super().step(*batch)


class Penalised(Trainer):
    """Has two losses of its own."""

    def compute(self, *batch):
        loss, prediction = super().compute(*batch)
        penalty = (self.model[0].weight ** 2).sum()
        return {"loss": loss + 0.1 * penalty, "penalty": penalty.detach()}, prediction


def both(data, epochs=6, **options):
    """Return a trainer whose steps are not recorded, and one whose steps are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what `on_nan` says
        return [
            fitted(mode, data, np.random.default_rng(1), device="gpu", epochs=epochs, **copy.deepcopy(options))
            for mode in (False, "auto")
        ]


def test_every_kind_of_update_is_replayed_with_the_same_bits(rng):
    for options in KINDS:
        with turn(options):
            expected, found = both(samples(rng), **options)
            assert facts(found) == facts(expected) and not expected.reports()
            reports = found.reports()
            looks = "on_nan" in options or "loss_scale" in options
            assert reports["fit"].replays >= 28, reports["fit"]
            assert ("update" in reports) == looks and (not looks or reports["update"].replays >= 14)
            assert {why.partition(":")[0] for why in reports["fit"].refusals} == {"called in a new way"}


@pytest.mark.parametrize("policy", ["skip", "stop", "restore"])
@pytest.mark.parametrize("every", [1, 2])
def test_a_batch_that_is_not_finite_changes_nothing_that_a_graph_reads(policy, every, rng):
    data = samples(rng, 64)
    data[0][60, 0] = np.nan
    expected, found = both(data, 8, on_nan=policy, accumulate=every)
    assert facts(found) == facts(expected)
    if policy == "skip":  # one in each epoch; to go back makes other arrays, and to stop ends it
        reports = found.reports()
        assert found.global_step == 64 and found.history[-1]["skipped"] == 1
        assert reports["fit"].replays >= 45 and reports["update"].replays >= 24, reports
        assert not any("other arrays" in str(report) for report in reports.values())


def test_updates_that_overflow_and_a_scale_that_is_halved_need_no_other_graph(rng):
    report = halved(rng, 40, device="gpu")
    assert report.plans <= 2 and report.replays > 30, report


@pytest.mark.parametrize("make", [lambda: EMA(0.9), lambda: SWA(0.3)], ids=["ema", "swa"])
def test_averages_of_weights_are_evaluated_by_one_graph(make, rng):
    data, trainers = samples(rng, 64), []
    for mode in (False, "auto"):
        trainers.append(made(mode, device="gpu", average=make(), on_nan="skip"))
        for _ in range(2):  # the second goes on from the weights that were trained
            trainers[-1].fit(data, (data[0][:8], data[1][:8]), epochs=8, batch_size=16)
        assert trainers[-1].average.shown
    assert facts(trainers[0]) == facts(trainers[1])
    replays = {name: report.replays for name, report in trainers[1].reports().items()}
    assert replays["fit"] >= 58 and replays["update"] >= 58 and replays["evaluate"] >= 8, trainers[1].reports()


def test_what_is_trained_beside_weights_that_were_loaded_is_no_room_of_an_average(rng):
    def state():
        return {name: host(a).tobytes() for name, a in trainer.model.state_dict().items()}

    data, seen = samples(rng, 16), []
    trainer = made("auto", device="gpu", average=EMA(0.5), callbacks=[At(4, lambda _: seen.append(state()))])
    trainer.fit(data, data, batch_size=8)
    trainer.model[4].weight.data = trainer.model[4].weight.data * 0.5  # the others stay those of the average
    trainer.fit(data, data, batch_size=8)
    assert state() != seen[0] and trainer.average.take(trainer.model)
    assert state() == seen[0]


def test_steps_and_losses_of_ones_own(rng):
    for kind in (Counting, Compiled, Penalised):
        for options in ({"on_nan": "skip"}, {"accumulate": 4}, {"loss_scale": 4.0}):
            with turn(kind.__name__, options):
                expected, found = both(samples(rng, 64), kind=kind, **options)
                assert facts(found) == facts(expected) and vars(found).get("count") == vars(expected).get("count")
                assert found.reports()["fit"].replays >= 30, found.reports()["fit"]
    assert Compiled.step.report().replays == 0 and "within" in str(Compiled.step.report())


@pytest.mark.parametrize("options", [{"clip_norm": 0.1}, {"clip_value": 0.02}], ids=str)
@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_a_step_recorded_around_one_of_these_is_refused_for_what_nobody_replays(device, options, rng):
    class Around(Trainer):
        @cunet.compile
        def step(self, *batch):
            return super().step(*batch)

    if device == "cpu" and (POISONED or not records()):
        pytest.skip("kernels run on NumPy here")
    data, rng = samples(rng, 64), np.random.default_rng(1)
    expected, found = (fitted(mode, data, rng, device=device, kind=Around, **options) for mode in (False, "auto"))
    assert facts(found) == facts(expected)
    report = Around.step.report()
    assert report.replays == 0 and found.reports()["fit"].replays >= 15, (report, found.reports())
    reasons = {why for why in report.refusals if "called in a new way" not in why}
    assert reasons and all(why.endswith("the step.careful.within") for why in reasons), report


def test_what_is_left_as_it_is_written_is_said(rng):
    expected, found = both(samples(rng), kind=Own, class_weight={0: 2.0})
    assert facts(found) == facts(expected)
    report = found.reports()["fit"]
    assert report.replays == 0 and "weights of samples or labels in a step that" in str(report)


def test_a_run_that_is_cut_off_goes_on_in_the_midst_of_an_update(rng, tmp_path):
    data = samples(rng)

    def trained(folder, mode, last=0):
        callbacks = [Checkpoint(folder, monitor=None, every_steps=19), StopAt(last)]
        options = {"accumulate": 3, "loss_scale": "dynamic", "average": EMA(0.9)}
        return fitted(mode, data, rng, device="gpu", class_weight={1: 2.0}, resume="auto",
                      callbacks=callbacks, **options)  # fmt: skip

    whole = trained(tmp_path / "whole", False)
    with pytest.raises(Cut):
        trained(tmp_path / "cut", "auto", 19)
    found = trained(tmp_path / "cut", "auto")
    assert facts(found) == facts(whole) and found.reports()["fit"].replays > 8
    assert found.updates.scale.state_dict() == whole.updates.scale.state_dict()


def test_a_loss_that_does_not_hold_its_scale(rng):
    x, labels = samples(rng, 8)
    model = nn.Linear(3, 3, dtype=np.float16)
    for mode in (False, "auto"):
        trainer = Trainer(model, F.cross_entropy, "sgd", device="gpu", loss_scale=1e5, progress=False, compile=mode)
        with pytest.raises(ValueError, match="at most 65504 for a loss of float16, got 100000"):
            trainer.fit([(x.astype(np.float16), labels)])
