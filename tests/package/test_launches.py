"""What a training step costs the host: how many kernels it launches, and that it waits for the device nowhere.

These tests use the simulated device whatever device is under test: it counts. A synchronisation in a step empties the
queue of the GPU; an upload besides the batch breaks a captured graph, and waits for the copy.
"""

import copy
from pathlib import Path

import numpy as np
import pytest
from launch_helpers import batch, mlp, quiet_step, stats, step, warm, xp

import cunet
from cunet import F, nn, op, optim
from cunet import device as backend
from cunet.data import Loader

pytestmark = pytest.mark.usefixtures("simulated")

#: What one step of Linear, BatchNorm1d, ELU, Dropout, Linear, cross-entropy and Adam launches. Kernels of cunet: batch
#: norm 3 (statistics, apply, running statistics), ELU, dropout, cross-entropy 2 (of each sample, and their mean); the
#: same backward: 1, 1, 1 and batch norm 2, and the sums of two biases; Adam 1.
KERNELS = 15
#: Kernels of CuPy and cuBLAS. Forward: Linear 2 each, the count of batches. Backward: the 1 to begin with, its
#: quotient, Linear 2 and 1 (products), batch norm 2.
ARRAY_OPS = 12


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


@pytest.mark.parametrize(("layer", "kernels", "array_ops"), [(nn.RNN, 1, 1), (nn.LSTM, 1, 1), (nn.GRU, 1, 2)])
def test_a_step_of_a_recurrent_layer_is_a_product_and_a_kernel(layer, kernels, array_ops, rng):
    """That of a GRU adds a bias, which its reset gate takes part of."""
    net, counts = layer(5, 7).to("gpu"), []
    for steps in (4, 9):
        x = cunet.Tensor(xp.asarray(rng.standard_normal((steps, 3, 5)).astype(np.float32)))
        net(x)
        with cunet.no_grad(), stats.counting() as counted:
            net(x)
        counts.append((counted["launches"], counted["ops"]))
    (few, other_few), (many, other_many) = counts
    assert (many - few, other_many - other_few) == (5 * kernels, 5 * array_ops)


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


def test_clipping_puts_all_gradients_side_by_side_in_one_launch(rng):
    plain = quiet_step(rng, mlp())
    clipped = quiet_step(rng, mlp(), clip=lambda p: optim.clip_grad_norm_(p, 1.0))
    assert clipped["launches"] - plain["launches"] == 1
    assert clipped["ops"] - plain["ops"] == 14  # of the norm, the factor and the product


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
