"""Norms with an activation in the same kernels; their values and gradients are rows of the table in tests/cases."""

import copy
import functools
import pickle

import numpy as np
import pytest
from helpers import host

import cunet
import cunet.functional as F
from cunet import nn
from cunet.autograd.tensor import Tensor
from cunet.kernels import listening
from cunet.ops.activation.registry import ACTIVATIONS
from cunet.ops.norm import epilogue
from cunet.ops.norm.batch_norm import batch_norm_inference, batch_norm_training

FUSABLE = sorted(name for name, entry in ACTIVATIONS.items() if entry.fusable)
NORMS = [
    lambda **kw: nn.BatchNorm1d(6, **kw),
    lambda **kw: nn.BatchNorm(6, axis=-1, stats="population", **kw),
    lambda **kw: nn.InstanceNorm1d(6, affine=True, track_running_stats=True, **kw),
    lambda **kw: nn.GroupNorm(2, 6, **kw),
    lambda **kw: nn.LayerNorm(6, **kw),
    lambda **kw: nn.RMSNorm(6, **kw),
]


def trained(layer, activation, x, gy):
    """Return y, all gradients and buffers of a layer in training, and y in evaluation."""
    tensor = Tensor(x, requires_grad=True)
    y = layer(tensor) if activation is None else activation(layer(tensor))
    y.backward(gy)
    found = [y.data, tensor.grad, *(p.grad for p in layer.parameters()), *(b.data for _, b in layer.named_buffers())]
    with layer.evaluating():
        y = layer(x) if activation is None else activation(layer(x))
    return [host(a) for a in (*found, y.data)]


@pytest.mark.parametrize("make", NORMS, ids=["batch", "population", "instance", "group", "layer", "rms"])
@pytest.mark.parametrize("name", ["leaky_relu", "tanh"])
def test_a_layer_with_an_activation_does_what_two_layers_do(make, name, rng, dev):
    x, gy = (dev(rng.normal(size=(5, 6, 6))) for _ in range(2))
    layers = [make(dtype=np.float64), make(dtype=np.float64, activation=name)]
    for layer in layers:
        layer.to("gpu" if host(x) is not x else "cpu")
        for p, k in zip(layer.parameters(), (1, 2), strict=False):
            p.data = p.data + dev(np.linspace(-0.5, 0.4, p.size).reshape(p.shape) * k)
    apart, fused = trained(layers[0], ACTIVATIONS[name].function, x, gy), trained(layers[1], None, x, gy)
    assert len(apart) == len(fused) >= 4
    for a, b in zip(apart, fused, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", FUSABLE)
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_each_kernel_does_what_two_do_one_after_the_other(name, dtype, rng, dev):
    """Also where the mean is far from 0, and where values are all the same."""
    values = rng.normal(size=(66, 40)) + 4096 * (np.arange(66) % 3 == 0)[:, None]
    values[5] = 3
    x, gy = dev(values.astype(dtype)), dev(rng.normal(size=values.shape).astype(dtype))
    w, b, factor = (dev(rng.normal(size=(1, 40)).astype(dtype)) for _ in range(3))
    function = functools.partial(F.hardtanh, min_val=-0.5, max_val=0.75) if name == "hardtanh" else name
    how, plain = epilogue.activated("test", function), epilogue.PLAIN
    fused, f = how.kernels, how.numbers

    def back(z):
        return how.way_back(gy, how.kept(z, how.apply(z)))

    z, *statistics = plain.rows(x, w, b, 1e-5)
    mean, _, rstd = statistics
    near(fused.rows(x, w, b, 1e-5, *f), (how.apply(z), *statistics))
    near(fused.normalize(x, mean, rstd, w, b, *f), how.apply(plain.normalize(x, mean, rstd, w, b)))
    gz = back(plain.normalize(x, mean, rstd, w, b))
    near(fused.gradient(gy, x, mean, rstd, w, b, *f), gz)
    more = (w, b, *f)
    for axis in (0, 1):
        sums = plain.sums(gz, x, mean, rstd, factor, axis=(axis,), keepdims=True)
        near(fused.sums(gy, x, mean, rstd, factor, *more, axis=(axis,), keepdims=True), sums)
    total, dot = plain.sums(gz, x, mean, rstd, w, axis=(1,), keepdims=True)
    expected = plain.backward(gz, x, mean, rstd, w, total, dot, 1 / 40)
    near(fused.backward(gy, x, mean, rstd, w, total, dot, 1 / 40, b, *f), expected)
    for centred in (1.0, 0.0):
        expected = plain.rows_backward(gz, x, mean, rstd, w, centred)
        near(fused.rows_backward(gy, x, mean, rstd, w, centred, b, *f), expected)
    z, rstd = plain.rms_rows(x, w, 1e-5)
    near(fused.rms_rows(x, w, 1e-5, *f), (how.apply(z), rstd))


def test_the_ends_of_flat_parts_are_flat_in_each_kernel(dev):
    how = epilogue.activated("test", functools.partial(F.hardtanh, min_val=-0.5, max_val=0.75))
    x = dev(np.array([[-0.5, 0.75, 0.25]] * 64, np.float32))
    gy = dev(np.full(x.shape, 2.0, np.float32))
    row, column = (dev(np.ones(shape, np.float32)) for shape in ((64, 1), (1, 3)))
    more = (0.0, *how.numbers)
    assert host(how.kernels.gradient(gy, x, 0.0, column, 1.0, *more))[0].tolist() == [0, 0, 2]
    gx = host(how.kernels.rows_backward(gy, x, 0.0, row, 1.0, 1.0, *more))
    assert gx[0] == pytest.approx([1 / 12 - 2 / 3, -1 / 8 - 2 / 3, 2 - 1 / 24 - 2 / 3], rel=1e-5)
    sums = how.kernels.sums(gy, x, 0.0, column, 1.0, 1.0, *more, axis=(0,), keepdims=True)
    assert [host(a).tolist() for a in sums] == [[[0, 0, 128]], [[0, 0, 32]]]


def near(found, expected):
    pairs = zip(found, expected, strict=True) if isinstance(found, tuple) else [(found, expected)]
    for a, e in ((host(a), host(e)) for a, e in pairs):
        assert a.dtype == e.dtype and a.shape == e.shape
        unit = np.finfo(a.dtype).eps
        np.testing.assert_allclose(a, e, rtol=16 * unit, atol=16 * unit * np.abs(e).max())


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("relu", "relu"),
        (F.relu, "relu"),
        (nn.ReLU(), "relu"),
        (functools.partial(F.leaky_relu, negative_slope=0.2), "leaky_relu(negative_slope=0.2)"),
        (nn.LeakyReLU(0.2), "leaky_relu(negative_slope=0.2)"),
        (nn.GELU("tanh"), "gelu(approximate='tanh')"),
    ],
    ids=["name", "function", "layer", "partial", "layer with options", "tanh for gelu"],
)
def test_what_an_activation_may_be_given_as(given, shown):
    layer = nn.LayerNorm(3, activation=given)
    assert repr(layer) == f"LayerNorm((3,), eps=1e-05\n  (activation): {shown}\n)"
    x = np.array([[-3.0, 1.0, 2.0]])
    expected = layer(x).data
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert (other(x).data == expected).all()
    assert list(layer.state_dict()) == ["weight", "bias"]


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ("rleu", ValueError, r"LayerNorm: activation must be None, one of celu, elu,.* got 'rleu'"),
        (nn.Softmax(), ValueError, r"LayerNorm: activation must .*got <function softmax"),
        (F.prelu, ValueError, r"LayerNorm: activation must .*got <function prelu"),
        (functools.partial(F.elu, 2.0), ValueError, r"LayerNorm: activation must .*got functools.partial"),
        (functools.partial(F.elu, slope=2.0), TypeError, "elu.* 'slope'"),
        (functools.partial(F.softplus, beta=-1.0), ValueError, "softplus: beta must be > 0, got -1.0"),
    ],
    ids=["name", "over rows", "with a weight", "by position", "unknown option", "bad option"],
)
def test_what_it_may_not_be(given, error, text):
    with pytest.raises(error, match=text):
        nn.LayerNorm(3, activation=given)


