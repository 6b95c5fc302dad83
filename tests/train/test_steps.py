"""Steps of a trainer that are recorded: nothing that it leaves is another than without."""

import copy
import gc
import weakref
from unittest import TestCase

import numpy as np
import pytest
from checkpoint_helpers import facts
from record_helpers import POISONED, records
from trainer_helpers import At, Counting, classes, line, regression, trainer_of

import cunet
from cunet import F, nn, optim
from cunet.data import Loader
from cunet.train import Callback, EarlyStopping, Schedule, Trainer

recorded = pytest.mark.skipif(POISONED or not records(), reason="kernels run on NumPy here")


def net():
    cunet.manual_seed(3)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))


def fitted(data, compile, kind=Trainer, epochs=3, callbacks=(), **kwargs):
    """Return a trainer that has trained in all ways that change what a step does."""
    model = net()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    schedule = Schedule(optim.OneCycleLR(optimizer, 0.02, total_steps=12 * epochs), per="batch")
    callbacks = [schedule, EarlyStopping(restore_best=True), *callbacks]
    kwargs = {"metrics": "accuracy", "callbacks": callbacks, "progress": False, **kwargs}
    trainer = kind(model, F.cross_entropy, optimizer, device="cpu", compile=compile, **kwargs)
    loader = Loader(*data, batch_size=8, shuffle=True, generator=cunet.Generator(3, "order"))
    trainer.fit(loader, data, epochs)
    return trainer


class Clipping(Trainer):
    """Clips gradients, by an attribute of its own."""

    most = 0.1

    def step(self, *batch):
        self.optimizer.zero_grad()
        loss, prediction = self.compute(*batch)
        loss.backward()
        optim.clip_grad_norm_(list(self.model.parameters()), self.most)
        self.optimizer.step()
        return loss, prediction


class Penalised(Trainer):
    """Adds to the loss, and leaves the rest to the trainer."""

    def compute(self, x, target):
        loss, prediction = super().compute(x, target)
        return loss + 0.1 * (self.model[0].weight ** 2).sum(), prediction


