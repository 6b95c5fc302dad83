"""What a fit makes of its data: batches of arrays and datasets, stretches of a generator, a part to validate on."""

import itertools

import numpy as np
import pytest
from checkpoint_helpers import Cut, StopAt, facts, images, net
from helpers import host
from loader_helpers import Pairs
from trainer_helpers import line, regression

import cunet
from cunet import nn, optim
from cunet.data import Digits, Loader
from cunet.train import Callback, Checkpoint, Trainer
from cunet.train.supply import split


class Seen(Callback):
    """Note the sizes of batches."""

    def __init__(self):
        self.steps = []

    def on_epoch_end(self, trainer, logs):
        self.steps.append(trainer.global_step)


@pytest.mark.parametrize("form", ["arrays", "dataset"])
def test_batches_have_the_size_that_is_asked_for(form, device, rng):
    x, y = line(rng, 50)
    data = (x, y) if form == "arrays" else Pairs(x, y)
    seen = Seen()
    trainer = regression(device, callbacks=seen)
    trainer.fit(data, data, epochs=20, batch_size=20)
    assert seen.steps[:2] == [3, 6] and trainer.history[-1]["valid_loss"] < 1e-2
    assert trainer.evaluate(data, batch_size=7)["loss"] == pytest.approx(trainer.evaluate(data)["loss"], rel=1e-5)
    assert trainer.predict(Pairs(x)).shape == (50, 1)
    trainer.fit(data)
    assert seen.steps[-1] - seen.steps[-2] == 1  # 128 by default


@pytest.mark.cpu_only
def test_images_are_a_dataset(rng):
    pytest.importorskip("sklearn")
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    trainer = Trainer(model, "cross_entropy", "adam", metrics="accuracy", progress=False)
    (logs,) = trainer.fit(Digits("test"))
    assert 0 < logs["accuracy"] < 1


@pytest.mark.parametrize("form", ["generator", "list", "loader"])
def test_an_epoch_takes_the_next_batches(form, device, rng):
    x, y = line(rng, 12)
    parts = [(x[k : k + 2], y[k : k + 2]) for k in range(0, 12, 2)]
    taken = []

    class Noting(Trainer):
        def step(self, *batch):
            taken.append(host(batch[0])[0, 0].item())
            return super().step(*batch)

    model = nn.Linear(2, 1)
    data = {"generator": itertools.cycle(parts), "list": parts, "loader": Loader(x, y, batch_size=2)}[form]
    trainer = Noting(model, "mse_loss", optim.SGD(model.parameters(), 0.01), device=device, progress=False)
    history = trainer.fit(data, epochs=2, steps_per_epoch=4)
    assert [logs["epoch"] for logs in history] == [1, 2]
    assert taken == [x[2 * k, 0].item() for k in (0, 1, 2, 3, 4, 5, 0, 1)]


@pytest.mark.cpu_only
def test_a_generator_that_ends_too_early_says_so(rng):
    x, y = line(rng, 4)
    with pytest.raises(
        ValueError, match="the training data ended after 3 batches, in the middle of an epoch of steps_"
    ):
        regression().fit(iter([(x, y)] * 3), epochs=2, steps_per_epoch=2)
    whole = regression()
    whole.fit(iter([(x, y)] * 4), epochs=2, steps_per_epoch=2)
    assert len(whole.history) == 2


@pytest.mark.cpu_only
@pytest.mark.parametrize("stop", [2, 3, 4, 7])
@pytest.mark.parametrize("form", ["generator", "loader"])
def test_stretches_go_on_where_they_were(form, stop, rng, tmp_path):
    x, y = images(np.asarray, rng)

    def endless():
        for k in itertools.count():
            rows = cunet.random.default_generator("mine").rng().integers(0, len(x), 5)
            yield x[rows] + np.float32(k), y[rows]

    def trained(folder, stop=0):
        model = net()
        callbacks = [Checkpoint(folder, monitor=None, every_steps=1), *([StopAt(stop)] if stop else [])]
        trainer = Trainer(model, "cross_entropy", optim.SGD(model.parameters(), lr=0.1), callbacks=callbacks)
        data = endless() if form == "generator" else Loader(x, y, batch_size=5, shuffle=True)
        try:
            trainer.fit(data, epochs=3, resume="auto", steps_per_epoch=3)
        except Cut:
            return None
        return trainer

    whole = facts(trained(tmp_path / "whole"))
    assert trained(tmp_path / "cut", stop) is None
    assert facts(trained(tmp_path / "cut")) == whole


