"""Areas under curves, and functions of scikit-learn, over all samples of an epoch."""

import functools

import numpy as np
import pytest
from helpers import host
from trainer_helpers import classes, line, trainer_of

from cunet import nn
from cunet.data import Loader
from cunet.train import AUROC, AveragePrecision
from cunet.train.metrics.ranking import SklearnMetric

sk = pytest.importorskip("sklearn.metrics")


def softmax(x):
    powers = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fed(metric, dev, scores, labels):
    for a, b in ((0, 13), (13, 14), (14, 60)):
        metric.update(dev(scores[a:b]), dev(labels[a:b]))
    return metric.compute()


def test_areas_of_a_single_score(dev, rng):
    labels = rng.integers(0, 2, 60)
    scores = np.round(rng.normal(size=60) + labels, 1).astype(np.float32)  # with ties
    for shape in ((60,), (60, 1)):
        x = scores.reshape(shape)
        assert fed(AUROC(), dev, x, labels) == pytest.approx(sk.roc_auc_score(labels, scores), rel=1e-12)
        assert fed(AveragePrecision(), dev, x, labels) == pytest.approx(
            sk.average_precision_score(labels, scores), rel=1e-12
        )


@pytest.mark.parametrize("number", [2, 4])
def test_areas_of_classes_are_means_of_each_against_the_others(number, dev, rng):
    labels = rng.integers(0, number, 60)
    scores = (rng.normal(size=(60, number)) + np.eye(number)[labels]).astype(np.float32)
    shares = softmax(scores)
    auroc = np.mean([sk.roc_auc_score(labels == c, shares[:, c]) for c in range(number)])
    average = np.mean([sk.average_precision_score(labels == c, shares[:, c]) for c in range(number)])
    for given in (scores, shares):
        assert fed(AUROC(), dev, given, labels) == pytest.approx(auroc, rel=1e-12)
        assert fed(AveragePrecision(), dev, given, labels) == pytest.approx(average, rel=1e-12)
    if number > 2:
        assert auroc == pytest.approx(sk.roc_auc_score(labels, shares, multi_class="ovr"), rel=1e-12)
    ignored = np.where(rng.random(60) < 0.3, -100, labels)
    kept = ignored != -100
    assert fed(AUROC(), dev, scores, ignored) == pytest.approx(
        np.mean([sk.roc_auc_score(labels[kept] == c, shares[kept, c]) for c in range(number)]), rel=1e-12
    )


def test_areas_at_the_edges(dev):
    for metric in (AUROC(), AveragePrecision()):
        assert np.isnan(metric.compute())
        metric.update(dev([0.5, 0.25], np.float32), dev([1, 1]))
        assert np.isnan(metric.compute())  # one class alone
        metric.update(dev([0.1], np.float32), dev([0]))
        assert metric.compute() == 1.0
        metric.update(dev([np.nan], np.float32), dev([0]))
        assert np.isnan(metric.compute())
        metric.reset()
        assert np.isnan(metric.compute())
        again = type(metric)()
        metric.update(dev([0.5, 0.5, 0.1], np.float32), dev([1, 0, 0]))
        again.load_state_dict(metric.state_dict())
        again.update(dev([0.7], np.float32), dev([1]))
        assert again.compute() > metric.compute()


def test_functions_of_scikit_learn_see_all_samples(device, dev, rng):
    x, labels = classes(rng, 60)
    model = nn.Linear(3, 3)
    options = [
        functools.partial(sk.f1_score, average="macro"), sk.accuracy_score, sk.log_loss, sk.confusion_matrix,
        functools.partial(sk.roc_auc_score, multi_class="ovr"), functools.partial(sk.top_k_accuracy_score, k=2),
    ]  # fmt: skip
    trainer = trainer_of(model, device, "cross_entropy", metrics=options)
    found = trainer.evaluate(Loader(dev(x), dev(labels), batch_size=16))
    scores = host(model(dev(x)).data)
    predicted, shares = scores.argmax(1), softmax(scores)
    assert found["f1_score"] == pytest.approx(sk.f1_score(labels, predicted, average="macro"))
    assert found["accuracy_score"] == pytest.approx(sk.accuracy_score(labels, predicted))
    assert found["log_loss"] == pytest.approx(found["loss"], rel=1e-5)
    assert found["confusion_matrix"] == sk.confusion_matrix(labels, predicted).tolist()
    assert found["roc_auc_score"] == pytest.approx(sk.roc_auc_score(labels, shares, multi_class="ovr"))
    assert found["top_k_accuracy_score"] == pytest.approx(sk.top_k_accuracy_score(labels, shares, k=2))


