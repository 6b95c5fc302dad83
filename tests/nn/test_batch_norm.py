"""Batch norm layers: modes, running statistics, state."""

import math
import statistics

import numpy as np
import pytest
from helpers import host

from cunet import Tensor, nn, no_grad
from cunet.nn import recompute_batch_norm
from cunet.testing import gradcheck


def on(device, layer):
    return layer.to(device)


def state(layer):
    return {name: host(value) for name, value in layer.state_dict().items()}


def test_first_the_running_statistics_are_mean_0_and_variance_1(device, dev, rng):
    """Evaluation before the first training step must not blow values up, as a running variance of 0 would."""
    layer = on(device, nn.BatchNorm1d(3)).eval()
    x = rng.standard_normal((5, 3)).astype(np.float32)
    np.testing.assert_allclose(host(layer(dev(x))), x / math.sqrt(1 + 1e-5), rtol=1e-6)
    assert not state(layer)["running_mean"].any()
    assert (state(layer)["running_var"] == 1).all()
    assert state(layer)["num_batches_tracked"] == 0


@pytest.mark.parametrize("unbiased", [True, False])
def test_momentum_is_the_weight_of_the_new_value(unbiased, device, dev):
    batches = [[[1.0], [2.0], [4.0], [9.0]], [[-3.0], [0.0], [5.0], [6.0]]]
    layer = on(device, nn.BatchNorm1d(1, momentum=0.1, unbiased=unbiased))
    of_batch = statistics.variance if unbiased else statistics.pvariance
    mean, var = 0.0, 1.0
    for batch in batches:
        values = [row[0] for row in batch]
        layer(dev(batch, np.float32))
        mean, var = 0.9 * mean + 0.1 * statistics.fmean(values), 0.9 * var + 0.1 * of_batch(values)
        np.testing.assert_allclose(state(layer)["running_mean"], [mean], rtol=1e-6)
        np.testing.assert_allclose(state(layer)["running_var"], [var], rtol=1e-6)
    assert state(layer)["num_batches_tracked"] == 2


def test_the_biased_variance_of_four_values_is_a_quarter_lower(device, dev, rng):
    x = dev(rng.standard_normal((4, 2)), np.float32)
    found = []
    for unbiased in (True, False):
        layer = on(device, nn.BatchNorm1d(2, momentum=1.0, unbiased=unbiased))
        layer(x)
        found.append(state(layer)["running_var"])
    np.testing.assert_allclose(found[1] / found[0], 0.75, rtol=1e-6)


def test_evaluation_neither_looks_at_the_batch_nor_changes_anything(device, dev, rng):
    layer = on(device, nn.BatchNorm2d(3))
    for _ in range(3):
        layer(dev(rng.standard_normal((4, 3, 2, 2)) * 2 + 1, np.float32))
    layer.eval()
    before = state(layer)
    x = rng.standard_normal((6, 3, 2, 2)).astype(np.float32)
    whole = host(layer(dev(x)))
    np.testing.assert_allclose(host(layer(dev(x[2:3])))[0], whole[2], rtol=1e-6)
    for name, value in state(layer).items():
        np.testing.assert_array_equal(value, before[name])


def test_training_with_one_value_per_channel_is_an_error_that_changes_nothing(device, dev):
    layer = on(device, nn.BatchNorm1d(3))
    before = state(layer)
    with pytest.raises(ValueError, match="batch_norm: training needs more than one value per channel"):
        layer(dev(np.ones((1, 3), np.float32)))
    for name, value in state(layer).items():
        np.testing.assert_array_equal(value, before[name])
    assert layer.eval()(dev(np.ones((1, 3), np.float32))).shape == (1, 3)
    assert on(device, nn.BatchNorm2d(3))(dev(np.ones((1, 3, 2, 2), np.float32))).shape == (1, 3, 2, 2)


