import copy
import pickle

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import nn
from cunet.data import (
    CholeskyWhitening,
    Loader,
    MinMaxScaler,
    PCAWhitening,
    StandardScaler,
    ZCAWhitening,
    fold_scaler,
)

ALL = [MinMaxScaler, StandardScaler, PCAWhitening, ZCAWhitening, CholeskyWhitening]


def table(rng, n=300, d=5, dtype=np.float64):
    """Correlated features of very different sizes."""
    mixed = rng.standard_normal((n, d)) @ rng.standard_normal((d, d))
    return (mixed * 10.0 ** np.arange(d) + 100.0).astype(dtype)


@pytest.mark.parametrize("make", ALL)
def test_the_map_is_that_of_scikit_learn_or_of_its_formula(make, rng, dev):
    x = table(rng)
    got = host(make().fit(dev(x)).transform(dev(x)))
    centred = x - x.mean(0)
    covariance = centred.T @ centred / len(x)
    if make is MinMaxScaler:
        expected = (x - x.min(0)) / (x.max(0) - x.min(0))
    elif make is StandardScaler:
        expected = centred / x.std(0)
    elif make is CholeskyWhitening:
        expected = np.linalg.solve(np.linalg.cholesky(covariance), centred.T).T
    else:
        values, vectors = np.linalg.eigh(covariance)
        scaled = centred @ vectors / np.sqrt(values)
        expected = scaled @ vectors.T if make is ZCAWhitening else scaled[:, ::-1]
        if make is PCAWhitening:
            expected = expected * np.sign((expected * got).sum(0))
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-8)


@pytest.mark.cpu_only
def test_agrees_with_scikit_learn_to_1e_10(rng):
    sk = pytest.importorskip("sklearn.preprocessing")
    pca = pytest.importorskip("sklearn.decomposition").PCA
    x = rng.standard_normal((200, 4)) @ rng.standard_normal((4, 4)) + 3
    x[:, 1] = 7.0  # constant
    for ours, theirs in [
        (StandardScaler(), sk.StandardScaler()),
        (MinMaxScaler(), sk.MinMaxScaler()),
        (MinMaxScaler(feature_range=(-1, 2)), sk.MinMaxScaler(feature_range=(-1, 2))),
        (PCAWhitening(ddof=1), pca(3, whiten=True)),
    ]:
        expected = theirs.fit(x).transform(x)
        got = ours.fit(x).transform(x)
        if isinstance(ours, PCAWhitening):  # the sign of a component is free
            expected = expected * np.sign((expected * got).sum(0))
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-10)
        back = theirs.inverse_transform(theirs.transform(x))
        np.testing.assert_allclose(ours.inverse_transform(got), back, rtol=0, atol=1e-10)


@pytest.mark.parametrize("make", [PCAWhitening, ZCAWhitening, CholeskyWhitening])
def test_whitened_data_have_the_identity_as_covariance(make, rng, dev):
    x = rng.standard_normal((500, 6)) @ rng.standard_normal((6, 6)) + 50
    y = host(make().fit(dev(x)).transform(dev(x)))
    np.testing.assert_allclose(y.T @ y / len(y), np.eye(6), rtol=0, atol=1e-10)
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-10)


@pytest.mark.cpu_only
def test_zca_stays_closest_to_the_data_of_all_whitenings(rng):
    x = rng.standard_normal((500, 6)) @ rng.standard_normal((6, 6))
    x -= x.mean(0)
    away = {make: ((make().fit(x).transform(x) - x) ** 2).mean() for make in ALL[2:]}
    assert min(away, key=away.get) is ZCAWhitening


@pytest.mark.parametrize("make", ALL)
def test_batches_and_merged_parts_give_what_all_data_give(make, rng, dev):
    x = table(rng, 301)
    whole = make().fit(dev(x))
    streamed = make().fit(dev(x[k : k + 50]) for k in range(0, 301, 50))
    left, right = make().fit(dev(x[:17])), make().fit(dev(x[17:]))
    if dev(x) is x:  # as another process would send it
        right = pickle.loads(pickle.dumps(right))
    merged = make().merge(left).merge(right)
    for other in (streamed, merged):
        assert int(other.count.data) == 301
        for name in whole._names:
            a, b = (host(getattr(s, name).data) for s in (whole, other))
            np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12 * abs(a).max())


