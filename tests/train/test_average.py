"""Averages of weights: what they are, where they are shown, and that a run with them goes on to the bit."""

import copy
import pickle

import numpy as np
import pytest
from checkpoint_helpers import Cut, StopAt, facts
from helpers import host
from trainer_helpers import classes, line, trainer_of

import cunet
from cunet import nn, optim
from cunet.data import Loader
from cunet.train import EMA, SWA, BestWeights, Callback, Checkpoint, EarlyStopping, Trainer, find_lr


class Note(Callback):
    """Note the weights after each batch, and those that the hooks of an epoch see."""

    def __init__(self):
        self.trained, self.shown = [], []

    def on_batch_end(self, trainer):
        self.trained.append(host(trainer.model.weight).copy())

    def on_epoch_end(self, trainer, logs):
        self.shown.append(host(trainer.model.weight).copy())


def means(trained, decay):
    average = None
    for k, w in enumerate(np.asarray(trained, np.float64)):
        d = min(decay, (1 + k) / (10 + k))
        average = w if average is None else d * average + (1 - d) * w
        yield average


def test_ema_is_shown_in_validation_and_at_the_end(device, dev, rng):
    data, note = line(rng, 32), Note()
    trainer = trainer_of(nn.Linear(2, 1), device, average=EMA(0.9), callbacks=note)
    trainer.fit(Loader(*map(dev, data), batch_size=8), data, epochs=5)
    expected = list(means(note.trained, 0.9))
    for epoch in range(5):
        np.testing.assert_allclose(note.shown[epoch], expected[4 * epoch + 3], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(host(trainer.model.weight), note.shown[-1])
    assert trainer.evaluate(data)["loss"] == pytest.approx(trainer.history[-1]["valid_loss"])
    trained = note.trained[-1]
    trainer.fit(Loader(*map(dev, data), batch_size=8), epochs=1)  # goes on from what was trained
    assert np.abs(note.trained[20] - trained).max() < np.abs(note.trained[20] - note.shown[4]).max()
    np.testing.assert_allclose(note.shown[5], list(means(note.trained, 0.9))[-1], rtol=1e-5, atol=1e-6)


def test_a_fit_with_an_average_trains_as_one_without(device, dev, rng):
    x, labels = classes(rng, 40)
    found = []
    for average in (None, EMA(0.9), SWA(0.5)):
        cunet.manual_seed(2)
        model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))
        trainer = Trainer(model, "cross_entropy", optim.Adam(model.parameters(), 0.01), average=average, device=device,
                          progress=False)  # fmt: skip
        loader = Loader(dev(x), dev(labels), batch_size=8, shuffle=True)
        trainer.fit(loader, (x, labels), epochs=4)
        if average is not None:
            assert average.shown and average.take(model) and not average.take(model)
        found.append({name: host(a).tobytes() for name, a in model.state_dict().items()})
    assert found[0] == found[1] == found[2]


def test_ema_averages_running_statistics_and_keeps_half_types_in_float32(device, dev, rng):
    x, labels = classes(rng, 16)
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3)).astype(np.float16)
    trainer = trainer_of(model, device, "cross_entropy", average=EMA(0.5))
    trainer.fit(Loader(dev(x), dev(labels), batch_size=8), epochs=3)
    arrays = trainer.average.arrays
    assert arrays["1.weight"].dtype == np.float32 and model[1].weight.dtype == np.float16
    assert "0.running_mean" in arrays and "0.num_batches_tracked" not in arrays
    np.testing.assert_array_equal(host(model[1].weight), host(arrays["1.weight"]).astype(np.float16))
    np.testing.assert_array_equal(host(model[0].running_var), host(arrays["0.running_var"]))


