"""Updates of several batches, clipped gradients, augmentation, and what is done about values that are not finite."""

import warnings

import numpy as np
import pytest
from checkpoint_helpers import Cut, StopAt, facts
from helpers import host
from trainer_helpers import Own, line, trainer_of

import cunet
from cunet import F, nn, optim
from cunet.data import Loader
from cunet.train import EMA, Callback, Checkpoint, Schedule, Trainer


@cunet.op
def steep(x):
    """Return 0, with a gradient that is not finite."""
    return x * 0, lambda gy: (gy * float("inf"),)


def labelled(rng, n=30):
    """Samples of three classes, some of whose labels are ignored, so that batches weigh differently."""
    x = rng.normal(size=(n, 3)).astype(np.float32)
    labels = rng.integers(0, 3, n)
    labels[[1, 2, 7]] = -100
    return x, labels


@pytest.mark.parametrize(
    "loss", [F.cross_entropy, nn.CrossEntropyLoss(weight=[1.0, 5.0, 0.5])], ids=["plain", "weights"]
)
def test_accumulated_batches_make_the_update_of_all_their_samples(loss, device, dev, rng):
    x, labels = labelled(rng)
    one, some = nn.Linear(3, 3, dtype=np.float64), nn.Linear(3, 3, dtype=np.float64)
    some.load_state_dict(one.state_dict())
    trainer_of(one, device, loss).fit(Loader(dev(x), dev(labels), batch_size=12), epochs=2)
    trainer = trainer_of(some, device, loss, accumulate=3)
    trainer.fit(Loader(dev(x), dev(labels), batch_size=4), epochs=2)  # 3 + 3 + 2 batches: the last are of 4 and 2
    assert trainer.global_step == 16
    np.testing.assert_allclose(host(some.weight), host(one.weight), rtol=1e-10)


def test_batches_of_nothing_but_ignored_labels_count_nothing(device, dev, rng):
    x, labels = labelled(rng, 8)
    labels[:4] = -100
    one, two = nn.Linear(3, 3), nn.Linear(3, 3)
    two.load_state_dict(one.state_dict())
    before = host(one.weight).copy()
    trainer_of(one, device, "cross_entropy", accumulate=2).fit(Loader(dev(x), dev(labels), batch_size=4))
    trainer_of(two, device, "cross_entropy").fit([(dev(x[4:]), dev(labels[4:]))])
    np.testing.assert_allclose(host(one.weight), host(two.weight), rtol=1e-5)
    labels[:] = -100
    for options in ({}, {"on_nan": "raise"}):  # a mean over nothing is no mistake
        trainer = trainer_of(two, device, "cross_entropy", accumulate=2, **options)
        trainer.fit(Loader(dev(x), dev(labels), batch_size=4))
    assert np.isfinite(host(two.weight)).all() and (host(one.weight) != before).any()


def test_gradients_are_clipped(device, rng):
    data = line(rng)
    for options, size in (({"clip_norm": 1e-3}, lambda d: np.sqrt((d * d).sum())),
                          ({"clip_value": 1e-3}, lambda d: np.abs(d).max())):  # fmt: skip
        model = nn.Linear(2, 1)
        before = np.concatenate([host(p).ravel() for p in model.parameters()])
        trainer_of(model, device, lr=1.0, **options).fit([data])
        moved = np.concatenate([host(p).ravel() for p in model.parameters()]) - before
        assert size(moved) == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.cpu_only
@pytest.mark.parametrize("options", [{"accumulate": 4}, {"on_nan": "restore", "average": EMA}, {"clip_norm": 0.1}])
@pytest.mark.parametrize("stop", [2, 3, 5, 6])
def test_what_waits_is_in_the_state_of_a_run(options, stop, rng, tmp_path):
    x, labels = labelled(rng, 20)
    x[17] = np.nan if "on_nan" in options else x[17]

    def trained(folder, stop=0):
        cunet.manual_seed(1)
        model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))
        optimizer = optim.Adam(model.parameters(), 0.05)
        callbacks = [Checkpoint(folder, monitor=None, every_steps=1), Schedule(optim.StepLR(optimizer, 2), "batch")]
        made = {k: v() if k == "average" else v for k, v in options.items()}
        trainer = Trainer(
            model, "cross_entropy", optimizer, callbacks=[*callbacks, StopAt(stop)], progress=False, **made
        )
        loader = Loader(x, labels, batch_size=4)
        trainer.fit(loader, (x[:10], labels[:10]), epochs=2, resume="auto")
        return trainer

    whole = facts(trained_quietly(trained, tmp_path / "whole", options))
    with pytest.raises(Cut):
        trained_quietly(trained, tmp_path / "cut", options, stop)
    assert facts(trained_quietly(trained, tmp_path / "cut", options)) == whole


