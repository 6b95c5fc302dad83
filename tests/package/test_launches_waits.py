"""No layer, network, optimiser, loss, op or dtype waits for the device in a step, or uploads anything.

These tests use the simulated device whatever device is under test: it counts.
"""

import math

import numpy as np
import pytest
from launch_helpers import batch, mlp, quiet_step, stats, step, warm, xp
from optimizer_rows import ROWS, row_id

import cunet
from cunet import nn, optim
from cunet.parity import cases

pytestmark = pytest.mark.usefixtures("simulated")

LAYERS = [
    nn.ReLU(),
    nn.ReLU6(),
    nn.LeakyReLU(),
    nn.PReLU(32),
    nn.Threshold(),
    nn.ELU(),
    nn.CELU(),
    nn.SELU(),
    nn.GELU(),
    nn.GELU("tanh"),
    nn.SiLU(),
    nn.Mish(),
    nn.Hardswish(),
    nn.Hardsigmoid(),
    nn.Hardtanh(),
    nn.Sigmoid(),
    nn.LogSigmoid(),
    nn.Softplus(),
    nn.Softsign(),
    nn.Tanh(),
    nn.Softmax(-1),
    nn.LogSoftmax(-1),
    nn.BatchNorm1d(32),
    nn.BatchNorm1d(32, momentum=None),
    nn.BatchNorm(32, stats="population"),
    nn.LayerNorm(32),
    nn.RMSNorm(32),
    nn.GroupNorm(4, 32),
    nn.Dropout(0.5),
    nn.AlphaDropout(0.5),
    nn.FeatureAlphaDropout(0.5),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: repr(layer)[:40])
def test_no_layer_waits_or_uploads(layer, rng):
    quiet_step(rng, mlp(layer))


@pytest.mark.parametrize(
    "layers",
    [(nn.BatchNorm2d(3), nn.Dropout2d(0.5)), (nn.InstanceNorm2d(3, affine=True), nn.GroupNorm(1, 3))],
    ids=["batch norm, dropout", "instance norm, group norm"],
)
def test_no_layer_of_images_waits_or_uploads(layers, rng):
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(3 * 4 * 5, 10)).to("gpu")
    quiet_step(rng, model, shape=(3, 4, 5))


class LastStep(nn.Module):
    """Classify sequences (T, N, ...) by the last step of what a layer makes of them."""

    def __init__(self, layer, width):
        self.layer, self.head = layer, nn.Linear(width, 10)

    def forward(self, x):
        y = self.layer(x)
        return self.head((y[0] if isinstance(y, tuple) else y)[-1])


NETWORKS = {
    "convolution": lambda: nn.Sequential(
        *(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 4, 3, groups=2), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 10)),
    ),
    "transposed convolution": lambda: nn.Sequential(
        nn.ConvTranspose2d(3, 4, 3, stride=2), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 10)
    ),
    "RNN": lambda: LastStep(nn.RNN(5, 7), 7),
    "GRU": lambda: LastStep(nn.GRU(5, 7), 7),
    "LSTM": lambda: LastStep(nn.LSTM(5, 7, num_layers=2, bidirectional=True, dropout=0.3), 14),
    "attention": lambda: LastStep(nn.TransformerEncoderLayer(8, 2, 16), 8),
}
SHAPES = {"convolution": (48, 3, 12, 12), "transposed convolution": (48, 3, 12, 12), "attention": (6, 48, 8)}


@pytest.mark.parametrize("name", NETWORKS)
def test_no_network_waits_or_uploads(name, rng):
    model = NETWORKS[name]().to("gpu")
    optimizer = optim.Adam(model.parameters())
    x = xp.asarray(rng.standard_normal(SHAPES.get(name, (6, 48, 5))).astype(np.float32))
    target = xp.asarray(rng.integers(0, 10, 48))
    warm(model, optimizer, x, target)
    with stats.forbid():
        step(model, optimizer, x, target)


@pytest.mark.parametrize(("cls", "settings"), ROWS, ids=map(row_id, ROWS))
def test_no_optimizer_waits_or_uploads(cls, settings, rng):
    quiet_step(rng, mlp(), lambda parameters: cls(parameters, **settings))


@pytest.mark.parametrize(
    "clip",
    [
        lambda p: optim.clip_grad_norm_(p, 1.0),
        lambda p: optim.clip_grad_norm_(p, 1.0, math.inf),
        lambda p: optim.clip_grad_value_(p, 0.1),
    ],
    ids=["norm", "largest", "value"],
)
def test_no_clipping_waits_or_uploads(clip, rng):
    quiet_step(rng, mlp(), clip=clip)


PROBABILITIES = np.full((48, 10), 0.1, np.float32)
LOSSES = {
    "labels": (nn.CrossEntropyLoss(), None),
    "smoothed": (nn.CrossEntropyLoss(label_smoothing=0.1), None),
    "weighted": (nn.CrossEntropyLoss(weight=np.linspace(0.5, 2, 10, dtype=np.float32), ignore_index=3), None),
    "probabilities": (nn.CrossEntropyLoss(), PROBABILITIES),
    "nll": (nn.NLLLoss(), None),
    "bce": (nn.BCEWithLogitsLoss(), PROBABILITIES),
    "bce weighted": (nn.BCEWithLogitsLoss(pos_weight=np.full(10, 2, np.float32)), PROBABILITIES),
    "kl": (nn.KLDivLoss(reduction="batchmean"), PROBABILITIES),
    "mse": (nn.MSELoss(), PROBABILITIES),
    "l1": (nn.L1Loss(), PROBABILITIES),
    "smooth l1": (nn.SmoothL1Loss(), PROBABILITIES),
    "huber": (nn.HuberLoss(), PROBABILITIES),
}


@pytest.mark.parametrize("name", LOSSES)
def test_no_loss_waits_or_uploads(name, rng):
    loss, target = LOSSES[name]
    quiet_step(rng, mlp(), loss=loss.to("gpu"), target=target)


#: Ops that upload tables made on the host: from indices or lengths that the caller gave there, or of sources of pixels.
TABLES = {"getitem", "reorder", "F.pad", "interpolate"}


@pytest.mark.parametrize("row", cases.ROWS, ids=lambda row: row.name)
def test_no_op_waits_or_uploads_in_either_direction(row, rng):
    given = row.inputs(rng)  # None: an array that an op does without
    arrays = [a if a is None else xp.asarray(a.astype(np.float32) if a.dtype.kind == "f" else a) for a in given]
    tensors = [a if a is None else cunet.Tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    with stats.forbid(*(["syncs"] if row.op in TABLES else ["syncs", "uploads"])):
        outputs = row.run(*tensors)
        outputs = [y for y in (outputs if isinstance(outputs, tuple) else (outputs,)) if y.requires_grad]
        for k, y in enumerate(outputs):
            y.backward(xp.ones(y.shape, y.dtype), retain_graph=k < len(outputs) - 1)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_no_dtype_waits_or_uploads(dtype, rng):
    model = nn.Sequential(nn.Linear(20, 32, dtype=dtype), nn.BatchNorm1d(32, dtype=dtype), nn.ELU(), nn.Dropout())
    model = nn.Sequential(*model, nn.Linear(32, 10, dtype=dtype)).to("gpu")
    x, labels = batch(rng)
    x, labels = xp.asarray(x.astype(dtype)), xp.asarray(labels)
    optimizer = optim.Adam(model.parameters())
    warm(model, optimizer, x, labels)
    with stats.forbid():
        step(model, optimizer, x, labels)
