"""What the norm ops promise beyond values and gradients, which tests/cases/norm.py has against an oracle."""

import math
import statistics

import numpy as np
import pytest
from helpers import host

from cunet import F, Tensor, nn
from cunet.ops.norm.batch_norm import batch_norm_inference, batch_norm_training
from cunet.testing import gradcheck


def spread(x, axis):
    """Return the float64 mean and variance of an array by NumPy."""
    x = x.astype(np.float64)
    return x.mean(axis), x.var(axis)


def tensors(dev, *arrays):
    return [Tensor(dev(a), requires_grad=True) for a in arrays]


def results(function, dev, *arrays, weight=None):
    """Return the output and the gradients by all inputs, for a gradient that is all different."""
    leaves = tensors(dev, *arrays)
    y = function(*leaves)
    y = y[0] if isinstance(y, tuple) else y
    g = np.cos(np.arange(y.size, dtype=np.float64)).reshape(y.shape) if weight is None else weight
    y.backward(dev(g.astype(y.dtype)))
    return host(y), [host(leaf.grad) for leaf in leaves]


def test_a_map_is_normalised_per_channel_not_per_position(dev, rng):
    """Per-position statistics too give channels of mean 0 and variance 1; but only per-channel ones let pixels swap."""
    x = rng.standard_normal((4, 3, 5, 6)) * np.linspace(0.1, 3, 30).reshape(5, 6)
    order = np.stack([rng.permutation(30) for _ in range(4)])[:, None]
    swapped = np.take_along_axis(x.reshape(4, 3, 30), order, 2).reshape(x.shape)
    y, mean, var = (host(part) for part in batch_norm_training(dev(x)))
    assert mean.shape == var.shape == (3,)
    expected = np.take_along_axis(y.reshape(4, 3, 30), order, 2).reshape(x.shape)
    np.testing.assert_allclose(host(batch_norm_training(dev(swapped))[0]), expected, atol=1e-12)


@pytest.mark.cpu_only
def test_400_000_values_in_each_of_64_channels(rng):
    x = np.zeros((10, 64, 200, 200), np.float32)
    x[:, 5] = rng.standard_normal((10, 200, 200)) * 3 + 7
    y, mean, var = batch_norm_training(x)
    assert y.shape == x.shape
    assert mean.shape == var.shape == (64,)
    assert mean.data[5] == pytest.approx(x[:, 5].mean(dtype=np.float64), rel=1e-6)
    assert var.data[5] == pytest.approx(x[:, 5].var(dtype=np.float64), rel=1e-5)
    assert not mean.data[6:].any()
    assert not var.data[6:].any()


CHANNELS_LAST = {
    "batch": lambda axis: lambda x, w, b: batch_norm_training(x, w, b, axis=axis),
    "batch inference": lambda axis: (
        lambda x, w, b: batch_norm_inference(
            x, w.detach().data, (w.detach().data) ** 2 + 1, weight=w, bias=b, axis=axis
        )
    ),
    "group": lambda axis: lambda x, w, b: F.group_norm(x, 2, w, b, axis=axis),
    "instance": lambda axis: lambda x, w, b: F.instance_norm(x, weight=w, bias=b, axis=axis),
}


@pytest.mark.parametrize("name", CHANNELS_LAST)
@pytest.mark.parametrize("shape", [(5, 6, 4), (3, 4, 2, 5), (2, 4, 2, 3, 2)])
def test_channels_last_is_channels_first_transposed(name, shape, dev, rng):
    x, w, b = rng.standard_normal(shape), rng.standard_normal(shape[1]), rng.standard_normal(shape[1])
    g = rng.standard_normal(shape)
    first, grads = results(CHANNELS_LAST[name](1), dev, x, w, b, weight=g)
    last, last_grads = results(CHANNELS_LAST[name](-1), dev, np.moveaxis(x, 1, -1), w, b, weight=np.moveaxis(g, 1, -1))
    np.testing.assert_allclose(np.moveaxis(last, -1, 1), first, atol=1e-12)
    np.testing.assert_allclose(np.moveaxis(last_grads[0], -1, 1), grads[0], atol=1e-12)
    np.testing.assert_allclose(last_grads[1], grads[1], atol=1e-11)
    np.testing.assert_allclose(last_grads[2], grads[2], atol=1e-11)


