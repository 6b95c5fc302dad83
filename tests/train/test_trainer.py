"""Trainer: the loop, its data, history and messages."""

import re

import numpy as np
import pytest
from helpers import host
from trainer_helpers import classes, line, regression, trainer_of

import cunet
from cunet import F, nn
from cunet.autograd.tensor import Tensor
from cunet.data import Loader
from cunet.train import Callback, Trainer, accuracy


def test_fit_finds_the_line(rng, device):
    trainer = regression(device)
    history = trainer.fit(Loader(*line(rng, 256), batch_size=64), epochs=20)
    np.testing.assert_allclose(host(trainer.model.weight), [[1, -2]], atol=1e-3)
    np.testing.assert_allclose(host(trainer.model.bias), [3], atol=1e-3)
    assert history is trainer.history and len(history) == 20
    assert history[-1]["loss"] < 1e-5 < history[0]["loss"]
    assert history[0].keys() == {"epoch", "loss", "seconds", "samples_per_second", "complete"}
    assert [logs["epoch"] for logs in history] == list(range(1, 21)) and all(logs["complete"] for logs in history)
    assert history[0]["samples_per_second"] == pytest.approx(256 / history[0]["seconds"])


def test_loss_and_metrics_are_means_over_samples_not_batches(rng):
    x, labels = classes(rng, 50)
    trainer = trainer_of(nn.Linear(3, 3), loss=F.cross_entropy, lr=0.0, metrics=["accuracy"])
    logits = trainer.model(x).data.astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    loss = -np.mean([log_p[i, labels[i]] for i in range(50)])
    right = np.mean([logits[i].argmax() == labels[i] for i in range(50)])
    trainer.fit(Loader(x, labels, batch_size=32), Loader(x, labels, batch_size=49))  # 32 + 18 and 49 + 1
    (logs,) = trainer.history
    assert logs["loss"] == pytest.approx(loss) and logs["valid_loss"] == pytest.approx(loss)
    assert logs["accuracy"] == pytest.approx(right) and logs["valid_accuracy"] == pytest.approx(right)
    assert trainer.evaluate((x, labels)) == pytest.approx({"loss": loss, "accuracy": right})


@pytest.mark.parametrize("kind", ["tuple", "loader", "dataset", "batches", "lists", "tensors"])
def test_data_comes_in_many_forms(kind, rng, device):
    x, y = line(rng)
    forms = {
        "tuple": (x, y),
        "loader": Loader(x, y, batch_size=16),
        "dataset": Loader(list(zip(x, y, strict=True)), batch_size=16),
        "batches": [(x[:40], y[:40]), (x[40:], y[40:])],
        "lists": [[x[:40].tolist(), y[:40].tolist()], [x[40:].tolist(), y[40:].tolist()]],
        "tensors": [(Tensor(x), Tensor(y))],
    }
    trainer = regression(device)
    expected = float(np.mean((x @ host(trainer.model.weight).T + host(trainer.model.bias) - y) ** 2))
    assert trainer.evaluate(forms[kind])["loss"] == pytest.approx(expected, rel=1e-5)
    trainer.fit(forms[kind], forms[kind], epochs=2)
    assert trainer.history[1]["valid_loss"] < trainer.history[0]["valid_loss"] < expected


@pytest.mark.cpu_only
def test_torch_tensors_are_read():
    torch = pytest.importorskip("torch")
    trainer = trainer_of(nn.Linear(2, 1, dtype=np.float64))
    batches = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.ones(8, 2, dtype=torch.float64), torch.ones(8, 1, dtype=torch.float64)),
        batch_size=4,
    )
    assert trainer.fit(batches, epochs=2)[1]["loss"] < trainer.history[0]["loss"]


def test_a_model_of_several_inputs(rng, device):
    class Distance(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 1)

        def forward(self, a, b):
            return self.layer(a - b)

    x, y = line(rng)
    trainer = trainer_of(Distance(), device)
    trainer.fit((x, np.zeros_like(x), y), (x, np.zeros_like(x), y), epochs=30)
    assert trainer.history[-1]["valid_loss"] < 1e-3
    predicted = trainer.predict(x, np.ones_like(x))
    assert predicted.shape == (64, 1)
    np.testing.assert_array_equal(trainer.predict(Loader(x, np.ones_like(x), y, batch_size=64)), predicted)


def test_predict_goes_through_a_shuffled_loader_in_order_and_to_its_end(rng):
    x, y = line(rng, 50)
    trainer = regression()
    loader = Loader(x, y, batch_size=16, shuffle=True, drop_last=True)
    before = loader.state_dict()
    np.testing.assert_allclose(trainer.predict(loader), trainer.predict(x), rtol=1e-6)
    assert loader.state_dict() == before
    samples = Loader(list(zip(x, y, strict=True)), batch_size=16, shuffle=True)
    np.testing.assert_allclose(trainer.predict(samples), trainer.predict(x), rtol=1e-6)


def test_predict_keeps_the_order_in_batches_and_leaves_targets_out(rng, device, dev):
    x, y = line(rng, 10)
    trainer = regression(device)
    expected = x @ host(trainer.model.weight).T + host(trainer.model.bias)
    for inputs in ((x,), (dev(x),), (Tensor(x),), (Loader(x, batch_size=4),), (Loader(x, y, batch_size=4),)):
        out = trainer.predict(*inputs, batch_size=3)
        assert type(out) is np.ndarray
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="predict: the data yields no batch"):
        trainer.predict([])


