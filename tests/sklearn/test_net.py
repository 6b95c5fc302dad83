"""What scikit-learn asks of an estimator, and what is done with one: pipelines, searches, pickles."""

import pickle

import numpy as np
import pytest
from native_helpers import once

import cunet
from cunet import nn, optim
from cunet.train import Callback, EarlyStopping

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator, check_sample_weight_equivalence_on_dense_data

from cunet.sklearn import NetClassifier, NetRegressor

NETS = [NetClassifier, NetRegressor]
#: What need not hold, and why.
FAILING = {
    "check_sample_weight_equivalence_on_dense_data": "it compares to 1e-7 what was summed in two orders in float32"
}


def blobs(rng, n=90):
    """Samples around three places, under the names of these."""
    labels = np.arange(n) % 3
    return rng.normal(size=(n, 4)) + 4 * np.eye(3, 4)[labels], np.array(["a", "b", "c"])[labels]


def linear(rng, n=90):
    x = rng.normal(size=(n, 4))
    return x, x @ [1.0, -1.0, 0.5, 0.0]


def data_of(kind, rng):
    return blobs(rng) if kind is NetClassifier else linear(rng)


def wide(features, outputs):
    return nn.Sequential(nn.Linear(features, 16), nn.ReLU(), nn.Linear(16, outputs)).astype(np.float64)


def plain(features, outputs):
    return nn.Linear(features, outputs)


@pytest.mark.cpu_only
@pytest.mark.slow
@pytest.mark.parametrize("kind", NETS)
def test_scikit_learn_takes_it_for_an_estimator(kind):
    net = kind(hidden=(16,), lr=0.02, epochs=12, batch_size=100, options={"compile": False})
    results = check_estimator(net, expected_failed_checks=FAILING, on_skip=None)
    assert len([r for r in results if r["status"] == "passed"]) > 50


@pytest.mark.cpu_only
@pytest.mark.parametrize("kind", NETS)
def test_what_need_not_hold_in_float32_holds_in_float64(kind):
    check_sample_weight_equivalence_on_dense_data(kind.__name__, kind(wide, epochs=10))


@pytest.mark.parametrize("kind", NETS)
def test_it_learns_on_the_device_and_answers_in_numpy(kind, device, rng):
    x, y = data_of(kind, rng)
    net = kind(hidden=(16,), epochs=30, lr=0.01, device=device, random_state=0).fit(x, y)
    assert net.trainer_.device == net.model_[0].weight.device == device
    assert net.score(x, y) > 0.9
    assert type(net.predict(x)) is np.ndarray
    assert net.history_[-1]["loss"] < net.history_[0]["loss"]
    assert net.n_features_in_ == 4


@pytest.mark.cpu_only
@pytest.mark.parametrize("kind", NETS)
def test_a_pickle_predicts_the_same(kind, rng):
    x, y = data_of(kind, rng)
    net = kind(epochs=2, callbacks=[EarlyStopping("loss")]).fit(x, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(net)).predict(x), net.predict(x))


@pytest.mark.cpu_only
def test_one_state_is_one_net_and_draws_nothing_from_cunets_streams(rng):
    x, y = blobs(rng)
    before = cunet.random.get_state()
    first, same, other = (NetClassifier(epochs=2, random_state=s).fit(x, y).predict_proba(x) for s in (3, 3, 4))
    assert cunet.random.get_state() == before
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()
    drawn = [NetClassifier(epochs=1).fit(x, y).predict_proba(x) for _ in range(2)]  # from cunet's streams
    assert (drawn[0] != drawn[1]).any()
    generator = np.random.RandomState(0)
    drawn = [NetClassifier(epochs=1, random_state=generator).fit(x, y).predict_proba(x) for _ in range(2)]
    assert (drawn[0] != drawn[1]).any()


@pytest.mark.cpu_only
def test_the_streams_are_given_back_when_a_fit_fails(rng):
    before = cunet.random.get_state()
    with pytest.raises(ValueError, match="no optimizer is called 'nothing'"):
        NetClassifier(optimizer="nothing", random_state=0).fit(*blobs(rng))
    assert cunet.random.get_state() == before


