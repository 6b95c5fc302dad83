"""What the tests of updates share that are no plain ones: their kinds, and a trainer of each."""

import copy

import numpy as np
from checkpoint_helpers import facts

import cunet
from cunet import F, nn, optim
from cunet.train import Schedule, Trainer

#: Options of a Trainer and of `fit`: updates that are made in another way, or looked at.
KINDS = [
    {"clip_norm": 0.1},
    {"accumulate": 3, "clip_value": 0.02},
    {"accumulate": 2, "loss": nn.CrossEntropyLoss(weight=[1.0, 5.0, 0.5])},
    {"on_nan": "raise"},
    {"on_nan": "skip", "accumulate": 2, "clip_norm": 0.1, "clip_value": 0.02},
    {"loss_scale": 1000.0},
    {"loss_scale": "dynamic", "on_nan": "stop", "accumulate": 2, "clip_norm": 0.1},
    {"class_weight": [1.0, 2.0, 0.5]},
    {"class_weight": {1: 3.0}, "accumulate": 2, "loss": F.nll_loss},
    {"sample_weight": np.float32},
    {"sample_weight": np.float64, "class_weight": {0: 2}, "accumulate": 3, "on_nan": "skip", "loss_scale": 8.0},
]


def samples(rng, n=60):
    """Samples of three classes, some of whose labels are ignored."""
    labels = rng.integers(0, 3, n)
    labels[::7] = -100
    return rng.normal(size=(n, 3)).astype(np.float32), labels


def made(mode, loss=F.cross_entropy, callbacks=(), device="cpu", kind=Trainer, **options):
    """Return a trainer with all that moves on from step to step."""
    cunet.manual_seed(3)
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))
    optimizer = optim.Adam(model.parameters(), 0.05)
    callbacks = [Schedule(optim.StepLR(optimizer, 7), "batch"), *callbacks]
    loss = copy.deepcopy(loss)  # whose weights go to the device
    return kind(model, loss, optimizer, callbacks=callbacks, device=device, progress=False, compile=mode, **options)


def fitted(mode, data, rng, class_weight=None, sample_weight=None, epochs=6, resume=None, **options):
    trainer = made(mode, **options)
    weights = None if sample_weight is None else rng.random(len(data[0])).astype(sample_weight)
    trainer.fit(data, None, epochs, resume, batch_size=8, class_weight=class_weight, sample_weight=weights)
    return trainer


def halved(rng, batches, **options):
    """Train by a scale that overflows at first, with the bits of what is not recorded; return the report of it."""
    data = [(x, 100 * x) for x, _ in (samples(rng, 8) for _ in range(batches))]
    trainers = []
    for mode in (False, "auto"):
        trainers.append(made(mode, F.mse_loss, loss_scale="dynamic", clip_norm=1.0, **options))
        trainers[-1].updates.scale.value = 2.0**127  # gradients overflow until it is smaller
        trainers[-1].fit(data)
    assert facts(trainers[0]) == facts(trainers[1])
    scales = [t.updates.scale.value for t in trainers]
    assert scales[0] == scales[1] < 2.0**125
    return trainers[1].reports()["fit"]