@pytest.mark.parametrize("make", ALL)
def test_inverse_transform_goes_back(make, rng, dev):
    x = table(rng)
    scaler = make().fit(dev(x))
    back = host(scaler.inverse_transform(scaler.transform(dev(x))))
    np.testing.assert_allclose(back, x, rtol=1e-9, atol=1e-7)


@pytest.mark.parametrize("make", [MinMaxScaler, StandardScaler, PCAWhitening, ZCAWhitening])
@pytest.mark.parametrize("constant", [0.1, 1e8 + 0.1, -3e-30])
def test_a_constant_feature_gives_no_nan_and_goes_back(make, constant, rng, dev):
    x = rng.standard_normal((100, 3))
    x[:, 1] = constant
    scaler = make().fit(dev(x[k : k + 9]) for k in range(0, 100, 9))
    y = host(scaler.transform(dev(x)))
    assert np.isfinite(y).all()
    if make is PCAWhitening:
        assert y.shape == (100, 2)
    else:
        assert (y[:, 1] == 0).all() or abs(y[:, 1]).max() < 1e-12
    np.testing.assert_allclose(host(scaler.inverse_transform(dev(y))), x, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("make", [PCAWhitening, ZCAWhitening])
def test_directions_without_variance_are_dropped_unless_eps_is_given(make, rng, dev):
    x = rng.standard_normal((50, 2)) @ rng.standard_normal((2, 4))  # of rank 2
    y = host(make().fit(dev(x)).transform(dev(x)))
    assert np.linalg.matrix_rank(y, tol=1e-6) == 2 and abs(y).max() < 10
    assert host(make(eps=1e-3).fit(dev(x)).maps()[0]).shape == (4, 4)


@pytest.mark.cpu_only
def test_cholesky_refuses_a_covariance_without_full_rank_and_takes_it_with_eps(rng):
    x = rng.standard_normal((50, 2)) @ rng.standard_normal((2, 4))
    with pytest.raises(ValueError, match="CholeskyWhitening: the covariance of 4 features must have full rank"):
        CholeskyWhitening().fit(x).transform(x)
    assert np.isfinite(CholeskyWhitening(eps=0.1).fit(x).transform(x)).all()


@pytest.mark.parametrize("make", [MinMaxScaler, StandardScaler])
def test_statistics_by_channel(make, rng, dev):
    x = rng.standard_normal((10, 3, 4, 5)) * np.array([1, 10, 100]).reshape(3, 1, 1)
    y = host(make(axis=(0, 2, 3)).fit(dev(x)).transform(dev(x)))
    for channel in range(3):
        expected = host(make().fit(x[:, channel].reshape(-1, 1)).transform(x[:, channel].reshape(-1, 1)))
        np.testing.assert_allclose(y[:, channel].reshape(-1, 1), expected, atol=1e-12)


@pytest.mark.parametrize("make", ALL)
def test_transform_is_differentiable_and_keeps_dtypes(make, rng, dev):
    x = table(rng, 40, 3)
    scaler = make().fit(dev(x))
    t = cunet.Tensor(dev(x[:4]), requires_grad=True)
    y = scaler(t)
    w = rng.standard_normal(y.shape)
    (y * dev(w)).sum().backward()
    matrix = host(scaler.affine()[0])
    expected = w * matrix if matrix.ndim == 1 else w @ matrix
    np.testing.assert_allclose(host(t.grad), expected, rtol=1e-9, atol=1e-12)
    for dtype, out in [("f4", "f4"), ("f8", "f8"), ("u1", "f4")]:
        assert scaler.transform(dev(np.ones((2, 3), dtype))).dtype == np.dtype(out)


@pytest.mark.cpu_only
@pytest.mark.parametrize("make", ALL)
def test_as_first_layer_saved_loaded_copied_and_folded(make, rng, tmp_path):
    x = table(rng, 60, 4, np.float32) / 100
    model = nn.Sequential(make().fit(x), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2, bias=False)).eval()
    expected = model(x).data
    folded = fold_scaler(model)
    assert isinstance(folded[0], nn.Identity) and isinstance(model[0], make)
    np.testing.assert_allclose(folded(x).data, expected, rtol=2e-4, atol=2e-4)
    np.testing.assert_array_equal(copy.deepcopy(model)(x).data, expected)
    model.save(tmp_path / "m.safetensors")
    other = nn.Sequential(make(4), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2, bias=False)).eval()
    other.load(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(other(x).data, expected)
    assert not any("0." in name for name, _ in model.named_parameters())


@pytest.mark.cpu_only
def test_fit_takes_a_loader_and_sees_the_features_alone(rng):
    x, y = table(rng, 70, 3), rng.integers(0, 2, 70)
    scaler = StandardScaler().fit(Loader((x, y), batch_size=32, shuffle=True))
    np.testing.assert_allclose(scaler.mean.data, x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(scaler.var, x.var(0), rtol=1e-12)


@pytest.mark.cpu_only
def test_a_failed_fit_keeps_what_was_fitted(rng):
    x = table(rng, 30, 3)
    scaler = StandardScaler().fit(x)
    before = scaler.state_dict()
    for bad in (x[:0], np.full((3, 3), np.nan), np.ones((4, 2)), [x, np.full((1, 3), np.inf)]):
        with pytest.raises(ValueError, match=r"StandardScaler\.fit: "):
            scaler.fit(bad)
    with pytest.raises(TypeError, match=r"StandardScaler\.fit: the data must be real numbers, got complex128"):
        scaler.fit(x.astype(complex))
    for name, value in scaler.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.cpu_only
@pytest.mark.parametrize("make", ALL)
def test_errors(make, rng):
    x = table(rng, 30, 3)
    with pytest.raises(RuntimeError, match=rf"{make.__name__}\.transform: nothing was fitted yet"):
        make().transform(x)
    scaler = make().fit(x)
    with pytest.raises(ValueError, match=r"features of shape \(3,\), got data of shape \(5, 2\)"):
        scaler.transform(np.ones((5, 2)))
    with pytest.raises(ValueError, match=r"features must have shape \(3,\), got \(2,\)"):
        scaler.merge(make().fit(x[:, :2]))
    with pytest.raises(TypeError, match="other must be one too, got"):
        scaler.merge(object())
    with pytest.raises(RuntimeError, match="fold_scaler: the .* must be fitted"):
        fold_scaler(nn.Sequential(make(), nn.Linear(3, 1)))


@pytest.mark.cpu_only
def test_settings_are_checked():
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="eps must be finite and not negative"):
            ZCAWhitening(eps=wrong)
    with pytest.raises(TypeError, match="StandardScaler: eps must be a number, got '1'"):
        StandardScaler(eps="1")
    with pytest.raises(ValueError, match="low < high"):
        MinMaxScaler(feature_range=(1, 1))
    with pytest.raises(ValueError, match="axis must hold 0"):
        MinMaxScaler(axis=1)


@pytest.mark.cpu_only
def test_large_data_go_by_blocks_and_far_means_lose_no_digits(rng, monkeypatch):
    import importlib

    scaler_module = importlib.import_module("cunet.data.scaler")
    monkeypatch.setattr(scaler_module, "_BLOCK", 64)
    x = (rng.standard_normal((1000, 4)) + 4096).astype(np.float32)
    scaler = StandardScaler().fit(x)
    np.testing.assert_allclose(scaler.var, x.astype(np.float64).var(0), rtol=1e-12)


@pytest.mark.cpu_only
@pytest.mark.parametrize("make", ALL)
def test_statistics_stay_float32_at_least_in_a_model_of_half_types(make, rng):
    x = rng.standard_normal((50, 3)) * 3 + 1000
    model = nn.Sequential(make().fit(x), nn.Linear(3, 2)).astype(np.float16)
    assert all(getattr(model[0], name).dtype == np.float32 for name in model[0]._names)
    assert np.isfinite(model(x.astype(np.float16)).data).all()


@pytest.mark.cpu_only
def test_axis_and_features_may_be_integers_of_numpy(rng):
    x = rng.standard_normal((5, 3))
    for make in (StandardScaler, MinMaxScaler):
        scaler = make(np.int64(3), axis=np.int64(0)).fit(x)
        assert scaler.axis == (0,)
        np.testing.assert_array_equal(host(scaler.transform(x)), host(make().fit(x).transform(x)))
