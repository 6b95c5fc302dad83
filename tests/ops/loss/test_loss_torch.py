"""Losses, values and gradients, in all combinations of options: PyTorch is the second oracle where it is installed."""

import itertools

import numpy as np
import pytest
from loss_helpers import compare

from cunet import F

bce = F.binary_cross_entropy_with_logits


REDUCTIONS = ("mean", "sum", "none")


@pytest.mark.parametrize("shape", [(6, 4), (3, 4, 5), (2, 4, 2, 3), (4,)], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("f", [F.cross_entropy, F.nll_loss], ids=lambda f: f.__name__)
def test_labels_as_in_pytorch(f, weighted, shape, rng, dev):
    weight = rng.uniform(0.5, 2, 4) if weighted else None
    smoothings = (0.0, 0.1, 1.0) if f is F.cross_entropy else (None,)
    for reduction, ignored, smoothing in itertools.product(REDUCTIONS, (-100, 2), smoothings):
        options = {"reduction": reduction, "ignore_index": ignored}
        if smoothing is not None:
            options["label_smoothing"] = smoothing
        x = 3 * rng.standard_normal(shape)
        t = rng.integers(0, 4, shape[:1] + shape[2:] if len(shape) > 1 else ())
        t[...] = np.where((t == 3) & (t.ndim > 0), ignored, t)
        t.reshape(-1)[0] = 1
        compare(
            lambda x, t, o=options: f(x, t, weight=None if weight is None else dev(weight), **o),
            lambda torch, x, t, o=options: getattr(torch.nn.functional, f.__name__)(
                x, t, weight=None if weight is None else torch.tensor(weight), **o
            ),
            (x, t),
            dev,
            rng,
        )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_probabilities_as_in_pytorch(weighted, smoothing, reduction, rng, dev):
    weight = rng.uniform(0.5, 2, 4) if weighted else None
    options = {"reduction": reduction, "label_smoothing": smoothing}
    for shape in ((5, 4), (2, 4, 3), (4,)):
        q = rng.uniform(0, 1, shape)
        compare(
            lambda x, q: F.cross_entropy(x, q, weight=None if weight is None else dev(weight), **options),
            lambda torch, x, q: torch.nn.functional.cross_entropy(
                x, q, weight=None if weight is None else torch.tensor(weight), **options
            ),
            (3 * rng.standard_normal(shape), q),
            dev,
            rng,
            differentiable=(0, 1),
        )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("positive", [False, True])
def test_binary_cross_entropy_as_in_pytorch(positive, weighted, reduction, rng, dev):
    factors = {}
    if weighted:
        factors["weight"] = rng.uniform(0.5, 2, (5, 1))
    if positive:
        factors["pos_weight"] = rng.uniform(0.5, 2, 4)
    compare(
        lambda z, t: bce(z, t, reduction=reduction, **{k: dev(v) for k, v in factors.items()}),
        lambda torch, z, t: torch.nn.functional.binary_cross_entropy_with_logits(
            z, t, reduction=reduction, **{k: torch.tensor(v) for k, v in factors.items()}
        ),
        (8 * rng.standard_normal((5, 4)), rng.uniform(0, 1, (5, 4))),
        dev,
        rng,
        differentiable=(0, 1),
    )


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")  # PyTorch's, about kl_div
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    ("f", "options"),
    [
        (F.mse_loss, {}),
        (F.l1_loss, {}),
        (F.huber_loss, {"delta": 0.7}),
        (F.huber_loss, {"delta": 3}),
        (F.smooth_l1_loss, {"beta": 0.7}),
        (F.smooth_l1_loss, {"beta": 0}),
        (F.kl_div, {}),
        (F.kl_div, {"log_target": True}),
    ],
    ids=lambda v: getattr(v, "__name__", str(v)),
)
def test_two_arrays_as_in_pytorch(f, options, reduction, rng, dev):
    x, y = rng.standard_normal((4, 6)), rng.uniform(0.1, 1, (4, 6))
    for how in (reduction, "batchmean") if f is F.kl_div and reduction == "mean" else (reduction,):
        compare(
            lambda a, b, how=how: f(a, b, reduction=how, **options),
            lambda torch, a, b, how=how: getattr(torch.nn.functional, f.__name__)(a, b, reduction=how, **options),
            (x, y),
            dev,
            rng,
            differentiable=(0, 1),
        )