def test_functions_of_scikit_learn_for_numbers_and_single_scores(device, dev, rng):
    x, y = line(rng, 40)
    trainer = trainer_of(nn.Linear(2, 1), device, metrics=[sk.r2_score, sk.mean_absolute_error])
    found = trainer.evaluate((dev(x), dev(y)))
    predicted = host(trainer.model(dev(x)).data)
    assert found["r2_score"] == pytest.approx(sk.r2_score(y, predicted), rel=1e-5)
    assert found["mean_absolute_error"] == pytest.approx(sk.mean_absolute_error(y, predicted), rel=1e-5)
    flags = (y > 0).astype(np.int64)
    for loss, threshold in (("binary_cross_entropy_with_logits", 0.0), (nn.BCELoss(), 0.5)):
        layers = [nn.Linear(2, 1), *([nn.Sigmoid()] if threshold else [])]
        options = [sk.f1_score, sk.roc_auc_score, sk.brier_score_loss]
        binary = trainer_of(nn.Sequential(*layers), device, loss, metrics=[*options, "accuracy", "auroc", "f1"])
        found = binary.evaluate((dev(x), dev(flags.astype(np.float32))))
        scores = host(binary.model(dev(x)).data)[:, 0]
        assert found["f1_score"] == pytest.approx(sk.f1_score(flags[:, 0], scores > threshold)) == found["f1"]
        assert found["accuracy"] == pytest.approx(((scores > threshold) == flags[:, 0]).mean())
        assert found["roc_auc_score"] == pytest.approx(sk.roc_auc_score(flags[:, 0], scores)) == found["auroc"]
        shares = scores if threshold else 1 / (1 + np.exp(-scores.astype(np.float64)))
        assert found["brier_score_loss"] == pytest.approx(sk.brier_score_loss(flags[:, 0], shares))


def test_which_functions_want_scores():
    wanting = {f.__name__ for f in (sk.roc_auc_score, sk.log_loss, sk.average_precision_score, sk.brier_score_loss)}
    for function in (sk.f1_score, sk.r2_score, sk.cohen_kappa_score, *[getattr(sk, name) for name in wanting]):
        assert SklearnMetric(function).wants_scores == (function.__name__ in wanting), function
    numbers = [sk.r2_score, sk.max_error, sk.mean_pinball_loss, sk.d2_tweedie_score]
    assert all(SklearnMetric(f).of_numbers for f in numbers) and not SklearnMetric(sk.f1_score).of_numbers


def test_functions_of_scikit_learn_leave_out_ignored_labels_and_take_flags(device, dev, rng):
    x, labels = classes(rng, 30)
    ignored = np.where(rng.random(30) < 0.3, -100, labels)
    trainer = trainer_of(nn.Linear(3, 3), device, "cross_entropy", metrics=sk.accuracy_score)
    scores = host(trainer.model(dev(x)).data)
    kept = ignored != -100
    expected = (scores.argmax(1) == labels)[kept].mean()
    assert trainer.evaluate((dev(x), dev(ignored)))["accuracy_score"] == pytest.approx(expected)
    flags = (x > 0).astype(np.float32)
    options = [functools.partial(sk.f1_score, average="micro"), functools.partial(sk.roc_auc_score, average="macro")]
    several = trainer_of(nn.Linear(3, 3), device, "binary_cross_entropy_with_logits", metrics=options)
    found, scores = several.evaluate((dev(x), dev(flags))), host(several.model(dev(x)).data)
    assert found["f1_score"] == pytest.approx(sk.f1_score(flags, scores > 0, average="micro"))
    assert found["roc_auc_score"] == pytest.approx(sk.roc_auc_score(flags, scores))
