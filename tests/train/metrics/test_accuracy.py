"""Metrics and their means."""

import warnings

import numpy as np
import pytest
from helpers import host

from cunet.autograd.tensor import Tensor
from cunet.train import F1, TopK, accuracy
from cunet.train.metrics.means import Means


def test_accuracy_counts_labels_and_probabilities(dev):
    scores = dev([[1.0, 2.0, 0.0], [3.0, 1.0, 2.0], [0.0, 1.0, 5.0], [9.0, 0.0, 0.0]], np.float32)
    assert float(accuracy(scores, dev([1, 0, 1, 1]))) == 0.5
    assert float(accuracy(Tensor(scores), dev(np.eye(3)[[1, 0, 1, 1]]))) == 0.5
    hits = accuracy(scores, dev(np.eye(3)[[1, 0, 1, 1]]), ignore_index=1)
    assert float(hits) == 0.5  # probabilities name no label that could be ignored
    assert float(accuracy(scores, dev([1, 0, -100, 1]))) == 2 / 3
    assert float(accuracy(scores, dev([1, 0, 1, 1]), ignore_index=1)) == 1.0
    assert np.isnan(float(accuracy(scores, dev([2, 2, 2, 2]), ignore_index=2)))
    pixels = dev(np.array([[[1.0, 5.0], [0.0, 9.0]]]))  # (1, 2, 2): classes on axis 1
    assert float(accuracy(pixels, dev([[0, 1]]))) == 1.0


def test_accuracy_of_nothing_is_nan_and_no_warning(dev):
    scores = dev(np.zeros((0, 3)), np.float32)
    for target in (dev(np.zeros(0, int)), scores, dev(np.zeros((0, 3)))):
        assert np.isnan(host(accuracy(scores, target)))
    assert np.isnan(host(accuracy(dev(np.zeros((2, 3)), np.float32), dev(np.full(2, -100)))))


def test_accuracy_refuses_what_it_would_get_wrong():
    for scores, target in [((4, 3), (4, 1)), ((4, 3), (3,)), ((4, 3, 2), (4, 3))]:
        with pytest.raises(ValueError, match="accuracy: target of shape .* does not fit"):
            accuracy(np.ones(scores), np.ones(target, np.int64))
    with pytest.raises(ValueError, match="target of shape .* does not fit"):  # numbers are no labels
        accuracy(np.ones((4, 3)), np.ones(4))
    for labels in ([0, 1, 3], [0, 1, -1]):
        assert accuracy(np.eye(3), np.array(labels)) == 2 / 3
        with pytest.raises(ValueError, match=r"F1: target must hold labels in \[0, 3\), got (3|-1)"):
            F1().update(np.eye(3), np.array(labels))
    assert np.isnan(accuracy(np.ones((0, 3)), np.ones(0, np.int64)))


@pytest.mark.parametrize("dtype", [np.float32, np.int64, bool])
def test_a_single_score_means_class_1_above_the_threshold(dtype, dev):
    scores = [-1.0, 0.25, 0.75, 2.0]
    right = dev(np.array([0, 0, 1, 1], dtype))
    for shape, target in [((4,), right), ((4, 1), right), ((4, 1), right.reshape(4, 1))]:
        prediction = dev(scores, np.float32).reshape(shape)
        assert float(accuracy(prediction, target)) == 0.75
        assert float(accuracy(prediction, target, threshold=0.5)) == 1.0
    pixels = dev(scores, np.float32).reshape(1, 1, 2, 2)
    assert float(accuracy(pixels, right.reshape(1, 2, 2), threshold=0.5)) == 1.0
    if dtype == np.int64:
        assert float(accuracy(dev(scores, np.float32), dev([-100, 0, 1, 1]))) == 2 / 3


def test_top_k_counts_labels_among_the_largest(dev, rng):
    sk = pytest.importorskip("sklearn.metrics")
    scores, labels = rng.normal(size=(60, 7)).astype(np.float32), rng.integers(0, 7, 60)
    for k in (1, 2, 5, 7):
        metric = TopK(k)
        for part in (slice(0, 23), slice(23, 60)):
            metric.update(dev(scores[part]), dev(labels[part]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that k is as large as it can be
            expected = sk.top_k_accuracy_score(labels, scores, k=k, labels=np.arange(7))
        assert metric.compute() == pytest.approx(expected, rel=1e-12)
    metric = TopK(1)
    metric.update(dev(scores), dev(labels))
    assert metric.compute() == pytest.approx(float(accuracy(dev(scores), dev(labels))))


def test_top_k_of_ties_of_nan_and_of_ignored_labels(dev):
    tied = dev(np.ones((3, 4), np.float32))
    metric = TopK(2)
    metric.update(tied, dev([0, 1, 2]))  # the first ones are the larger
    assert metric.compute() == 2 / 3
    metric.reset()
    assert np.isnan(metric.compute())
    broken = dev(np.full((2, 4), np.nan, np.float32))
    metric.update(broken, dev([0, 3]))
    assert metric.compute() == 0.0
    metric.reset()
    metric.update(tied, dev([-100, 1, 3]))
    assert metric.compute() == 0.5
    with pytest.raises(ValueError, match="TopK: k must be at least 1"):
        TopK(0)


def test_means_are_kept_in_float64(dev):
    means = Means()
    for value in (1.0, 2.0**-20):
        means.add(1, {"half": dev(value, np.float16), "plain": value})
    assert means.read() == {"half": (1 + 2**-20) / 2, "plain": (1 + 2**-20) / 2}
