"""What of a step is recorded whole: nothing of it is done by Python in a replay."""

import math

import numpy as np
import pytest

import cunet
from cunet import functional as F
from cunet import nn, optim
from cunet.kernels.backends.native import native
from cunet.kernels.backends.native.plans import library

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(not native.active or library() is None, reason="only compiled kernels are recorded"),
]

SHAPE = (6, 5, 16)


class Heads(nn.Module):
    """Attention by hand, with sums, products by numbers, and parts that are cut and joined."""

    def __init__(self):
        super().__init__()
        self.projections, self.norm = nn.Linear(16, 48), nn.LayerNorm(16)

    def forward(self, x):
        q, k, v = cunet.split(self.projections(x), 3, axis=-1)
        y = F.scaled_dot_product_attention(q, k, v)
        y = self.norm(cunet.concatenate([y, cunet.multiply(x, 0.5) + 1.0], axis=1)).mean(axis=1, keepdims=True)
        return cunet.stack([y, y * y])


class Last(nn.Module):
    """Scores from the last outputs of a recurrent layer that reads both ways."""

    def __init__(self, kind):
        super().__init__()
        self.layer, self.scores = kind(16, 8, batch_first=True, bidirectional=True), nn.Linear(16, 3)

    def forward(self, x):
        y, _ = self.layer(x)
        return self.scores(y[:, -1])


LAYERS = {
    "LSTM": lambda: Last(nn.LSTM),
    "GRU": lambda: Last(nn.GRU),
    "RNN": lambda: Last(nn.RNN),
    "encoder": lambda: nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, dropout=0.1),
    "norm first": lambda: nn.TransformerEncoderLayer(16, 4, 32, norm_first=True, dropout=0.0),
    "heads": Heads,
    "norm": lambda: nn.LayerNorm(16),
}


def trained(model, compiled, batches):
    """Train so many steps; return losses, weights, and the step."""
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    shape = model(batches[0]).shape
    labels = np.arange(math.prod(shape[:-1])) % shape[-1]

    def step(x):
        optimizer.zero_grad()
        y = model(x)
        loss = F.cross_entropy(y.reshape(-1, y.shape[-1]), labels)
        loss.backward()
        optimizer.step()
        return loss

    step = cunet.compile(step) if compiled else step
    losses = [step(x).item() for x in batches]
    return losses, [p.data.tobytes() for p in model.parameters()], step


def python_calls(step):
    """Return what Python does in a replay of a step, which has one plan."""
    (plan,) = [entry.plan for entry in step._entries if entry.plan is not None]
    return [host._host.function for _, _, host in plan._stretches if host is not None]


@pytest.mark.parametrize("name", LAYERS)
def test_nothing_of_a_layer_is_left_to_python(rng, name):
    batches = [rng.standard_normal(SHAPE).astype(np.float32) for _ in range(9)]
    found = []
    for compiled in (False, True):
        cunet.manual_seed(3)
        found.append(trained(LAYERS[name](), compiled, batches))
    eager, recorded = found
    assert recorded[:2] == eager[:2]
    assert recorded[2].report().replays >= 4
    assert python_calls(recorded[2]) == []


def test_embedding_leaves_its_places_to_python(rng):
    def made():
        cunet.manual_seed(3)
        return nn.Sequential(nn.Embedding(11, 16, padding_idx=2), nn.LayerNorm(16))

    batches = [rng.integers(0, 11, (6, 5)) for _ in range(9)]
    eager, recorded = trained(made(), False, batches), trained(made(), True, batches)
    assert recorded[:2] == eager[:2]
    assert len(python_calls(recorded[2])) == 2  # whether indices are in range, and where they are
    with pytest.raises(ValueError, match="indices must be 0 to 10, got 11"):
        recorded[2](batches[0] + 1 + 0 * batches[1].max())
