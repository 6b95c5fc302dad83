"""Means over an epoch are those over all its data: labels that are ignored, class weights, batches of nothing else."""

import functools
import pickle

import numpy as np
import pytest
from helpers import host
from trainer_helpers import trainer_of

from cunet import F, Trainer, nn, no_grad
from cunet.data import Loader
from cunet.train import accuracy

WEIGHT = np.array([1.0, 5.0, 0.25], np.float32)


def data(rng, ignored=-100):
    """Samples of three classes, of which the second four, a batch, and one more are ignored."""
    x = rng.normal(size=(14, 3)).astype(np.float32)
    labels = rng.integers(0, 3, 14)
    labels[[4, 5, 6, 7, 11]] = ignored
    return x, labels


LOSSES = {
    "plain": lambda w: (F.cross_entropy, {}),
    "name": lambda w: ("cross_entropy", {}),
    "partial": lambda w: (functools.partial(F.cross_entropy, weight=w), {"weight": w}),
    "layer": lambda w: (nn.CrossEntropyLoss(weight=WEIGHT), {"weight": w}),
    "ignores 1": lambda w: (functools.partial(F.cross_entropy, ignore_index=1), {"ignore_index": 1}),
    "list": lambda w: (functools.partial(F.cross_entropy, weight=WEIGHT.tolist()), {"weight": w}),
}


@pytest.mark.parametrize("name", LOSSES)
def test_an_evaluation_by_batches_is_that_of_all_data(name, device, dev, rng):
    loss, options = LOSSES[name](dev(WEIGHT))
    ignored = options.get("ignore_index", -100)
    x, labels = data(rng, ignored)
    model = nn.Linear(3, 3)
    trainer = trainer_of(model, device, loss=loss, metrics=["accuracy"])
    found = trainer.evaluate(Loader(dev(x), dev(labels), batch_size=4))
    with no_grad():
        scores = model(dev(x))
        expected = F.cross_entropy(scores, dev(labels), **options).item()
    kept = labels != ignored
    assert found["loss"] == pytest.approx(expected, rel=1e-6)
    assert found["accuracy"] == pytest.approx((host(scores).argmax(1) == labels)[kept].mean(), rel=1e-12)


def test_log_probabilities_with_weights(device, dev, rng):
    x, labels = data(rng)
    model = nn.Sequential(nn.Linear(3, 3), nn.LogSoftmax())
    trainer = trainer_of(model, device, loss=nn.NLLLoss(weight=WEIGHT))
    found = trainer.evaluate(Loader(dev(x), dev(labels), batch_size=4))
    with no_grad():
        assert found["loss"] == pytest.approx(
            F.nll_loss(model(dev(x)), dev(labels), weight=dev(WEIGHT)).item(), rel=1e-6
        )


def test_the_loss_of_an_epoch_of_training_is_weighted_too(device, dev, rng):
    x, labels = data(rng)
    model = nn.Linear(3, 3)
    trainer = trainer_of(model, device, loss=nn.CrossEntropyLoss(weight=WEIGHT), lr=0.0, metrics="accuracy")
    before = {name: host(a) for name, a in model.state_dict().items()}
    (logs,) = trainer.fit(Loader(dev(x), dev(labels), batch_size=4))
    expected = F.cross_entropy(model(dev(x)), dev(labels), weight=dev(WEIGHT)).item()
    assert logs["loss"] == pytest.approx(expected, rel=1e-6)
    assert 0 <= logs["accuracy"] <= 1
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(host(array), before[name])


def test_a_batch_of_ignored_labels_moves_no_weight(device, dev, rng):
    x, labels = data(rng)
    model = nn.Linear(3, 3)
    trainer = trainer_of(model, device, loss=F.cross_entropy)
    before = {name: host(a) for name, a in model.state_dict().items()}
    (logs,) = trainer.fit([(dev(x[4:8]), dev(labels[4:8]))])
    assert np.isnan(logs["loss"])  # nothing was measured in the whole epoch; no weight is NaN, and nothing is warned of
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(host(array), before[name])


def test_images_of_labels_weigh_by_their_pixels(device, dev, rng):
    x, labels = rng.normal(size=(6, 3, 4)).astype(np.float32), rng.integers(0, 3, (6, 4))
    labels[0, 1:] = labels[3] = -100
    of_a_function = Trainer(nn.Identity(), lambda p, t: F.cross_entropy(p, t), device=device, progress=False)
    by_name = Trainer(nn.Identity(), "cross_entropy", metrics="accuracy", device=device, progress=False)
    found = by_name.evaluate([(dev(x[:1]), dev(labels[:1])), (dev(x[1:]), dev(labels[1:]))])
    assert found["loss"] == pytest.approx(F.cross_entropy(dev(x), dev(labels)).item(), rel=1e-6)
    assert found["accuracy"] == pytest.approx(float(accuracy(dev(x), dev(labels))), rel=1e-12)
    by_samples = of_a_function.evaluate([(dev(x[:1]), dev(labels[:1])), (dev(x[1:]), dev(labels[1:]))])
    parts = [F.cross_entropy(dev(x[k]), dev(labels[k])).item() for k in (slice(0, 1), slice(1, 6))]
    assert by_samples["loss"] == pytest.approx((parts[0] + 5 * parts[1]) / 6, rel=1e-6)


def test_probabilities_and_other_losses_weigh_by_samples(device, dev, rng):
    x = rng.normal(size=(5, 3)).astype(np.float32)
    q = np.abs(rng.normal(size=(5, 3))).astype(np.float32)
    for loss in (nn.CrossEntropyLoss(weight=WEIGHT), F.mse_loss, nn.CrossEntropyLoss(reduction="sum")):
        trainer = Trainer(nn.Identity(), loss, device=device, progress=False)
        found = trainer.evaluate(Loader(dev(x), dev(q), batch_size=2))["loss"]
        parts = [loss(dev(x[k : k + 2]), dev(q[k : k + 2])).item() * len(x[k : k + 2]) for k in (0, 2, 4)]
        assert found == pytest.approx(sum(parts) / 5, rel=1e-6)


@pytest.mark.cpu_only
def test_accuracy_by_name_ignores_what_the_loss_ignores_and_is_copied_with_the_trainer():
    trainer = trainer_of(nn.Linear(3, 3), loss=nn.CrossEntropyLoss(ignore_index=0), metrics=["accuracy"])
    again = pickle.loads(pickle.dumps(trainer))
    scores = np.array([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 9.0, 0.0]], np.float32)
    for t in (trainer, again):
        assert float(t.metrics["accuracy"](scores, np.array([0, 1, 2]))) == 0.5
