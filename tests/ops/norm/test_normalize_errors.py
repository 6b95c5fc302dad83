"""Norms: what they refuse, and inputs without values."""

import numpy as np
import pytest
from helpers import host

from cunet import F, Tensor, nn
from cunet.ops.norm.batch_norm import batch_norm_inference, batch_norm_training
from cunet.ops.norm.kernels import moments
from cunet.ops.norm.statistics import join_moments


def test_empty_batches_pass_through_what_needs_no_batch(dev):
    for function in (lambda x: F.layer_norm(x, 4), lambda x: F.rms_norm(x, 4), lambda x: F.group_norm(x, 2)):
        x = Tensor(dev(np.zeros((0, 4), np.float32)), requires_grad=True)
        y = function(x)
        assert y.shape == (0, 4)
        y.backward(dev(np.zeros((0, 4), np.float32)))
        assert x.grad.shape == (0, 4)


@pytest.mark.parametrize("shape", [(1, 0, 64, 11), (2, 0, 3), (1, 0)], ids=str)
def test_no_channels_pass_through_group_norm(shape, dev):
    """Statistics of nothing are joined without a warning too, as those of maps are."""
    x, weight = (Tensor(dev(np.zeros(s, np.float32)), requires_grad=True) for s in (shape, 0))
    y = F.group_norm(x, 1, weight, weight)
    y.sum().backward()
    assert y.shape == x.grad.shape == shape and weight.grad.shape == (0,)
    mean, var, rstd = join_moments(dev(np.zeros((2, 0))), dev(np.zeros((2, 0))), 1e-5, axis=(1,), keepdims=True)
    np.testing.assert_array_equal(host(mean), np.zeros((2, 1)))
    assert np.isnan(host(var)).all() and np.isnan(host(rstd)).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_an_infinite_value_makes_nan_of_its_statistics_wherever_it_stands(count, value, dev):
    x = np.ones((count, count), np.float32)
    np.fill_diagonal(x, value)
    one = dev(np.ones_like(x))
    for found in (
        moments(dev(x), 1e-5, axis=(0,), keepdims=True),
        join_moments(dev(x), one, 1e-5, axis=(0,), keepdims=True),
    ):
        assert all(np.isnan(host(a)).all() for a in found)
    found = moments(one, 1e-5, axis=(0,), keepdims=True)
    np.testing.assert_array_equal(host(found[0]), np.ones((1, count)))
    np.testing.assert_array_equal(host(found[1]), np.zeros((1, count)))


@pytest.mark.parametrize("values", [(0, 0, 6), (6, 0, 0), (0, 6, 0)], ids=str)
def test_zeros_count(values, dev):
    mean, var, _ = moments(dev(values, np.float32)[:, None], 0.0, axis=(0,), keepdims=True)
    assert (host(mean).item(), host(var).item()) == (2, 8)


EMPTY = {
    "layer": (lambda act: nn.LayerNorm(3, activation=act), (0, 3)),
    "layer, 2 axes": (lambda act: nn.LayerNorm((4, 3), activation=act), (0, 4, 3)),
    "layer, no rows": (lambda act: nn.LayerNorm(3, activation=act), (2, 0, 3)),
    "rms": (lambda act: nn.RMSNorm(3, activation=act), (0, 3)),
    "group": (lambda act: nn.GroupNorm(2, 4, activation=act), (0, 4, 3)),
    "group, no places": (lambda act: nn.GroupNorm(2, 4, activation=act), (2, 4, 0)),
    "batch, inference": (lambda act: nn.BatchNorm1d(3, activation=act).eval(), (0, 3)),
    "batch of maps, inference": (lambda act: nn.BatchNorm2d(3, activation=act).eval(), (2, 3, 0, 2)),
}


@pytest.mark.parametrize("activation", [None, F.relu, F.tanh], ids=["", "relu", "tanh"])
@pytest.mark.parametrize("name", EMPTY)
def test_nothing_gives_parameters_a_gradient_of_0(name, activation, device, dev, poison):
    make, shape = EMPTY[name]
    layer = make(activation).to(device)
    x = Tensor(dev(np.zeros(shape, np.float32)), requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.shape == shape
    assert all((host(p.grad) == 0).all() for p in layer.parameters())


ERRORS = [
    (lambda z: batch_norm_training(z(1, 3)), "batch_norm: training needs more than one value per channel, got 1 in"),
    (lambda z: batch_norm_training(z(0, 3)), "batch_norm: training needs more than one value per channel, got 0 in"),
    (lambda z: batch_norm_training(z(4)), r"batch_norm: input must have 2 to 5 axes, got shape \(4,\)"),
    (lambda z: batch_norm_training(z(2, 2, 2, 2, 2, 2)), "batch_norm: input must have 2 to 5 axes"),
    (lambda z: batch_norm_training(z(4, 3), axis=2), r"batch_norm: axis 2 does not exist for shape \(4, 3\)"),
    (lambda z: batch_norm_training(z(4, 3), z(4)), r"batch_norm: weight must have shape \(C,\) = \(3,\), got \(4,\)"),
    (lambda z: batch_norm_training(z(4, 3, 2, 2), z(3), z(12)), r"batch_norm: bias must have shape \(C,\) = \(3,\)"),
    (lambda z: batch_norm_inference(z(4, 3), z(3), z(2)), r"running_var must have shape \(C,\) = \(3,\), got \(2,\)"),
    (
        lambda z: F.layer_norm(z(4, 3), 4),
        r"layer_norm: input must end with the axes normalized_shape = \(4,\), got shape",
    ),
    (lambda z: F.layer_norm(z(4, 3), ()), "layer_norm: input must end with"),
    (lambda z: F.layer_norm(z(4, 0), 0), "layer_norm: input must end with"),
    (lambda z: F.layer_norm(z(4, 3), 3, z(4)), r"layer_norm: weight must have shape normalized_shape = \(3,\)"),
    (lambda z: F.rms_norm(z(4, 3), (4, 3), z(3)), r"rms_norm: weight must have shape normalized_shape = \(4, 3\)"),
    (lambda z: F.group_norm(z(4, 6), 4), r"group_norm: num_groups must divide the 6 channels of shape \(4, 6\), got 4"),
    (lambda z: F.group_norm(z(4, 6), 0), "group_norm: num_groups must divide"),
    (lambda z: F.group_norm(z(4, 6), 2, axis=0), "group_norm: input must be"),
    (lambda z: F.group_norm(z(4, 6), 2, z(2)), r"group_norm: weight must have shape \(C,\) = \(6,\), got \(2,\)"),
    (lambda z: F.instance_norm(z(4, 6)), "instance_norm: input needs more than one position per channel"),
    (lambda z: F.instance_norm(z(4, 6, 2), weight=z(4)), r"instance_norm: weight must have shape \(C,\) = \(6,\)"),
]


@pytest.mark.parametrize(("call", "message"), ERRORS, ids=[str(i) for i in range(len(ERRORS))])
def test_errors_say_who_what_was_required_and_what_came(call, message, dev):
    with pytest.raises(ValueError, match=message):
        call(lambda *shape: dev(np.zeros(shape, np.float32)))


def test_integers_are_refused(dev):
    with pytest.raises(TypeError, match="layer_norm: input must have a floating dtype, got int64"):
        F.layer_norm(dev(np.ones((2, 3), np.int64)), 3)


def test_the_statistics_of_nothing(dev):
    mean, var, rstd = moments(dev(np.zeros((2, 0), np.float32)), 0.5, axis=(1,), keepdims=True)
    assert (host(mean) == 0).all()
    assert np.isnan(host(var)).all()
    assert np.isnan(host(rstd)).all()
