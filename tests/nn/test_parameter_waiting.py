"""Layers that learn the length of their input at the first call: their parameters, optimisers made before, states."""

import copy
import pickle

import numpy as np
import pytest
from helpers import host, training_step

import cunet
from cunet import F, nn, optim

LAYERS = {
    "Linear": (lambda n: nn.Linear(n, 4), (5, 3), 3),
    "Linear without bias": (lambda n: nn.Linear(n, 4, bias=False), (2, 5, 3), 3),
    "DropConnect": (lambda n: nn.DropConnect(n, 4, p=0.0), (5, 3), 3),
    "Conv1d": (lambda n: nn.Conv1d(n, 4, 3, init="kaiming_normal"), (2, 6, 9), 6),
    "Conv2d": (lambda n: nn.Conv2d(n, 4, (2, 3), groups=2), (2, 6, 5, 5), 6),
    "Conv2d last": (lambda n: nn.Conv2d(n, 4, 3, channels_last=True), (2, 5, 5, 3), 3),
    "Conv2d of one sample": (lambda n: nn.Conv2d(n, 4, 3, padding=1, padding_mode="circular"), (3, 5, 5), 3),
    "Conv3d": (lambda n: nn.Conv3d(n, 4, 2, bias=False), (2, 3, 3, 3, 3), 3),
    "ConvTranspose1d": (lambda n: nn.ConvTranspose1d(n, 4, 3, groups=2), (2, 6, 5), 6),
    "ConvTranspose2d": (lambda n: nn.ConvTranspose2d(n, 4, 3, init="xavier_uniform"), (2, 3, 4, 4), 3),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


@every_layer
def test_the_first_call_draws_what_a_known_length_would_have_drawn(name, rng, device, dev):
    make, shape, length = LAYERS[name]
    x = dev(rng.standard_normal(shape), np.float32)
    cunet.manual_seed(5)
    layer = make(None).to(device)
    parameters = list(layer.parameters())
    assert layer.weight.size == 0
    y = layer(x)
    cunet.manual_seed(5)
    known = make(length).to(device)
    np.testing.assert_array_equal(host(y), host(known(x)))
    assert [p is q for p, q in zip(parameters, layer.parameters(), strict=True)] == [True] * len(parameters)
    assert {k: a.shape for k, a in layer.state_dict().items()} == {k: a.shape for k, a in known.state_dict().items()}
    assert repr(layer) == repr(known)
    y.sum().backward()
    assert all(p.grad.shape == p.shape for p in layer.parameters())


def two_layers(first):
    return nn.Sequential(nn.Linear(first, 8), nn.Tanh(), nn.Linear(None if first is None else 8, 2))


@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, 0.1, momentum=0.9), lambda p: optim.AdamW(p, 0.01)])
def test_an_optimiser_made_before_the_first_call_trains_the_same(make, rng, device, dev):
    x, t = dev(rng.standard_normal((16, 3)), np.float32), dev(rng.standard_normal((16, 2)), np.float32)

    def train(first):
        cunet.manual_seed(1)
        model = two_layers(first).to(device)
        optimizer = make(model.parameters())

        @training_step
        def step():
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), t)
            loss.backward()
            optimizer.step()
            return loss

        return [step().item() for _ in range(8)], model.state_dict()

    (waiting, state), (known, expected) = train(None), train(3)
    assert waiting == known and waiting[-1] < waiting[0]
    for name, array in expected.items():
        np.testing.assert_array_equal(host(state[name]), host(array))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_steps_before_a_layer_is_first_called(dtype, rng, device, dev):
    """As where a part of a model joins in later: the other parameters, and their state, go on as before."""
    x, t = dev(rng.standard_normal((8, 3)), dtype), dev(rng.standard_normal((8, 2)), dtype)

    def train(late):
        cunet.manual_seed(1)
        base, extra = nn.Linear(3, 2, dtype=dtype).to(device), nn.Linear(late, 2, dtype=dtype).to(device)
        optimizer = optim.Adam([*base.parameters(), *extra.parameters()], 0.01)
        optimizer.step()

        @training_step
        def step(both):
            optimizer.zero_grad()
            F.mse_loss(base(x) + extra(x) if both else base(x), t).backward()
            optimizer.step()

        for k in range(12):
            step(k >= 6)
        return [host(p) for p in (*base.parameters(), *extra.parameters())], optimizer.state_dict()

    (waiting, state), (known, expected) = train(None), train(3)
    for a, b in zip(waiting, known, strict=True):
        np.testing.assert_array_equal(a, b)
    assert [s["step"] for s in state["state"]] == [s["step"] for s in expected["state"]] == [12, 12, 6, 6]


