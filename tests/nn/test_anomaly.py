"""detect_anomaly names the op, the layer and the line where NaN or an infinity began."""

import copy

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, nn


class Root(nn.Module):
    def __init__(self):
        self.scale = nn.Parameter(np.ones(3, np.float32))

    def forward(self, x):
        return cunet.sqrt(x * self.scale)  # the line of the fault


@pytest.fixture
def t(dev):
    return lambda values, grad=True: cunet.Tensor(dev(np.array(values, np.float32)), requires_grad=grad)


def test_the_op_the_layer_and_the_line_of_a_value(device, t):
    model = nn.Sequential(nn.Identity(), nn.Sequential(nn.Identity(), Root())).to(device)
    x = t([[1, 4, -9]], grad=False)
    with cunet.detect_anomaly(), pytest.raises(cunet.Anomaly) as caught:
        model(x)
    error = caught.value
    assert (error.op, error.backward, error.module) == ("sqrt", False, "1.1")
    assert error.file == __file__ and error.line == Root.forward.__code__.co_firstlineno + 1
    assert "sqrt made NaN in 1 of 3 values, of shape (1, 3) of finite values in 1.1 (Root), called at" in str(error)
    assert str(error).endswith("return cunet.sqrt(x * self.scale)  # the line of the fault")


def test_an_infinity_that_an_op_makes(t):
    x = t([1.0, 0.0])
    with cunet.detect_anomaly(), pytest.raises(cunet.Anomaly, match="log made infinity in 1 of 2 values"):
        cunet.log(x)
    with cunet.detect_anomaly(), pytest.raises(cunet.Anomaly, match="exp made infinity"):
        cunet.exp(x * 1000)


def test_the_gradient_of_an_op_and_where_it_was_called(t):
    x = t([4.0, 0.0])
    with cunet.detect_anomaly():
        y = cunet.sqrt(x)
        loss = (y * 2).sum()
    with pytest.raises(cunet.Anomaly, match="backward of sqrt made infinity in 1 of 2 values") as caught:
        loss.backward()
    assert caught.value.backward and caught.value.op == "sqrt" and caught.value.file == __file__
    assert x.grad is None


def test_a_mask_of_infinities_is_no_anomaly_but_what_comes_of_it_is(t, dev):
    scores = t([[1.0, 2.0], [3.0, 4.0]])
    with cunet.detect_anomaly():
        masked = cunet.where(dev(np.array([[True, False], [True, True]])), scores, -np.inf)
        F.softmax(masked).sum().backward()
        with pytest.raises(cunet.Anomaly, match="subtract made NaN in 1 of 4 values, .* of infinities"):
            masked - masked
    assert np.isfinite(host(scores.grad)).all()


def test_nan_that_came_from_outside_is_named(t):
    with cunet.detect_anomaly(), pytest.raises(cunet.Anomaly, match="multiply was given NaN that no watched op made"):
        t([1.0, 2.0]) * t([np.nan, 1.0], grad=False)


def test_a_loss_that_is_nan(t):
    with cunet.detect_anomaly(), pytest.raises(cunet.Anomaly, match="mse_loss made infinity in 1 of 1 values"):
        F.mse_loss(t([3e38]), t([-3e38], grad=False))


def test_results_are_the_same_and_it_ends_with_the_block(device, dev, rng):
    x, y = dev(rng.standard_normal((8, 3)).astype(np.float32)), dev(np.arange(8) % 2)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)).to(device)
    other = copy.deepcopy(model)
    with cunet.detect_anomaly():
        F.cross_entropy(model(x), y).backward()
    F.cross_entropy(other(x), y).backward()
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(host(a.grad), host(b.grad))
    assert np.isnan(host(cunet.log(-(cunet.Tensor(x, requires_grad=True) ** 2)).data)).any()


def test_no_grad_stays_what_it_is_and_value_and_grad_is_watched(t):
    x = t([1.0, -1.0])
    with cunet.no_grad(), cunet.detect_anomaly():
        assert not cunet.is_recording() and not cunet.sqrt(x).requires_grad
    with cunet.detect_anomaly():
        assert cunet.is_recording() is True
        with cunet.no_grad():
            assert not cunet.is_recording()
        with pytest.raises(cunet.Anomaly, match="sqrt made NaN"):
            cunet.value_and_grad(lambda v: cunet.sqrt(v).sum())(host(x.data))


def test_second_derivatives_are_watched(dev):
    def slope(f):
        return lambda x: cunet.grad(lambda x: f(x).sum())(x)

    with cunet.detect_anomaly():
        found = slope(slope(lambda x: x**3))(dev(np.array([1.0, 2.0])))
        np.testing.assert_allclose(host(found), [6, 12])
        with pytest.raises(cunet.Anomaly, match="detect_anomaly"):
            slope(slope(lambda x: cunet.sqrt(x) * x))(dev(np.array([0.0])))
