"""Classes of any kind, their probabilities and weights."""

import numpy as np
import pytest

pytest.importorskip("sklearn")
from cunet.sklearn import NetClassifier

pytestmark = pytest.mark.cpu_only


def test_probabilities_are_those_of_the_scores_in_float64(rng):
    x, y = rng.normal(size=(30, 3)), rng.integers(0, 3, 30) * 7 - 2
    net = NetClassifier(epochs=1).fit(x, y)
    np.testing.assert_array_equal(net.classes_, [-2, 5, 12])
    p, scores = net.predict_proba(x), net.trainer_.predict(x).astype(np.float64)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-15)
    np.testing.assert_allclose(np.log(p[:, 0] / p[:, 2]), scores[:, 0] - scores[:, 2], rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(net.predict(x), net.classes_[p.argmax(axis=1)])
    net.trainer_.model[-1].bias.data = np.array([1e4, 0, -1e4], np.float32)  # exp of it is no number
    np.testing.assert_array_equal(net.predict_proba(x)[0], [1, 0, 0])


@pytest.mark.parametrize(
    "y", [["no", "yes"] * 10, [True, False] * 10, [1.0, 2.0] * 10, np.tile([3, 1], 10).astype(">i2")]
)
def test_labels_come_back_as_they_were(y, rng):
    y = np.asarray(y)
    x = rng.normal(size=(20, 2)) + 5 * (y == y[0])[:, None]
    net = NetClassifier(epochs=30, lr=0.05, random_state=0).fit(x, y)
    np.testing.assert_array_equal(net.predict(x), y)


def test_classes_weigh(rng):
    x, y = np.zeros((100, 1)), np.array(["rare"] * 10 + ["usual"] * 90)
    even = NetClassifier(hidden=(), epochs=60, lr=0.05, batch_size=100, class_weight="balanced").fit(x, y)
    np.testing.assert_allclose(even.predict_proba(x[:1]), [[0.5, 0.5]], atol=0.02)
    heavy = NetClassifier(hidden=(), epochs=100, lr=0.05, batch_size=100, class_weight={"rare": 27.0}).fit(x, y)
    np.testing.assert_allclose(heavy.predict_proba(x[:1]), [[0.75, 0.25]], atol=0.02)  # 10 * 27 : 90


def test_what_is_not_of_classes_is_refused(rng):
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        NetClassifier().fit(rng.normal(size=(9, 2)), rng.normal(size=9))