def test_dtype_and_device_may_change_before_the_first_call(device, dev):
    layer = nn.Linear(None, 2).astype(np.float64).to(device)
    y = layer(dev(np.ones((1, 3))))
    assert y.dtype == layer.weight.dtype == layer.bias.dtype == np.float64
    assert layer.weight.device == device


@every_layer
def test_a_state_loaded_before_the_first_call_is_kept(name, rng, device, dev):
    make, shape, length = LAYERS[name]
    known, layer = make(length).to(device), make(None).to(device)
    parameters = list(layer.parameters())
    layer.load_state_dict(known.state_dict())
    x = dev(rng.standard_normal(shape), np.float32)
    np.testing.assert_array_equal(host(layer(x)), host(known(x)))
    assert parameters[0] is layer.weight and repr(layer) == repr(known)


def test_a_state_that_does_not_fit_is_refused_and_changes_nothing():
    layer = nn.Linear(None, 4)
    for shape in ((5, 3), (4,), (4, 3, 1)):
        with pytest.raises(ValueError, match=r"weight: shape must be \(4, 0\), got"):
            layer.load_state_dict({"weight": np.ones(shape), "bias": np.ones(4)})
    assert layer.weight.size == 0
    with pytest.raises(ValueError, match=r"weight: shape must be \(4, 3\), got \(4, 0\)"):
        nn.Linear(3, 4).load_state_dict(layer.state_dict())
    layer(np.ones((1, 3), np.float32))
    with pytest.raises(ValueError, match=r"weight: shape must be \(4, 3\), got \(4, 5\)"):
        layer.load_state_dict({"weight": np.ones((4, 5)), "bias": np.ones(4)})


def test_an_input_of_another_length_than_that_of_the_state_is_refused():
    layer = nn.Linear(None, 4)
    layer.load_state_dict(nn.Linear(3, 4).state_dict())
    with pytest.raises(ValueError, match=r"linear: input must have shape .* got \(1, 5\) and \(4, 3\)"):
        layer(np.ones((1, 5), np.float32))


def test_copies_and_pickles_wait_too():
    layer = nn.Linear(None, 4)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert other(np.ones((2, 3), np.float32)).shape == (2, 4)
    assert layer.weight.size == 0


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (nn.Linear(None, 4), (), "Linear: in_features must be an int of at least 1, got 0"),
        (nn.Linear(None, 4), (5, 0), "Linear: in_features must be an int of at least 1, got 0"),
        (nn.Conv1d(None, 4, 3, groups=2), (1, 5, 9), "Conv1d: groups must divide in_channels = 5 and out_channels = 4"),
        (nn.Conv2d(None, 4, 3), (1, 0, 5, 5), "Conv2d: in_channels must be an int of at least 1, got 0"),
        (nn.Conv2d(None, 4, 3), (5, 5), "conv2d: input must have 4 axes"),
    ],
)
def test_a_first_input_that_cannot_be_is_refused_and_changes_nothing(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer(np.ones(shape, np.float32))
    assert layer.weight.size == 0
    assert getattr(layer, "in_features", None) is None and getattr(layer, "in_channels", None) is None


def test_what_is_wrong_with_other_sizes_is_said_at_once():
    with pytest.raises(ValueError, match="Linear: out_features must be an int of at least 1, got 0"):
        nn.Linear(None, 0)
    with pytest.raises(ValueError, match="Conv2d: groups must divide .* out_channels = 4, got 3"):
        nn.Conv2d(None, 4, 3, groups=3)
    with pytest.raises(ValueError, match="Conv2d: groups must be an int of at least 1, got 0"):
        nn.Conv2d(None, 4, 3, groups=0)
