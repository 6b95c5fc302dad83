"""Mixtures: images and labels are mixed by the same share."""

import numpy as np
import pytest
from helpers import host

from cunet import nn
from cunet.data import CutMix, MixUp
from cunet.random import Generator
from cunet.train import Trainer


def constant(n=6):
    """Images of which each pixel is the label."""
    labels = np.arange(n)
    return np.broadcast_to(labels[:, None, None, None], (n, 1, 16, 16)).astype(np.float32), labels


@pytest.mark.parametrize("kind", [MixUp, CutMix])
def test_labels_are_shared_as_pixels_are(kind, dev):
    x, labels = constant()
    shares = []
    for seed in range(12):
        y, q = kind(6, 1.0, Generator(seed, "mix"))(dev(x), dev(labels))
        np.testing.assert_allclose(host(y).mean(axis=(1, 2, 3)), host(q) @ labels, rtol=1e-5)
        np.testing.assert_allclose(host(q).sum(axis=1), 1, rtol=1e-6)
        assert q.dtype == np.float32 and y.dtype == np.float32
        shares.append(np.sort(host(q), axis=1)[:, -2].max())  # of the other one
    assert max(shares) > 0.3 and len({round(float(s), 3) for s in shares}) > 6


def test_cut_is_one_rectangle(dev):
    x, labels = constant()
    y = host(CutMix(6, 1.0, Generator(3, "mix"))(dev(x), dev(labels))[0])
    for picture, label in zip(y[:, 0], labels, strict=True):
        rows, columns = np.nonzero(picture != label)
        if len(rows):
            box = picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            assert len(np.unique(box)) == 1 and box.size == len(rows)


def test_wrong_labels_are_refused(dev):
    x, labels = constant()
    for rest in ((), (dev(labels), dev(labels)), (dev(labels[:3]),), (dev(labels.astype(np.float32)),)):
        with pytest.raises(ValueError, match="MixUp: labels must be integers .*, got "):
            MixUp(6)(dev(x), *rest)


def test_a_trainer_learns_from_mixtures(device, dev, rng):
    labels = rng.integers(0, 2, 64)
    x = rng.standard_normal((64, 1, 4, 4)).astype(np.float32) + 2 * labels[:, None, None, None].astype(np.float32)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    trainer = Trainer(model, "cross_entropy", "adam", augment=MixUp(2), device=device, progress=False)
    history = trainer.fit((dev(x), dev(labels)), (dev(x), dev(labels)), epochs=6, batch_size=16)
    assert history[-1]["valid_loss"] < history[0]["valid_loss"]
