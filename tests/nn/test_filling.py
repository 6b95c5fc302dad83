"""nn.init: PyTorch's functions fill weights that are there; the initialisers of cunet.init refuse them."""

import math

import numpy as np
import pytest
from helpers import host, training_step

import cunet
from cunet import F, Tensor, init, nn, optim, random
from cunet.device import device_of

#: Calls, and the initialiser that draws the same values.
SAME = {
    "uniform_": (lambda w, g: nn.init.uniform_(w, -1, 3, g), init.uniform(-1, 3)),
    "normal_": (lambda w, g: nn.init.normal_(w, 1, 2, g), init.normal(1, 2)),
    "trunc_normal_": (lambda w, g: nn.init.trunc_normal_(w, 1, 2, -3, 2, g), init.truncated_normal(1, 2, -2, 0.5)),
    "constant_": (lambda w, g: nn.init.constant_(w, 0.5), init.constant(0.5)),
    "ones_": (lambda w, g: nn.init.ones_(w), init.ones()),
    "zeros_": (lambda w, g: nn.init.zeros_(w), init.zeros()),
    "eye_": (lambda w, g: nn.init.eye_(w), init.eye()),
    "xavier_uniform_": (lambda w, g: nn.init.xavier_uniform_(w, 2, g), init.xavier_uniform(2)),
    "xavier_normal_": (lambda w, g: nn.init.xavier_normal_(w, 2, g), init.xavier_normal(2)),
    "kaiming_uniform_": (
        lambda w, g: nn.init.kaiming_uniform_(w, 0.1, "fan_out", "leaky_relu", g),
        init.kaiming_uniform(0.1, "fan_out"),
    ),
    "kaiming_normal_": (
        lambda w, g: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu", generator=g),
        init.kaiming_normal(mode="fan_out", nonlinearity="relu"),
    ),
    "orthogonal_": (lambda w, g: nn.init.orthogonal_(w, 2, g), init.orthogonal(2)),
    "sparse_": (lambda w, g: nn.init.sparse_(w, 0.3, 0.5, g), init.sparse(0.3, 0.5)),
}


@pytest.mark.parametrize("kind", ["Parameter", "array"])
@pytest.mark.parametrize("name", SAME)
def test_a_weight_is_filled_where_it_lies(name, kind, dev, device):
    fill, initializer = SAME[name]
    array = dev(np.full((7, 5), np.nan, np.float32))
    weight = nn.Parameter(array) if kind == "Parameter" else array
    assert fill(weight, random.Generator(3)) is weight
    assert (weight.data if kind == "Parameter" else weight) is array and device_of(array) == device
    np.testing.assert_array_equal(host(array), initializer((7, 5), random.Generator(3)))


def test_dirac_fills_a_convolution(dev, rng):
    weight = nn.Parameter(dev(np.zeros((4, 2, 3), np.float32)))
    nn.init.dirac_(weight, 2)
    x = rng.standard_normal((1, 4, 6)).astype(np.float32)
    np.testing.assert_array_equal(host(F.conv1d(dev(x), weight, padding=1, groups=2)), x)


def test_delta_orthogonal_fills_a_convolution(dev):
    weight = nn.Parameter(dev(np.ones((4, 2, 3), np.float32)))
    assert nn.init.delta_orthogonal_(weight, 2, random.Generator(3)) is weight
    np.testing.assert_array_equal(host(weight), init.delta_orthogonal(2)((4, 2, 3), random.Generator(3)))


def test_names_are_those_of_the_public_place():
    others = {"calculate_gain", "data_dependent_", "delta_orthogonal_", "dirac_", "fixup_", "lsuv_"}
    assert {*SAME} | others == {*nn.init.__all__}
    assert nn.init.calculate_gain is init.calculate_gain


@pytest.mark.cpu_only
@pytest.mark.parametrize("shape", [(50, 40), (30, 20, 3, 3)], ids=str)
def test_spread_is_that_of_pytorchs(shape):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    for name, options in {
        "xavier_uniform_": {"gain": 2.0},
        "xavier_normal_": {},
        "kaiming_uniform_": {"a": 0.2, "mode": "fan_out"},
        "kaiming_normal_": {"nonlinearity": "relu"},
        "trunc_normal_": {"mean": 0.5, "std": 0.1, "a": 0.45, "b": 0.8},
        "normal_": {"std": 0.3},
        "uniform_": {"a": 1.0, "b": 2.0},
    }.items():
        ours = getattr(nn.init, name)(np.empty(shape, np.float32), **options)
        theirs = getattr(torch.nn.init, name)(torch.empty(shape), **options).numpy()
        bounded = "uniform" in name or "trunc" in name
        for measure in (np.mean, np.std, *([np.min, np.max] if bounded else [])):
            assert abs(measure(ours) - measure(theirs)) < 0.15 * theirs.std(), (name, measure)


