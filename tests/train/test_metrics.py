"""Metrics and their means."""

import numpy as np
import pytest
from helpers import host

from cunet.autograd.tensor import Tensor
from cunet.train import accuracy
from cunet.train.metrics import Means


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
    for shape in ((4,), (4, 1)):  # one score: its largest is always itself
        with pytest.raises(ValueError, match="with C >= 2"):
            accuracy(np.ones(shape), np.ones(shape))


def test_means_are_kept_in_float64(dev):
    means = Means()
    for value in (1.0, 2.0**-20):
        means.add(1, {"half": dev(value, np.float16), "plain": value})
    assert means.read() == {"half": (1 + 2**-20) / 2, "plain": (1 + 2**-20) / 2}