def trained_quietly(trained, folder, options, stop=0):
    with warnings.catch_warnings():
        if "on_nan" in options:
            warnings.simplefilter("ignore")  # what on_nan says
        return trained(folder, stop)


def test_augmentation_changes_the_batches_of_training_alone(device, dev, rng):
    x, y = line(rng, 12)
    seen = []

    class Noting(Trainer):
        def compute(self, *batch):
            seen.append((self.model.training, host(batch[0])))
            return super().compute(*batch)

    model = nn.Linear(2, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    trainer = Noting(model, "mse_loss", optimizer, augment=lambda x, y: (x + 1, y), device=device, progress=False)
    trainer.fit([(dev(x), dev(y))], [(dev(x), dev(y))])
    (training, first), (validation, second) = seen
    assert training and not validation
    np.testing.assert_array_equal(first, x + 1)
    np.testing.assert_array_equal(second, x)
    for wrong, got in ((lambda x, y: x, "ndarray"), (lambda x, y: (x, y, y), "3")):
        with pytest.raises(TypeError, match=rf"augment must return a tuple .* of 2 arrays, got .*{got}"):
            trainer_of(nn.Linear(2, 1), "cpu", augment=wrong).fit([(x, y)])


class Poisoned:
    """Batches of which one gives a loss that is NaN."""

    def __init__(self, device_array, rng, bad=3, batches=5):
        x, y = line(rng, 8 * batches)
        y[8 * (bad - 1)] = np.nan
        self.batches = [(device_array(x[k : k + 8]), device_array(y[k : k + 8])) for k in range(0, len(x), 8)]

    def __iter__(self):
        return iter(self.batches)


def guarded(device, policy, **options):
    layers = [nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)]
    return trainer_of(nn.Sequential(*layers), device, lr=0.01, on_nan=policy, **options)


def state(trainer):
    return {name: host(a).tobytes() for name, a in trainer.model.state_dict().items()}


def test_nan_raises_before_anything_is_learnt(device, dev, rng):
    states = []

    class Note(Callback):
        def on_batch_end(self, trainer):
            states.append(state(trainer))

    trainer = guarded(device, "raise", callbacks=Note())
    with pytest.raises(
        FloatingPointError, match=r"the loss is nan in step 3 \(batch 3 of epoch 1\); nothing was learnt"
    ):
        trainer.fit(Poisoned(dev, rng))
    assert len(states) == 2 and state(trainer) == states[-1]


def test_nan_stops_or_is_skipped(device, dev, rng):
    stopped = guarded(device, "stop")
    with pytest.warns(UserWarning, match=r"the loss is nan in step 3 .*; training stops before it"):
        (logs,) = stopped.fit(Poisoned(dev, rng), epochs=3)
    assert stopped.stop and not logs["complete"] and logs["skipped"] == 1 and np.isfinite(logs["loss"])
    data = Poisoned(dev, rng)
    skipping, without = guarded(device, "skip"), guarded(device, None)
    without.model.load_state_dict(skipping.model.state_dict())
    with pytest.warns(UserWarning, match="such batches are left out") as warned:
        skipping.fit(data, epochs=2)
    assert len(warned) == 1
    del data.batches[2]
    without.fit(data, epochs=2)
    assert state(skipping) == state(without)  # running statistics too
    assert [logs["skipped"] for logs in skipping.history] == [1, 1] and "skipped" not in without.history[0]
    assert [logs["loss"] for logs in skipping.history] == [logs["loss"] for logs in without.history]


