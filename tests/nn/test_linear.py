"""Linear, Bilinear, Embedding, Flatten, Identity and the activation layers: values, names, layouts, messages."""

import math
import pickle

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, nn
from cunet.autograd.op import static_parameters
from cunet.autograd.tensor import Tensor
from cunet.ops.activation.registry import ACTIVATIONS as REGISTRY

ACTIVATIONS = {e.layer: getattr(nn, e.layer) for e in REGISTRY.values() if e.layer not in ("Identity", "PReLU")}


def test_linear_is_the_sum_over_inputs(rng, device, dev):
    layer = nn.Linear(3, 2, dtype=np.float64).to(device)
    x = rng.normal(size=(4, 5, 3))
    y = host(layer(dev(x)))
    weight, bias = host(layer.weight), host(layer.bias)
    assert weight.shape == (2, 3) and bias.shape == (2,)
    for n in range(4):
        for t in range(5):
            for o in range(2):
                assert y[n, t, o] == pytest.approx(sum(weight[o, i] * x[n, t, i] for i in range(3)) + bias[o])


def test_linear_without_bias():
    layer = nn.Linear(3, 2, bias=False)
    assert layer.bias is None and list(layer.state_dict()) == ["weight"]
    assert repr(layer) == "Linear(3, 2, bias=False)"
    np.testing.assert_array_equal(layer(np.zeros((1, 3), np.float32)).data, [[0, 0]])


@pytest.mark.parametrize(
    ("layer", "fan_in"), [(lambda: nn.Linear(100, 400), 100), (lambda: nn.Bilinear(25, 40, 50), 25)]
)
def test_default_law_is_uniform_between_the_roots_of_fan_in(layer, fan_in):
    layer, bound = layer(), 1 / math.sqrt(fan_in)
    for values in (layer.weight.data, layer.bias.data):
        assert values.dtype == np.float32
        assert 0.9 * bound < np.abs(values).max() <= bound
        assert abs(values.mean()) < 5 * bound / math.sqrt(3 * values.size)
    assert layer.weight.data.std() == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_init_can_be_a_name_a_number_an_initialiser_or_a_function():
    generator = cunet.Generator(5)
    ones = nn.Linear(3, 2, init="ones", bias_init=0.5, dtype=np.float64)
    np.testing.assert_array_equal(ones(np.ones((1, 3))).data, [[3.5, 3.5]])
    assert ones.weight.dtype == np.float64
    np.testing.assert_array_equal(nn.Linear(2, 2, init=cunet.init.eye()).weight.data, np.eye(2))
    own = nn.Linear(3, 2, init=lambda shape, generator, dtype: np.full(shape, 7.0))
    assert (own.weight.data == 7).all() and own.weight.dtype == np.float32
    he = nn.Linear(500, 200, init="kaiming_normal", generator=generator)
    assert he.weight.data.std() == pytest.approx(math.sqrt(2 / 500), rel=0.02)
    again = nn.Linear(500, 200, init="kaiming_normal", generator=cunet.Generator(5))
    np.testing.assert_array_equal(he.weight.data, again.weight.data)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Linear(0, 2), "Linear: in_features must be an int of at least 1, got 0"),
        (lambda: nn.Linear(2, 2.0), "Linear: out_features must be an int of at least 1, got 2.0"),
        (lambda: nn.Bilinear(2, -1, 2), "Bilinear: in2_features must be an int of at least 1, got -1"),
        (lambda: nn.Embedding(True, 2), "Embedding: num_embeddings must be an int of at least 1, got True"),
        (lambda: nn.Embedding(3, 2, padding_idx=3), "Embedding: padding_idx must be within 3 embeddings, got 3"),
    ],
)
def test_wrong_sizes(make, message):
    with pytest.raises(ValueError) as error:
        make()
    assert str(error.value) == message


def test_bilinear_is_the_double_sum(rng, device, dev):
    layer = nn.Bilinear(2, 3, 4, dtype=np.float64).to(device)
    a, b = rng.normal(size=(5, 6, 2)), rng.normal(size=(5, 6, 3))
    y = host(layer(dev(a), dev(b)))
    weight, bias = host(layer.weight), host(layer.bias)
    assert y.shape == (5, 6, 4) and weight.shape == (4, 2, 3)
    for index in np.ndindex(5, 6, 4):
        n, t, o = index
        terms = [a[n, t, i] * weight[o, i, j] * b[n, t, j] for i in range(2) for j in range(3)]
        assert y[index] == pytest.approx(sum(terms) + bias[o])


def test_bilinear_names_both_shapes():
    layer = nn.Bilinear(2, 3, 4)
    with pytest.raises(ValueError, match=r"shapes \(\.\.\., 2\) and \(\.\.\., 3\).*got \(5, 2\) and \(5, 2\)"):
        layer(np.ones((5, 2)), np.ones((5, 2)))
    with pytest.raises(ValueError, match="equal other axes"):
        layer(np.ones((5, 2)), np.ones((4, 3)))
    assert layer([[1.0, 2.0]], [[1.0, 2.0, 3.0]]).shape == (1, 4)
    assert repr(nn.Bilinear(2, 3, 4, bias=False)) == "Bilinear(2, 3, 4, bias=False)"


