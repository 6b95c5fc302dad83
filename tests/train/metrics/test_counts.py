"""Confusion matrices, precision, recall and F1 are those of scikit-learn."""

import numpy as np
import pytest
from helpers import host

from cunet.train import F1, ConfusionMatrix, Precision, Recall

KINDS = {"precision": Precision, "recall": Recall, "f1": F1}


def fed(metric, dev, scores, labels, cuts=(0, 13, 14, 40)):
    """Give a metric batches, of which one is of one sample."""
    for a, b in zip(cuts, cuts[1:], strict=False):
        metric.update(dev(scores[a:b]), dev(labels[a:b]))
    return metric.compute()


def data(rng, classes=5, n=40):
    """Scores and labels of which one class occurs in neither, and one in labels alone."""
    scores = rng.normal(size=(n, classes)).astype(np.float32)
    scores[:, 3] = -9
    labels = rng.integers(0, 4, n)
    scores[:, 4] = -9
    return scores, labels


@pytest.mark.parametrize("average", ["micro", "macro", "weighted"])
@pytest.mark.parametrize("kind", KINDS)
def test_averages_are_those_of_scikit_learn(kind, average, dev, rng):
    sk = pytest.importorskip("sklearn.metrics")
    scores, labels = data(rng)
    expected = getattr(sk, f"{kind}_score")(labels, scores.argmax(1), average=average, zero_division=0)
    assert fed(KINDS[kind](average), dev, scores, labels) == pytest.approx(expected, rel=1e-12)
    if average == "macro":
        assert fed(KINDS[kind](), dev, scores, labels) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_score_gives_the_value_of_class_1(kind, dev, rng):
    sk = pytest.importorskip("sklearn.metrics")
    scores, labels = rng.normal(size=(40, 1)).astype(np.float32), rng.integers(0, 2, (40, 1))
    for threshold in (0.0, 0.5):
        predicted = scores[:, 0] > threshold
        function = getattr(sk, f"{kind}_score")
        assert fed(KINDS[kind](threshold=threshold), dev, scores, labels) == pytest.approx(
            function(labels[:, 0], predicted), rel=1e-12
        )
        macro = KINDS[kind]("macro", threshold=threshold)
        assert fed(macro, dev, scores, labels[:, 0]) == pytest.approx(
            function(labels[:, 0], predicted, average="macro"), rel=1e-12
        )


@pytest.mark.parametrize("kind", KINDS)
def test_edges(kind, dev):
    metric = KINDS[kind]()
    assert np.isnan(metric.compute())  # no batch
    metric.update(dev(np.ones((0, 3), np.float32)), dev(np.ones(0, np.int64)))
    metric.update(dev(np.ones((2, 3), np.float32)), dev([-100, -100]))
    assert np.isnan(metric.compute())  # nothing that counts
    wrong = dev(np.array([[0, 1, 0], [0, 1, 0]], np.float32))
    metric.update(wrong, dev([0, -100]))
    assert metric.compute() == 0.0  # never right, and nothing is divided by 0
    metric.update(wrong, dev([1, 1]))
    assert metric.compute() > 0
    metric.reset()
    assert np.isnan(metric.compute())
    with pytest.raises(ValueError, match=f"{KINDS[kind].__name__}: average must be None, .* got 'binary'"):
        KINDS[kind]("binary")


def test_a_confusion_matrix_has_labels_in_rows(dev, rng):
    sk = pytest.importorskip("sklearn.metrics")
    scores, labels = data(rng)
    labels[::7] = -100
    kept = labels != -100
    matrix = fed(ConfusionMatrix(), dev, scores, labels)
    assert matrix.dtype == np.int64
    expected = sk.confusion_matrix(labels[kept], scores.argmax(1)[kept], labels=np.arange(5))
    np.testing.assert_array_equal(matrix, expected)
    assert (expected != expected.T).any()
    assert ConfusionMatrix().compute().shape == (0, 0)
    binary = ConfusionMatrix(threshold=0.5)
    binary.update(dev([[0.6], [0.4], [0.9]], np.float32), dev([[0], [1], [1]]))
    np.testing.assert_array_equal(binary.compute(), [[0, 1], [1, 1]])


def test_pixels_count_each_by_itself(dev, rng):
    scores, labels = rng.normal(size=(4, 3, 5, 2)).astype(np.float32), rng.integers(0, 3, (4, 5, 2))
    matrix = ConfusionMatrix()
    matrix.update(dev(scores), dev(labels))
    expected = np.zeros((3, 3), np.int64)
    np.add.at(expected, (labels.ravel(), scores.argmax(1).ravel()), 1)
    np.testing.assert_array_equal(host(matrix.compute()), expected)


@pytest.mark.layouts
def test_strided_and_big_endian_arrays(dev, rng):
    scores, labels = data(rng, n=80)
    expected = fed(F1(), dev, scores[::2].copy(), labels[::2].copy())
    assert fed(F1(), lambda a: dev(a), scores[::2], labels[::2]) == expected
    turned = np.asfortranarray(scores[::2])
    assert fed(F1(), lambda a: dev(a), turned, labels[::2]) == expected
    if isinstance(dev(scores), np.ndarray):
        assert fed(F1(), dev, scores[::2].astype(">f4"), labels[::2].astype(">i8")) == expected