def test_device_auto_is_where_the_tests_run(device):
    trainer = Trainer(nn.Linear(2, 1), F.mse_loss)
    assert trainer.device == device and trainer.model.weight.device == device


def test_validation_and_prediction_evaluate_and_give_modes_back(rng):
    seen = []

    class Spy(nn.Module):
        def __init__(self):
            self.layer, self.frozen = nn.Linear(2, 1), nn.Dropout(0.5)

        def forward(self, x):
            seen.append((self.training, self.frozen.training, cunet.is_recording()))
            return self.layer(x)

    class Freeze(Callback):
        def on_fit_begin(self, trainer):
            trainer.model.frozen.eval()

    data = line(rng, 4)
    trainer = trainer_of(Spy(), callbacks=[Freeze()])
    trainer.model.eval()
    trainer.fit(data, data, epochs=2)
    assert seen == [(True, False, True), (False, False, False)] * 2
    trainer.predict(data[0])
    trainer.evaluate(data)
    assert seen[-2:] == [(False, False, False)] * 2
    assert trainer.model.training and not trainer.model.frozen.training
    with pytest.raises(ValueError):
        trainer.evaluate((data[0], np.ones((4, 5), np.float32)))
    assert trainer.model.training and cunet.is_recording()


def test_fit_goes_on_counting(rng):
    trainer = regression()
    trainer.fit(line(rng), epochs=2)
    trainer.fit(line(rng), epochs=3)
    trainer.fit(line(rng), epochs=0)
    assert [logs["epoch"] for logs in trainer.history] == [1, 2, 3, 4, 5]


def test_metrics_by_name_function_and_dict(rng):
    def spread(prediction, target):
        assert not cunet.is_recording()
        return (prediction * prediction).mean()  # a Tensor

    data = classes(rng)
    make = lambda metrics: trainer_of(nn.Linear(3, 3), loss=F.cross_entropy, metrics=metrics)  # noqa: E731
    assert list(make("accuracy").evaluate(data)) == ["loss", "accuracy"]
    assert list(make(["accuracy", spread]).evaluate(data)) == ["loss", "accuracy", "spread"]
    assert make({"three": lambda p, t: 3.0}).evaluate(data)["three"] == 3
    with pytest.raises(ValueError, match="unknown metric 'acc'; known by name: accuracy"):
        make(["acc"])
    for wrong in ({"loss": accuracy}, ["accuracy", accuracy], [lambda p, t: 1, lambda p, t: 2]):
        with pytest.raises(ValueError, match="metrics must have different names"):
            make(wrong)
    with pytest.raises(ValueError, match=r"Trainer: many must be one number per batch, got shape \(96,\)"):
        make({"many": lambda p, t: t}).fit([data])


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda t, d: Trainer(t.model, F.mse_loss).fit(d), "Trainer.fit: an optimizer is required, got None"),
        (lambda t, d: t.fit(d, epochs=-1), "Trainer.fit: epochs must not be negative, got -1"),
        (lambda t, d: t.fit([]), "Trainer.fit: the training data yields no batch in epoch 1"),
        (lambda t, d: t.evaluate([]), "Trainer.evaluate: the data yields no batch"),
        (lambda t, d: Trainer(t.model, F.mse_loss, progress="yes"), 'progress must be "auto", True or False'),
        (lambda t, d: Trainer(t.model, F.mse_loss, device="tpu"), "device must be"),
    ],
)
def test_messages(act, message, rng):
    with pytest.raises(ValueError, match=re.escape(message)):
        act(regression(), line(rng))


def test_a_generator_is_refused_in_its_second_epoch(rng):
    x, y = line(rng)
    with pytest.raises(ValueError, match=r"no batch in epoch 2 \(a generator can be gone through only once\)"):
        regression().fit(((x, y) for _ in range(3)), epochs=2)


def test_a_batch_must_be_a_tuple(rng):
    with pytest.raises(TypeError, match=r"a batch must be a tuple \(\*inputs, target\), got a dict"):
        regression().fit([{"x": 1}])
    with pytest.raises(TypeError, match=r"a batch must be a tuple \(\*inputs, target\), got one array"):
        regression().fit([(line(rng)[0],)])


def test_a_nan_loss_is_in_the_history_and_stops_nothing(rng):
    trainer = regression(lr=1e30)
    x, y = line(rng)
    with np.errstate(all="ignore"), pytest.warns(UserWarning, match="the loss is NaN from batch"):
        history = trainer.fit(Loader(x, y, batch_size=8), epochs=2)
    assert len(history) == 2 and np.isnan(history[1]["loss"])


@pytest.mark.cpu_only
def test_an_error_in_the_validation_keeps_the_epochs_training_in_the_history(rng):
    x, y = line(rng)
    trainer = regression()
    with pytest.raises(ValueError):
        trainer.fit((x, y), (x, np.ones((64, 7), np.float32)))
    (logs,) = trainer.history
    assert logs["loss"] > 0 and logs["seconds"] > 0 and not logs["complete"]
