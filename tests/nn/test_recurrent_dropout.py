"""Dropout of recurrent layers, each kind by its name: which mask, how often drawn, and when."""

import math

import numpy as np
import pytest
from helpers import host
from recurrent_helpers import LAYERS, NORMED, build, parts, total

from cunet import F, nn, random
from cunet.testing import gradcheck

any_layer = pytest.mark.parametrize("make", LAYERS + NORMED)


def ones_layer(device, make, **options):
    """Return a layer whose input weights are all 1 and whose state has no influence."""
    layer = build(device, make, 6, 8, **options)
    for name, p in layer.named_parameters():
        p.data = p.data * 0 + (1.0 if "weight_ih" in name else 0.0)
    return layer


def test_variational_dropout_has_one_mask_for_all_steps(device, dev):
    x = dev(np.ones((7, 3, 40)))
    y = host(F.variational_dropout(x, 0.5))
    assert (y == y[0]).all()
    assert set(np.unique(y)) == {0.0, 2.0}
    assert (y[0, 0] != y[0, 1]).any()  # each sequence has its own
    assert (host(F.variational_dropout(x, 0.5)) != y).any()  # and each call
    layer = nn.VariationalDropout(0.5, batch_first=True)
    y = host(layer(dev(np.ones((3, 7, 40)))))
    assert (y == y[:, :1]).all()
    assert (host(layer.eval()(x)) == 1).all()
    with pytest.raises(ValueError, match="3 axes"):
        F.variational_dropout(dev(np.ones((3, 4))))


def test_dropout_of_inputs_outputs_and_states_by_mask(device, dev):
    """Inputs of 1 and weights of 1: what arrives at a unit tells how many inputs were kept."""
    x = dev(np.ones((6, 4, 6)))
    layer = ones_layer(device, nn.RNN, nonlinearity="relu", variational_dropout=(0.5, 0.0, 0.0))
    y = host(layer(x)[0])
    assert (y == y[0]).all()
    assert len(np.unique(y[0])) > 1
    layer = ones_layer(device, nn.RNN, nonlinearity="relu", variational_dropout=(0.0, 0.0, 0.5))
    y = host(layer(x)[0])
    assert (y == y[0]).all()
    assert set(np.unique(y)) == {0.0, 12.0}
    assert (host(layer.eval()(x)[0]) == 6).all()


def test_the_recurrent_mask_is_one_per_sequence(device, dev):
    """With weight_hh the identity and no input, a state either doubles or vanishes, at every step alike."""
    layer = build(device, nn.RNN, 1, 32, nonlinearity="relu", bias=False, variational_dropout=(0.0, 0.5, 0.0))
    layer.weight_hh_l0.data = dev(np.eye(32))
    layer.weight_ih_l0.data = layer.weight_ih_l0.data * 0
    y = host(layer(dev(np.zeros((4, 3, 1))), dev(np.ones((1, 3, 32))))[0])
    grown = np.array([2.0, 4.0, 8.0, 16.0])[:, None, None] * (y[0] > 0)
    np.testing.assert_array_equal(y, grown)
    assert 0 < (y[0] > 0).sum() < y[0].size
    y = host(layer.eval()(dev(np.zeros((4, 3, 1))), dev(np.ones((1, 3, 32))))[0])
    assert (y == 1).all()


@any_layer
def test_gradients_under_masks(make, device, dev, rng):
    layer = build(device, make, 2, 3, num_layers=2, dropout=0.3, variational_dropout=0.3, weight_drop=0.3)
    x = dev(rng.standard_normal((3, 2, 2)))

    def call(x):
        random.manual_seed(5)
        y, s = layer(x)
        return (y, *parts(s))

    gradcheck(call, x, rng=rng)
    layer.zero_grad()
    loss = {}
    for k, step in enumerate((0.0, 1e-6, -1e-6)):
        p = next(iter(layer.parameters()))
        kept, moved = p.data, host(p.data).copy()
        moved[0, 0] += step
        p.data = dev(moved)
        random.manual_seed(5)
        loss[k] = total(*layer(x))
        p.data = kept
        if not k:
            loss[0].backward()
            g = host(p.grad)[0, 0]
    assert math.isclose(g, (loss[1].item() - loss[2].item()) / 2e-6, rel_tol=1e-5, abs_tol=1e-8)


@pytest.mark.parametrize("make", [nn.LSTM, nn.LayerNormGRU])
def test_weight_drop_leaves_the_stored_weight_alone(make, device, dev, rng):
    layer = build(device, make, 2, 4, weight_drop=0.5)
    before = {name: host(a).copy() for name, a in layer.state_dict().items()}
    (name,) = (n for n, _ in layer.named_parameters() if "weight_hh" in n)
    x = dev(rng.standard_normal((5, 3, 2)))
    first = layer(x)[0]
    first.sum().backward()
    after = {name: host(a) for name, a in layer.state_dict().items()}
    assert all((before[n] == after[n]).all() for n in before)
    weight = dict(layer.named_parameters())[name]
    none = (host(weight.grad) == 0).mean()
    assert 0.2 < none < 0.8  # dropped connections get no gradient
    assert (host(layer(x)[0]) != host(first)).any()
    plain = build(device, make, 2, 4)
    plain.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(host(layer.eval()(x)[0]), host(plain(x)[0]))


def test_drop_connect_drops_weights_and_not_units(device, dev):
    layer = nn.DropConnect(40, 30, p=0.5, init=1.0, bias_init=3.0).to(device)
    eye = dev(np.eye(40), np.float32)
    y = host(layer(eye)) - 3  # row k: the weights of input k
    assert set(np.unique(y)) == {0.0, 2.0}
    assert 0.4 < (y == 0).mean() < 0.6
    assert not (y == 0).all(axis=0).any()
    assert not (y == 0).all(axis=1).any()
    assert (host(layer.weight) == 1).all()
    assert (host(layer.eval()(eye)) == 4).all()
    assert list(layer.state_dict()) == ["weight", "bias"]
    assert (host(F.drop_connect(layer.weight, 0.5, training=False)) == 1).all()


def test_dropout_between_layers_is_fresh_at_each_step_and_spares_the_last(device, dev):
    layer = ones_layer(device, nn.RNN, nonlinearity="relu", num_layers=2, dropout=0.5)
    y = host(layer(dev(np.ones((6, 4, 6))))[0])
    assert (y[0] != y[1]).any()
    single = ones_layer(device, nn.RNN, nonlinearity="relu", dropout=0.5)
    assert (host(single(dev(np.ones((6, 4, 6))))[0]) == 6).all()
    assert (host(layer.eval()(dev(np.ones((6, 4, 6))))[0]) == 48).all()
