"""What a Trainer takes for a metric, and what it makes of it."""

import sys
import types

import numpy as np
import pytest
from checkpoint_helpers import Cut, StopAt, facts, images, net
from trainer_helpers import classes, line, regression, trainer_of

from cunet import nn, optim
from cunet.data import Loader
from cunet.train import AUROC, F1, R2, Callback, Checkpoint, ConfusionMatrix, Metric, Trainer, accuracy

NAMES = [
    "accuracy",
    "top2",
    "precision",
    "recall",
    "f1",
    "auroc",
    "average_precision",
    "confusion_matrix",
    "perplexity",
]


class Largest(Metric):
    """A metric of a user's own."""

    name = "largest"

    def update(self, prediction, target):
        self.add(errors=abs(prediction - target).max(), count=1)

    def compute(self):
        sums = self.fetched()
        return sums["errors"] / sums["count"]


class Foreign:
    """One that knows nothing of cunet."""

    def reset(self):
        self.seen = []

    def update(self, prediction, target):
        self.seen.append(len(target))

    def compute(self):
        return {"batches": len(self.seen), "samples": np.array([sum(self.seen)])}


def test_all_names_are_values_of_the_whole_epoch(device, dev, rng):
    x, labels = classes(rng, 40)
    trainer = trainer_of(nn.Linear(3, 3), device, "cross_entropy", metrics=NAMES)
    parts, whole = Loader(dev(x), dev(labels), batch_size=7), [(dev(x), dev(labels))]
    by_parts, at_once = trainer.evaluate(parts), trainer.evaluate(whole)
    assert list(by_parts) == ["loss", *NAMES]
    for name in NAMES:
        np.testing.assert_allclose(by_parts[name], at_once[name], rtol=1e-6)
    (logs,) = trainer.fit(parts, parts)
    assert set(NAMES) < set(logs) and {f"valid_{name}" for name in NAMES} < set(logs)
    assert np.sum(logs["confusion_matrix"]) == 40 and isinstance(logs["confusion_matrix"], list)
    numbers = regression(device, metrics=["mae", "rmse", "r2"])
    assert numbers.evaluate(line(rng)).keys() == {"loss", "mae", "rmse", "r2"}


def test_training_and_validation_are_measured_apart(device, dev, rng):
    x, labels = classes(rng, 40)

    class Look(Callback):
        def on_batch_end(self, trainer):
            trainer.evaluate([(dev(x[:4]), dev(labels[:4]))])  # in the middle of an epoch

    metrics = {"f1": F1(), "matrix": ConfusionMatrix()}
    trainer = trainer_of(nn.Linear(3, 3), device, "cross_entropy", lr=0.0, metrics=metrics, callbacks=Look())
    history = trainer.fit(Loader(dev(x), dev(labels), batch_size=9), [(dev(x[:20]), dev(labels[:20]))], epochs=2)
    for logs in history:
        assert np.sum(logs["matrix"]) == 40 and np.sum(logs["valid_matrix"]) == 20
        assert logs["f1"] == trainer.evaluate((x, labels))["f1"]


def test_objects_of_any_kind(device, dev, rng):
    data = line(rng, 12)
    trainer = regression(device, metrics=[Largest(), Foreign(), R2()])
    found = trainer.evaluate(Loader(*map(dev, data), batch_size=5))
    assert list(found) == ["loss", "largest", "Foreign_batches", "Foreign_samples", "r2"]
    assert found["Foreign_batches"] == 3 and found["Foreign_samples"] == 12
    assert regression(device, metrics=Largest()).evaluate(data)["largest"] > 0
    assert regression(device, metrics={"mine": "mae"}).evaluate(data)["mine"] > 0


@pytest.mark.cpu_only
def test_metrics_made_of_torch_get_tensors(rng, monkeypatch):
    class Tensor:
        def __init__(self, array):
            self.array = array

        def detach(self):
            return self

        cpu = detach

        def numpy(self):
            return np.asarray(self.array)

    class TorchMetric:
        def reset(self):
            self.total = 0.0

        def update(self, prediction, target):
            assert type(prediction) is type(target) is Tensor
            self.total += float(prediction.array.sum() - target.array.sum())

        def compute(self):
            return Tensor(np.float32(self.total))

    torch = types.SimpleNamespace(nn=types.SimpleNamespace(Module=TorchMetric), as_tensor=Tensor)
    monkeypatch.setitem(sys.modules, "torch", torch)
    trainer = regression(metrics={"sum": TorchMetric()})
    x, y = line(rng, 10)
    found = trainer.evaluate((x, y))["sum"]
    assert type(found) is float
    assert found == pytest.approx(float(trainer.predict(x).sum() - y.sum()), rel=1e-4)


def trained(data, folder, metrics, stop=0):
    model = net()
    callbacks = [Checkpoint(folder, every_steps=1), *([StopAt(stop)] if stop else [])]
    optimizer = optim.SGD(model.parameters(), 0.1)
    trainer = Trainer(model, "cross_entropy", optimizer, metrics=metrics(), callbacks=callbacks, progress=False)
    try:
        trainer.fit(Loader(*data, batch_size=5, shuffle=True), data, epochs=2, resume="auto")
    except Cut:
        return None
    return trainer


@pytest.mark.cpu_only
@pytest.mark.parametrize("stop", [1, 3, 5, 8])
def test_metrics_are_in_the_state_of_a_run(stop, rng, tmp_path):
    data = images(np.asarray, rng)
    whole = facts(trained(data, tmp_path / "whole", lambda: NAMES))
    assert trained(data, tmp_path / "cut", lambda: NAMES, stop) is None
    assert facts(trained(data, tmp_path / "cut", lambda: NAMES)) == whole


@pytest.mark.cpu_only
def test_a_metric_that_keeps_no_state_is_said_to_begin_anew(rng, tmp_path):
    data = images(np.asarray, rng)
    trained(data, tmp_path, Foreign, 3)
    with pytest.warns(
        UserWarning, match="the state has nothing of the metric 'Foreign': this epoch's value is that of"
    ):
        trainer = trained(data, tmp_path, Foreign)
    assert trainer.history[0]["Foreign_batches"] == 3 and trainer.history[1]["Foreign_batches"] == 5


@pytest.mark.cpu_only
def test_a_wrong_metric_is_named(rng):
    make = lambda metrics: regression(metrics=metrics)  # noqa: E731
    with pytest.raises(ValueError, match="unknown metric 'top0'; known by name: accuracy, top5, .*, r2"):
        make("top0")
    for wrong in (["f1", F1()], {"skipped": accuracy}, [AUROC(), "auroc"]):
        with pytest.raises(ValueError, match="metrics must have different names"):
            make(wrong)
    with pytest.raises(NotImplementedError, match="Metric must define update"):
        make(Metric()).evaluate(line(rng))


def test_metrics_wait_for_the_device_once_an_epoch(request, dev, rng):
    if request.config.getoption("device") != "sim":
        pytest.skip("counts on the simulated device")
    from sim.state import stats

    x, labels = classes(rng, 64)
    names = ["top2", "f1", "confusion_matrix", "perplexity"]
    trainer = trainer_of(nn.Linear(3, 3), "gpu", "cross_entropy", metrics=names)
    data = Loader(dev(x), dev(labels), batch_size=8)
    trainer.fit(data)
    with stats.counting() as counted:
        trainer.fit(data)
    assert counted["syncs"] <= 1 + len(names)
