"""Running statistics lie where they lay: on a GPU each update writes them in place, as a captured graph needs."""

import copy

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import nn
from cunet.nn import recompute_batch_norm

LAYERS = {
    "moving": lambda: nn.BatchNorm1d(3),
    "average": lambda: nn.BatchNorm1d(3, momentum=None),
    "population": lambda: nn.BatchNorm(3, stats="population"),
    "instance": lambda: nn.InstanceNorm1d(3, track_running_stats=True),
}
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def batch(rng, dev):
    return dev(rng.standard_normal((6, 3, 5)).astype(np.float32))


@pytest.mark.parametrize("name", LAYERS)
def test_updates_are_those_of_the_cpu(name, rng, device):
    layer, twin = LAYERS[name]().to(device), LAYERS[name]()
    addresses = [getattr(layer, b).data.data for b in BUFFERS]
    addresses = [getattr(a, "ptr", None) for a in addresses]
    for _ in range(3):
        x = rng.standard_normal((6, 3, 5)).astype(np.float32)
        layer(cunet.device.to_device(x, device))
        twin(x)
    for b in BUFFERS:
        np.testing.assert_allclose(host(getattr(layer, b)), getattr(twin, b).data, rtol=1e-6)
        assert getattr(layer, b).dtype == getattr(twin, b).dtype
    if device == "gpu":
        assert [getattr(layer, b).data.data.ptr for b in BUFFERS] == addresses


def test_copies_and_states_keep_the_old_values(rng, dev, device):
    layer = nn.BatchNorm1d(3).to(device)
    layer(batch(rng, dev))
    state, twin = layer.state_dict(), copy.deepcopy(layer)
    before = {name: host(a).copy() for name, a in state.items()}
    other = nn.BatchNorm1d(3).to(device)
    other.load_state_dict(state)
    for one in (layer, other):
        one(batch(rng, dev))
    for name, a in state.items():
        np.testing.assert_array_equal(host(a), before[name])
        np.testing.assert_array_equal(host(twin.state_dict()[name]), before[name])


def test_a_graph_of_evaluation_keeps_the_mean_it_saw(rng, dev, device):
    """The gradient of the weight needs it, and training goes on in between."""
    layer = nn.BatchNorm1d(3, activation="relu").to(device)
    layer(batch(rng, dev))
    x, gradients = batch(rng, dev), []
    for between in (False, True):
        layer.weight.grad = None
        with layer.evaluating():
            y = layer(x)
        if between:
            layer(batch(rng, dev))
        y.sum().backward()
        gradients.append(host(layer.weight.grad))
    np.testing.assert_array_equal(*gradients)


def test_recomputed_statistics_of_a_failure_are_as_before(rng, dev, device):
    model = nn.Sequential(nn.BatchNorm1d(3)).to(device)
    model(batch(rng, dev))
    before = {name: host(a) for name, a in model.state_dict().items()}

    def run(model, x):
        model(x)
        raise KeyError

    with pytest.raises(KeyError):
        recompute_batch_norm(model, [batch(rng, dev)], run)
    for name, a in model.state_dict().items():
        np.testing.assert_array_equal(host(a), before[name])
    recompute_batch_norm(model, [batch(rng, dev)])
    assert host(model.state_dict()["0.num_batches_tracked"]) == before["0.num_batches_tracked"]
