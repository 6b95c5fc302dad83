"""Weight norm and spectral norm: the papers' formulas, PyTorch's states and steps, and that they can be recorded."""

import copy
import math

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Generator, nn
from cunet.nn.utils.parametrizations import spectral_norm, weight_norm
from cunet.nn.utils.parametrize import is_parametrized, remove_parametrizations
from cunet.testing import gradcheck

LAYERS = {
    "Linear": ((4, 3), (5, 4)),
    "Conv2d": ((2, 3, 3), (2, 2, 5, 5)),
    "ConvTranspose1d": ((2, 3, 3), (2, 2, 5)),
}


def made(norm, device, name="Linear", **options):
    arguments, shape = LAYERS[name]
    layer = norm(getattr(nn, name)(*arguments, dtype=np.float64, generator=Generator(1)), **options)
    return layer.to(device), shape


def originals(layer):
    return layer.parametrizations["weight"]


def test_weight_norm_is_length_times_direction(device, dev, rng):
    layer, _ = made(weight_norm, device)
    before = host(layer.weight).copy()
    g, v = (rng.standard_normal(shape) for shape in ((3, 1), (3, 4)))
    g[0], v[1] = -0.5, 1e-7 * v[1]  # a length may change its sign, and a direction be short
    originals(layer).original0.data, originals(layer).original1.data = dev(g), dev(v)
    for row, length, direction in zip(host(layer.weight), g, v, strict=True):
        norm = math.sqrt(math.fsum(float(c) ** 2 for c in direction))
        np.testing.assert_allclose(row, [float(length[0]) * float(c) / norm for c in direction], rtol=1e-12)
    layer.weight = dev(before)
    np.testing.assert_allclose(host(layer.weight), before, rtol=1e-14)


@pytest.mark.parametrize(("dim", "axes", "shape"), [(1, 0, (1, 4)), (None, None, ()), (-1, None, ())])
def test_weight_norm_along_other_axes(dim, axes, shape, device):
    layer, _ = made(weight_norm, device, dim=dim)
    g = host(originals(layer).original0)
    assert g.shape == shape
    np.testing.assert_allclose(g, np.linalg.norm(host(originals(layer).original1), axis=axes, keepdims=dim == 1))


def test_no_gradient_by_the_direction_changes_its_length(device, dev, rng):
    layer, shape = made(weight_norm, device)
    (layer(dev(rng.standard_normal(shape))) ** 2).sum().backward()
    v = originals(layer).original1
    np.testing.assert_allclose((host(v) * host(v.grad)).sum(axis=1), 0, atol=1e-12)
    assert (host(originals(layer).original0.grad) != 0).all()


@pytest.mark.parametrize("norm", [weight_norm, spectral_norm])
@pytest.mark.parametrize("name", LAYERS)
def test_gradients(norm, name, device, dev, rng):
    layer, shape = made(norm, device, name)
    layer.eval()  # else each call moves the singular vectors
    names = originals(layer)._names

    def run(*arrays):
        for key, array in zip(names, arrays[1:], strict=True):
            setattr(originals(layer), key, array)
        return layer(arrays[0])

    gradcheck(run, dev(rng.standard_normal(shape)), *[getattr(originals(layer), key).data for key in names])


@pytest.mark.parametrize("name", LAYERS)
def test_spectral_norm_makes_the_largest_singular_value_1(name, device, dev, rng):
    layer, shape = made(spectral_norm, device, name)
    x = dev(rng.standard_normal(shape))
    for _ in range(150):
        layer(x)
    first = 1 if "Transpose" in name else 0
    matrix = np.moveaxis(host(layer.eval().weight), first, 0)
    values = np.linalg.svd(matrix.reshape(len(matrix), -1), compute_uv=False)
    assert values[0] == pytest.approx(1, rel=1e-6)
    ratio = host(originals(layer).original) / host(layer.weight)
    np.testing.assert_allclose(ratio, ratio.flat[0], rtol=1e-12)  # nothing but a number


def test_each_call_in_training_makes_one_step_and_evaluation_none(device, dev, rng):
    layer, shape = made(spectral_norm, device, n_power_iterations=2)
    x, how = dev(rng.standard_normal(shape)), getattr(originals(layer), "0")
    w = host(originals(layer).original)
    v = host(how._v).copy()
    layer(x)
    for _ in range(2):
        u = w @ v / np.linalg.norm(w @ v)
        v = w.T @ u / np.linalg.norm(w.T @ u)
    np.testing.assert_allclose(host(how._u), u, rtol=1e-12)
    np.testing.assert_allclose(host(how._v), v, rtol=1e-12)
    np.testing.assert_allclose(host(layer.eval().weight), w / (u @ w @ v), rtol=1e-12)
    layer(x)
    np.testing.assert_allclose(host(how._v), v, rtol=1e-12)


