"""Weights of samples and of classes in the loss of training."""

import functools

import numpy as np
import pytest
from helpers import host
from trainer_helpers import classes, line, trainer_of

from cunet import F, nn
from cunet.data import Loader


def untrained(device, rng, loss=F.cross_entropy, out=3, **options):
    return trainer_of(nn.Linear(3, out), device, loss, lr=0.0, **options)


def losses_of(trainer, x, labels):
    """Return the cross-entropy of each sample in float64."""
    logits = x @ host(trainer.model.weight).T.astype(np.float64) + host(trainer.model.bias)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return -np.take_along_axis(log_p, labels[:, None], axis=1)[:, 0]


@pytest.mark.parametrize("form", ["arrays", "loader", "dataset", "batches"])
def test_samples_count_by_their_weights(form, device, dev, rng):
    x, labels = classes(rng, 50)
    weight = np.abs(rng.normal(size=50)).astype(np.float32)
    trainer = untrained(device, rng)
    each = losses_of(trainer, x, labels)
    data = {
        "arrays": (dev(x), dev(labels)),
        "loader": Loader(dev(x), dev(labels), batch_size=16, shuffle=True),
        "dataset": Loader(list(zip(x, labels, strict=True)), batch_size=16, shuffle=True),
        "batches": [(dev(a[0]), dev(a[1]), dev(a[2])) for a in ((x[:9], labels[:9], weight[:9]),
                                                                  (x[9:], labels[9:], weight[9:]))],
    }[form]  # fmt: skip
    (logs,) = trainer.fit(data, (x, labels), sample_weight=True if form == "batches" else weight)
    assert logs["loss"] == pytest.approx((weight * each).sum() / weight.sum(), rel=1e-5)
    assert logs["valid_loss"] == pytest.approx(each.mean(), rel=1e-5)
    assert trainer.loss is F.cross_entropy


@pytest.mark.parametrize(
    "given", [{1: 3.0}, [1.0, 3.0, 1.0], np.array([1.0, 3.0, 1.0], ">f4")], ids=["dict", "list", ">"]
)
def test_labels_count_by_their_class(given, device, dev, rng):
    x, labels = classes(rng, 50)
    trainer = untrained(device, rng)
    each = losses_of(trainer, x, labels)
    weight = np.where(labels == 1, 3.0, 1.0)
    (logs,) = trainer.fit(Loader(dev(x), dev(labels), batch_size=20), class_weight=given)
    assert logs["loss"] == pytest.approx((weight * each).sum() / weight.sum(), rel=1e-5)
    both = np.abs(rng.normal(size=50)).astype(np.float32)
    logs = trainer.fit(Loader(dev(x), dev(labels), batch_size=20), class_weight=given, sample_weight=dev(both))[-1]
    assert logs["loss"] == pytest.approx((both * weight * each).sum() / (both * weight).sum(), rel=1e-5)


def test_a_step_learns_by_the_weights(device, dev, rng):
    x, labels = classes(rng, 20)
    weight = np.abs(rng.normal(size=20))
    expected, got = nn.Linear(3, 3, dtype=np.float64), nn.Linear(3, 3, dtype=np.float64)
    got.load_state_dict(expected.state_dict())
    by_hand = trainer_of(expected, device, lambda p, t: (F.cross_entropy(p, t, reduction="none") * dev(weight)).sum()
                         / weight.sum())  # fmt: skip
    by_hand.fit([(dev(x), dev(labels))])
    trainer_of(got, device, "cross_entropy").fit([(dev(x), dev(labels), dev(weight))], sample_weight=True)
    np.testing.assert_allclose(host(got.weight), host(expected.weight), rtol=1e-12)


def test_the_weights_that_a_loss_has_and_what_it_ignores_stay(device, dev, rng):
    x, labels = classes(rng, 30)
    labels[::4] = -100
    kept = labels != -100
    own = np.array([1.0, 5.0, 0.5], np.float32)
    trainer = untrained(device, rng, nn.CrossEntropyLoss(weight=own))
    each = losses_of(trainer, x, np.where(kept, labels, 0))
    weight = np.abs(rng.normal(size=30)).astype(np.float32)
    weight[0], own_each = 1e3, own[np.where(kept, labels, 0)] * kept  # of one that is ignored
    (logs,) = trainer.fit([(dev(x), dev(labels), dev(weight))], sample_weight=True)
    assert logs["loss"] == pytest.approx((weight * own_each * each).sum() / (weight * own_each).sum(), rel=1e-5)
    labels[:] = -100
    before = host(trainer.model.weight)
    trainer.optimizer.param_groups[0]["lr"] = 1.0
    assert np.isnan(trainer.fit([(dev(x), dev(labels), dev(weight))], sample_weight=True)[-1]["loss"])
    np.testing.assert_array_equal(host(trainer.model.weight), before)