def test_swa_averages_the_last_epochs_alike(device, dev, rng):
    data, note = line(rng, 32), Note()
    trainer = trainer_of(nn.Linear(2, 1), device, average=SWA(0.5), callbacks=note)
    trainer.fit(Loader(*map(dev, data), batch_size=8), data, epochs=6)
    ends = note.trained[3::4]
    for epoch in range(6):
        expected = ends[epoch] if epoch < 3 else np.mean(np.float64(ends[3 : epoch + 1]), axis=0)
        np.testing.assert_allclose(note.shown[epoch], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", ["loader", "weighted", "stretches", "batches"])
def test_swa_finds_the_statistics_of_batch_norms_anew(form, device, dev, rng):
    x, labels = classes(rng, 33)  # the last batch of 8 is of one sample

    class Normed(nn.Module):
        def __init__(self):
            self.first, self.norm, self.last = nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)

        def forward(self, x):
            return self.last(self.norm(self.first(x)))

    parts = [(dev(x[k : k + 8]), dev(labels[k : k + 8])) for k in range(0, 32, 8)]
    loader = Loader(dev(x), dev(labels), batch_size=8, shuffle=True, drop_last=True)
    trainer = trainer_of(Normed(), device, "cross_entropy", average=SWA(0.0))
    options = {"weighted": {"sample_weight": np.ones(33)}, "stretches": {"steps_per_epoch": 3}}.get(form, {})
    trainer.fit(parts if form == "batches" else loader, (x, labels), epochs=3, **options)
    model = trainer.model
    values = host(model.first(dev(x[:32])).data).astype(np.float64)
    np.testing.assert_allclose(host(model.norm.running_mean), values.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(host(model.norm.running_var), values.var(axis=0, ddof=1), rtol=1e-4)
    assert trainer.average.take(model)
    assert np.abs(host(model.norm.running_mean) - values.mean(axis=0)).max() > 1e-3


@pytest.mark.cpu_only
def test_swa_goes_through_data_again_and_says_if_that_cannot_be(rng):
    x, labels = classes(rng, 32)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    trainer = trainer_of(model, loss="cross_entropy", average=SWA(0.0))
    with pytest.raises(
        ValueError, match="SWA goes through the training data once more, which a generator does not let"
    ):
        trainer.fit(iter([(x, labels)] * 2), steps_per_epoch=1)
    trainer_of(nn.Linear(3, 3), loss="cross_entropy", average=SWA(0.0)).fit(iter([(x, labels)] * 2), steps_per_epoch=1)


@pytest.mark.cpu_only
@pytest.mark.parametrize("make", [lambda: EMA(0.9), lambda: SWA(0.4)], ids=["ema", "swa"])
@pytest.mark.parametrize("stop", [1, 6, 10, 13])
def test_a_run_with_an_average_goes_on_to_the_bit(make, stop, rng, tmp_path):
    x, labels = classes(rng, 20)

    def trained(folder, stop=0):
        cunet.manual_seed(1)
        model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))
        callbacks = [Checkpoint(folder, every_steps=1), EarlyStopping(patience=9, restore_best=True), StopAt(stop)]
        optimizer = optim.Adam(model.parameters(), 0.05)
        trainer = Trainer(model, "cross_entropy", optimizer, average=make(), callbacks=callbacks, progress=False)
        trainer.fit(Loader(x, labels, batch_size=4, shuffle=True), (x, labels), epochs=3, resume="auto")
        return facts(trainer), {name: a.tobytes() for name, a in trainer.average.arrays.items()}

    whole = trained(tmp_path / "whole")
    with pytest.raises(Cut):
        trained(tmp_path / "cut", stop)
    assert trained(tmp_path / "cut") == whole


@pytest.mark.cpu_only
def test_the_state_of_a_run_has_the_trained_weights_and_the_average(rng, tmp_path):
    data, note = line(rng, 32), Note()
    trainer = trainer_of(nn.Linear(2, 1), average=EMA(0.9), callbacks=note)
    trainer.fit(data, epochs=3)
    average = trainer.model.weight.data.copy()
    trainer.save(tmp_path / "run.safetensors")
    np.testing.assert_array_equal(trainer.model.weight.data, average)
    again = trainer_of(nn.Linear(2, 1), average=EMA(0.9), callbacks=Note())
    again.load(tmp_path / "run.safetensors")
    np.testing.assert_array_equal(again.model.weight.data, average)
    assert again.average.take(again.model)
    np.testing.assert_array_equal(again.model.weight.data, note.trained[-1])
    for other in (None, SWA()):
        with pytest.raises(ValueError, match="the state is of average=EMA, this trainer has (None|SWA)"):
            trainer_of(nn.Linear(2, 1), average=other).load(tmp_path / "run.safetensors")