def test_ops_name_themselves():
    with pytest.raises(ValueError, match=r"^rms_norm: activation must"):
        F.rms_norm(np.ones((2, 3)), 3, activation="nothing")


def test_folding_a_batch_norm_keeps_its_activation(rng):
    model = nn.Sequential(nn.Linear(4, 5, bias=False), nn.BatchNorm1d(5, activation=nn.LeakyReLU(0.3)), nn.Linear(5, 2))
    x = rng.normal(size=(16, 4)).astype(np.float32)
    model(x)
    model.eval()
    folded = nn.fold_batch_norm(model)
    assert not any(isinstance(m, nn.BatchNorm) for m in folded.modules())
    np.testing.assert_allclose(folded(x).data, model(x).data, rtol=1e-5, atol=1e-6)
    assert (model[0](x).data < 0).any()


@pytest.mark.parametrize("name", ["relu", "relu6", "hardtanh", "hardsigmoid", "threshold"])
def test_flat_parts_let_no_gradient_through(name, dev):
    """Not even an infinite one: 0 * inf would be NaN."""
    x = dev(np.array([[-300.0], [-100.0], [100.0], [300.0]], np.float32))
    mean, var = dev(np.zeros(1, np.float32)), dev(np.ones(1, np.float32))
    tensor = Tensor(x, requires_grad=True)
    y = batch_norm_inference(tensor, mean, var, eps=0.0, activation=name)
    y.backward(dev(np.array([[np.inf], [np.inf], [1.0], [1.0]], np.float32)))
    linear = name in ("relu", "threshold")
    assert host(tensor.grad).ravel().tolist() == [0, 0, linear, linear]


def test_what_is_kept_for_backward_is_the_input(rng, dev):
    """Between norm and activation no array is made: that is what they share kernels for."""
    x = dev(rng.normal(size=(64, 8)).astype(np.float32))
    if host(x) is x and not cunet.native.enabled():
        pytest.skip("NumPy keeps the norm's result, rather than compute it again")
    calls = []

    def note(kernel, args, options, proceed):
        calls.append(kernel)
        return proceed()

    with listening(note):
        batch_norm_training(x, activation="elu")
    assert [k.name for k in calls if "elu" in k.name] == ["normalize_elu"]
    assert not any(k.name == "normalize" and k.spec.kind == "elementwise" for k in calls)