def test_other_losses_and_shapes(device, dev, rng):
    x, y = line(rng, 12)
    weight = np.abs(rng.normal(size=12)).astype(np.float32)
    trainer = trainer_of(nn.Linear(2, 1), device, nn.HuberLoss(delta=0.5), lr=0.0)
    with_options = trainer_of(trainer.model, device, functools.partial(F.huber_loss, delta=0.5), lr=0.0)
    for t in (trainer, with_options):
        (logs,) = t.fit((dev(x), dev(y)), sample_weight=dev(weight))
        each = np.array(
            [F.huber_loss(t.model(dev(x[k : k + 1])), dev(y[k : k + 1]), delta=0.5).item() for k in range(12)]
        )
        assert logs["loss"] == pytest.approx((weight * each).sum() / weight.sum(), rel=1e-5)
    flags = (y > 0).astype(np.float32)
    binary = trainer_of(nn.Linear(2, 1), device, "binary_cross_entropy_with_logits", lr=0.0)
    (logs,) = binary.fit((dev(x), dev(flags)), class_weight={1: 4.0})
    each = F.binary_cross_entropy_with_logits(binary.model(dev(x)), dev(flags), reduction="none")
    weight = np.where(flags == 1, 4.0, 1.0)
    assert logs["loss"] == pytest.approx((weight * host(each)).sum() / weight.sum(), rel=1e-5)
    shares = np.abs(rng.normal(size=(12, 3))).astype(np.float32)
    shares /= shares.sum(axis=1, keepdims=True)
    soft = trainer_of(nn.Linear(2, 3), device, "cross_entropy", lr=0.0)
    (logs,) = soft.fit((dev(x), dev(shares)), class_weight=[1.0, 2.0, 3.0])
    each, weight = F.cross_entropy(soft.model(dev(x)), dev(shares), reduction="none"), shares @ [1.0, 2.0, 3.0]
    assert logs["loss"] == pytest.approx((weight * host(each)).sum() / weight.sum(), rel=1e-5)


@pytest.mark.cpu_only
def test_what_cannot_be_is_named(rng):
    x, labels = classes(rng, 8)
    for options, error, message in [
        ({"sample_weight": np.ones(7)}, ValueError, r"sample_weight must have shape \(N,\) = \(8,\), got \(7,\)"),
        ({"sample_weight": np.ones((8, 1))}, ValueError, r"got \(8, 1\)"),
        ({"class_weight": [1.0, 2.0]}, ValueError, "class_weight must be of the 3 classes 0, 1, ..., got"),
        ({"class_weight": {3: 1.0}}, ValueError, "class_weight must be of the 3 classes"),
        ({"class_weight": {-1: 1.0}}, ValueError, "labels 0, 1, ... as keys, got -1"),
        ({"class_weight": {0: "1"}}, TypeError, "class_weight must hold numbers, got '1' for 0"),
        ({"class_weight": [1.0, -1.0, 1.0]}, ValueError, "finite and not negative"),
        ({"class_weight": [1.0, np.nan, 1.0]}, ValueError, "finite and not negative"),
        ({"class_weight": np.ones((3, 1))}, ValueError, r"class_weight must have shape \(C,\), got \(3, 1\)"),
    ]:
        with pytest.raises(error, match=message):
            untrained("cpu", rng).fit((x, labels), **options)
    with pytest.raises(TypeError, match="sample_weight must be True for data with batches of its own"):
        untrained("cpu", rng).fit([(x, labels)], sample_weight=np.ones(8))
    with pytest.raises(TypeError, match='need a loss with reduction="none", .* <lambda> has none'):
        untrained("cpu", rng, lambda p, t: (p * p).mean()).fit((x, labels), class_weight={1: 2.0})
