"""Dropout layers: modes, streams and options."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, Generator, Tensor, nn


def generator(call=0):
    return Generator(1, "dropout", call)


@pytest.mark.parametrize(
    ("layer", "function", "shape"),
    [
        (nn.Dropout, F.dropout, (20, 30)),
        (nn.Dropout1d, F.dropout1d, (20, 30, 2)),
        (nn.Dropout2d, F.dropout2d, (20, 30, 2, 2)),
        (nn.Dropout3d, F.dropout3d, (20, 30, 1, 2, 2)),
        (nn.AlphaDropout, F.alpha_dropout, (20, 30)),
        (nn.FeatureAlphaDropout, F.feature_alpha_dropout, (20, 30, 2)),
    ],
)
def test_layers_drop_in_training_and_pass_on_in_evaluation(layer, function, shape, dev, rng):
    x = Tensor(dev(rng.standard_normal(shape)))
    module = layer(0.25, generator=generator())
    y = host(module(x))
    np.testing.assert_array_equal(y, host(function(x, 0.25, True, generator=generator())))
    assert (host(module(x)) != y).any()
    assert module.eval()(x) is x
    assert repr(module) == f"{layer.__name__}(p=0.25)"
    assert not module.state_dict()
    assert (host(module.train()(x)) != host(x)).any()


def test_a_layer_without_generator_follows_manual_seed(dev):
    x = dev(np.ones(300, np.float32))
    layer = nn.Dropout()
    cunet.manual_seed(9)
    first = host(layer(x))
    cunet.manual_seed(9)
    np.testing.assert_array_equal(host(layer(x)), first)