class Noting(Trainer):
    """Keeps its losses, which a replay would not."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.losses = []

    def step(self, *batch):
        loss, prediction = super().step(*batch)
        self.losses.append(float(loss))
        return loss, prediction


KINDS = [Trainer, Clipping, Penalised, Counting, Noting]


@recorded
@pytest.mark.cpu_only
@pytest.mark.parametrize("kind", KINDS)
def test_a_recorded_run_leaves_the_bits_of_one_that_is_not(rng, kind):
    data = classes(rng, 92)
    expected, found = fitted(data, False, kind), fitted(data, "auto", kind)
    assert facts(found) == facts(expected)
    assert vars(found).get("losses") == vars(expected).get("losses")
    assert found.count == expected.count == 36 if kind is Counting else True
    assert found.predict(data[0]).tobytes() == expected.predict(data[0]).tobytes()
    assert found.evaluate(data) == expected.evaluate(data)
    reports = found.reports()
    assert not expected.reports()
    assert (reports["fit"].replays > 0) == (kind not in (Counting, Noting)), reports["fit"]


@recorded
@pytest.mark.cpu_only
@pytest.mark.parametrize(
    "options",
    [{"clip_norm": 0.1}, {"clip_value": 0.01}, {"accumulate": 3}, {"on_nan": "skip"}],
    ids=["norm", "value", "accumulation", "NaN"],
)
def test_steps_that_are_not_plain_leave_the_same_bits(rng, options):
    data = classes(rng, 92)
    expected, found = (fitted(data, mode, **options) for mode in (False, "auto"))
    assert facts(found) == facts(expected)
    assert (facts(found) == facts(fitted(data, False))) == ("on_nan" in options)
    assert found.reports()["fit"].replays > 15


@recorded
@pytest.mark.cpu_only
def test_evaluation_and_prediction_are_replayed_while_weights_and_statistics_change(rng):
    data = classes(rng)
    trainer = fitted(data, "auto")
    trainer.callbacks, loader = [], Loader(*data, batch_size=16)
    for k in range(12):
        trainer.fit(loader)
        assert trainer.evaluate(loader) == fitted_twin(trainer).evaluate(loader)
        assert trainer.predict(data[0][:1]).tobytes() == fitted_twin(trainer).predict(data[0][:1]).tobytes()
        weight = trainer.model[-1].weight
        weight.data = weight.data * np.float32(0.9) if k % 3 else np.ones((3, 8), np.float32)
    reports = trainer.reports()
    assert reports["evaluate"].replays >= 60 and reports["predict"].replays >= 6
    assert not any("other arrays" in str(reports[name]) for name in ("evaluate", "predict"))


def fitted_twin(trainer):
    """Return a trainer of the same model, of which nothing is recorded."""
    return Trainer(trainer.model, trainer.loss, metrics="accuracy", device="cpu", progress=False, compile=False)


@recorded
@pytest.mark.cpu_only
def test_a_refusal_is_said_once(rng):
    with TestCase().assertLogs("cunet", "INFO") as noted:
        fitted(classes(rng), "auto", Noting)
    said = [line for line in noted.output if "step runs as it is written" in line]
    assert len(said) == 1 and "it changes the step.losses" in said[0]


@recorded
@pytest.mark.cpu_only
def test_parts_that_are_exchanged_are_seen(rng):
    def exchange(trainer):
        trainer.model = net()
        trainer.optimizer = optim.SGD(trainer.model.parameters(), lr=0.1)

    def patch(trainer):
        trainer.compute = lambda x, y: (F.cross_entropy(trainer.model(x), y) * 2, cunet.tensor(np.zeros((len(y), 3))))

    data = classes(rng)
    for change in (exchange, patch, lambda t: setattr(t, "loss", nn.CrossEntropyLoss(label_smoothing=0.2))):
        runs = [fitted(data, mode, callbacks=[At(20, change)]) for mode in (False, "auto")]
        assert facts(runs[0]) == facts(runs[1])


@pytest.mark.slow
@recorded
@pytest.mark.cpu_only
@pytest.mark.parametrize("options", [{}, {"accumulate": 2}, {"on_nan": "raise"}], ids=str)
def test_what_an_overridden_loss_reads_and_does_is_seen(rng, options, capsys):
    class Weighing(Trainer):
        share = 0.1

        def compute(self, x, target):
            loss, prediction = super().compute(x, target)
            return loss + self.share * (self.model[0].weight ** 2).sum(), prediction

    class Printing(Trainer):
        def compute(self, *batch):
            print("a batch")
            return super().compute(*batch)

    data = classes(rng)
    change = At(20, lambda trainer: setattr(trainer, "share", 0.5))
    expected, found = (
        fitted(data, mode, Weighing, callbacks=[copy.copy(change)], **options) for mode in (False, "auto")
    )
    assert facts(found) == facts(expected)
    assert found.reports()["fit"].replays > 5
    said = []
    for mode in (False, "auto"):
        fitted(data, mode, Printing, **options)
        said.append(capsys.readouterr().out.count("a batch"))
    assert said[0] == said[1] > 30


@recorded
@pytest.mark.cpu_only
def test_a_trainer_is_not_held_by_what_it_recorded(rng):
    trainer = fitted(classes(rng), "auto")
    model, seen = weakref.ref(trainer.model), weakref.ref(trainer)
    gc.collect()
    gc.disable()
    try:
        del trainer
        assert seen() is None and model() is None
    finally:
        gc.enable()


@recorded
@pytest.mark.cpu_only
def test_a_step_that_is_compiled_by_itself(rng):
    class Compiled(Trainer):
        @cunet.compile
        def step(self, *batch):
            self.optimizer.zero_grad()
            loss, prediction = self.compute(*batch)
            loss.backward()
            self.optimizer.step()
            return loss, prediction

    data = classes(rng)
    found = fitted(data, True, Compiled)
    assert facts(found) == facts(fitted(data, False))
    assert found.reports()["fit"].replays > 20


@recorded
@pytest.mark.cpu_only
def test_an_anomaly_is_found_in_a_step_that_was_replayed(rng):
    class Bad(Callback):
        def on_batch_end(self, trainer):
            if trainer.global_step == 20:
                trainer.model[0].weight.data[0, 0] = np.nan

    with cunet.detect_anomaly(), pytest.raises(cunet.Anomaly, match="linear"):
        fitted(classes(rng), "auto", callbacks=[Bad()])
    with pytest.warns(UserWarning, match="NaN from batch 9 of epoch 2 on"):
        assert fitted(classes(rng), "auto", callbacks=[Bad()]).reports()["fit"].replays > 20


def test_what_compile_may_be():
    with pytest.raises(ValueError, match=r'Trainer: compile must be "auto", True or False, got \'yes\''):
        regression(compile="yes")


def test_fit_says_how_steps_were_run_if_that_was_asked_for(rng, dev, device, capsys):
    x, y = line(rng)
    data = Loader(dev(x), dev(y), batch_size=4)
    for mode in ("auto", True):
        trainer_of(nn.Linear(2, 1), device, compile=mode, progress=True).fit(data)
        said = capsys.readouterr().out
        assert ("steps: " in said) == (mode is True)
    assert " eager" in said