def test_nan_goes_back_to_the_weights_that_the_epoch_began_with(device, dev, rng):
    data = Poisoned(dev, rng)
    restoring, rest = guarded(device, "restore"), guarded(device, None)
    rest.model.load_state_dict(restoring.model.state_dict())
    with pytest.warns(UserWarning, match="back to the weights that the epoch began with"):
        restoring.fit(data)
    rest.fit(data.batches[3:])
    assert state(restoring) == state(rest)


def test_what_is_left_at_the_end_of_an_epoch_is_looked_at_too(device, dev, rng):
    x, y = line(rng, 24)
    trainer = trainer_of(nn.Linear(2, 1), device, lambda p, t: steep(p).sum(), accumulate=2, on_nan="raise")
    with pytest.raises(FloatingPointError, match=r"the norm of the gradients is .* in step 1 \(batch 1 of epoch 1\)"):
        trainer.fit(Loader(dev(x), dev(y), batch_size=24))


@pytest.mark.cpu_only
def test_gradients_of_the_weights_before_do_not_outlive_going_back(rng):
    data = Poisoned(np.asarray, rng, bad=4, batches=6)
    restoring, rest = guarded("cpu", "restore", accumulate=2), guarded("cpu", None, accumulate=2)
    rest.model.load_state_dict(restoring.model.state_dict())
    with pytest.warns(UserWarning, match="back to the weights"):
        restoring.fit(data)
    rest.fit(data.batches[4:])  # the third batch was waiting for the fourth
    assert state(restoring) == state(rest)


def test_a_gradient_that_is_not_finite_is_seen_too(device, dev, rng):
    x, y = line(rng, 8)
    trainer = trainer_of(nn.Linear(2, 1), device, lambda p, t: steep(p).sum(), on_nan="raise")
    with pytest.raises(FloatingPointError, match="the norm of the gradients is (inf|nan) in step 1"):
        trainer.fit([(dev(x), dev(y))])


@pytest.mark.cpu_only
def test_an_epoch_without_any_sound_batch_is_an_error(rng):
    x, y = line(rng, 8)
    data = [(x, y * np.nan)] * 2
    with pytest.warns(UserWarning), pytest.raises(FloatingPointError, match="no batch of epoch 1 had a finite loss"):
        guarded("cpu", "skip").fit(data)
    stopped = guarded("cpu", "stop")
    with pytest.warns(UserWarning):
        (logs,) = stopped.fit(data)
    assert np.isnan(logs["loss"]) and not logs["complete"]


@pytest.mark.cpu_only
def test_a_step_of_ones_own_is_looked_at_and_does_the_rest_itself(rng):
    class Noisy(Trainer):
        def step(self, x, y):
            return super().step(x + 1, y)

    def make(kind, **options):
        model = nn.Linear(2, 1)
        return kind(model, "mse_loss", optim.SGD(model.parameters(), 0.01), device="cpu", progress=False, **options)

    data = Poisoned(np.asarray, rng)
    with pytest.raises(FloatingPointError, match="the loss is nan in step 3"):
        make(Own, on_nan="raise").fit(data)
    for option in ({"accumulate": 2}, {"clip_norm": 1.0}, {"clip_value": 1.0}):
        with pytest.raises(
            ValueError, match=r"are done by Trainer.step: call super\(\).step\(\), or do them in Own.step"
        ):
            make(Own, **option).fit([line(rng)])
        make(Noisy, **option).fit([line(rng)])


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"accumulate": 0}, ValueError, "accumulate must be at least 1, got 0"),
        ({"accumulate": "2"}, TypeError, "accumulate must be a whole number, got '2'"),
        ({"clip_norm": 0.0}, ValueError, "clip_norm must be above 0, got 0.0"),
        ({"clip_value": "1"}, TypeError, "clip_value must be a number or None, got '1'"),
        ({"on_nan": "ignore"}, ValueError, "on_nan must be None, 'raise', 'stop', 'skip' or 'restore', got 'ignore'"),
        ({"average": 0.99}, TypeError, r"average must be EMA\(...\), SWA\(...\) or None, got 0.99"),
        ({"average": EMA}, TypeError, "got the class EMA"),
    ],
    ids=[*"abcdefg"],
)
def test_settings_are_checked(options, error, message):
    with pytest.raises(error, match=f"Trainer: .*{message}"):
        trainer_of(nn.Linear(2, 1), **options)
