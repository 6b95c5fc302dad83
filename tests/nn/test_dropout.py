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


@pytest.mark.parametrize("mode", ["row", "batch"])
def test_stochastic_depth_drops_whole_samples(mode, dev):
    x = Tensor(dev(np.ones((4000, 2, 1), np.float32)))
    layer = nn.StochasticDepth(0.25, mode, generator=generator())
    for _ in range(3):
        y = host(layer(x))
        np.testing.assert_array_equal(y[:, 0], y[:, 1])  # all of a sample, or nothing
        assert {float(v) for v in y.flat} <= {0.0, float(np.float32(4 / 3))}
        assert (y.min() == y.max()) == (mode == "batch")
        assert mode == "batch" or abs(y.mean() - 1) < 0.05
    assert layer.eval()(x) is x
    assert repr(layer) == f"StochasticDepth(p=0.25, mode={mode})"


def test_stochastic_depth_of_a_batch_is_one_draw_a_call(dev):
    x = dev(np.ones((3, 2)))
    layer = nn.StochasticDepth(0.5, "batch", generator=generator())
    kept = [bool(host(layer(x)).any()) for _ in range(200)]
    assert 60 < sum(kept) < 140
    with pytest.raises(ValueError, match="StochasticDepth: mode must be"):
        nn.StochasticDepth(mode="column")
    with pytest.raises(ValueError, match=r"stochastic_depth: input must be \(N, \.\.\.\), got shape \(\)"):
        F.stochastic_depth(dev(np.ones(())))
    with pytest.raises(ValueError, match="stochastic_depth: mode must be"):
        F.stochastic_depth(x, mode="column")


def test_stochastic_depth_of_no_samples(dev):
    for mode in ("row", "batch"):
        assert host(F.stochastic_depth(dev(np.ones((0, 3))), 0.5, mode)).shape == (0, 3)
