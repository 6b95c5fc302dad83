"""cunet.functional as a whole: the rules that its functions share."""

import inspect

import numpy as np
import pytest
from helpers import host

from cunet import F, Tensor, nn

INPLACE = [n for n in F.__all__ if "inplace" in inspect.signature(getattr(F, n)).parameters]


@pytest.mark.parametrize("name", INPLACE)
def test_inplace_is_taken_and_changes_nothing(name, dev, rng):
    function, shape = getattr(F, name), (3, 4, *[2] * int(name[7:8] or 0)) if name[:7] == "dropout" else (3, 4)
    values = rng.standard_normal(shape)
    x = dev(values)
    options = {"training": False} if "training" in inspect.signature(function).parameters else {}
    np.testing.assert_array_equal(host(function(x, inplace=True, **options)), host(function(x, **options)))
    np.testing.assert_array_equal(host(x), values)


@pytest.mark.cpu_only
def test_layers_take_inplace_where_pytorchs_do():
    assert {"ReLU", "ELU", "Dropout2d", "Threshold", "Hardtanh"} <= {
        name
        for name, layer in vars(nn).items()
        if isinstance(layer, type) and "inplace" in inspect.signature(layer).parameters
    }
    assert nn.ReLU(True)(np.array([-1.0, 2.0])).data.tolist() == [0, 2]
    assert nn.Dropout(0.5, True).eval()(np.ones(2)).data.tolist() == [1, 1]
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2, activation=nn.ReLU(inplace=True)))
    assert (model(np.ones((3, 2), np.float32)).data >= 0).all()


@pytest.mark.cpu_only
def test_a_generator_in_the_place_of_inplace_is_refused():
    from cunet.random import Generator

    with pytest.raises(
        TypeError, match="^dropout: inplace must be True or False, got .*; a generator is given by name"
    ):
        F.dropout(np.ones(3), 0.5, True, Generator(0))


def test_gumbel_softmax_has_dim_too(dev, rng):
    from cunet.random import Generator

    x = dev(rng.standard_normal((3, 4)))
    results = [
        F.gumbel_softmax(x, 1.0, False, 1e-10, 0, generator=Generator(1)),
        F.gumbel_softmax(x, dim=0, generator=Generator(1)),
        F.gumbel_softmax(x, axis=0, generator=Generator(1)),
    ]
    np.testing.assert_allclose(host(results[0]).sum(axis=0), 1)
    for y in results[1:]:
        np.testing.assert_array_equal(host(y), host(results[0]))


DIM = {
    "softmax": (F.softmax, nn.Softmax),
    "log_softmax": (F.log_softmax, nn.LogSoftmax),
    "glu": (F.glu, nn.GLU),
}


@pytest.mark.parametrize("name", DIM)
def test_dim_and_axis_are_two_names(name, dev, rng):
    function, layer = DIM[name]
    x = dev(rng.standard_normal((4, 2, 6)))
    for axis in (0, 1, 2, -2):
        expected = host(function(x, dim=axis))
        for y in (function(x, axis), function(x, axis=axis), layer(dim=axis)(x), layer(axis)(x), layer(axis=axis)(x)):
            np.testing.assert_array_equal(host(y), expected)
    np.testing.assert_array_equal(host(function(x)), host(function(x, dim=-1)))
    with pytest.raises(TypeError, match=f"^{name}: dim and axis are two names of one argument, got dim=0 and axis=1"):
        function(x, dim=0, axis=1)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_converts_first(name, dev, rng):
    """float16 scores far apart, integers, and a gradient in the dtype of the input."""
    function, layer = DIM[name]
    x = rng.integers(-9, 9, (3, 5))
    expected = host(function(dev(x.astype(np.float64)), dim=1))
    np.testing.assert_array_equal(host(function(dev(x), dim=1, dtype=np.float64)), expected)
    leaf = Tensor(dev(x, np.float16), requires_grad=True)
    y = layer(1, np.float32)(leaf)
    assert y.dtype == np.float32
    np.testing.assert_allclose(host(y), expected, rtol=1e-6)
    y.backward(dev(np.ones((3, 5), np.float32)))
    assert leaf.grad.dtype == np.float16
    with pytest.raises(TypeError, match=f"^{name}: input must be an array of floating dtype, got int64"):
        function(dev(x, np.float32), dtype=np.int64)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_threshold_puts_its_value(dtype, dev):
    x = Tensor(dev([-1.0, 0.5, 0.75, np.inf, np.nan], dtype), requires_grad=True)
    y = F.threshold(x, 0.5, 20)
    np.testing.assert_array_equal(host(y), np.array([20, 20, 0.75, np.inf, np.nan], dtype))
    y.backward(dev(np.ones(5, dtype)))
    np.testing.assert_array_equal(host(x.grad), [0, 0, 1, 1, 1])
    np.testing.assert_array_equal(host(nn.Threshold(0.5, 20)(x)), host(y))


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    ("place", "old", "new"),
    [
        (F, "hard_tanh", "hardtanh"),
        (F, "hard_sigmoid", "hardsigmoid"),
        (F, "hard_swish", "hardswish"),
        (F, "threshold_relu", "threshold"),
        (F, "batch_norm_inference", "batch_norm"),
        (nn, "ThresholdedReLU", "Threshold"),
    ],
)
def test_an_old_name_says_the_new_one(place, old, new):
    with pytest.raises(AttributeError, match=f"^there is no {place.__name__}.{old}; it is called {new}") as error:
        getattr(place, old)
    assert error.value.name == old
    assert hasattr(place, new) and not hasattr(place, old)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        place.nonsense  # noqa: B018


def test_softplus_refuses_a_threshold_that_would_be_seen(dev):
    x = dev(np.linspace(-30, 30, 7))
    np.testing.assert_array_equal(host(F.softplus(x, 1, 20)), host(F.softplus(x)))
    with pytest.raises(ValueError, match="^softplus: threshold must be at least 20, .*got 1"):
        F.softplus(x, threshold=1)


def test_losses_take_target_by_name(dev):
    a, b = dev(np.ones((2, 3))), dev(np.zeros((2, 3)))
    assert F.mse_loss(a, target=b).item() == F.mse_loss(input=a, target=b).item() == 1
    assert F.cross_entropy(input=a, target=dev(np.array([0, 1]))).item() == pytest.approx(np.log(3))
