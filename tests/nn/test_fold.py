"""Batch norms folded into the layers before them compute the same."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, nn


def settled(model, device, dev, rng, shape):
    """Give the batch norms statistics and parameters that matter; return the model in evaluation mode."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm) and module.weight is not None:
            module.weight.data = rng.uniform(0.5, 2, module.num_features).astype(np.float32)
            module.bias.data = rng.standard_normal(module.num_features).astype(np.float32)
    model.to(device)
    for _ in range(3):
        model(dev(rng.standard_normal(shape) * 2 + 1, np.float32))
    return model.eval()


def count(model, kind):
    return sum(isinstance(m, kind) for m in model.modules())


def assert_same(folded, model, dev, x):
    expected = host(model(dev(x, np.float32)))
    np.testing.assert_allclose(host(folded(dev(x, np.float32))), expected, rtol=1e-5, atol=1e-5)


MODELS = {
    "linear": (lambda: nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), F.relu, nn.Linear(4, 2)), (8, 5)),
    "no bias": (lambda: nn.Sequential(nn.Linear(5, 4, bias=False), nn.BatchNorm1d(4)), (8, 5)),
    "not affine": (lambda: nn.Sequential(nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4, affine=False)), (4, 3, 7)),
    "conv": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()), (4, 3, 5, 6)),
    "groups": (lambda: nn.Sequential(nn.Conv2d(4, 8, 3, groups=4, bias=False), nn.BatchNorm2d(8)), (4, 4, 5, 6)),
    "3d": (lambda: nn.Sequential(nn.Conv3d(2, 4, 2), nn.BatchNorm3d(4)), (4, 2, 3, 3, 4)),
    "transposed": (lambda: nn.Sequential(nn.ConvTranspose2d(3, 4, 3, stride=2), nn.BatchNorm2d(4)), (4, 3, 4, 3)),
    "transposed groups": (
        lambda: nn.Sequential(nn.ConvTranspose1d(4, 6, 3, groups=2, bias=False), nn.BatchNorm1d(6)),
        (4, 4, 5),
    ),
    "last": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3, channels_last=True), nn.BatchNorm2d(4, axis=-1)),
        (4, 5, 6, 3),
    ),
    "nested": (
        lambda: nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()),
            nn.Sequential({"conv": nn.Conv2d(4, 4, 1), "norm": nn.BatchNorm2d(4)}),
        ),
        (4, 3, 5, 6),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_folded_model_computes_the_same(name, rng, device, dev):
    make, shape = MODELS[name]
    model = settled(make(), device, dev, rng, shape)
    state = {k: host(v) for k, v in model.state_dict().items()}
    folded = nn.fold_batch_norm(model)
    assert count(folded, nn.BatchNorm) == 0 and count(model, nn.BatchNorm) > 0
    assert_same(folded, model, dev, rng.standard_normal(shape))
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(host(value), state[key])
    assert not folded.training and not any(m.training for m in folded.modules())
    assert set(folded.state_dict()) - set(state) <= {k.replace("weight", "bias") for k in state}


def test_norms_that_follow_something_else_stay(rng, device, dev):
    layers = [nn.BatchNorm1d(5), nn.Linear(5, 4), F.relu, nn.BatchNorm1d(4), nn.Linear(4, 3), nn.Dropout(0.5)]
    model = settled(nn.Sequential(*layers, nn.BatchNorm1d(3)), device, dev, rng, (8, 5))
    folded = nn.fold_batch_norm(model)
    assert count(folded, nn.BatchNorm) == 3
    assert_same(folded, model, dev, rng.standard_normal((8, 5)))


def test_shared_layers_and_tied_weights_stay(rng, device, dev):
    shared = nn.Linear(4, 4)
    model = settled(nn.Sequential(shared, nn.BatchNorm1d(4), F.relu, shared), device, dev, rng, (8, 4))
    assert_same(nn.fold_batch_norm(model), model, dev, rng.standard_normal((8, 4)))
    tied = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), F.relu, nn.Linear(4, 4))
    tied[3].weight = tied[0].weight
    model = settled(tied, device, dev, rng, (8, 4))
    assert_same(nn.fold_batch_norm(model), model, dev, rng.standard_normal((8, 4)))


def test_a_shared_norm_folds_into_both(rng, device, dev):
    norm = nn.BatchNorm1d(4)
    model = settled(nn.Sequential(nn.Linear(4, 4), norm, F.relu, nn.Linear(4, 4), norm), device, dev, rng, (8, 4))
    folded = nn.fold_batch_norm(model)
    assert count(folded, nn.BatchNorm) == 0
    assert_same(folded, model, dev, rng.standard_normal((8, 4)))


def test_a_norm_without_running_statistics_stays(rng, device, dev):
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=False)).to(device).eval()
    assert count(nn.fold_batch_norm(model), nn.BatchNorm) == 1


def test_training_mode_is_an_error(dev):
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)))
    with pytest.raises(
        ValueError, match=r"fold_batch_norm: the model must be in evaluation mode, .* call model.eval\(\)"
    ):
        nn.fold_batch_norm(model)
    model.eval()
    model[0][1].training = True
    with pytest.raises(ValueError, match="its part '0.1' is in training mode"):
        nn.fold_batch_norm(model)


def test_frozen_parameters_stay_frozen():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).eval().requires_grad_(False)
    assert not any(p.requires_grad for p in nn.fold_batch_norm(model).parameters())
    assert cunet.nn.fold_batch_norm(nn.Linear(2, 2).eval()).weight.requires_grad
