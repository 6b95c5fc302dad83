"""Recorder: its figures, by hand; training that is observed is the training that is not, to the bit."""

import copy
import math
import pickle

import numpy as np
import pytest
from health_nets import classifier, images, mlp, points
from helpers import host

import cunet
from cunet import F, nn, optim
from cunet.diagnose import Recorder
from cunet.diagnose.figures import PERCENTILES, SAMPLE, unit_axis
from cunet.train import Trainer


def observed(model, x, loss, step=lambda: None):
    """Return the snapshot of one step."""
    recorder = Recorder(model)
    with recorder.step(x):
        value = loss(model(x))
        value.backward()
        recorder.tell(value)
        step()
    (snapshot,) = recorder.snapshots
    return snapshot


def total(y):
    return y.sum()


# -- the figures


def test_figures_of_a_net_that_can_be_computed_by_hand(device, dev):
    model = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU()).to(device)
    model.load_state_dict({"0.weight": [[1.0, 0.0], [0.0, -1.0], [1.0, 1.0]]})
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    s = observed(model, dev([[1.0, 2.0], [3.0, 4.0]], np.float32), lambda y: (y * y).sum(), optimizer.step)
    linear, relu = s.layers
    assert (s.step, s.loss) == (0, 1 + 9 + 9 + 49)
    assert (linear.name, linear.kind, linear.shape, linear.activation, linear.weighted) == (
        "0",
        "Linear",
        (2, 3),
        None,
        True,
    )
    assert (relu.name, relu.activation, relu.weighted, relu.units) == ("1", "relu", False, 3)
    values, back = np.array([1, -2, 3, 3, -4, 7]), 2 * np.array([1, 0, 3, 3, 0, 7])
    assert linear.output[:2] == (pytest.approx(values.mean()), pytest.approx(values.var()))
    assert linear.gradient[:2] == (pytest.approx(back.mean()), pytest.approx(back.var()))
    assert linear.gradient_norm == pytest.approx(math.sqrt((back**2).sum())) == relu.gradient_norm
    assert linear.output.percentiles == tuple(np.sort(values)[[round(p / 100 * 5) for p in PERCENTILES]])
    assert linear.dead == relu.dead == pytest.approx(1 / 3)
    (p,) = s.parameters
    gradient = np.array([[20, 28], [0, 0], [48, 68]])
    assert p[:3] == ("0.weight", (3, 2), 2.0)
    assert p.gradient == pytest.approx(np.sqrt((gradient**2).sum())) == pytest.approx(2 * p.update)
    assert s.inputs == (pytest.approx(math.sqrt(30 / 4)),)


@pytest.mark.parametrize(("name", "share"), [("sigmoid", 0.5), ("tanh", 0.75), ("hardtanh", 0.75), ("relu", 0)])
def test_what_is_saturated(name, share, device, dev):
    x = dev([[0.1, -4.4, 3.0, 4.4]], np.float32)  # sigmoid(4.36) is 1.95 / 2, tanh(2.18) is 0.975
    layer = observed(nn.Sequential(getattr(F, name)), cunet.tensor(x, requires_grad=True), total).layers[0]
    assert layer.saturated == share


def test_norms_are_compared_with_their_running_statistics(device, dev, rng):
    norm = nn.BatchNorm2d(3, momentum=0.0)
    model = nn.Sequential(nn.Conv2d(2, 3, 1), norm).to(device)
    norm.running_mean.data[...], norm.running_var.data[...] = 2.0, 4.0
    x = dev(rng.normal(size=(5, 2, 4, 4)), np.float32)
    (n,) = observed(model, x, lambda y: (y**3).sum()).norms
    y = host(model[0](x)).astype(np.float64)
    assert (n.name, n.values, n.batches, n.before) == ("1", 80, 1, "0")
    assert n.shift == pytest.approx(np.median(abs(y.mean((0, 2, 3)) - 2) / 2), rel=1e-4)
    assert n.ratio == pytest.approx(np.median(abs(np.log(y.var((0, 2, 3)) / 4))), rel=1e-4)


