"""F.batch_norm and F.instance_norm: PyTorch's arguments, and running statistics that the caller keeps."""

import functools

import numpy as np
import pytest
from helpers import host

from cunet import F, Tensor
from cunet import device as backend
from cunet.device import is_gpu_array

SHAPES = [(6, 3), (4, 3, 5), (2, 3, 4, 2)]


def drawn(rng, shape, axis=1):
    channels = shape[axis]
    x = rng.standard_normal(shape) * 2 + 1
    mean, weight, bias = rng.standard_normal((3, channels))
    return x, mean, rng.uniform(0.5, 2, channels), weight, bias


@pytest.mark.parametrize("kind", ["array", "Tensor"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_batch_norm_is_pytorchs_by_position(shape, training, kind, dev, rng):
    torch = pytest.importorskip("torch")
    arrays = drawn(rng, shape)
    given = [torch.tensor(a) for a in arrays]
    given[0].requires_grad = True
    expected = torch.nn.functional.batch_norm(*given, training, 0.3, 1e-3)
    x = Tensor(dev(arrays[0]), requires_grad=True)
    running = [Tensor(dev(a)) if kind == "Tensor" else dev(a.copy()) for a in arrays[1:3]]
    y = F.batch_norm(x, *running, *map(dev, arrays[3:]), training, 0.3, 1e-3)
    assert isinstance(y, Tensor)
    np.testing.assert_allclose(host(y), expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    for ours, theirs in zip(running, given[1:3], strict=True):
        np.testing.assert_allclose(host(ours), theirs.numpy(), rtol=1e-12)
    gy = rng.standard_normal(shape)
    y.backward(dev(gy))
    expected.backward(torch.tensor(gy))
    np.testing.assert_allclose(host(x.grad), given[0].grad.numpy(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("by_input", [True, False])
@pytest.mark.parametrize("shape", [(4, 3, 5), (2, 3, 4, 2), (1, 3, 2, 2, 2)], ids=str)
def test_instance_norm_is_pytorchs_by_position(shape, by_input, dev, rng):
    torch = pytest.importorskip("torch")
    arrays = drawn(rng, shape)
    given = [torch.tensor(a) for a in arrays]
    expected = torch.nn.functional.instance_norm(*given, by_input, 0.3, 1e-3)
    moved = [dev(a.copy()) for a in arrays]
    np.testing.assert_allclose(host(F.instance_norm(*moved, by_input, 0.3, 1e-3)), expected.numpy(), rtol=1e-10)
    for ours, theirs in zip(moved[1:3], given[1:3], strict=True):
        np.testing.assert_allclose(host(ours), theirs.numpy(), rtol=1e-12)


def test_statistics_may_be_left_out_in_training_alone(dev, rng):
    x = dev(rng.standard_normal((4, 3, 5)))
    plain = F.batch_norm(x, None, None, training=True)
    np.testing.assert_array_equal(host(plain), host(F.batch_norm(x, dev(np.zeros(3)), dev(np.ones(3)), training=True)))
    np.testing.assert_allclose(host(F.instance_norm(x)).mean(axis=2), 0, atol=1e-12)
    with pytest.raises(ValueError, match="^batch_norm: running_mean must be given, got None; .* with training=True"):
        F.batch_norm(x, None, None)
    with pytest.raises(ValueError, match="^instance_norm: running_var must be given, got None"):
        F.instance_norm(x, dev(np.zeros(3)), None)


def test_an_array_is_written_in_place_and_a_tensor_gets_a_new_one(dev, rng):
    """Views of the array see it; what a graph holds of the Tensor stays."""
    x = dev(rng.standard_normal((8, 3)))
    array, tensor = dev(np.zeros(3)), Tensor(dev(np.zeros(3)))
    seen, before = array[1:], tensor.data
    for mean in (array, tensor):
        F.batch_norm(x, mean, dev(np.ones(3)), training=True, momentum=1.0)
    np.testing.assert_allclose(host(seen), host(x).mean(axis=0)[1:], rtol=1e-12)
    assert tensor.data is not before and not host(before).any()


def test_evaluation_before_a_training_step_keeps_its_gradient(dev, rng):
    """The array is written in place in between."""
    x, mean, var, weight, bias = drawn(rng, (6, 3))
    gy = rng.standard_normal((6, 3))
    grads = []
    for trains in (False, True):
        w, running = Tensor(dev(weight), requires_grad=True), [dev(mean.copy()), dev(var.copy())]
        y = F.batch_norm(dev(x), *running, w, dev(bias))
        if trains:
            F.batch_norm(dev(3 * x), *running, training=True)
        y.backward(dev(gy))
        grads.append(host(w.grad))
    np.testing.assert_array_equal(*grads)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ">f4"], ids=str)
def test_statistics_keep_their_dtype(dtype, dev, rng):
    x = rng.standard_normal((50, 3))
    mean, var = np.zeros(3, dtype), np.ones(3, dtype)
    running = [mean, var] if dtype == ">f4" else [dev(mean), dev(var)]
    if dtype == ">f4" and is_gpu_array(dev(x)):
        pytest.skip("a GPU has no other byte order")
    F.batch_norm(dev(x, np.float32), *running, training=True, momentum=0.5)
    assert [a.dtype for a in running] == [np.dtype(dtype)] * 2
    np.testing.assert_allclose(host(running[0]).astype(float), x.mean(axis=0) / 2, atol=2e-3)
    np.testing.assert_allclose(host(running[1]).astype(float), (1 + x.var(axis=0, ddof=1)) / 2, rtol=2e-3)


def test_strided_statistics_and_another_channel_axis(dev, rng):
    x = rng.standard_normal((4, 5, 3))
    kept = dev(np.zeros(6))
    F.batch_norm(dev(x), kept[::2], dev(np.ones(6))[::2], training=True, momentum=1.0, axis=-1)
    np.testing.assert_allclose(host(kept)[::2], x.mean(axis=(0, 1)), rtol=1e-12)
    assert not host(kept)[1::2].any()


def test_an_activation_is_applied_in_both_modes(dev, rng):
    x, mean, var, weight, bias = drawn(rng, (6, 3))
    for training in (True, False):
        call = functools.partial(F.batch_norm, dev(x), dev(mean), dev(var), dev(weight), dev(bias), training)
        plain = functools.partial(F.batch_norm, dev(x), dev(mean), dev(var), dev(weight), dev(bias), training)
        np.testing.assert_allclose(host(call(activation="relu")), np.maximum(host(plain()), 0), atol=1e-14)


def test_empty_batches_leave_instance_statistics_alone(dev):
    mean, var = dev(np.zeros(3)), dev(np.ones(3))
    assert F.instance_norm(dev(np.zeros((0, 3, 4))), mean, var).shape == (0, 3, 4)
    assert not host(mean).any() and (host(var) == 1).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"running_mean": np.zeros(2)}, ValueError, r"running_mean must have shape \(C,\) = \(3,\), got \(2,\)"),
        ({"running_var": np.zeros(3, int)}, TypeError, "running_var must be a floating array or Tensor, got int64"),
        ({"running_mean": [0.0, 0.0, 0.0]}, TypeError, "running_mean must be a floating array or Tensor, got list"),
        ({"momentum": None}, ValueError, "momentum must be within .0, 1., the weight of the new, got None"),
        ({"momentum": 1.5}, ValueError, "momentum must be within .0, 1."),
    ],
    ids=["shape", "integers", "list", "no momentum", "momentum"],
)
def test_wrong_statistics_are_named_and_nothing_moves(change, error, message, dev, rng):
    x = dev(rng.standard_normal((4, 3)))
    given = {"running_mean": np.zeros(3), "running_var": np.ones(3)} | change
    given = {k: dev(v) if isinstance(v, np.ndarray) else v for k, v in given.items()}
    with pytest.raises(error, match=f"^batch_norm: {message}"):
        F.batch_norm(x, training=True, **given)
    for value, start in ((given["running_mean"], 0), (given["running_var"], 1)):
        if backend.is_array(value) and value.dtype.kind == "f":
            assert (host(value) == start).all()


@pytest.mark.cpu_only
def test_a_read_only_array_is_refused_before_the_other_moves():
    mean, var = np.zeros(3), np.ones(3)
    var.flags.writeable = False
    with pytest.raises(ValueError, match="^batch_norm: running_var must be writable"):
        F.batch_norm(np.random.default_rng(0).standard_normal((4, 3)), mean, var, training=True)
    assert not mean.any()
    F.batch_norm(np.eye(4, 3), tensor := Tensor(np.zeros(3)), Tensor(var), training=True)  # they get new arrays
    assert tensor.data.any() and (var == 1).all()
