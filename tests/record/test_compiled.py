"""Steps that are recorded: every net, every optimiser, bit for bit."""

import weakref

import numpy as np
import pytest
from optimizer_rows import ROWS, row_id
from record_helpers import POISONED, Pair, batch, bn_net, records
from record_nets import MIXES, NETS, Mixed

import cunet
from cunet import functional as F
from cunet import nn, optim

pytestmark = pytest.mark.cpu_only

STEPS = 12
recorded = pytest.mark.skipif(POISONED or not records(), reason="kernels run on NumPy here")


class Words(nn.Module):
    """Looks numbers of words up."""

    def __init__(self):
        self.table, self.head = nn.Embedding(9, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.table(x).mean(axis=1))


@recorded
@pytest.mark.parametrize("name", MIXES)
def test_products_are_replayed_bit_for_bit(rng, name):
    pair = Pair(lambda: Mixed(MIXES[name]))
    for _ in range(2 * STEPS):
        pair.both(*batch(rng))
    assert pair.replays >= STEPS, pair.compiled.report()


@recorded
def test_sums_that_are_products_are_recorded_whole(rng):
    pair = Pair(lambda: Mixed(MIXES["matrices"]))
    for _ in range(STEPS):
        pair.both(*batch(rng, 64))
    assert pair.replays and not [name for name in pair.compiled.report().times if "in Python" in name]


@recorded
@pytest.mark.parametrize("name", NETS)
def test_nets_are_replayed_bit_for_bit(rng, name):
    make, shape = NETS[name]
    pair = Pair(make)
    for _ in range(2 * STEPS):
        pair.both(*batch(rng, shape=shape))
    assert pair.replays >= STEPS, pair.compiled.report()


class Across(nn.Module):
    """Scales and shifts what lies in memory in another order, in which gradients are summed."""

    def __init__(self):
        self.scale, self.shift = (nn.Parameter(np.ones((6, 1), np.float32)) for _ in range(2))

    def forward(self, x):
        rows = cunet.transpose(x, (1, 0, 2)).reshape(1, 6, -1) * 2
        return rows.reshape(6, -1, 36).transpose(1, 0, 2) * self.scale + self.shift


@recorded
def test_sums_of_what_lies_in_another_order_are_replayed_bit_for_bit(rng):
    pair = Pair(Across, loss=lambda y, _: (y * y).mean())
    for _ in range(2 * STEPS):
        pair.both(*batch(rng, shape=(6, 36)))
    assert pair.replays >= STEPS, pair.compiled.report()


@recorded
@pytest.mark.parametrize("row", ROWS, ids=row_id)
def test_optimisers_are_replayed_bit_for_bit(rng, row):
    cls, settings = row
    pair = Pair(bn_net, lambda parameters: cls(parameters, **settings))
    for _ in range(STEPS):
        pair.both(*batch(rng))
    assert pair.replays >= STEPS - 6, pair.compiled.report()


@recorded
def test_words_are_looked_up_bit_for_bit(rng):
    pair = Pair(Words)
    for _ in range(2 * STEPS):
        _, y = batch(rng)
        pair.both(rng.integers(0, 9, (8, 5)), y)
    assert pair.replays >= STEPS, pair.compiled.report()


LOSSES = {
    "mean squares": F.mse_loss,
    "absolute": F.l1_loss,
    "Huber": F.huber_loss,
    "smooth": F.smooth_l1_loss,
    "binary": F.binary_cross_entropy_with_logits,
    "sum": lambda x, y: F.mse_loss(x, y, reduction="sum"),
}


@recorded
@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_replayed_bit_for_bit(rng, name):
    pair = Pair(loss=LOSSES[name])
    for _ in range(2 * STEPS):
        x, _ = batch(rng)
        pair.both(x, rng.random(size=(8, 3)).astype(np.float32))
    assert pair.replays >= STEPS, pair.compiled.report()


@recorded
@pytest.mark.parametrize("smoothing, shape", [(0.1, (8,)), (0.0, (8, 3))], ids=["smoothed labels", "probabilities"])
def test_cross_entropies_are_replayed_bit_for_bit(rng, smoothing, shape):
    pair = Pair(loss=lambda x, y: F.cross_entropy(x, y, label_smoothing=smoothing))
    for _ in range(2 * STEPS):
        x, y = batch(rng)
        pair.both(x, y if len(shape) == 1 else rng.dirichlet(np.ones(3), 8).astype(np.float32))
    assert pair.replays >= STEPS, pair.compiled.report()


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
def test_a_stride_that_no_element_has_does_not_matter(rng):
    """As of ``x[:, None]``, whose last stride is 0."""
    model = nn.Linear(1, 3)
    step = cunet.compile(lambda x: F.elu(model(x)).detach())
    for _ in range(STEPS):
        x = rng.standard_normal(9).astype(np.float32)[:, None]
        assert step(x).data.tobytes() == F.elu(model(x)).data.tobytes()
    assert step.report().replays >= STEPS - 5, step.report()


@recorded
def test_a_recording_holds_no_array_that_the_step_lets_go(rng):
    alive, reference = [], weakref.ref

    def step(x):
        seen = []
        for _ in range(5):
            x = F.elu(cunet.exp(x))
            seen.append(reference(x.data))
        alive.append(sum([one() is not None for one in seen]))
        return x

    step = cunet.compile(step)
    with cunet.no_grad():
        for _ in range(4):
            step(np.zeros((3, 4), np.float32))
    assert alive == [1] * 4 and step.report().recorded


@recorded
def test_batches_of_other_sizes_have_plans_of_their_own(rng):
    pair = Pair(bn_net)
    for _ in range(8):
        for n in (8, 5, 7):
            pair.both(*batch(rng, n))
    assert pair.compiled.report().plans == 3 and pair.replays >= 9


@recorded
def test_infinities_in_a_replay_are_results_and_no_warnings():
    @cunet.compile
    def step(x):
        return cunet.log(x)

    with cunet.no_grad():
        for k in range(1, 7):
            step(np.full((4, 3), k, np.float32))
        assert step.report().replays
        assert (step(np.zeros((4, 3), np.float32)).data == -np.inf).all()