class Noted(Callback):
    def on_epoch_end(self, trainer, logs):
        self.epochs = trainer.epoch


@pytest.mark.cpu_only
def test_a_fit_changes_none_of_its_arguments(rng):
    x, y = blobs(rng)
    callback, model, options = Noted(), nn.Linear(4, 3), {"metrics": ["accuracy"]}
    weights = model.state_dict()
    net = NetClassifier(model, callbacks=[callback], options=options, epochs=3, batch_size=45).fit(x, y)
    assert not hasattr(callback, "epochs") and net.trainer_.callbacks[0].epochs == 3
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, weights[name])
    assert net.model_ is not model and net.trainer_.global_step == 6
    assert 0 <= net.history_[-1]["accuracy"] <= 1
    again = clone(net).fit(x, y)
    assert again.model_ is not net.model_ and again.trainer_.epoch == 3


@pytest.mark.cpu_only
def test_optimisers_go_by_name_or_are_functions_of_parameters(rng):
    x, y = blobs(rng)
    for given, lr, expected in (("sgd", 0.5, 0.5), (optim.AdamW, 0.1, 0.1), ("adam", None, 1e-3)):
        optimizer = NetClassifier(optimizer=given, lr=lr, epochs=1).fit(x, y).trainer_.optimizer
        assert optimizer.param_groups[0]["lr"] == expected
    assert type(optimizer) is optim.Adam


@pytest.mark.cpu_only
def test_samples_of_any_shape_and_whole_numbers_go_to_a_model_of_ones_own(rng):
    images = rng.normal(size=(20, 1, 6, 6))
    y = np.arange(20) % 2
    cnn = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))
    assert NetClassifier(cnn, epochs=1).fit(images, y).predict_proba(images).shape == (20, 2)
    with pytest.raises(ValueError, match="dim 4"):
        NetClassifier(epochs=1).fit(images, y)
    words = nn.Sequential(nn.Embedding(9, 3), nn.Flatten(), nn.Linear(15, 2))
    assert NetClassifier(words, epochs=1).fit(rng.integers(0, 9, (20, 5)), y).predict([[0, 1, 2, 3, 8]]).shape == (1,)


@pytest.mark.cpu_only
def test_what_is_no_model_is_named(rng):
    with pytest.raises(TypeError, match=r"NetRegressor: model must be a Module, or a function .*, got str"):
        NetRegressor(lambda features, outputs: "net").fit(*linear(rng))
    with pytest.raises(NotFittedError):
        NetClassifier().predict(np.zeros((1, 2)))
    with pytest.raises(NotFittedError):
        _ = NetRegressor().model_


class Interrupted(Callback):
    def on_batch_end(self, trainer):
        raise KeyboardInterrupt


@pytest.mark.cpu_only
def test_ctrl_c_ends_a_search_not_one_of_its_fits(rng):
    x, y = blobs(rng)
    with pytest.raises(KeyboardInterrupt):
        cross_val_score(NetClassifier(epochs=1, callbacks=[Interrupted()]), x, y)


@pytest.mark.cpu_only
def test_it_scores_in_a_pipeline(rng):
    x, y = blobs(rng)
    net = make_pipeline(StandardScaler(), NetClassifier(hidden=(), epochs=12, lr=0.05, random_state=0))
    assert cross_val_score(net, 1e6 * x, y, cv=2).mean() > 0.9
    assert cross_val_score(net, x.astype(">f4")[::-1], y[::-1], cv=2).mean() > 0.9


@pytest.mark.cpu_only
@pytest.mark.slow
@once
def test_a_search_in_two_processes(rng):
    x, y = blobs(rng)
    grid = {"lr": [1e-6, 0.02]}
    search = GridSearchCV(NetClassifier(hidden=(), epochs=10, random_state=0), grid, cv=2, n_jobs=2).fit(x, y)
    alone = GridSearchCV(NetClassifier(hidden=(), epochs=10, random_state=0), grid, cv=2).fit(x, y)
    assert search.best_params_["lr"] == 0.02
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