@pytest.mark.parametrize("shape", [(16384, 12), (2048, 3, 24), (64, 4, 600), (128, 1, 300), (1, 5, 4000)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_inputs_that_are_summed_in_stages_and_blocks(shape, dtype, dev, rng):
    x = (rng.standard_normal(shape) * 2 + 5).astype(dtype)
    axes = (0, *range(2, len(shape)))
    y, mean, var = (host(part) for part in batch_norm_training(dev(x)))
    m, v = spread(x, axes)
    tolerance = 3e-6 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(mean, m, rtol=tolerance)
    np.testing.assert_allclose(var, v, rtol=tolerance)
    kept = [1, -1] + [1] * (len(shape) - 2)
    expected = (x - m.reshape(kept)) / np.sqrt(v.reshape(kept) + 1e-5)
    np.testing.assert_allclose(y, expected, atol=tolerance * 10)


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (batch_norm_training, [(8192, 12), (12,), (12,)]),
        (batch_norm_training, [(512, 3, 64), (3,), (3,)]),
        (lambda x, w, b: F.layer_norm(x, w.shape, w, b), [(8192, 12), (12,), (12,)]),
        (lambda x, w: F.rms_norm(x, w.shape, w, 1e-5), [(8192, 12), (12,)]),
        (lambda x, w, b: F.group_norm(x, 2, w, b, axis=-1), [(3, 8192, 4), (4,), (4,)]),
    ],
    ids=["batch", "batch of maps", "layer", "rms", "group, channels last"],
)
def test_gradients_of_large_inputs(function, shapes, dev, rng):
    gradcheck(function, *[dev(rng.uniform(0.5, 2, s)) for s in shapes], rng=rng, rtol=1e-5)


def test_the_bias_of_a_layer_before_batch_norm_gets_no_gradient(dev, rng):
    x, w, b = rng.standard_normal((32, 8)), rng.standard_normal((4, 8)), rng.standard_normal(4)
    weight, bias = tensors(dev, w, b)
    batch_norm_training(F.linear(dev(x), weight, bias))[0].backward(dev(rng.standard_normal((32, 4))))
    assert np.abs(host(weight.grad)).max() > 0.1
    assert np.abs(host(bias.grad)).max() < 1e-14


@pytest.mark.parametrize("value", [0.0, 3.0, 1e4, 0.1])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_constant_batch_gives_the_bias_and_finite_gradients(value, dtype, dev):
    x = np.full((64, 5), value, dtype)
    y, (gx, gw, gb) = results(
        lambda x, w, b: batch_norm_training(x, w, b), dev, x, np.full(5, 2, dtype), np.arange(5, dtype=dtype)
    )
    np.testing.assert_array_equal(y, np.broadcast_to(np.arange(5), (64, 5)))
    for g in (gx, gw, gb):
        assert np.isfinite(g).all()
    assert not gw.any()


NORMS = {
    "batch": lambda x, **kw: batch_norm_training(x, **kw)[0],
    "layer": lambda x, **kw: F.layer_norm(x, x.shape[1:], **kw),
    "group": lambda x, **kw: F.group_norm(x, 2, **kw),
    "instance": F.instance_norm,
    "rms": lambda x, **kw: F.rms_norm(x, x.shape[1:], **kw),
}


@pytest.mark.parametrize("name", NORMS)
def test_float16_neither_overflows_nor_loses_a_small_eps(name, dev, rng):
    """Squares of 300 leave float16, and eps = 1e-6 is subnormal there: statistics are float32."""
    x = (rng.standard_normal((8, 4, 40)) * 300).astype(np.float16)
    y = host(NORMS[name](dev(x), eps=1e-6))
    wide = host(NORMS[name](dev(x.astype(np.float64)), eps=1e-6))
    assert y.dtype == np.float16
    np.testing.assert_allclose(y, wide, atol=2e-3)
    small = (rng.standard_normal((8, 4, 40)) * 1e-3).astype(np.float16)
    wide = host(NORMS[name](dev(small.astype(np.float64)), eps=1e-6))
    np.testing.assert_allclose(host(NORMS[name](dev(small), eps=1e-6)), wide, atol=2e-3)


@pytest.mark.parametrize("centre", [4096, 2**20])
@pytest.mark.parametrize("shape", [(2000, 3), (50, 3, 40)])
def test_mean_and_variance_survive_a_mean_far_from_0(shape, centre, dev, rng):
    """At 4096 the mean of squares minus the square of the mean reads 2.0, 0.0 or less."""
    x = (centre + rng.standard_normal(shape)).astype(np.float32)
    axes = (0, *range(2, len(shape)))
    _, mean, var = (host(part) for part in batch_norm_training(dev(x)))
    m, v = spread(x, axes)
    steps = 1 if len(shape) > 2 else 0.51  # means of rows are rounded before they are joined
    np.testing.assert_allclose(mean, m, atol=steps * np.spacing(np.float32(centre)))
    # which costs the variance the square of that rounding
    np.testing.assert_allclose(var, v, rtol=5e-3 if len(shape) > 2 and centre > 4096 else 1e-4)


def test_rows_far_from_0_are_normalised_as_well_as_their_mean_can_be_written(dev, rng):
    x = (4096 + rng.standard_normal((600, 10))).astype(np.float32)
    y = host(F.layer_norm(dev(x), 10)).astype(np.float64)
    rows = x.astype(np.float64)
    exact = (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, exact, atol=2e-3)


def test_the_output_has_variance_var_over_var_plus_eps(dev, rng):
    x = rng.standard_normal((500, 3)) * [0.01, 0.1, 10]
    y, mean, var = (host(part) for part in batch_norm_training(dev(x), eps=1e-4))
    np.testing.assert_allclose(y.var(0), [v / (v + 1e-4) for v in x.var(0)], rtol=1e-12)
    assert y.var(0)[0] < 0.6  # far from 1


