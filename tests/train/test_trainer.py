"""Trainer: the loop, its data, history, interrupts, display, reproducibility and what it asks of the device."""

import contextlib
import os
import re
import signal
import sys
import threading
import types
import warnings

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, nn, optim
from cunet.autograd.tensor import Tensor
from cunet.data import Loader
from cunet.train import Callback, Trainer, accuracy
from cunet.train.metrics import Means
from cunet.train.progress import Progress, number


class Recorder(Callback):
    """Note every hook with the epoch."""

    def __init__(self):
        self.calls = []

    def on_fit_begin(self, trainer):
        self.calls.append(("fit begin", trainer.epoch))

    def on_epoch_begin(self, trainer):
        self.calls.append(("epoch begin", trainer.epoch))

    def on_batch_end(self, trainer):
        self.calls.append(("batch", trainer.epoch))

    def on_epoch_end(self, trainer, logs):
        self.calls.append(("epoch end", trainer.epoch))

    def on_fit_end(self, trainer):
        self.calls.append(("fit end", trainer.epoch))


class At(Callback):
    """Do something after the batch of a number, counted from 1 over the whole fit."""

    def __init__(self, number, action):
        self.number, self.action, self.seen = number, action, 0

    def on_batch_end(self, trainer):
        self.seen += 1
        if self.seen == self.number:
            self.action(trainer)