@pytest.mark.parametrize("form", ["arrays", "dataset"])
def test_the_part_to_validate_on_is_drawn_once_and_for_all(form, device, dev, rng):
    x = dev(np.arange(100, dtype=np.float32)[:, None])
    data = (x, x) if form == "arrays" else Pairs(host(x), host(x))
    rest, held = split(data, 0.2)
    values = [sorted(host(part[0]).ravel()) if form == "arrays" else [part[i][0][0] for i in range(len(part))]
              for part in (rest, held)]  # fmt: skip
    assert len(values[1]) == 20 and sorted(values[0] + values[1]) == list(range(100))
    cunet.random.default_generator("split").rng()  # what was drawn since plays no part
    again = split(data, 0.2)[1]
    assert len(again[0] if form == "arrays" else again) == 20
    np.testing.assert_array_equal(*(host(part[0]) if form == "arrays" else part.indices for part in (held, again)))
    cunet.manual_seed(123)
    other = split(data, 0.2)[1]
    assert (host(other[0]) != host(held[0])).any() if form == "arrays" else (other.indices != held.indices).any()


def test_validation_split_trains_on_the_rest(device, rng):
    x, y = line(rng, 40)
    counts = []

    class Count(Callback):
        def on_epoch_end(self, trainer, logs):
            counts.append((trainer.train_data.n_samples, logs["valid_loss"]))

    weight = np.ones(40, np.float32)
    for options in ({}, {"sample_weight": weight}):
        for data in ((x, y), Pairs(x, y)):
            regression(device, callbacks=Count()).fit(data, validation_split=0.25, **options)
    assert [n for n, _ in counts] == [30] * 4 and all(np.isfinite(loss) for _, loss in counts)


@pytest.mark.cpu_only
def test_before_the_first_epoch_can_be_looked_at(rng, tmp_path, capsys):
    data = line(rng)
    model = nn.Linear(2, 1)
    expected = regression(metrics="mae")
    expected.model.load_state_dict(model.state_dict())
    trainer = Trainer(model, "mse_loss", optim.SGD(model.parameters(), 0.1), metrics="mae")
    first, second = trainer.fit(data, data, evaluate_first=True)
    found = expected.evaluate(data)
    assert first.keys() == {"epoch", "valid_loss", "valid_mae", "seconds", "complete"} and first["epoch"] == 0
    assert (first["valid_loss"], first["valid_mae"]) == (found["loss"], found["mae"])
    assert second["epoch"] == 1 and second["valid_loss"] < first["valid_loss"]
    assert "before training: valid_loss" in capsys.readouterr().out


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"batch_size": 2.0}, TypeError, "batch_size must be a whole number, got 2.0"),
        ({"steps_per_epoch": 0}, ValueError, "steps_per_epoch must be at least 1, got 0"),
        ({"validation_split": 1.0}, ValueError, r"validation_split must be in \[0, 1\), got 1.0"),
        ({"validation_split": 0.001}, ValueError, "validation_split=0.001 of 64 samples leaves none to train"),
        ({"validation_split": 0.5, "valid": "x"}, ValueError, "validation_split takes .*, got it beside valid"),
        ({"evaluate_first": True}, ValueError, "evaluate_first needs valid, or validation_split"),
    ],
    ids=[*"abcdefg"],
)
def test_settings_are_checked(options, error, message, rng):
    data = line(rng)
    options = {**options, **({"valid": data} if "valid" in options else {})}
    with pytest.raises(error, match=f"^Trainer.fit: {message}"):
        regression().fit(data, **options)
    with pytest.raises(ValueError, match="batch_size is for arrays and datasets; this data has its own batches"):
        regression().fit(Loader(*data), batch_size=3)
    with pytest.raises(ValueError, match="validation_split takes samples from arrays or a dataset, got it and data"):
        regression().fit([data], validation_split=0.5)
