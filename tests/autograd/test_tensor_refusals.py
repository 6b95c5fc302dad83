"""Ways by which a gradient would be lost: arrays of Tensors, lists, complex results, options. All are refused."""

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, Tensor, nn, tensor


@pytest.mark.cpu_only
def test_numpy_reads_a_tensor_on_the_cpu():
    x = tensor([1.0, 2.0])
    assert np.asarray(x) is x.data
    assert np.array(x) is not x.data
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    assert x.numpy() is x.data
    assert np.array([x, x * 2]).tolist() == [[1, 2], [2, 4]]


@pytest.mark.cpu_only
def test_numpy_does_not_read_what_would_lose_a_gradient():
    x = tensor([1.0, 2.0], requires_grad=True)
    for read in (np.asarray, np.array, lambda t: np.asarray([t, t]), lambda t: np.array([[t[0], 1.0]]), np.float64):
        for t in (x, x * 2):
            with pytest.raises(TypeError, match=r"would lose its gradient.*cunet\.stack.*\.detach\(\) or \.numpy\(\)"):
                read(t)
            with cunet.no_grad():
                read(t)
            read(t.detach())
            read(t.numpy())


def test_tensors_in_lists_are_differentiated_or_refused(dev):
    x, y = (Tensor(dev(v, np.float32), requires_grad=True) for v in ([1.0, 2.0], [3.0, 4.0]))
    words = "cunet.stack|not converted silently"
    for make in (
        lambda: Tensor([x, y]),
        lambda: tensor([x, y]),
        lambda: tensor([[x[0], 1.0]]),
        lambda: x * [y[0], 1.0],
        lambda: x + (y[0], y[1]),
        lambda: cunet.exp([x, y]),
        lambda: F.mse_loss([x, y], np.zeros((2, 2), np.float32)),
        lambda: F.linear([x, y], np.ones((1, 2), np.float32)),
        lambda: nn.Linear(2, 1)([x, y]),
        lambda: nn.Parameter([x, y]),
    ):
        with pytest.raises(TypeError, match=words):
            make()
    with pytest.raises(TypeError, match=f"multiply: .*({words})"):
        x * [y[0], 1.0]
    z = cunet.stack([x, y]) * cunet.concatenate([x, y]).reshape(2, 2)
    z.sum().backward()
    assert host(x.grad).tolist() == [2, 4]


@pytest.mark.cpu_only
def test_tensors_in_lists_keep_their_dtype_where_nothing_is_lost():
    x = Tensor(np.array([1.0, 2.0]))
    assert Tensor([x, x]).dtype == np.float64
    assert tensor([x.astype(np.float32)] * 2).data.tolist() == [[1, 2], [1, 2]]


def test_a_complex_result_would_lose_the_gradient(dev):
    x = Tensor(dev([1.0, 2.0]), requires_grad=True)
    wave = dev(np.exp(1j * np.array([0.5, 1.0])))
    for make in (lambda: x * wave, lambda: wave * x, lambda: x + 1j, lambda: x.astype(np.complex128)):
        with pytest.raises(TypeError, match="the result is complex and would lose its gradient"):
            make()
    assert (x.detach() * wave).dtype == np.complex128
    with cunet.no_grad():
        assert (x * wave).dtype == np.complex128


def test_a_recorded_tensor_as_an_option_is_refused(dev):
    x, k = Tensor(dev([1.0, -2.0]), requires_grad=True), Tensor(dev(0.5), requires_grad=True)
    for name, make in [("elu: alpha", lambda a: F.elu(x, alpha=a)), ("clip: limits", lambda a: cunet.clip(x, a, None))]:
        with pytest.raises(TypeError, match=f"{name} gets? no gradient"):
            make(k)
        assert make(k.item()).requires_grad