def test_embedding_looks_up_rows_and_spares_the_padding(device, dev):
    layer = nn.Embedding(5, 3, padding_idx=-5).to(device)
    table = host(layer.weight)
    np.testing.assert_array_equal(table[0], 0)
    assert (table[1:] != 0).all() and layer.padding_idx == 0
    indices = np.array([[1, 0, 1], [4, 1, 0]])
    y = layer(dev(indices))
    np.testing.assert_array_equal(host(y), table[indices])
    y.sum().backward()
    np.testing.assert_array_equal(host(layer.weight.grad)[:, 0], [0, 3, 0, 0, 1])
    assert repr(layer) == "Embedding(5, 3, padding_idx=0)"


def test_embedding_default_is_standard_normal():
    values = nn.Embedding(200, 100).weight.data
    assert abs(values.mean()) < 0.03 and values.std() == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize(
    ("args", "shape"),
    [((), (2, 60)), ((0,), (120,)), ((1, 2), (2, 12, 5)), ((-2,), (2, 3, 20)), ((2, 2), (2, 3, 4, 5))],
)
def test_flatten(args, shape, rng, dev):
    x = rng.normal(size=(2, 3, 4, 5))
    y = nn.Flatten(*args)(dev(x))
    assert y.shape == shape
    np.testing.assert_array_equal(host(y).ravel(), x.ravel())


def test_flatten_of_an_empty_batch_and_wrong_axes():
    assert nn.Flatten()(np.ones((0, 3, 4))).shape == (0, 12)
    for args in ((2, 1), (1, 4), (-5,), (4,)):
        with pytest.raises(ValueError, match=r"Flatten: start_dim .* is no range of axes of shape \(2, 3, 4, 5\)"):
            nn.Flatten(*args)(np.ones((2, 3, 4, 5)))
    with pytest.raises(ValueError, match="no range of axes"):
        nn.Flatten()(np.ones(3))  # no batch axis: nothing to keep


def test_identity_takes_anything():
    x = Tensor(np.ones(2))
    assert nn.Identity(54, unused=True)(x) is x
    assert nn.Identity(54).state_dict() == {}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_layers_apply_their_function(name, rng, dev):
    x = dev(rng.normal(size=(3, 4)), np.float32)
    layer = ACTIVATIONS[name]()
    np.testing.assert_array_equal(host(layer(x)), host(layer.function(x)))
    assert layer.state_dict() == {} and repr(layer) == f"{name}()"
    assert type(pickle.loads(pickle.dumps(layer))) is ACTIVATIONS[name]
    assert layer.function.__name__ in (ACTIVATIONS[name].__doc__ or "")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_options_of_activation_layers_reach_the_function(name, rng):
    options = {p.name: p.default for p in static_parameters(ACTIVATIONS[name].function)}
    changed = {k: v * 1.5 if isinstance(v, float) else v for k, v in options.items()}
    layer, by_position = ACTIVATIONS[name](**changed), ACTIVATIONS[name](*changed.values())
    x = rng.normal(size=(4, 6)) * 3
    expected = ACTIVATIONS[name].function(x, **changed)
    np.testing.assert_array_equal(layer(x).data, expected.data)
    np.testing.assert_array_equal(by_position(x).data, expected.data)
    with pytest.raises(TypeError, match=f"{name}: .*nonsense.*its options are"):
        ACTIVATIONS[name](nonsense=1)
    with pytest.raises(TypeError, match=f"{name}: too many positional arguments"):
        ACTIVATIONS[name](*changed.values(), 1)


def test_an_option_given_twice_is_an_error():
    with pytest.raises(TypeError, match="LeakyReLU: multiple values for argument 'negative_slope'"):
        nn.LeakyReLU(0.1, negative_slope=0.2)


def test_prelu_shared_and_per_channel(device, dev):
    x = np.array([[-1.0, 2.0, -3.0], [4.0, -5.0, 6.0]], np.float32)
    shared = nn.PReLU().to(device)
    np.testing.assert_array_equal(host(shared(dev(x))), [[-0.25, 2, -0.75], [4, -1.25, 6]])
    each = nn.PReLU(3, init=0.5).to(device)
    each.load_state_dict({"weight": [1, 2, 3]})
    np.testing.assert_array_equal(host(each(dev(x))), [[-1, 2, -9], [4, -10, 6]])
    rows = nn.PReLU(2, axis=0)
    rows.load_state_dict({"weight": [1, 2]})
    np.testing.assert_array_equal(rows(x).data, [[-1, 2, -3], [4, -10, 6]])
    assert repr(each) == "PReLU(num_parameters=3)"
    with pytest.raises(ValueError, match="PReLU: num_parameters must be an int of at least 1, got 0"):
        nn.PReLU(0)


def test_every_public_name_is_exported_in_order():
    assert nn.__all__ == sorted(nn.__all__)
    assert not [name for name in nn.__all__ if not hasattr(nn, name)]
    classes = {n for n, c in vars(nn).items() if isinstance(c, type) and c.__module__.startswith("cunet.nn")}
    assert classes <= set(nn.__all__)