@pytest.mark.cpu_only
def test_what_is_saved_as_best_is_what_was_measured(rng, tmp_path):
    data = line(rng, 32)
    callbacks = [BestWeights(tmp_path / "best.safetensors"), EarlyStopping(patience=9, restore_best=True)]
    trainer = trainer_of(nn.Linear(2, 1), average=EMA(0.9), callbacks=callbacks)
    trainer.fit(Loader(*data, batch_size=8), data, epochs=4)
    best = min(logs["valid_loss"] for logs in trainer.history)
    assert trainer.evaluate(data)["loss"] == pytest.approx(best, rel=1e-6)
    other = trainer_of(nn.Linear(2, 1))
    other.model.load(tmp_path / "best.safetensors")
    assert other.evaluate(data)["loss"] == pytest.approx(best, rel=1e-6)
    restored = trainer.model.weight.data.copy()
    trainer.fit(data, epochs=0)  # the best weights were put there by hand: they are what is trained on
    trainer.save(tmp_path / "run.safetensors")
    np.testing.assert_allclose(trainer.model.weight.data, restored)


@pytest.mark.cpu_only
def test_settings_are_checked():
    for make in (lambda: EMA(1.0), lambda: EMA(-0.1), lambda: SWA(1.0)):
        with pytest.raises(ValueError, match=r"(EMA: decay|SWA: start) must be in \[0, 1\), got"):
            make()


@pytest.mark.cpu_only
@pytest.mark.parametrize("again", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["deepcopy", "pickle"])
def test_a_copy_goes_on_from_the_weights_that_were_trained(again, rng):
    x, y = line(rng, 32)
    trainer = trainer_of(nn.Linear(2, 1), average=EMA(0.9))
    trainer.fit(Loader(x, y, batch_size=8), epochs=2)
    other = again(trainer)
    for t in (trainer, other):
        t.fit(Loader(x, y, batch_size=8), (x, y), epochs=2)
    np.testing.assert_array_equal(other.model.weight.data, trainer.model.weight.data)
    assert other.history[-1]["valid_loss"] == trainer.history[-1]["valid_loss"]
    for t in (trainer, other):
        assert t.average.take(t.model)
    np.testing.assert_array_equal(other.model.weight.data, trainer.model.weight.data)


@pytest.mark.cpu_only
@pytest.mark.parametrize("make", [lambda: EMA(0.9), lambda: SWA(0.3)], ids=["ema", "swa"])
def test_steps_that_are_recorded_see_the_right_weights(make, rng):
    x, labels = classes(rng, 80)
    found = []
    for compiled in (False, "auto"):
        cunet.manual_seed(3)
        model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
        optimizer = optim.Adam(model.parameters(), 0.01)
        trainer = Trainer(
            model, "cross_entropy", optimizer, average=make(), device="cpu", progress=False, compile=compiled
        )
        loader = Loader(x, labels, batch_size=8)
        trainer.fit(loader, loader, epochs=5)
        rows = [(logs["loss"], logs["valid_loss"]) for logs in trainer.history]
        found.append((rows, [a.tobytes() for a in model.state_dict().values()], trainer.predict(x).tobytes()))
    assert found[0] == found[1]


@pytest.mark.cpu_only
def test_a_state_that_is_refused_and_a_search_leave_the_average_where_it_is(rng, tmp_path):
    data = line(rng, 32)
    trainer = trainer_of(nn.Linear(2, 1), average=EMA(0.9))
    trainer.fit(Loader(*data, batch_size=8), epochs=2)
    shown, trained = trainer.model.weight.data.copy(), trainer.average._own["weight"][1].copy()
    other = trainer_of(nn.Linear(2, 3), average=EMA(0.9), loss=lambda p, t: (p * p).mean())
    other.fit(data)
    other.save(tmp_path / "other.safetensors")
    for act in (
        lambda: trainer.load(tmp_path / "other.safetensors"),
        lambda: trainer.fit(data, resume=tmp_path / "other.safetensors"),
    ):
        with pytest.raises(ValueError, match="does not fit"):
            act()
        np.testing.assert_array_equal(trainer.model.weight.data, shown)
    find_lr(trainer, data, steps=10)
    np.testing.assert_array_equal(trainer.model.weight.data, shown)
    assert trainer.average.take(trainer.model)
    np.testing.assert_array_equal(trainer.model.weight.data, trained)
