"""Losses as classes."""

import numpy as np
import pytest
from helpers import host

from cunet import F, nn

bce = F.binary_cross_entropy_with_logits


def test_classes_hold_the_options(rng, device, dev):
    x, t = dev(rng.uniform(-3, 3, (5, 3))), dev(np.array([0, 1, -100, 2, 2]))
    loss = nn.CrossEntropyLoss([1.0, 2.0, 3.0], label_smoothing=0.1, reduction="sum").to(device)
    assert host(loss(x, t)) == host(F.cross_entropy(x, t, weight=[1, 2, 3], label_smoothing=0.1, reduction="sum"))
    assert "label_smoothing=0.1" in repr(loss)
    assert list(dict(loss.named_buffers())) == ["weight"]
    assert not list(loss.parameters())


def test_every_loss_has_its_class(rng, dev):
    a, b = dev(rng.uniform(0.1, 0.9, (4, 3))), dev(rng.uniform(0.1, 0.9, (4, 3)))
    for name, f in {
        "MSELoss": F.mse_loss,
        "L1Loss": F.l1_loss,
        "SmoothL1Loss": F.smooth_l1_loss,
        "HuberLoss": F.huber_loss,
        "KLDivLoss": F.kl_div,
        "BCEWithLogitsLoss": bce,
    }.items():
        assert host(getattr(nn, name)(reduction="sum")(a, b)) == host(f(a, b, reduction="sum"))
    labels = dev(np.array([0, 1, 2, 1]))
    assert host(nn.NLLLoss(ignore_index=1)(a, labels)) == host(F.nll_loss(a, labels, ignore_index=1))


def test_a_class_names_what_it_does_not_know():
    with pytest.raises(TypeError, match=r"MSELoss: .*'beta'; its options are \(reduction\)"):
        nn.MSELoss(beta=1)
