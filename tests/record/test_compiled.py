"""Steps that are recorded: every net, every optimiser, bit for bit."""

import numpy as np
import pytest
from optimizer_rows import ROWS, row_id
from record_helpers import Pair, batch, bn_net, mlp, records

import cunet
from cunet import functional as F
from cunet import nn, optim

pytestmark = pytest.mark.cpu_only

STEPS = 12
recorded = pytest.mark.skipif(not records(), reason="kernels run on NumPy here")


def seq(*layers):
    return lambda: nn.Sequential(*[layer() for layer in layers])


def linear(n, m):
    return lambda: nn.Linear(n, m)


NETS = {
    "linear": (linear(6, 3), (6,)),
    "mlp": (mlp, (6,)),
    "batch norm": (bn_net, (6,)),
    "batch norm with activation": (seq(linear(6, 8), lambda: nn.BatchNorm1d(8, activation="relu"), linear(8, 3)), (6,)),
    "layer norm": (seq(linear(6, 8), lambda: nn.LayerNorm(8), nn.GELU, linear(8, 3)), (6,)),
    "RMS norm": (seq(linear(6, 8), lambda: nn.RMSNorm(8), nn.SiLU, linear(8, 3)), (6,)),
    "dropout": (seq(linear(6, 8), lambda: nn.Dropout(0.4), nn.ELU, linear(8, 3)), (6,)),
    "convolution": (
        seq(lambda: nn.Conv2d(2, 4, 3, padding=1), nn.ReLU, lambda: nn.MaxPool2d(2), nn.Flatten, linear(36, 3)),
        (2, 6, 6),
    ),
}  # fmt: skip


@recorded
@pytest.mark.parametrize("name", NETS)
def test_nets_are_replayed_bit_for_bit(rng, name):
    make, shape = NETS[name]
    pair = Pair(make)
    for _ in range(STEPS):
        pair.both(*batch(rng, shape=shape))
    assert pair.replays >= STEPS - 5, pair.compiled.report()


@recorded
@pytest.mark.parametrize("row", ROWS, ids=row_id)
def test_optimisers_are_replayed_bit_for_bit(rng, row):
    cls, settings = row
    pair = Pair(bn_net, lambda parameters: cls(parameters, **settings))
    for _ in range(STEPS):
        pair.both(*batch(rng))
    assert pair.replays >= STEPS - 6, pair.compiled.report()


@recorded
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_dtypes_are_replayed(rng, dtype):
    pair = Pair(lambda: bn_net().astype(dtype))
    for _ in range(STEPS):
        x, y = batch(rng)
        pair.both(x.astype(dtype), y)
    assert pair.replays >= STEPS - 5


@recorded
def test_settings_may_change_from_step_to_step(rng):
    pair = Pair(optimizer=lambda p: optim.AdamW(p, lr=0.01))
    for k in range(STEPS):

        def change(side, k=k):
            side.optimizer.param_groups[0]["lr"] = 0.01 / (k + 1)
            side.optimizer.param_groups[0]["weight_decay"] = 0.1 * k
            side.optimizer.param_groups[0]["betas"] = (0.9 - 0.01 * k, 0.99)

        pair.each(change)
        pair.both(*batch(rng))
    assert pair.replays >= STEPS - 6


@recorded
def test_evaluation_is_replayed(rng):
    model = bn_net()
    for _ in range(3):
        model(batch(rng)[0])
    model.eval()

    def predict(x):
        with cunet.no_grad():
            return F.softmax(model(x))

    step = cunet.compile(predict)
    for _ in range(STEPS):
        x, _ = batch(rng, 1)
        assert step(x).data.tobytes() == predict(x).data.tobytes()
    assert step.report().replays >= STEPS - 5, step.report()


@recorded
def test_batches_of_other_sizes_have_plans_of_their_own(rng):
    pair = Pair(bn_net)
    for _ in range(8):
        for n in (8, 5, 7):
            pair.both(*batch(rng, n))
    assert pair.compiled.report().plans == 3 and pair.replays >= 9
