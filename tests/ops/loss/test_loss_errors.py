"""Losses: what they refuse."""

import math

import numpy as np
import pytest
from loss_helpers import run

from cunet import F

bce = F.binary_cross_entropy_with_logits
TWO_ARRAYS = [F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss, F.kl_div, bce]
two_arrays = pytest.mark.parametrize("f", TWO_ARRAYS, ids=lambda f: f.__name__)
inf, nan = math.inf, math.nan


@two_arrays
@pytest.mark.parametrize("other", [(4, 1), (3,), (4, 3, 1), ()], ids=str)
def test_shapes_never_broadcast(f, other, dev):
    shapes = rf"got \(4, 3\) and {str(other).replace('(', '[(]').replace(')', '[)]')}"
    with pytest.raises(ValueError, match=f"{f.__name__}: both arrays must have the same shape, {shapes}"):
        f(dev(np.zeros((4, 3), np.float32)), dev(np.zeros(other, np.float32)))


@two_arrays
def test_integers_only_are_refused(f, dev):
    with pytest.raises(TypeError, match=f"{f.__name__}: an array of floating dtype is required, got int64 and int64"):
        f(dev(np.arange(3)), dev(np.arange(3)))


@pytest.mark.parametrize("f", [*TWO_ARRAYS, F.cross_entropy, F.nll_loss], ids=lambda f: f.__name__)
def test_an_unknown_reduction_is_named(f, dev):
    a = dev(np.zeros((2, 2), np.float32))
    with pytest.raises(ValueError, match=f"{f.__name__}: reduction must be one of .*'mean', 'sum', 'none', got 'avg'"):
        f(a, a, reduction="avg")


@pytest.mark.parametrize("f", [F.cross_entropy, F.nll_loss], ids=lambda f: f.__name__)
def test_labels_must_fit_the_logits(f, dev):
    x = dev(np.zeros((4, 3), np.float32))
    with pytest.raises(ValueError, match=r"labels must have the shape of \(4, 3\) without axis 1, \(4,\), got \(5,\)"):
        f(x, dev(np.zeros(5, np.int64)))
    with pytest.raises(ValueError, match=r"labels must have the shape .*, \(4,\), got \(4, 1\)"):
        f(x, dev(np.zeros((4, 1), np.int64)))
    with pytest.raises(TypeError, match="target must hold class labels of integer dtype, got bool"):
        f(x, dev(np.zeros(4, bool)))
    with pytest.raises(ValueError, match=rf"{f.__name__}: weight must have shape \(C,\) = \(3,\), got \(4,\)"):
        f(x, dev(np.zeros(4, np.int64)), weight=[1, 1, 1, 1])
    with pytest.raises(ValueError, match=rf"{f.__name__}: axis 2 must hold at least one class, got shape \(4, 3\)"):
        f(x, dev(np.zeros(4, np.int64)), axis=2)
    with pytest.raises(TypeError, match="must be an array of floating dtype, got int64"):
        f(dev(np.zeros((4, 3), np.int64)), dev(np.zeros(4, np.int64)))


def test_probabilities_must_fit_the_logits(dev):
    with pytest.raises(ValueError, match=r"must have the shape of input \(4, 3\), got \(4,\).*integer dtype"):
        F.cross_entropy(dev(np.zeros((4, 3), np.float32)), dev(np.zeros(4, np.float32)))


@pytest.mark.parametrize("wrong", [3, -1, 2**40, -(2**40)])
@pytest.mark.parametrize("options", [{}, {"weight": [1.0, 2.0, 3.0]}, {"label_smoothing": 0.1}], ids=str)
@pytest.mark.parametrize("f", [F.cross_entropy, F.nll_loss], ids=lambda f: f.__name__)
def test_a_label_out_of_range(f, options, wrong, device, dev):
    """An error on the CPU; on the GPU, where it would cost a synchronisation, NaN and nothing read out of bounds."""
    if f is F.nll_loss and "label_smoothing" in options:
        pytest.skip("no such option")
    x, t = np.zeros((3, 3)), [0, wrong, -100]
    if device == "cpu":
        with pytest.raises(ValueError, match=rf"labels must be 0 to 2, or ignore_index = -100; got {wrong}"):
            run(f, x, t, dev=dev, **options)
        return
    y, gx = run(f, x, t, dev=dev, reduction="none", **options)
    assert np.isnan(y).tolist() == [False, True, False]
    assert np.isnan(gx[1]).all()
    assert np.isfinite(gx[[0, 2]]).all()


@pytest.mark.parametrize(
    ("f", "options", "message"),
    [
        (F.huber_loss, {"delta": 0}, "huber_loss: delta must be above 0, got 0"),
        (F.huber_loss, {"delta": nan}, "huber_loss: delta must be above 0, got nan"),
        (F.smooth_l1_loss, {"beta": -1}, "smooth_l1_loss: beta must be at least 0, got -1"),
        (bce, {"pos_weight": [1.0, 2.0]}, r"pos_weight must broadcast to the shape of input \(4, 3\), got \(2,\)"),
        (bce, {"weight": np.ones((1, 4, 3)).tolist()}, r"weight must broadcast .* \(4, 3\), got \(1, 4, 3\)"),
    ],
    ids=lambda part: getattr(part, "__name__", str(part)),
)
def test_options_out_of_range(f, options, message, dev):
    a = dev(np.zeros((4, 3), np.float32))
    with pytest.raises(ValueError, match=message):
        f(a, a, **options)


@pytest.mark.parametrize("smoothing", [-0.1, 1.5, nan])
def test_label_smoothing_must_be_a_share(smoothing, dev):
    with pytest.raises(ValueError, match=f"label_smoothing must be from 0 to 1, got {smoothing}"):
        F.cross_entropy(dev(np.zeros((2, 3), np.float32)), dev(np.zeros(2, int)), label_smoothing=smoothing)


def test_a_weight_on_the_other_device_is_refused(device, dev):
    if device == "cpu":
        pytest.skip("needs two devices")
    with pytest.raises(TypeError, match="cross_entropy: weight is on the cpu, all else on the gpu"):
        F.cross_entropy(dev(np.zeros((2, 3), np.float32)), dev(np.zeros(2, int)), weight=np.ones(3, np.float32))