@pytest.fixture(autouse=True)
def ctrl_c_is_heard():
    """A shell's background job is started with SIGINT ignored; the tests press Ctrl-C all the same."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


def press_ctrl_c(trainer=None):
    os.kill(os.getpid(), signal.SIGINT)


def line(rng, n=64):
    """Samples of y = x @ [1, -2] + 3 without noise."""
    x = rng.normal(size=(n, 2)).astype(np.float32)
    return x, x @ np.array([[1.0], [-2.0]], np.float32) + np.float32(3)


def classes(rng, n=96):
    """Samples whose class is the largest of three features."""
    x = rng.normal(size=(n, 3)).astype(np.float32)
    return x, x.argmax(axis=1)


def trainer_of(model, device="cpu", loss=F.mse_loss, lr=0.1, **kwargs):
    return Trainer(model, loss, optim.SGD(model.parameters(), lr=lr), device=device, progress=False, **kwargs)


def regression(device="cpu", **kwargs):
    return trainer_of(nn.Linear(2, 1), device, **kwargs)


# -- the loop


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
    for forgotten in (line(rng)[0], [(line(rng)[0],)]):
        with pytest.raises(TypeError, match=r"a batch must be a tuple \(\*inputs, target\), got one array"):
            regression().fit(forgotten)


def test_a_nan_loss_is_in_the_history_and_stops_nothing(rng):
    trainer = regression(lr=1e30)
    x, y = line(rng)
    with np.errstate(all="ignore"):
        history = trainer.fit(Loader(x, y, batch_size=8), epochs=2)
    assert len(history) == 2 and np.isnan(history[1]["loss"])


# -- steps of one's own


def test_two_losses_by_overriding_compute(rng):
    class WithPenalty(Trainer):
        def compute(self, x, target):
            loss, prediction = super().compute(x, target)
            return loss + (self.model.weight**2).sum(), prediction

    trainer = WithPenalty(nn.Linear(2, 1, init="zeros"), F.mse_loss, device="cpu", progress=False)
    trainer.optimizer = optim.SGD(trainer.model.parameters(), lr=0.1)
    trainer.fit(line(rng), line(rng), epochs=100)
    shrunk = trainer.model.weight.data  # (x'x + 1) w = x'y: about half of [1, -2]
    assert np.all(np.abs(shrunk) < [0.7, 1.4]) and trainer.history[-1]["valid_loss"] > 1


def test_clipping_by_overriding_step(rng):
    class Clipping(Trainer):
        def step(self, *batch):
            self.optimizer.zero_grad()
            loss, prediction = self.compute(*batch)
            loss.backward()
            optim.clip_grad_norm_(list(self.model.parameters()), 1e-3)
            self.optimizer.step()
            return loss, prediction

    model = nn.Linear(2, 1)
    before = model.state_dict()
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    Clipping(model, F.mse_loss, optimizer, device="cpu", progress=False).fit([line(rng)])
    moved = sum(((model.state_dict()[k] - before[k]) ** 2).sum() for k in before) ** 0.5
    assert moved == pytest.approx(1e-3, rel=1e-3)


def test_accumulation_by_overriding_step(rng):
    class Accumulating(Trainer):
        steps = 0

        def step(self, *batch):
            loss, prediction = self.compute(*batch)
            (loss / 4).backward()
            self.steps += 1
            if self.steps % 4 == 0:
                self.optimizer.step()
                self.optimizer.zero_grad()
            return loss, prediction

    x, y = line(rng)
    one, four = nn.Linear(2, 1, dtype=np.float64), nn.Linear(2, 1, dtype=np.float64)
    four.load_state_dict(one.state_dict())
    trainer_of(one).fit(Loader(x, y, batch_size=64))
    optimizer = optim.SGD(four.parameters(), lr=0.1)
    Accumulating(four, F.mse_loss, optimizer, device="cpu", progress=False).fit(Loader(x, y, batch_size=16))
    np.testing.assert_allclose(four.weight.data, one.weight.data, rtol=1e-6)


# -- callbacks, stopping, interrupts


def test_hooks_come_in_order_and_callbacks_too(rng):
    x, y = line(rng, 4)
    first, second = Recorder(), Recorder()
    first.calls = second.calls = calls = []
    regression(callbacks=[first, second]).fit(Loader(x, y, batch_size=2), epochs=2)
    epoch = [("epoch begin", 0), ("batch", 0), ("batch", 0), ("epoch end", 0)]
    hooks = [("fit begin", 0), *[(h, n) for n in (1, 2) for h, _ in epoch], ("fit end", 2)]
    assert calls == [hook for hook in hooks for _ in range(2)]


def test_a_callback_stops_within_an_epoch(rng):
    x, y = line(rng)
    recorder = Recorder()
    trainer = regression(callbacks=[At(5, lambda t: setattr(t, "stop", True)), recorder])
    trainer.fit(Loader(x, y, batch_size=16), (x, y), epochs=9)
    assert [(logs["epoch"], logs["complete"]) for logs in trainer.history] == [(1, True), (2, False)]
    assert "valid_loss" in trainer.history[1] and not trainer.interrupted
    assert recorder.calls[-2:] == [("epoch end", 2), ("fit end", 2)]
    trainer.fit(Loader(x, y, batch_size=16))
    assert trainer.history[-1]["complete"] and not trainer.stop


@pytest.mark.cpu_only
def test_ctrl_c_ends_after_the_batch_and_keeps_all(rng):
    x, y = line(rng)
    recorder = Recorder()
    within = []

    class Interrupted(Trainer):
        def step(self, *batch):
            if self.epoch == 2:
                press_ctrl_c()  # in the middle of a batch: the step is finished all the same
                within.append(self.model.weight.data.copy())
            result = super().step(*batch)
            within.append(self.model.weight.data.copy())
            return result

    model = nn.Linear(2, 1)
    trainer = Interrupted(
        model, F.mse_loss, optim.SGD(model.parameters(), lr=0.1), callbacks=[recorder], progress=False
    )
    before = signal.getsignal(signal.SIGINT)
    history = trainer.fit(Loader(x, y, batch_size=16), (x, y), epochs=5)
    assert signal.getsignal(signal.SIGINT) is before is signal.default_int_handler
    assert [(logs["epoch"], logs["complete"]) for logs in history] == [(1, True), (2, False)]
    assert "valid_loss" in history[0] and "valid_loss" not in history[1] and history[1]["loss"] > 0
    assert trainer.interrupted and recorder.calls.count(("batch", 2)) == 1
    assert recorder.calls[-2:] == [("batch", 2), ("fit end", 2)]
    assert (within[-1] != within[-2]).all()
    trainer.fit(Loader(x, y, batch_size=64), epochs=1)
    assert trainer.history[-1]["epoch"] == 3 and not trainer.interrupted and not trainer.stop


@pytest.mark.cpu_only
def test_a_second_ctrl_c_raises_at_once(rng):
    x, y = line(rng)
    recorder = Recorder()

    def twice(prediction, target):
        press_ctrl_c()
        press_ctrl_c()
        pytest.fail("the second should have raised")

    trainer = regression(loss=twice, callbacks=[recorder])
    with pytest.raises(KeyboardInterrupt):
        trainer.fit((x, y))
    assert trainer.interrupted and recorder.calls[-1] == ("fit end", 1)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.cpu_only
def test_ctrl_c_in_the_validation_finishes_it(rng):
    x, y = line(rng)
    times = []

    def metric(prediction, target):
        if not trainer.model.training:
            times.append(1)
            if len(times) == 1:
                press_ctrl_c()
        return 1.0

    trainer = regression(metrics={"m": metric})
    trainer.fit((x, y), Loader(x, y, batch_size=16), epochs=5)
    assert len(times) == 4 and trainer.interrupted and len(trainer.history) == 1
    assert trainer.history[0]["complete"] and "valid_m" in trainer.history[0]
    assert trainer.model.training


@pytest.mark.cpu_only
def test_an_error_in_the_validation_keeps_the_epochs_training_in_the_history(rng):
    x, y = line(rng)
    trainer = regression()
    with pytest.raises(ValueError):
        trainer.fit((x, y), (x, np.ones((64, 7), np.float32)))
    (logs,) = trainer.history
    assert logs["loss"] > 0 and logs["seconds"] > 0 and not logs["complete"]


@pytest.mark.cpu_only
def test_signals_of_others_and_other_threads_are_left_alone(rng):
    data, seen = line(rng), []

    def own(number, frame):
        seen.append(number)

    previous = signal.signal(signal.SIGINT, own)
    try:
        trainer = regression(callbacks=[At(1, press_ctrl_c)])
        trainer.fit(data, epochs=2)
        assert seen == [signal.SIGINT] and len(trainer.history) == 2
        assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, previous)
    trainer = regression()
    thread = threading.Thread(target=trainer.fit, args=(data,))
    thread.start()
    thread.join()
    assert len(trainer.history) == 1


# -- the same seed, the same bits


def run(seed, device, rng_data):
    cunet.manual_seed(seed)
    x, labels = rng_data
    model = nn.Sequential(nn.Linear(3, 16), nn.BatchNorm1d(16), F.relu, nn.Dropout(0.3), nn.Linear(16, 3))
    trainer = Trainer(
        model,
        F.cross_entropy,
        optim.Adam(model.parameters(), lr=1e-2),
        metrics=["accuracy"],
        device=device,
        progress=False,
    )
    trainer.fit(Loader(x, labels, batch_size=20, shuffle=True), (x, labels), epochs=3)
    logs = [{k: v for k, v in logs.items() if "second" not in k} for logs in trainer.history]
    return logs, {name: host(array) for name, array in model.state_dict().items()}


def test_one_seed_gives_the_same_bits(rng, device):
    data = classes(rng)
    (logs, state), (logs_again, state_again), (other, _) = (
        run(7, device, data),
        run(7, device, data),
        run(8, device, data),
    )
    assert logs == logs_again != other
    for name, array in state.items():
        np.testing.assert_array_equal(array, state_again[name])


# -- what it asks of the device


@pytest.fixture
def sim(request):
    if request.config.getoption("device") != "sim":
        pytest.skip("counts on the simulated device")
    from sim.state import stats

    return stats


def test_one_synchronisation_an_epoch(sim, rng):
    x, labels = classes(rng)
    trainer = trainer_of(nn.Linear(3, 3), "gpu", F.cross_entropy, metrics=["accuracy"])
    train = Loader(x, labels, batch_size=8, device="gpu")
    trainer.fit(train)  # what is compiled and cached
    with sim.counting() as counted:
        trainer.fit(train, epochs=3)
    assert counted["syncs"] == 3
    with sim.counting() as counted:
        trainer.fit(train, (x, labels), epochs=2)
    assert counted["syncs"] == 4  # once for training, once for validation


def test_arrays_are_uploaded_once_a_fit(sim, rng):
    x, y = line(rng, 512)
    trainer = regression("gpu")
    trainer.fit((x, y))
    counts = []
    for epochs in (1, 5):
        with sim.counting() as counted:
            trainer.fit((x, y), (x, y), epochs=epochs)
        counts.append(counted["uploads"])
    assert counts[1] - counts[0] == 4  # the shuffled order of each further epoch


def test_a_bar_synchronises_only_to_refresh(sim, rng, monkeypatch, capsys):
    clock = iter(range(10**6))
    monkeypatch.setattr("time.perf_counter", lambda: next(clock) * 0.01)  # each look at the clock takes 10 ms
    x, y = line(rng, 512)
    trainer = regression("gpu")
    trainer.progress = True
    train = Loader(x, y, batch_size=4, device="gpu")
    with sim.counting() as counted:
        trainer.fit(train)
    assert counted["syncs"] <= 1 + 1 + 128 * 0.01 / 0.5 + 1


# -- accuracy and means


def test_accuracy_counts_labels_and_probabilities(dev):
    scores = dev([[1.0, 2.0, 0.0], [3.0, 1.0, 2.0], [0.0, 1.0, 5.0], [9.0, 0.0, 0.0]], np.float32)
    assert float(accuracy(scores, dev([1, 0, 1, 1]))) == 0.5
    assert float(accuracy(Tensor(scores), dev(np.eye(3)[[1, 0, 1, 1]]))) == 0.5
    pixels = dev(np.array([[[1.0, 5.0], [0.0, 9.0]]]))  # (1, 2, 2): classes on axis 1
    assert float(accuracy(pixels, dev([[0, 1]]))) == 1.0


def test_accuracy_refuses_what_it_would_get_wrong():
    for scores, target in [((4, 3), (4, 1)), ((4, 3), (3,)), ((4, 3, 2), (4, 3))]:
        with pytest.raises(ValueError, match="accuracy: target of shape .* does not fit"):
            accuracy(np.ones(scores), np.ones(target, np.int64))
    for shape in ((4,), (4, 1)):  # one score: its largest is always itself
        with pytest.raises(ValueError, match="with C >= 2"):
            accuracy(np.ones(shape), np.ones(shape))


def test_means_are_kept_in_float64(dev):
    means = Means()
    for value in (1.0, 2.0**-20):
        means.add(1, {"half": dev(value, np.float16), "plain": value})
    assert means.read() == {"half": (1 + 2**-20) / 2, "plain": (1 + 2**-20) / 2}


# -- what a person sees


LOGS = {"epoch": 1, "loss": 2.3472, "accuracy": 0.1019, "valid_loss": 2.3005, "valid_accuracy": 0.1192}
REST = {"lr": 0.001, "seconds": 22.61, "samples_per_second": 12653.4, "complete": True}


def test_rows_are_aligned_and_fit_80_columns(capsys):
    display = Progress("auto", "samples")
    display.row(LOGS | REST, 10)
    display.row(LOGS | REST | {"epoch": 2, "loss": 1.5e10, "valid_loss": 123456.789, "lr": 9.87654e-05}, 10)
    display.row(LOGS | REST | {"epoch": 10, "loss": float("nan"), "valid_loss": -1e-300, "samples_per_second": 1e6}, 10)
    display.row({k: v for k, v in (LOGS | REST).items() if "valid" not in k}, 10)  # cut short
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].split() == ["epoch", "loss", "acc", "valid_loss", "valid_acc", "lr", "seconds", "samples/s"]
    assert lines[1].split() == ["1/10", "2.3472", "0.1019", "2.3005", "0.1192", "0.001", "22.6", "12,653"]
    assert lines[2].split() == ["2/10", "1.5e+10", "0.1019", "123457", "0.1192", "9.88e-05", "22.6", "12,653"]
    assert lines[3].split() == ["10/10", "nan", "0.1019", "-1e-300", "0.1192", "0.001", "22.6", "1,000,000"]
    assert lines[4].split() == ["1/10", "2.3472", "0.1019", "-", "-", "0.001", "22.6", "12,653"]
    assert {len(text) for text in lines} == {len(lines[0])} and len(lines[0]) <= 80


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0.0000"),
        (0.12345, "0.1235"),
        (999.99999, "1000"),
        (-12.5, "-12.5000"),
        (1e-4, "0.0001"),
        (0.00186123, "0.001861"),
    ]
    + [
        (1.23456e-5, "1.23e-05"),
        (123456.7, "123457"),
        (-1e100, "-1e+100"),
        (float("inf"), "inf"),
        (1234567.8, "1.23e+06"),
    ],
)
def test_numbers_take_at_most_8_characters(value, text):
    shown = number(value)
    assert shown == text and len(shown) <= 8


def test_a_log_file_gets_rows_and_no_bar(rng, capsys):
    trainer = regression()
    trainer.progress = "auto"
    trainer.fit(line(rng), epochs=2)
    captured = capsys.readouterr()
    assert captured.err == "" and "\r" not in captured.out
    assert [text.split()[0] for text in captured.out.splitlines()] == ["epoch", "1/2", "2/2"]
    trainer.callbacks = [At(1, press_ctrl_c)] if threading.current_thread() is threading.main_thread() else []
    trainer.fit(line(rng), epochs=2)
    assert capsys.readouterr().out.splitlines()[-1] == "stopped by Ctrl-C in epoch 3 of 4"
    trainer.progress, trainer.callbacks = False, []
    trainer.fit(line(rng))
    assert capsys.readouterr() == ("", "")


class Terminal:
    """A pseudo-terminal of 80 columns as stdout and stderr, and what was written to it."""

    def __init__(self, columns=80):
        import fcntl
        import struct
        import termios

        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.file = os.fdopen(slave, "w", encoding="utf-8")
        self.written = b""
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        while True:
            try:
                chunk = os.read(self.master, 65536)
            except OSError:  # the other end is closed
                return
            self.written += chunk

    def close(self):
        """Return what the screen held at each carriage return, and its lines at the end."""
        self.file.close()
        self.reader.join()
        os.close(self.master)
        text = self.written.decode()
        lines, column = [[]], 0
        for character in text:
            if character == "\r":
                column = 0
            elif character == "\n":
                lines.append([])
            else:
                lines[-1][column : column + 1] = character
                column += 1
        return [part for line in text.split("\n") for part in line.split("\r")], ["".join(x).rstrip() for x in lines]


@contextlib.contextmanager
def terminal():
    """Let stdout and stderr be a terminal; give what it showed, when the block has ended."""
    pytest.importorskip("termios")
    screen, seen = Terminal(), []
    try:
        with contextlib.redirect_stdout(screen.file), contextlib.redirect_stderr(screen.file):
            yield seen
    finally:
        seen += screen.close()


@pytest.mark.cpu_only
def test_a_terminal_shows_a_bar_that_never_wraps_and_leaves_rows(rng, monkeypatch):
    monkeypatch.setattr("cunet.train.progress._REFRESH", 0.0)
    x, labels = classes(rng)
    model = nn.Linear(3, 3)
    trainer = Trainer(
        model,
        F.cross_entropy,
        optim.SGD(model.parameters(), lr=0.1),
        metrics={"accuracy": accuracy, "a_metric_with_a_long_name": accuracy},
        unit="images",
    )
    with terminal() as seen:
        trainer.fit(Loader(x, labels, batch_size=8), (x, labels), epochs=2)
        trainer.fit([(x, labels)], epochs=1)  # of a length that is not known
    shown, lines = seen
    bars = [text for text in shown if text.startswith(("epoch 1/2 ", "valid 2/2", "epoch 3/3: "))]
    assert len(bars) > 6 and max(map(len, bars)) <= 80
    assert {text[:9] for text in bars} == {"epoch 1/2", "valid 2/2", "epoch 3/3"}
    assert any(re.search(r"epoch 1/2 +\d+%\|.*\| .* left, .*images/s, loss \d\.\d{4} acc 0\.\d{4} ", t) for t in bars)
    assert [text.split()[0] for text in lines if text] == ["epoch", "1/2", "2/2", "epoch", "3/3"]
    assert not any("|" in text for text in lines)


@pytest.mark.cpu_only
def test_an_error_in_a_step_takes_the_bar_away(rng):
    def fails(prediction, target):
        if trainer.epoch == 1 and calls.append(1) is None and len(calls) == 3:
            raise ZeroDivisionError
        return F.mse_loss(prediction, target)

    calls = []
    x, y = line(rng)
    trainer = regression(loss=fails)
    trainer.progress = "auto"
    with terminal() as seen, pytest.raises(ZeroDivisionError):
        trainer.fit(Loader(x, y, batch_size=16))
    shown, lines = seen
    assert any("epoch 1/1" in text for text in shown) and not any(lines)


def test_a_notebook_is_somebody_who_looks(monkeypatch):
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert Progress("auto", "samples").bar
    del shell.kernel  # IPython in a terminal that is no terminal
    assert not Progress("auto", "samples").bar
    monkeypatch.setattr(sys, "stderr", None)  # as under pythonw
    assert not Progress("auto", "samples").bar


@pytest.mark.cpu_only
def test_progress_true_shows_a_bar_anywhere_and_tqdm_warns_of_nothing(rng, capsys):
    trainer = regression()
    trainer.progress = True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer.fit(line(rng))
    assert "epoch 1/1" in capsys.readouterr().err
