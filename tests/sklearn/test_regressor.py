"""Numbers, one or several a sample."""

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.compose import TransformedTargetRegressor
from sklearn.preprocessing import StandardScaler

from cunet.sklearn import NetRegressor

pytestmark = pytest.mark.cpu_only


@pytest.mark.parametrize("shape", [(60,), (60, 1), (60, 3)])
def test_predictions_have_the_shape_of_the_targets(shape, rng):
    x = rng.normal(size=(60, 3))
    y = (x @ [1.0, 2.0, -1.0]) if len(shape) == 1 else x[:, : shape[1]] @ np.eye(shape[1])
    net = NetRegressor(hidden=(), epochs=60, lr=0.05, random_state=0).fit(x, y)
    assert net.predict(x).shape == shape and net.predict(x).dtype == np.float64
    assert net.score(x, y) > 0.99


def test_large_targets_are_scaled_by_scikit_learn(rng):
    x = rng.normal(size=(60, 3))
    y = 1e6 + 1e4 * x[:, 0]
    net = TransformedTargetRegressor(NetRegressor(epochs=60, lr=0.02, random_state=0), transformer=StandardScaler())
    assert net.fit(x, y).score(x, y) > 0.9


def test_samples_weigh(rng):
    x, y = np.zeros((8, 1)), np.array([0.0, 1.0] * 4)
    weight = np.array([1.0, 3.0] * 4)
    net = NetRegressor(hidden=(), epochs=200, lr=0.05, batch_size=8).fit(x, y, sample_weight=weight)
    np.testing.assert_allclose(net.predict(x[:1]), [0.75], atol=0.01)