def test_percentiles_of_a_large_array_see_all_its_units(device, dev):
    units = 64
    x = dev(np.tile(np.arange(units, dtype=np.float32), (SAMPLE // 8, 1)))
    layer = observed(nn.Sequential(F.relu), cunet.tensor(x, requires_grad=True), total).layers[0]
    np.testing.assert_allclose(layer.output.percentiles, [p / 100 * (units - 1) for p in PERCENTILES], atol=1)


@pytest.mark.cpu_only
def test_units_are_channels_or_the_last_axis():
    none = (0, ())
    assert unit_axis(nn.Conv2d(1, 4, 3), (2, 4, 5, 5), none) == 1
    assert unit_axis(nn.Conv2d(1, 4, 3, channels_last=True), (2, 5, 5, 4), none) == 3
    assert unit_axis(nn.BatchNorm1d(4), (2, 4, 7), none) == 1
    assert unit_axis(nn.BatchNorm1d(4, axis=-1), (2, 7, 4), none) == 2
    assert unit_axis(nn.Linear(3, 4), (2, 7, 4), none) == 2
    assert unit_axis(F.relu, (2, 7, 4), (2, (2, 7, 4))) == 2 and unit_axis(F.relu, (2, 4, 5, 5), none) == 1
    assert unit_axis(nn.Flatten(), (2, 100), (1, (2, 4, 5, 5))) == 1


@pytest.mark.parametrize("make", [
    lambda: nn.Sequential(nn.Linear(None, 4), nn.ReLU(), nn.Linear(4, 3)),
    lambda: nn.Sequential(nn.Embedding(9, 4), nn.LSTM(4, 5), lambda y: y[0].mean(axis=0)),
    lambda: nn.Linear(2, 3, dtype=np.float16),
], ids=["lazy", "recurrent", "half"])  # fmt: skip
def test_layers_of_many_kinds(make, device, dev):
    model = make().to(device)
    codes = isinstance(model, nn.Sequential) and isinstance(model[0], nn.Embedding)
    x = dev([[1, 2], [3, 4], [5, 6]], np.int64 if codes else np.float32)
    s = observed(model, x, total)
    assert [r.kind for r in s.layers if r.kind != "<lambda>"] == [
        type(m).__name__ for m in model.modules() if next(m.children(), None) is None
    ]
    assert all(p.norm > 0 and p.gradient > 0 and math.isfinite(p.norm) for p in s.parameters)
    assert s.inputs == (() if codes else (pytest.approx(math.sqrt(91 / 6)),))


def test_the_noise_of_gradients_is_that_of_the_formula(rng, device, dev):
    """``loss = mean(w @ x)``: its gradient is the mean of the samples, whatever w is."""
    model = nn.Linear(50, 1, bias=False).to(device)
    recorder = Recorder(model, every=2)
    assert math.isnan(recorder.noise_scale)
    for _ in range(200):
        x = dev(0.1 + rng.normal(size=(20, 50)), np.float32)
        with recorder.step(x):
            model.zero_grad()
            model(x).mean().backward()
    assert recorder.noise_scale == pytest.approx(1 / 0.1**2, rel=0.3)  # tr(C) = 50, |G|**2 = 50 * 0.01


# -- what it leaves as it was


def trained(net, diagnose, compile="auto", **kwargs):
    cunet.manual_seed(0)
    rng = np.random.default_rng(0)
    if net == "cnn":
        x, labels = images(rng, 160)
        layers = nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4, activation="relu"), nn.MaxPool2d(2), nn.Flatten()
        model = nn.Sequential(*layers, nn.Linear(36, 4))
    else:
        x, labels = points(rng, 160)
        model = nn.Sequential(nn.Linear(20, 16), F.tanh, nn.Dropout(0.5), nn.Linear(16, 5))
    trainer = Trainer(model, "cross_entropy", optim.Adam(model.parameters(), 0.01), diagnose=diagnose, progress=False,
                      device="cpu", compile=compile, **kwargs)  # fmt: skip
    trainer.fit((x, labels), epochs=3, batch_size=16)
    return trainer


@pytest.mark.cpu_only
@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.5}, {"accumulate": 3}, {"on_nan": "raise"}], ids=str)
@pytest.mark.parametrize("net", ["cnn", "mlp"])
def test_training_that_is_observed_is_the_same_to_the_bit(net, options):
    plain, seen = trained(net, False, **options), trained(net, 7, **options)
    for name, array in plain.model.state_dict().items():
        np.testing.assert_array_equal(seen.model.state_dict()[name], array)
    assert [s.step for s in seen.recorder.snapshots] == [0, 7, 14, 21, 28]
    assert [h["loss"] for h in plain.history] == [h["loss"] for h in seen.history]
    assert math.isnan(seen.recorder.noise_scale) == ("accumulate" in options) or seen.recorder.noise_scale > 0