# -- PyTorch as a second oracle: names, layouts and values, in both directions


LAYERS = {
    "Linear": (lambda m: m.Linear(3, 4), [(5, 3)]),
    "Linear without bias": (lambda m: m.Linear(3, 4, bias=False), [(2, 5, 3)]),
    "Bilinear": (lambda m: m.Bilinear(2, 3, 4), [(5, 2), (5, 3)]),
    "Bilinear without bias": (lambda m: m.Bilinear(2, 3, 4, bias=False), [(5, 2), (5, 3)]),
    "PReLU": (lambda m: m.PReLU(), [(5, 3)]),
    "PReLU per channel": (lambda m: m.PReLU(3), [(5, 3, 4)]),
    "BatchNorm1d": (lambda m: m.BatchNorm1d(3), [(5, 3)]),
    "BatchNorm2d": (lambda m: m.BatchNorm2d(3), [(5, 3, 4, 4)]),
    "BatchNorm2d without state": (lambda m: m.BatchNorm2d(3, track_running_stats=False), [(5, 3, 4, 4)]),
    "LayerNorm": (lambda m: m.LayerNorm((3, 4)), [(5, 3, 4)]),
    "GroupNorm": (lambda m: m.GroupNorm(2, 4), [(5, 4, 3)]),
    "InstanceNorm2d": (lambda m: m.InstanceNorm2d(3, affine=True), [(5, 3, 4, 4)]),
    "RMSNorm": (lambda m: m.RMSNorm(4), [(5, 4)]),
    "Dropout": (lambda m: m.Dropout(0.3), [(5, 3)]),
    "nested": (
        lambda m: m.Sequential(
            m.Linear(3, 4), m.ELU(0.7), m.Sequential(m.Linear(4, 4), m.PReLU(4), m.BatchNorm1d(4)), m.Linear(4, 2)
        ),
        [(5, 3)],
    ),
    "list and dict": (
        lambda m: m.ModuleDict({"a": m.ModuleList([m.Linear(3, 3), m.PReLU()]), "b": m.Linear(2, 2)}),
        None,
    ),
}


def randomised(torch, layer, rng):
    """Give every parameter and buffer of a PyTorch layer values that no default has."""
    with torch.no_grad():
        for name, tensor in layer.state_dict().items():
            if tensor.dtype.is_floating_point:
                values = np.abs(rng.normal(size=tensor.shape)) + 0.1 if "var" in name else rng.normal(size=tensor.shape)
                tensor.copy_(torch.from_numpy(np.asarray(values)))
            else:
                tensor.fill_(3)
    return layer


@pytest.mark.cpu_only
@pytest.mark.parametrize("name", LAYERS)
def test_states_pass_between_torch_and_cunet(name, rng):
    torch = pytest.importorskip("torch")
    make, shapes = LAYERS[name]
    theirs, ours, back = randomised(torch, make(torch.nn), rng), make(nn), make(torch.nn)
    assert [(n, tuple(t.shape)) for n, t in theirs.state_dict().items()] == [
        (n, a.shape) for n, a in ours.state_dict().items()
    ]
    ours.load_state_dict(theirs.state_dict())
    back.load_state_dict({n: torch.from_numpy(a) for n, a in ours.state_dict().items()})
    for key, tensor in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[key], tensor.numpy())
        assert torch.equal(back.state_dict()[key], tensor)
    if shapes is not None:
        xs = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
        with torch.no_grad():
            expected = theirs.eval()(*map(torch.from_numpy, xs)).numpy()
        np.testing.assert_allclose(host(ours.eval()(*xs)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.cpu_only
def test_embedding_matches_torch_with_its_gradient(rng):
    torch = pytest.importorskip("torch")
    theirs, ours = torch.nn.Embedding(6, 3, padding_idx=2), nn.Embedding(6, 3, padding_idx=2)
    ours.load_state_dict(theirs.state_dict())
    indices = rng.integers(0, 6, (4, 5))
    y, expected = ours(indices), theirs(torch.from_numpy(indices))
    np.testing.assert_array_equal(y.data, expected.detach().numpy())
    weights = rng.normal(size=y.shape).astype(np.float32)
    (y * weights).sum().backward()
    (expected * torch.from_numpy(weights)).sum().backward()
    np.testing.assert_allclose(ours.weight.grad, theirs.weight.grad.numpy(), rtol=1e-6)
    assert repr(ours).replace("Embedding", "") == repr(theirs).replace("Embedding", "")


@pytest.mark.cpu_only
def test_values_that_torch_cannot_show_numpy_are_listed_with_the_other_problems():
    torch = pytest.importorskip("torch")
    state = {"weight": torch.ones(2, 3).to(torch.float8_e5m2), "bias": torch.ones(2)}
    with pytest.raises(ValueError, match=r"load_state_dict.*\n  weight: .*Float8"):
        nn.Linear(3, 2).load_state_dict(state)


def test_functions_and_layers_have_one_implementation():
    assert nn.ELU.function is F.elu and nn.GELU.function is F.gelu
