"""Monte Carlo dropout and ensembles against sums over all masks and models."""

import itertools

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, nn
from cunet.diagnose import ensemble_predict, mc_dropout_predict


def entropy(p):
    return -(p * np.log(np.where(p > 0, p, 1))).sum(axis=1)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def net(dropout=0.5):
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(dropout), nn.Linear(4, 2))


def placed(model, dev):
    return model.to("cpu" if isinstance(dev(np.zeros(1)), np.ndarray) else "gpu")


def test_an_ensemble_is_the_mean_over_its_models(dev):
    models = [placed(net(), dev) for _ in range(3)]
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    models[1].eval()
    found = ensemble_predict(models, dev(x), batch_size=2)
    assert [m.training for m in models] == [True, False, True]
    assert all(layer.training for layer in models[0])
    p = np.stack([softmax(host(m.eval()(dev(x)))) for m in models])
    np.testing.assert_allclose(found.mean, p.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found.spread, p.std(axis=0), atol=1e-6)
    np.testing.assert_allclose(found.entropy, entropy(p.mean(axis=0)), rtol=1e-5)
    inside = np.mean([entropy(one) for one in p], axis=0)
    np.testing.assert_allclose(found.mutual_information, entropy(p.mean(axis=0)) - inside, atol=1e-6)
    assert all(isinstance(a, np.ndarray) for a in found)


def test_dropout_converges_to_the_sum_over_all_masks(dev):
    cunet.manual_seed(0)
    model = placed(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 2)), dev)
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    hidden = np.tanh(x @ host(model[0].weight).T + host(model[0].bias))
    weight, bias = host(model[3].weight), host(model[3].bias)
    p = np.stack([softmax(hidden * 2 * np.array(m) @ weight.T + bias) for m in itertools.product([0, 1], repeat=4)])
    samples = 4000
    found = mc_dropout_predict(model, dev(x), samples)
    np.testing.assert_allclose(found.mean, p.mean(axis=0), atol=5 * p.std() / samples**0.5)
    np.testing.assert_allclose(found.spread, p.std(axis=0), atol=0.01)
    inside = np.mean([entropy(one) for one in p], axis=0)
    np.testing.assert_allclose(found.mutual_information, entropy(p.mean(axis=0)) - inside, atol=0.01)


def test_only_what_drops_is_in_training(dev):
    model = placed(net(), dev)
    model(dev(np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32)))  # running statistics of their own
    model[0].eval()
    before = {k: host(v).copy() for k, v in model.state_dict().items()}
    modes = [m.training for m in model.modules()]
    x = dev(np.ones((4, 3), np.float32))
    cunet.manual_seed(5)
    one = mc_dropout_predict(model, x, 6)
    assert [m.training for m in model.modules()] == modes
    for k, v in model.state_dict().items():
        np.testing.assert_array_equal(host(v), before[k], err_msg=k)
    assert one.spread.min() > 0  # the masks differ
    cunet.manual_seed(5)
    np.testing.assert_array_equal(mc_dropout_predict(model, x, 6).mean, one.mean)
    assert not any(p.requires_grad and p.grad is not None for p in model.parameters())


def test_modes_are_restored_after_an_error(dev):
    model = placed(net(), dev)
    with pytest.raises(ValueError):
        mc_dropout_predict(model, dev(np.ones((4, 7), np.float32)))
    assert all(m.training for m in model.modules())


class Functional(nn.Module):
    """Drops by a function."""

    def __init__(self):
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        return F.dropout(self.layer(x), 0.5, self.training)


def test_what_drops_is_found(dev):
    one = mc_dropout_predict(placed(Functional(), dev), dev(np.ones((2, 2), np.float32)), 9, dropping=(Functional,))
    assert one.spread.max() > 0
    last = nn.Sequential(nn.LSTM(3, 4, variational_dropout=0.5), lambda y: y[0][-1])
    assert mc_dropout_predict(placed(last, dev), dev(np.ones((2, 5, 3), np.float32)), 3).spread.max() > 0
    for model in (Functional(), nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.0))):
        with pytest.raises(ValueError, match="mc_dropout_predict: model must have layers that drop"):
            mc_dropout_predict(placed(model, dev), dev(np.ones((2, 2), np.float32)))


def test_values_and_probabilities(dev):
    model = placed(nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5)), dev)
    found = mc_dropout_predict(model, dev(np.ones((4, 2), np.float32)), 5, outputs="values")
    assert found.mean.shape == found.spread.shape == (4, 3)
    assert found.entropy is None and found.mutual_information is None
    both = [placed(nn.Sequential(nn.Linear(2, 3), nn.Softmax()), dev) for _ in range(2)]
    p = ensemble_predict(both, dev(np.ones((4, 2), np.float32)), outputs="probabilities")
    np.testing.assert_allclose(p.mean.sum(axis=1), 1, rtol=1e-6)


def test_a_certain_model_has_no_entropy_and_halves_are_summed_in_float32(dev):
    sure = placed(nn.Linear(1, 2, init="zeros"), dev)
    sure.bias.data[...] = dev(np.array([1e4, -1e4], np.float32))
    found = ensemble_predict([sure, sure], dev(np.ones((3, 1), np.float32)))
    np.testing.assert_array_equal(found.entropy, 0)
    np.testing.assert_array_equal(found.mutual_information, 0)
    half = placed(net().astype(np.float16), dev)
    assert mc_dropout_predict(half, dev(np.ones((3, 3), np.float16)), 3).mean.dtype == np.float32


def test_several_inputs_and_one_sample(dev):
    model = placed(nn.Bilinear(2, 2, 3), dev)
    x = dev(np.ones((1, 2), np.float32))
    assert ensemble_predict([model], (x, x)).mean.shape == (1, 3)


@pytest.mark.parametrize(
    "call, error",
    [
        (lambda m, x: mc_dropout_predict(m, x, 0), "mc_dropout_predict: samples must be at least 1, got 0"),
        (
            lambda m, x: mc_dropout_predict(m, x, outputs="scores"),
            "mc_dropout_predict: outputs must be .* got 'scores'",
        ),
        (lambda m, x: ensemble_predict([], x), "ensemble_predict: models must hold at least one model"),
        (lambda m, x: ensemble_predict([nn.Flatten(0)], x), r"ensemble_predict: logits must have shape \(N, C, ...\)"),
    ],
)
def test_bad_arguments_are_named(call, error):
    with pytest.raises(ValueError, match=error):
        call(net(), np.ones((3, 3), np.float32))