def test_buffers_are_replaced_on_a_cpu_and_written_on_a_gpu(device, dev, rng):
    layer = on(device, nn.BatchNorm1d(2))
    held = [b.data for _, b in layer.named_buffers()]
    copies = [host(a).copy() for a in held]
    layer(dev(rng.standard_normal((8, 2)), np.float32))
    for a, copy, (_, buffer) in zip(held, copies, layer.named_buffers(), strict=True):
        assert (buffer.data is a) == (device != "cpu")  # there a captured graph has to find it
        assert (host(a) == copy).all() == (device == "cpu")


def test_statistics_move_once_per_forward_with_gradients_or_without(device, dev, rng):
    layer = on(device, nn.BatchNorm1d(2, momentum=0.5))
    x = Tensor(dev(rng.standard_normal((8, 2)) + 4, np.float32), requires_grad=True)
    layer(x).sum().backward()
    once = state(layer)["running_mean"]
    np.testing.assert_allclose(once, 0.5 * host(x).mean(0), rtol=1e-6)
    with no_grad():
        layer(x)
    np.testing.assert_allclose(state(layer)["running_mean"], 0.75 * host(x).mean(0), rtol=1e-6)


def test_a_layer_used_twice_before_backward(device, dev, rng):
    """Each call saves its own; a cache on the layer would give both the second one's statistics."""
    layer = on(device, nn.BatchNorm1d(3, dtype=np.float64))

    def f(x, z, w, b):
        layer.weight, layer.bias = w, b
        return layer(x) * layer(z) + layer(layer(x))

    shapes = [(6, 3), (6, 3), (3,), (3,)]
    gradcheck(f, *[dev(rng.uniform(0.5, 2, s)) for s in shapes], rng=rng)


def test_cumulative_average_weighs_all_batches_equally(device, dev, rng):
    layer = on(device, nn.BatchNorm1d(2, momentum=None))
    batches = [rng.standard_normal((n, 2)).astype(np.float32) for n in (4, 9, 6)]
    for batch in batches:
        layer(dev(batch))
    np.testing.assert_allclose(state(layer)["running_mean"], np.mean([b.mean(0) for b in batches], 0), rtol=1e-5)
    np.testing.assert_allclose(state(layer)["running_var"], np.mean([b.var(0, ddof=1) for b in batches], 0), rtol=1e-5)


@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize("axis", [1, -1])
def test_population_statistics_are_those_of_all_values_at_once(unbiased, axis, device, dev, rng):
    layer = on(device, nn.BatchNorm(3, axis=axis, stats="population", unbiased=unbiased))
    batches = [(rng.standard_normal((n, 3, 4)) * n + n).astype(np.float32) for n in (2, 7, 1, 5)]
    for batch in batches:
        layer(dev(np.moveaxis(batch, 1, axis)))
    values = np.concatenate(batches).astype(np.float64)
    np.testing.assert_allclose(state(layer)["running_mean"], values.mean((0, 2)), rtol=1e-5)
    expected = values.var((0, 2), ddof=1 if unbiased else 0)
    np.testing.assert_allclose(state(layer)["running_var"], expected, rtol=1e-5)
    layer.reset_running_stats()
    layer(dev(np.moveaxis(batches[0], 1, axis)))
    np.testing.assert_allclose(state(layer)["running_mean"], batches[0].mean((0, 2)), rtol=1e-5)


def model_of(device):
    return on(device, nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.BatchNorm1d(3)))


