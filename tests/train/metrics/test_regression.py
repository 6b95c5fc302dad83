"""Errors, explained variance, perplexity."""

import math

import numpy as np
import pytest

from cunet import F
from cunet.train import MAE, R2, RMSE, Perplexity


def fed(metric, dev, prediction, target):
    for a, b in ((0, 13), (13, 14), (14, len(target))):
        metric.update(dev(prediction[a:b]), dev(target[a:b]))
    return metric.compute()


@pytest.mark.parametrize("shape", [(40,), (40, 1), (40, 3)])
def test_errors_are_those_of_scikit_learn(shape, dev, rng):
    sk = pytest.importorskip("sklearn.metrics")
    target = rng.normal(size=shape)
    prediction = target + 0.3 * rng.normal(size=shape)
    assert fed(MAE(), dev, prediction, target) == pytest.approx(sk.mean_absolute_error(target, prediction), rel=1e-12)
    assert fed(RMSE(), dev, prediction, target) == pytest.approx(
        sk.root_mean_squared_error(target, prediction), rel=1e-12
    )
    assert fed(R2(), dev, prediction, target) == pytest.approx(sk.r2_score(target, prediction), rel=1e-12)


def test_r2_keeps_its_digits_far_from_0(dev, rng):
    base = rng.normal(size=40)
    prediction = base + 0.1 * rng.normal(size=40)
    near = fed(R2(), dev, prediction, base)
    assert fed(R2(), dev, prediction + 1e7, base + 1e7) == pytest.approx(near, rel=1e-6)


def test_regression_at_the_edges(dev):
    for metric in (MAE(), RMSE(), R2()):
        assert math.isnan(metric.compute())
        metric.update(dev(np.ones((0, 1), np.float32)), dev(np.ones((0, 1), np.float32)))
        assert math.isnan(metric.compute())
        metric.update(dev([2.0], np.float16), dev([1.0], np.float16))
        assert math.isnan(metric.compute()) if isinstance(metric, R2) else metric.compute() == 1.0
        metric.reset()
        metric.update(dev([1.0, 1.0], np.float32), dev([[1.0], [1.0]], np.float32))  # all equal, and right
        assert metric.compute() == (1.0 if isinstance(metric, R2) else 0.0)
        metric.update(dev([2.0], np.float32), dev([1], np.int64))
        assert metric.compute() == (
            0.0 if isinstance(metric, R2) else pytest.approx({"mae": 1 / 3, "rmse": 3**-0.5}[metric.name])
        )
        with pytest.raises(ValueError, match=f"{type(metric).__name__}: target of shape .* does not fit prediction"):
            metric.update(dev(np.ones((2, 3), np.float32)), dev(np.ones((2, 2), np.float32)))
        big = type(metric)()
        big.update(dev([60000.0, -60000.0], np.float16), dev([0.0, 1.0], np.float16))  # squares leave float16
        assert math.isfinite(big.compute())


def test_perplexity_is_exp_of_the_mean_over_all_labels(dev, rng):
    logits, labels = rng.normal(size=(30, 4, 5)).astype(np.float32), rng.integers(0, 4, (30, 5))
    labels[:14] = np.where(rng.random((14, 5)) < 0.5, -100, labels[:14])
    expected = math.exp(float(F.cross_entropy(dev(logits), dev(labels)).item()))
    assert fed(Perplexity(), dev, logits, labels) == pytest.approx(expected, rel=1e-5)
    assert math.isnan(Perplexity().compute())
    uniform = Perplexity()
    uniform.update(dev(np.zeros((7, 9), np.float32)), dev(np.arange(7)))
    assert uniform.compute() == pytest.approx(9, rel=1e-6)
    hopeless = Perplexity()
    hopeless.update(dev(np.array([[0.0, 2000.0]], np.float32)), dev([0]))
    assert hopeless.compute() == math.inf