@pytest.mark.parametrize("norm", [weight_norm, spectral_norm])
@pytest.mark.parametrize("name", LAYERS)
def test_states_and_steps_are_those_of_pytorch(norm, name, device, dev, rng):
    torch = pytest.importorskip("torch")
    arguments, shape = LAYERS[name]
    theirs = getattr(torch.nn.utils.parametrizations, norm.__name__)(getattr(torch.nn, name)(*arguments).double())
    layer, _ = made(norm, device, name)
    layer.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    x = rng.standard_normal(shape)
    for _ in range(2):
        layer.zero_grad()
        theirs.zero_grad()
        ((y := layer(dev(x))) ** 2).sum().backward()
        ((expected := theirs(torch.tensor(x))) ** 2).sum().backward()
    np.testing.assert_allclose(host(y), expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    for key, parameter in theirs.named_parameters():
        np.testing.assert_allclose(host(dict(layer.named_parameters())[key].grad), parameter.grad.numpy(), rtol=1e-8)


@pytest.mark.parametrize("norm", [weight_norm, spectral_norm])
def test_recorded_steps_have_the_same_bits(norm, device, dev, rng):
    x = dev(rng.standard_normal((6, 4)))

    def trained(compiled):
        layer = norm(nn.Linear(4, 3, dtype=np.float64, generator=Generator(1))).to(device)
        optimizer = cunet.optim.SGD(layer.parameters(), lr=0.1)

        def step(x):
            optimizer.zero_grad()
            loss = (layer(x) ** 2).sum()
            loss.backward()
            optimizer.step()
            return loss

        cunet.manual_seed(3)
        run = cunet.compile(step) if compiled else step
        losses = [host(run(x)).copy() for _ in range(9)]
        return np.stack(losses), {name: host(value) for name, value in layer.state_dict().items()}

    cunet.manual_seed(3)
    losses, state = trained(False)
    cunet.manual_seed(3)
    again, other = trained(True)
    np.testing.assert_array_equal(losses, again)
    assert len(set(losses.tolist())) == 9
    for name in state:
        np.testing.assert_array_equal(state[name], other[name])


def test_copies_are_apart_and_what_was_computed_becomes_plain(device, dev, rng):
    layer, shape = made(spectral_norm, device)
    other = copy.deepcopy(layer)
    originals(other).original.data = originals(other).original.data * 2
    x = dev(rng.standard_normal(shape))
    y = host(layer.eval()(x))
    assert is_parametrized(layer) and is_parametrized(layer, "weight") and not is_parametrized(layer, "bias")
    assert isinstance(layer, nn.Linear) and type(layer).__name__ == "ParametrizedLinear"
    assert remove_parametrizations(layer, "weight") is layer
    assert type(layer) is nn.Linear and sorted(layer.state_dict()) == ["bias", "weight"]
    np.testing.assert_array_equal(host(layer(x)), y)
    assert not is_parametrized(layer) and is_parametrized(other)
    first = host(originals(other).original)
    np.testing.assert_array_equal(host(remove_parametrizations(other, "weight", False).weight), first)


def test_two_weights_of_a_layer_may_be_computed(device, dev, rng):
    layer = nn.LSTM(4, 3)
    x = dev(rng.standard_normal((5, 2, 4)).astype(np.float32))
    before = host(layer.to(device)(x)[0])
    for name in ("weight_ih_l0", "weight_hh_l0"):
        weight_norm(layer, name)
    np.testing.assert_allclose(host(layer(x)[0]), before, rtol=1e-5, atol=1e-6)
    remove_parametrizations(layer, "weight_ih_l0")
    np.testing.assert_allclose(host(layer(x)[0]), before, rtol=1e-5, atol=1e-6)
    assert is_parametrized(layer, "weight_hh_l0") and not is_parametrized(layer, "weight_ih_l0")


@pytest.mark.cpu_only
def test_batch_norm_is_not_folded_into_a_weight_that_is_computed():
    model = nn.Sequential(weight_norm(nn.Linear(4, 3)), nn.BatchNorm1d(3)).eval()
    assert isinstance(nn.fold_batch_norm(model)[1], nn.BatchNorm1d)


@pytest.mark.cpu_only
def test_what_goes_wrong():
    with pytest.raises(ValueError, match=r"weight_norm: name must be .* of Linear \(weight, bias\), got 'gamma'"):
        weight_norm(nn.Linear(2, 2), "gamma")
    with pytest.raises(ValueError, match="weight_norm: dim must be None or an axis of weight, 0 to 1, got 2"):
        weight_norm(nn.Linear(2, 2), dim=2)
    with pytest.raises(ValueError, match="spectral_norm: dim must be an axis of weight, 0 to 1, got 2"):
        spectral_norm(nn.Linear(2, 2), dim=2)
    with pytest.raises(ValueError, match="spectral_norm: n_power_iterations must be an int of at least 1, got 0"):
        spectral_norm(nn.Linear(2, 2), n_power_iterations=0)
    with pytest.raises(ValueError, match="weight_norm: weight must have a shape before it is computed of others"):
        weight_norm(nn.Linear(None, 2))
    layer = weight_norm(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="spectral_norm: weight of ParametrizedLinear is computed already"):
        spectral_norm(layer)
    with pytest.raises(ValueError, match="bias of ParametrizedLinear must be computed, got a plain attribute"):
        remove_parametrizations(layer, "bias")
    with pytest.raises(ValueError, match="leave_parametrized must be True where a weight has several originals"):
        remove_parametrizations(layer, "weight", leave_parametrized=False)