def test_weight_root_of_var_plus_eps_and_bias_mean_restore_the_input(dev, rng):
    x = rng.standard_normal((300, 2)) * [0.01, 2] + [3, -1]
    mean, var = x.mean(0), x.var(0)
    restored = host(batch_norm_training(dev(x), dev(np.sqrt(var + 1e-5)), dev(mean))[0])
    np.testing.assert_allclose(restored, x, atol=1e-13)
    without = host(batch_norm_training(dev(x), dev(np.sqrt(var)), dev(mean))[0])
    assert np.abs(without - x)[:, 0].max() > 1e-3  # 5 % of a spread of 0.01


def test_correlations_between_features_stay(dev, rng):
    x = rng.standard_normal((400, 5)) @ rng.standard_normal((5, 5))
    y = host(batch_norm_training(dev(x))[0])
    np.testing.assert_allclose(np.corrcoef(y.T), np.corrcoef(x.T), atol=1e-14)
    assert np.abs(np.corrcoef(y.T) - np.eye(5)).max() > 0.1


def test_scaling_the_weights_before_changes_no_output_and_divides_their_gradient(dev, rng):
    u, w, g = rng.standard_normal((64, 6)), rng.standard_normal((4, 6)), rng.standard_normal((64, 4))

    def run(scale):
        eps = 1e-12  # the law holds as far as eps is small against a**2 * var
        return results(lambda u, w: batch_norm_training(F.linear(u, w), eps=eps), dev, u, scale * w, weight=g)

    y, (gu, gw) = run(1.0)
    scaled, (gu5, gw5) = run(5.0)
    np.testing.assert_allclose(scaled, y, atol=1e-10)
    np.testing.assert_allclose(gu5, gu, atol=1e-10)
    np.testing.assert_allclose(gw5 * 5, gw, atol=1e-9)
    np.testing.assert_allclose((w * gw).sum(1), 0, atol=1e-9)  # growing is free, so nothing pulls along w
    np.testing.assert_allclose(run(-1.0)[0], -y, atol=1e-10)
    small = host(batch_norm_training(dev(1e-3 * (u @ w.T)), eps=1e-5)[0])
    assert np.abs(small - y).max() > 0.5  # and eps ends it


def test_inference_is_a_fixed_affine_map(dev, rng):
    mean, var, w, b = rng.standard_normal(3), rng.uniform(0.5, 2, 3), rng.standard_normal(3), rng.standard_normal(3)

    def run(x):
        return host(batch_norm_inference(dev(x), *(dev(a) for a in (mean, var, w, b))))

    slope, offset = run(np.ones((1, 3))) - run(np.zeros((1, 3))), run(np.zeros((1, 3)))
    x = rng.standard_normal((20, 3))
    np.testing.assert_allclose(run(x), x * slope + offset, atol=1e-12)
    np.testing.assert_array_equal(run(x[7:8])[0], run(x)[7])


def test_the_default_eps_is_1e_5(dev, rng):
    x = rng.standard_normal((6, 4)) * 1e-3
    for function in (lambda x: batch_norm_training(x)[0], lambda x: F.layer_norm(x, 4), lambda x: F.group_norm(x, 1)):
        y = host(function(dev(x)))
        axis = 0 if np.abs(y.mean(0)).max() < 1e-12 else 1
        expected = (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + 1e-5)
        np.testing.assert_allclose(y, expected, atol=1e-12)
    for layer in (nn.BatchNorm1d(4), nn.LayerNorm(4), nn.GroupNorm(2, 4), nn.InstanceNorm1d(4)):
        assert layer.eps == 1e-5


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rms_norm_without_eps_takes_the_spacing_of_the_dtype_at_1(dtype, dev):
    x = np.full((1, 4), 1e-3, dtype)
    expected = float(x[0, 0]) / math.sqrt(float(x[0, 0]) ** 2 + np.finfo(dtype).eps)
    np.testing.assert_allclose(host(F.rms_norm(dev(x), 4)), expected, rtol=2e-3 if dtype == np.float16 else 1e-6)


def test_layer_norm_treats_each_sample_alone_and_has_gain_bias_and_eps(dev, rng):
    x, w, b = rng.standard_normal((9, 7)), rng.standard_normal(7), rng.standard_normal(7)
    whole = host(F.layer_norm(dev(x), 7, dev(w), dev(b), 0.3))
    for row, sample in enumerate(x.tolist()):
        alone = host(F.layer_norm(dev(x[row : row + 1]), 7, dev(w), dev(b), 0.3))
        np.testing.assert_allclose(alone[0], whole[row], atol=1e-14)
        root = math.sqrt(statistics.pvariance(sample) + 0.3)
        expected = [(v - statistics.fmean(sample)) / root * w[i] + b[i] for i, v in enumerate(sample)]
        np.testing.assert_allclose(whole[row], expected, atol=1e-13)


@pytest.mark.parametrize("function", [F.layer_norm, F.rms_norm])
def test_a_length_may_be_an_integer_of_numpy(function, rng, dev):
    x = dev(rng.standard_normal((3, 4)))
    np.testing.assert_array_equal(host(function(x, np.int64(4))), host(function(x, 4)))
