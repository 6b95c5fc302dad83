"""Train the same MLP from one seed on the CPU and on the device."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from .. import functional, nn, optim, random
from ..autograd.tensor import Tensor
from ..device import Device, asnumpy, to_device

#: How far the losses of the training steps may be apart, relative; a step feeds on the rounding of all before it.
LOSS_BOUNDS = {"float32": 1e-4, "float64": 1e-10}


class RecordingDropout(nn.Dropout):
    """Dropout that records which elements it dropped."""

    def __init__(self, p: float) -> None:
        super().__init__(p)
        self.digests: list[str] = []

    def forward(self, x: Any) -> Tensor:
        """Drop, and keep a digest of where."""
        y = super().forward(x)
        dropped = np.packbits(asnumpy(y.data) == 0)
        self.digests.append(hashlib.blake2b(dropped.tobytes(), digest_size=8).hexdigest())
        return y


def train_mlp(device: Device, dtype: Any, steps: int) -> tuple[list[float], list[str]]:
    """Train an MLP on made-up data; return the loss of each step and a digest of each dropout mask."""
    random.manual_seed(11)
    rng = np.random.default_rng(11)
    x = rng.standard_normal((256, 40)).astype(dtype)
    labels = (x @ rng.standard_normal((40, 10)).astype(dtype)).argmax(axis=1)
    dropout = RecordingDropout(0.25)
    first, last = nn.Linear(40, 64, dtype=dtype), nn.Linear(64, 10, dtype=dtype)
    model = nn.Sequential(first, nn.BatchNorm1d(64, dtype=dtype), nn.ELU(), dropout, last).to(device)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for step in range(steps):
        part = np.arange(step * 64, step * 64 + 64) % len(x)
        inputs, target = (to_device(a[part], device) for a in (x, labels))
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(Tensor(inputs)), target)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.item()))
    return losses, dropout.digests


def compare_training(dtype: str, steps: int) -> dict[str, Any]:
    """Return the losses of the same training on CPU and device, side by side, and whether they are within bounds."""
    (cpu, masks_cpu), (device, masks_device) = (train_mlp(d, dtype, steps) for d in ("cpu", "gpu"))
    distance = float(np.max(np.abs(np.subtract(device, cpu)) / np.abs(cpu)))
    return {
        "dtype": dtype,
        "steps": steps,
        "losses_cpu": cpu,
        "losses_device": device,
        "relative": distance,
        "bound": LOSS_BOUNDS[dtype],
        "masks_identical": masks_cpu == masks_device,
        "holds": distance <= LOSS_BOUNDS[dtype] and masks_cpu == masks_device,
    }