@pytest.mark.cpu_only
@pytest.mark.parametrize(("sparsity", "zeros"), [(0.0, 0), (0.25, 2), (0.3, 3), (1.0, 7)])
def test_each_column_of_a_sparse_matrix_has_its_zeros(sparsity, zeros):
    w = nn.init.sparse_(np.empty((7, 300), np.float32), sparsity)
    assert ((w == 0).sum(axis=0) == zeros).all()
    places = np.nonzero(w == 0)[0]
    assert zeros in (0, 7) or (np.bincount(places, minlength=7) > 0.5 * 300 * zeros / 7).all()  # anywhere
    assert zeros == 7 or math.isclose(w[w != 0].std(), 0.01, rel_tol=0.1)


def test_an_optimiser_goes_on_with_the_new_values(dev, rng):
    """Its buffer is the memory of the weights."""
    layer = nn.Linear(3, 2)
    layer.to(device_of(dev(np.zeros(1))))
    optimizer = optim.SGD(layer.parameters(), lr=0.5)
    x = dev(rng.standard_normal((4, 3)), np.float32)

    @training_step
    def step():
        optimizer.zero_grad()
        layer(x).sum().backward()
        optimizer.step()

    for _ in range(6):
        step()
    nn.init.ones_(layer.weight)
    step()
    np.testing.assert_allclose(host(layer.weight), 1 - 0.5 * np.tile(host(x).sum(axis=0), (2, 1)), rtol=1e-5)


def test_a_graph_that_needs_the_old_values_says_so(dev):
    weight = nn.Parameter(dev(np.ones((2, 2))))
    y = (weight * weight).sum()
    nn.init.zeros_(weight)
    with pytest.raises(RuntimeError, match="modified"):
        y.backward()


def test_what_cannot_be_filled_is_named(dev):
    weight = nn.Parameter(dev(np.ones((2, 2))))
    with pytest.raises(
        ValueError, match="^zeros_: tensor must be a leaf, such as a Parameter, got the result of an op"
    ):
        nn.init.zeros_(weight * 2)
    with pytest.raises(TypeError, match="^zeros_: tensor must be a Tensor or an array, got Linear"):
        nn.init.zeros_(nn.Linear(2, 2))
    with pytest.raises(TypeError, match="^normal: dtype must be floating, got int64"):
        nn.init.normal_(dev(np.ones(3, np.int64)))
    with pytest.raises(ValueError, match="^xavier_normal: weight must have at least 2 axes"):
        nn.init.xavier_normal_(dev(np.ones(3)))
    with pytest.raises(ValueError, match="^trunc_normal_: std must be > 0 and a < b, got std=0, a=-2.0, b=2.0"):
        nn.init.trunc_normal_(weight, std=0)
    with pytest.raises(ValueError, match="^trunc_normal_: std must be > 0 and a < b, got std=0.1, a=2, b=1"):
        nn.init.trunc_normal_(weight, std=0.1, a=2, b=1)
    for sparsity in (-0.1, 1.1):
        with pytest.raises(ValueError, match="^sparse: sparsity must be within"):
            nn.init.sparse_(weight, sparsity)
    assert (host(weight) == 1).all()


def test_frozen_weights_views_and_empty_ones_are_filled(dev):
    frozen = nn.Parameter(dev(np.ones((2, 2))), requires_grad=False)
    nn.init.zeros_(frozen)
    whole = dev(np.ones((4, 6), np.float32))
    nn.init.zeros_(whole[::2, 1::2])
    assert not host(frozen).any() and host(whole).sum() == 24 - 6
    assert nn.init.xavier_uniform_(Tensor(dev(np.ones((0, 3))))).shape == (0, 3)


FACTORIES = [name for name in init.__all__ if name not in ("Initializer", "calculate_gain", "fans", "get")]


@pytest.mark.parametrize("name", FACTORIES)
def test_an_initialiser_refuses_a_weight_and_names_what_fills_it(name, dev):
    weight = nn.Parameter(dev(np.ones((2, 2), np.float32)))
    for given in (weight, weight.data):
        with pytest.raises(
            TypeError, match=rf"^{name}: options must be numbers, got a .*; an existing weight is"
        ) as error:
            getattr(init, name)(given)
        filler = str(error.value).split("nn.init.")[1].split("(")[0]
        assert name.startswith("lecun") or hasattr(nn.init, filler)
    assert (host(weight) == 1).all()


@pytest.mark.cpu_only
def test_arrays_of_one_number_are_numbers():
    assert init.constant(np.array(0.5))((2,)).tolist() == [0.5, 0.5]
    assert cunet.init.get(init.xavier_uniform)((2, 2)).shape == (2, 2)