def test_recompute_gives_the_exact_statistics_of_the_data_from_one_pass_over_a_stream(device, dev, rng):
    model = model_of(device)
    x = rng.standard_normal((50, 4)).astype(np.float32)
    model.train()
    for _ in range(3):
        model(dev(x[:10] * 5))
    model[2].eval()
    tracked = state(model)["1.num_batches_tracked"]
    cuts = [0, 3, 20, 22, 50]
    passes = []

    def stream():  # neither a list nor of known length: batches are seen once and not kept
        for start, stop in zip(cuts, cuts[1:], strict=False):
            passes.append(start)
            yield x[start:stop], None

    recompute_batch_norm(model, stream())
    assert passes == cuts[:-1]
    weight, bias = (host(p).astype(np.float64) for p in (model[0].weight, model[0].bias))
    hidden = x @ weight.T + bias
    np.testing.assert_allclose(state(model)["1.running_mean"], hidden.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(state(model)["1.running_var"], hidden.var(0, ddof=1), rtol=1e-5)
    # the second sees what the first makes of each batch, with dropout off
    parts = [hidden[a:b] for a, b in zip(cuts, cuts[1:], strict=False)]
    second = np.concatenate([(p - p.mean(0)) / np.sqrt(p.var(0) + 1e-5) for p in parts])
    np.testing.assert_allclose(state(model)["3.running_var"], second.var(0, ddof=1), rtol=1e-4)
    assert state(model)["1.num_batches_tracked"] == tracked == 3
    assert [m.training for m in model] == [True, True, False, True]
    assert model[1].stats == "ema"


def test_after_recompute_moving_averages_go_on(device, dev, rng):
    model, x = model_of(device), rng.standard_normal((20, 4)).astype(np.float32)
    recompute_batch_norm(model, [x])
    before = state(model)["1.running_mean"]
    model(dev(x + 1))
    hidden = host(model[0](dev(x + 1)))
    np.testing.assert_allclose(
        state(model)["1.running_mean"], 0.9 * before + 0.1 * hidden.mean(0), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("batches", [[], [np.zeros((5, 4), np.float32), np.zeros((1, 4), np.float32)]])
def test_recompute_that_fails_leaves_everything_as_it_was(batches, device, dev, rng):
    model = model_of(device)
    model(dev(rng.standard_normal((20, 4)), np.float32))
    before = state(model)
    with pytest.raises(ValueError, match="at least one, got none|more than one value per channel"):
        recompute_batch_norm(model, batches)
    for name, value in state(model).items():
        np.testing.assert_array_equal(value, before[name])
    assert all(m.training for m in model)
    assert model[1].stats == "ema"


def test_recompute_leaves_layers_alone_that_the_model_does_not_run(device, dev, rng):
    model = model_of(device)
    model(dev(rng.standard_normal((20, 4)), np.float32))
    before = state(model)
    recompute_batch_norm(model, [rng.standard_normal((9, 4)).astype(np.float32)], lambda m, x: m[1](m[0](dev(x))))
    assert (state(model)["1.running_mean"] != before["1.running_mean"]).all()
    np.testing.assert_array_equal(state(model)["3.running_mean"], before["3.running_mean"])


def test_running_statistics_are_state_but_not_parameters(device):
    layer = on(device, nn.BatchNorm2d(3))
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    assert list(layer.state_dict()) == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert list(nn.BatchNorm2d(3, affine=False, track_running_stats=False).state_dict()) == []
    assert (host(layer.weight) == 1).all()
    assert not host(layer.bias).any()


def test_without_running_statistics_evaluation_uses_the_batch(device, dev, rng):
    layer = on(device, nn.BatchNorm1d(2, track_running_stats=False))
    x = dev(rng.standard_normal((6, 2)), np.float32)
    np.testing.assert_array_equal(host(layer.eval()(x)), host(layer.train()(x)))


def test_half_inputs_meet_float32_statistics(device, dev, rng):
    layer = on(device, nn.BatchNorm1d(2))
    x = dev(rng.standard_normal((64, 2)) * 200, np.float16)
    y = layer(Tensor(x))
    assert y.dtype == np.float16
    assert layer(x).dtype == np.float32  # a plain array takes the weights' dtype
    layer = on(device, nn.BatchNorm1d(2))
    layer(Tensor(x))
    assert state(layer)["running_var"].dtype == np.float32
    np.testing.assert_allclose(
        state(layer)["running_var"], 0.9 + 0.1 * host(x).astype(np.float64).var(0, ddof=1), rtol=1e-5
    )
    half = layer.astype(np.float16)  # a model that was converted whole
    assert half(x).dtype == np.float16
    assert half.eval()(x).dtype == np.float16
    assert {a.dtype for a in half.statistics()[1:]} == {np.dtype(np.float32)}
    assert half.astype(np.float64).running_var.dtype == np.float64
