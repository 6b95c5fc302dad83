"""All layers of normalisation: options, errors, and PyTorch as a second oracle."""

import re

import numpy as np
import pytest
from helpers import host

from cunet import F, Tensor, nn


def on(device, layer):
    return layer.to(device)


def state(layer):
    return {name: host(value) for name, value in layer.state_dict().items()}


@pytest.mark.parametrize(
    ("layer", "ndims"),
    [
        (nn.BatchNorm, (2, 3, 4, 5)),
        (nn.BatchNorm1d, (2, 3)),
        (nn.BatchNorm2d, (4,)),
        (nn.BatchNorm3d, (5,)),
        (nn.InstanceNorm, (3, 4, 5)),
        (nn.InstanceNorm1d, (3,)),
        (nn.InstanceNorm2d, (4,)),
        (nn.InstanceNorm3d, (5,)),
    ],
)
def test_each_layer_takes_its_numbers_of_axes_and_channels_only(layer, ndims, device, dev):
    module = on(device, layer(3))
    for ndim in range(1, 7):
        x = dev(np.ones((4, 3, 2, 2, 2, 2)[:ndim], np.float32))
        if ndim in ndims:
            assert module(x).shape == x.shape
        else:
            with pytest.raises(ValueError, match=rf"{layer.__name__}: x must have .* axes, got shape \({x.shape[0]},"):
                module(x)
    with pytest.raises(
        ValueError, match=rf"{layer.__name__}: x must have num_features = 3 on axis 1, got shape \(4, 5"
    ):
        module(dev(np.ones((4, 5, 2, 2, 2)[: ndims[0]], np.float32)))


@pytest.mark.cpu_only
@pytest.mark.parametrize("layer", [nn.BatchNorm1d(2), nn.InstanceNorm1d(2), nn.GroupNorm(1, 2), nn.LayerNorm(3)])
def test_nested_lists_are_taken_as_by_other_layers(layer):
    x = [[[1.0, 2.0, 4.0], [0.0, 3.0, 1.0]], [[5.0, 1.0, 0.0], [2.0, 2.0, 3.0]]]
    np.testing.assert_array_equal(layer(x).data, layer(np.array(x, np.float32)).data)


def test_layer_norm_is_the_same_in_training_and_evaluation(device, dev, rng):
    for layer in (nn.LayerNorm(6), nn.RMSNorm(6), nn.GroupNorm(2, 6)):
        on(device, layer)
        x = dev(rng.standard_normal((5, 6)), np.float32)
        np.testing.assert_array_equal(host(layer.train()(x)), host(layer.eval()(x)))
        assert layer(x[:1]).shape == (1, 6)