@pytest.mark.cpu_only
def test_steps_between_are_replayed():
    before, seen = (trained("mlp", d).reports()["fit"] for d in (False, 10))
    if before.replays:
        assert seen.replays == before.replays - 3  # of 30
        assert seen.refusals["somebody listens to the calls of kernels or layers"] == 3


@pytest.mark.cpu_only
def test_copies_and_pickles_keep_what_was_read():
    trainer = trained("mlp", 10)
    for other in (copy.deepcopy(trainer.recorder), pickle.loads(pickle.dumps(trainer.recorder))):
        assert [s.step for s in other.snapshots] == [0, 10, 20]
    assert len(trainer.recorder.snapshots) == 3


@pytest.mark.cpu_only
def test_updates_are_known_from_the_step_after_that_which_brought_the_shapes():
    model = nn.Linear(None, 2)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    recorder = Recorder(model, every=1)
    for _ in range(2):
        with recorder.step():
            model([[1.0, 2.0]]).sum().backward()
            optimizer.step()
    assert [[p.update > 0 for p in s.parameters] for s in recorder.snapshots] == [[False, False], [True, True]]


@pytest.mark.cpu_only
def test_of_many_snapshots_the_first_and_the_last_stay():
    model = nn.Linear(1, 1)
    recorder = Recorder(model, every=1)
    for _ in range(300):
        with recorder.step():
            model([[1.0]])
    steps = [s.step for s in recorder.snapshots]
    assert len(steps) <= 256 and steps[0] == 0 and steps[-1] == 299 and steps == sorted(steps)


# -- findings of training


@pytest.mark.parametrize(("rate", "cause"), [(1.0, "rate too high"), (1e-8, "rate too low"), (0.01, None)])
def test_a_rate_shows_in_the_updates(rate, cause, rng, capsys, device):
    model, batch, loss, optimizer = classifier(rng, mlp(20, 32, 5), lr=rate)
    trainer = Trainer(model, loss, optimizer, diagnose=3, device=device)
    trainer.fit(batch, epochs=8, batch_size=32)
    assert trainer.recorder.findings().causes == ([cause] if cause else [])
    assert capsys.readouterr().out.endswith(f"{trainer.recorder.findings()}\n")


def test_a_trainer_finds_what_health_finds(rng, device):
    model = mlp(20, 32, 5, norm=nn.BatchNorm1d, last=[nn.Softmax(1)])
    x, labels = points(rng)
    for loss in (F.cross_entropy, "cross_entropy"):
        optimizer = optim.AdamW(model.parameters())
        trainer = Trainer(model, loss, optimizer, diagnose=True, progress=False, device=device)
        trainer.fit((500 * x, labels), batch_size=6)
        causes = ["wrong loss", "unscaled inputs", "batch too small", "bias before norm", "decayed norm"]
        assert trainer.recorder.findings().causes == causes


@pytest.mark.cpu_only
def test_clipped_gradients_need_no_clipping(rng):
    class Last(nn.Module):
        def __init__(self):
            self.rnn, self.scores = nn.RNN(2, 8, nonlinearity="relu", batch_first=True), nn.Linear(8, 2)
            self.rnn.weight_hh_l0.data = 2.5 * np.eye(8, dtype=np.float32)

        def forward(self, x):
            return self.scores(self.rnn(x)[0][:, -1])

    x = abs(rng.normal(size=(64, 30, 2))).astype(np.float32)
    for options, found in (({}, True), ({"clip_norm": 1.0}, False)):
        model = Last()
        trainer = Trainer(model, "cross_entropy", "adam", diagnose=1, progress=False, device="cpu", **options)
        trainer.fit((x, (x[:, 0, 0] > 1).astype(int)))
        assert ("no clipping" in trainer.recorder.findings().causes) == found


@pytest.mark.cpu_only
def test_errors_say_what_was_required():
    model = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="Recorder: every must be at least 1, got 0"):
        Recorder(model, every=0)
    with pytest.raises(ValueError, match="Trainer: diagnose must be at least 1, got 0"):
        Trainer(model, "mse_loss", diagnose=0)
    with pytest.raises(TypeError, match="Trainer: diagnose must be a whole number, got 'yes'"):
        Trainer(model, "mse_loss", diagnose="yes")
    assert Recorder(model).findings() == [] and Trainer(model, "mse_loss").recorder is None
