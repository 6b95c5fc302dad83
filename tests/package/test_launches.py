"""What a training step costs the host: how many kernels it launches, and that it waits for the device nowhere.

These tests use the simulated device whatever device is under test: it counts. A synchronisation in a step empties the
queue of the GPU; an upload besides the batch breaks a captured graph, and waits for the copy.
"""

import copy
import math
from pathlib import Path

import numpy as np
import pytest
from optimizer_rows import ROWS, row_id

import cunet
import sim
from cunet import F, nn, op, optim
from cunet import device as backend
from cunet.data import Loader
from cunet.parity import cases

xp = sim.namespace_or_skip()
stats = xp._stats

#: What one step of Linear, BatchNorm1d, ELU, Dropout, Linear, cross-entropy and Adam launches. Kernels of cunet: batch
#: norm 3 (statistics, apply, running statistics), ELU, dropout, cross-entropy 2 (of each sample, and their mean); the
#: same backward: 1, 1, 1 and batch norm 2, and the sums of two biases; Adam 1.
KERNELS = 15
#: Kernels of CuPy and cuBLAS. Forward: Linear 2 each, the count of batches. Backward: the 1 to begin with, its
#: quotient, Linear 2 and 1 (products), batch norm 2, two gradients made the caller's own.
ARRAY_OPS = 14


@pytest.fixture(autouse=True)
def simulated():
    sim.install()
    yield
    sim.uninstall()


def mlp(*middle):
    middle = middle or (nn.BatchNorm1d(32), nn.ELU(), nn.Dropout(0.5))
    return nn.Sequential(nn.Linear(20, 32), *middle, nn.Linear(32, 10)).to("gpu")


def batch(rng, n=48, shape=(20,), classes=10):
    return rng.standard_normal((n, *shape)).astype(np.float32), rng.integers(0, classes, n)


def step(model, optimizer, x, target, loss=F.cross_entropy, clip=None):
    optimizer.zero_grad()
    value = loss(model(cunet.Tensor(x)), target)
    value.backward()
    if clip:
        clip(model.parameters())
    optimizer.step()
    return value


def warm(model, optimizer, x, target, **kw):
    """Two steps: kernels are made, and the optimiser's flat buffers."""
    for _ in range(2):
        step(model, optimizer, x, target, **kw)


def quiet_step(rng, model, make_optimizer=optim.Adam, shape=(20,), target=None, **kw):
    """Make a step under the ban of synchronisations and uploads."""
    x, labels = batch(rng, shape=shape)
    x, target = xp.asarray(x), xp.asarray(labels if target is None else target)
    optimizer = make_optimizer(model.parameters())
    warm(model, optimizer, x, target, **kw)
    with stats.forbid(), stats.counting() as counted:
        value = step(model, optimizer, x, target, **kw)
    assert np.isfinite(value.item())
    return counted


def test_an_mlp_step_launches_what_it_did(rng):
    counted = quiet_step(rng, mlp())
    assert (counted["launches"], counted["ops"]) == (KERNELS, ARRAY_OPS)


def test_an_activation_in_a_norm_launches_nothing_of_its_own(rng):
    norms = [
        nn.BatchNorm1d(32, activation="elu"),
        nn.LayerNorm(32, activation="elu"),
        nn.RMSNorm(32, activation="elu"),
        nn.GroupNorm(4, 32, activation="elu"),
    ]
    for norm in norms:
        plain = copy.deepcopy(norm)
        plain.activation = None
        with_activation, without = (quiet_step(rng, mlp(n, nn.Dropout(0.5))) for n in (norm, plain))
        assert (with_activation["launches"], with_activation["ops"]) == (without["launches"], without["ops"])


def test_the_number_of_launches_is_the_one_that_is_told():
    told = Path(__file__).parents[2].joinpath("docs", "gpu.md").read_text()
    assert f"{KERNELS} kernels of cunet and {ARRAY_OPS} of CuPy" in " ".join(told.split())


def test_few_long_rows_are_cut_in_parts(rng):
    x = cunet.Tensor(xp.asarray(rng.standard_normal((2, 20000)).astype(np.float32)), requires_grad=True)
    target = xp.asarray(np.array([5, 19999]))
    for call in (lambda: F.softmax(x, axis=1), lambda: F.log_softmax(x), lambda: F.cross_entropy(x, target)):
        with stats.counting() as counted:
            call()
        assert counted["launches"] >= 3  # statistics of parts, of rows, and their use


def test_an_mlp_step_uploads_nothing_but_its_batch(rng):
    model = mlp()
    optimizer = optim.Adam(model.parameters())
    x, labels = batch(rng)
    warm(model, optimizer, xp.asarray(x), xp.asarray(labels))
    with stats.forbid("syncs"), stats.counting() as counted:
        step(model, optimizer, backend.to_device(x, "gpu"), backend.to_device(labels, "gpu"))
    assert counted["uploads"] == 2
    assert counted["launches"] == KERNELS


LAYERS = [
    nn.ReLU(),
    nn.ReLU6(),
    nn.LeakyReLU(),
    nn.PReLU(32),
    nn.ThresholdedReLU(),
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


def test_clipping_puts_all_gradients_side_by_side_in_one_launch(rng):
    plain = quiet_step(rng, mlp())
    clipped = quiet_step(rng, mlp(), clip=lambda p: optim.clip_grad_norm_(p, 1.0))
    assert clipped["launches"] - plain["launches"] == 1
    assert clipped["ops"] - plain["ops"] == 14  # of the norm, the factor and the product


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
    arrays = [xp.asarray(a.astype(np.float32) if a.dtype.kind == "f" else a) for a in row.inputs(rng)]
    with stats.forbid(*(["syncs"] if row.op in TABLES else ["syncs", "uploads"])):
        outputs = row.run(*[cunet.Tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays])
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


def test_the_trainer_waits_once_an_epoch(rng):
    model = mlp()
    trainer = cunet.Trainer(model, F.cross_entropy, optim.Adam(model.parameters()), metrics="accuracy", progress=False)
    assert trainer.device == "gpu"
    x, labels = batch(rng, 192)
    data = Loader(x, labels, batch_size=48, shuffle=True, device="gpu")
    trainer.fit(data, epochs=1)
    with stats.counting() as counted:
        trainer.fit(data, epochs=1)
    assert counted["syncs"] == 1  # to read the sums of loss and accuracy
    assert counted["uploads"] == 1  # the order of the samples


# -- what these tests would catch


@op
def careless(x):
    return x + np.ones(x.shape, np.float32), lambda gy: (gy,)


@op
def peeking(x):
    return (x if x.get().max() > 0 else x * 2), lambda gy: (gy,)


@op
def converting(x):
    return x * xp.asarray(np.float32([2]))[0], lambda gy: (gy * 2,)


@op
def peeking_backward(x):
    return x * 1, lambda gy: (gy * float(gy.sum()),)


@pytest.mark.parametrize(
    ("planted", "error"),
    [
        (careless, "all arrays must be on one device|Unsupported type"),
        (peeking, "get.. while syncs are forbidden"),
        (converting, "upload while uploads are forbidden"),
        (peeking_backward, "float.. while syncs are forbidden"),
    ],
    ids=lambda p: getattr(p, "__name__", ""),
)
def test_a_planted_mistake_is_caught(planted, error, rng):
    with pytest.raises((RuntimeError, TypeError), match=error):
        quiet_step(rng, mlp(planted))