def test_errors_of_the_constructors():
    for call, message in [
        (lambda: nn.BatchNorm1d(0), "BatchNorm1d: num_features must be"),
        (lambda: nn.BatchNorm2d(3, momentum=1.5), "BatchNorm2d: momentum must be"),
        (lambda: nn.BatchNorm(3, stats="mean"), 'BatchNorm: stats must be "ema" or "population", got \'mean\''),
        (lambda: nn.GroupNorm(4, 6), "GroupNorm: num_groups must divide num_channels = 6, got 4"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


def test_repr_shows_the_options():
    assert repr(nn.BatchNorm2d(3)) == "BatchNorm2d(3, eps=1e-05, momentum=0.1)"
    assert (
        repr(nn.BatchNorm2d(3, affine=False, axis=-1))
        == "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=False, axis=-1)"
    )
    assert repr(nn.LayerNorm((2, 3))) == "LayerNorm((2, 3), eps=1e-05)"
    assert repr(nn.GroupNorm(2, 6)) == "GroupNorm(2, 6, eps=1e-05)"


TORCH = [
    ("BatchNorm1d", (5,), {}, (8, 5)),
    ("BatchNorm1d", (5,), {"momentum": None}, (8, 5, 3)),
    ("BatchNorm2d", (3,), {"eps": 0.1, "momentum": 0.3}, (4, 3, 5, 2)),
    ("BatchNorm2d", (3,), {"affine": False}, (4, 3, 5, 2)),
    ("BatchNorm2d", (3,), {"track_running_stats": False}, (4, 3, 5, 2)),
    ("BatchNorm3d", (2,), {}, (3, 2, 2, 3, 2)),
    ("InstanceNorm1d", (3,), {"affine": True}, (4, 3, 6)),
    ("InstanceNorm2d", (3,), {}, (4, 3, 5, 2)),
    ("InstanceNorm2d", (3,), {"affine": True, "track_running_stats": True}, (4, 3, 5, 2)),
    ("InstanceNorm3d", (3,), {"track_running_stats": True, "momentum": 0.4}, (4, 3, 2, 2, 2)),
    ("GroupNorm", (2, 6), {}, (3, 6, 4)),
    ("GroupNorm", (3, 6), {"affine": False}, (3, 6)),
    ("LayerNorm", (6,), {}, (4, 6)),
    ("LayerNorm", ((3, 4),), {"bias": False}, (2, 3, 4)),
    ("LayerNorm", (6,), {"elementwise_affine": False}, (4, 6)),
    ("RMSNorm", (6,), {}, (4, 6)),
    ("RMSNorm", ((3, 4),), {"eps": 0.1}, (2, 3, 4)),
]


@pytest.mark.parametrize(("name", "args", "kw", "shape"), TORCH, ids=[f"{t[0]}-{t[2]}" for t in TORCH])
def test_as_pytorch(name, args, kw, shape, device, dev, rng):
    """Three training steps and one in evaluation: outputs, gradients, state and its keys."""
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, name)(*args, **kw, dtype=torch.float64)
    ours = on(device, getattr(nn, name)(*args, **kw, dtype=np.float64))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    with torch.no_grad():
        for p in theirs.parameters():
            p.copy_(torch.tensor(rng.standard_normal(p.shape)))
    ours.load_state_dict(theirs.state_dict())
    for training in (True, True, True, False):
        ours.train(training)
        theirs.train(training)
        ours.zero_grad()
        theirs.zero_grad()
        x, g = rng.standard_normal(shape) * 2 + 1, rng.standard_normal(shape)
        a, b = Tensor(dev(x), requires_grad=True), torch.tensor(x, requires_grad=True)
        y, z = ours(a), theirs(b)
        y.backward(dev(g))
        z.backward(torch.tensor(g))
        np.testing.assert_allclose(host(y), z.detach().numpy(), atol=1e-12)
        np.testing.assert_allclose(host(a.grad), b.grad.numpy(), atol=1e-12)
        for (_, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            np.testing.assert_allclose(host(p.grad), q.grad.numpy(), atol=1e-11)
        for key, value in theirs.state_dict().items():
            if name.startswith("Instance") and key == "num_batches_tracked":
                continue  # PyTorch has it and never counts
            np.testing.assert_allclose(state(ours)[key], value.numpy(), atol=1e-12, err_msg=key)


def test_functions_take_pytorchs_arguments(dev, rng):
    torch = pytest.importorskip("torch")
    x, w, b = rng.standard_normal((3, 4, 5)), rng.standard_normal(4), rng.standard_normal(4)
    t = [torch.tensor(a) for a in (x, w, b)]
    d = [dev(a) for a in (x, w, b)]
    theirs, last = torch.nn.functional, torch.tensor(rng.standard_normal(5))
    pairs = [
        (F.group_norm(d[0], 2, d[1], d[2], 0.1), theirs.group_norm(t[0], 2, t[1], t[2], 0.1)),
        (F.layer_norm(d[0], (5,), dev(last.numpy())), theirs.layer_norm(t[0], (5,), last)),
        (F.rms_norm(d[0], (5,), dev(last.numpy())), theirs.rms_norm(t[0], (5,), last)),
        (F.instance_norm(d[0], weight=d[1], bias=d[2]), theirs.instance_norm(t[0], weight=t[1], bias=t[2])),
    ]
    for y, z in pairs:
        np.testing.assert_allclose(host(y), z.numpy(), atol=1e-12)


@pytest.mark.parametrize("axis", [7, -4, "1", 1.0, None, (), (0, 0)], ids=str)
def test_an_axis_that_the_input_lacks_is_named(axis, device, dev):
    x, named = dev(np.ones((4, 3, 5), np.float32)), re.escape(repr(axis))
    for make in (nn.BatchNorm1d, nn.InstanceNorm1d, lambda n, axis: nn.GroupNorm(1, n, axis=axis)):
        layer = on(device, make(3, axis=axis))
        with pytest.raises(ValueError, match=rf"^\w+: x must have num_\w+ = 3 on axis {named}, got shape \(4, 3, 5\)"):
            layer(x)
    one = dev(np.ones(3, np.float32))
    for call in (
        lambda: F.group_norm(x, 1, axis=axis),
        lambda: F.instance_norm(x, axis=axis),
        lambda: F.batch_norm(x, one, one, axis=axis),
        lambda: F.batch_norm(x, None, None, training=True, axis=axis),
    ):
        with pytest.raises(ValueError, match=rf"^\w+_norm: .*axis {named}.* shape \(4, 3, 5\)"):
            call()


@pytest.mark.parametrize("eps", ["1e-5", None, -1e-5, float("nan")])
def test_eps_must_be_a_number_that_is_not_negative(eps, device, dev):
    x = dev(np.ones((4, 3), np.float32))
    error = ValueError if isinstance(eps, float) else TypeError
    message = "eps must (be a number|not be negative), got " + ("nan" if eps != eps else repr(eps))
    for make in (
        lambda: nn.BatchNorm1d(3, eps),
        lambda: nn.InstanceNorm1d(3, eps),
        lambda: nn.GroupNorm(1, 3, eps),
        lambda: nn.LayerNorm(3, eps),
        lambda: F.layer_norm(x, 3, eps=eps),
        lambda: F.group_norm(x, 1, eps=eps),
    ):
        with pytest.raises(error, match=message):
            make()
    if eps is not None:
        for make in (lambda: nn.RMSNorm(3, eps), lambda: F.rms_norm(x, 3, eps=eps)):
            with pytest.raises(error, match=message):
                make()
    layer = on(device, nn.BatchNorm1d(3))
    layer.eps = eps
    for training in (True, False):
        with pytest.raises(error, match=message):
            layer.train(training)(x)


@pytest.mark.cpu_only
@pytest.mark.parametrize("momentum", ["0.1", [0.1]])
def test_momentum_must_be_a_number_or_none(momentum):
    for layer in (nn.BatchNorm1d, nn.InstanceNorm1d):
        with pytest.raises(TypeError, match=rf"{layer.__name__}: momentum must be a number or None, got"):
            layer(3, momentum=momentum)
        assert layer(3, momentum=np.float32(0.5)).momentum == 0.5


def test_instance_norm_leaves_its_statistics_as_they_are_on_an_empty_batch(device, dev):
    layer = on(device, nn.InstanceNorm1d(3, track_running_stats=True))
    before = state(layer)
    assert layer(dev(np.ones((0, 3, 4), np.float32))).shape == (0, 3, 4)
    for name, array in state(layer).items():
        np.testing.assert_array_equal(array, before[name])


def test_groups_of_one_value_are_refused_in_training(device, dev):
    layer = on(device, nn.GroupNorm(3, 3))
    for shape in ((4, 3), (4, 3, 1, 1)):
        x = dev(np.ones(shape, np.float32))
        with pytest.raises(ValueError, match="GroupNorm: x needs more than one value in each of 3 groups, got shape"):
            layer.train()(x)
        assert not host(layer.eval()(x)).any()
    assert layer.train()(dev(np.ones((0, 3), np.float32))).shape == (0, 3)
    assert layer(dev(np.ones((4, 3, 2), np.float32))).shape == (4, 3, 2)
    assert on(device, nn.GroupNorm(1, 3))(dev(np.ones((4, 3), np.float32))).shape == (4, 3)


def test_a_half_model_keeps_running_statistics_of_float32(device, dev, rng):
    x = dev(rng.normal(size=(64, 3, 4)) * 300)
    for make in (nn.BatchNorm1d, lambda n: nn.InstanceNorm1d(n, affine=True, track_running_stats=True)):
        model = on(device, nn.Sequential(make(3))).astype(np.float16)
        assert model(x).dtype == np.float16
        kept = state(model)
        assert kept["0.running_var"].dtype == kept["0.running_mean"].dtype == np.float32
        assert kept["0.weight"].dtype == np.float16
        assert np.isfinite(kept["0.running_var"]).all() and (kept["0.running_var"] > 7000).all()
        model.load_state_dict(model.state_dict())
        assert model.astype(np.float64)[0].running_var.dtype == np.float64
