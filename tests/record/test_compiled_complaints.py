"""What users of other libraries' recorded steps complained of, which must not happen here."""

import numpy as np
import pytest
from record_helpers import POISONED, Pair, batch, bn_net, mlp, records

import cunet
from cunet import functional as F
from cunet import nn, optim

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(POISONED or not records(), reason="kernels run on NumPy here"),
]


def test_a_write_into_an_input_is_not_dropped(rng):  # tinygrad 16620
    model = mlp()

    @cunet.compile
    def step(x):
        x *= np.float32(2)
        return model(x).detach()

    for _ in range(8):
        x, _ = batch(rng)
        expected = x * np.float32(2)
        y = step(x)
        assert x.tobytes() == expected.tobytes() and y.data.tobytes() == model(expected).data.tobytes()


def test_two_calls_do_not_return_the_same_memory(rng):  # tinygrad 7020
    pair = Pair()
    losses = [pair.both(*batch(rng)) for _ in range(12)]
    assert pair.replays and len({loss.data.tobytes() for loss in losses}) == 12
    assert not any(np.shares_memory(a.data, b.data) for a, b in zip(losses, losses[1:], strict=False))


@pytest.mark.parametrize("parts", [2, 3])
def test_gradients_add_up_over_calls(rng, parts):  # tinygrad 13642, PyTorch 169545
    def step(side, recorded):
        @cunet.compile
        def backward(x, y):
            loss = F.cross_entropy(side.model(x), y) / parts
            loss.backward()
            return loss.detach()

        run = backward if recorded else backward.__wrapped__

        def accumulate(*batches):
            side.optimizer.zero_grad()
            losses = [run(x, y) for x, y in batches]
            side.optimizer.step()
            side.report = backward.report
            return losses

        return accumulate

    pair = Pair(bn_net)
    expected_step, found_step = step(pair.eager, False), step(pair.side, True)
    for _ in range(12):
        batches = [batch(rng) for _ in range(parts)]
        expected = pair.eager.run(expected_step, *batches)
        found = pair.side.run(found_step, *batches)
        assert [a.data.tobytes() for a in found] == [a.data.tobytes() for a in expected]
        assert pair.side.state() == pair.eager.state()
    assert pair.side.report().plans == 2 and pair.side.report().replays >= 6 * parts


def test_another_shape_is_no_silent_reuse(rng):  # tinygrad 692
    pair = Pair()
    for n in (8, 8, 8, 8, 8, 8, 1, 9, 8, 3):
        pair.both(*batch(rng, n))


def test_nothing_has_to_be_listed(rng):  # MLX 629, 653
    class Trial:
        """Everything in attributes of attributes."""

        def __init__(self):
            dropout = nn.Dropout(0.5, generator=cunet.Generator(3))
            self.parts = {"net": [nn.Linear(6, 8), dropout], "head": (nn.Linear(8, 3),)}
            parameters = [p for m in (self.parts["net"][0], self.parts["head"][0]) for p in m.parameters()]
            self.optimizer = optim.Adam(parameters)

        def step(self, x, y):
            for layer in (*self.parts["net"], *self.parts["head"]):
                x = layer(x)
            self.optimizer.zero_grad()
            loss = F.cross_entropy(x, y)
            loss.backward()
            self.optimizer.step()
            return loss

    cunet.manual_seed(1)
    eager = Trial()
    cunet.manual_seed(1)
    trial = Trial()
    step = cunet.compile(trial.step)
    for _ in range(12):
        x, y = batch(rng)
        assert step(x, y).data.tobytes() == eager.step(x, y).data.tobytes()
    assert step.report().replays >= 6, step.report()


def test_plans_do_not_pile_up(rng):  # MLX 1676, JAX 15412
    pair = Pair()
    for n in range(2, 30):
        for _ in range(6):
            pair.both(*batch(rng, n))
    assert pair.compiled.report().plans <= 8


def test_a_rate_that_changes_records_nothing_anew(rng):  # PyTorch 120934, 163093
    pair = Pair()
    for k in range(20):
        pair.each(lambda side, k=k: side.optimizer.set_rate(0, 0.1 / (1 + k)))
        pair.both(*batch(rng))
    assert pair.compiled.report().recorded == 3


def test_masks_are_not_frozen(rng):  # PyTorch 84614, 196437
    model = nn.Sequential(nn.Dropout(0.5, generator=cunet.Generator(5)))
    step = cunet.compile(lambda x: model(x).detach())
    x = np.ones((64, 64), np.float32)
    masks = [step(x).data.tobytes() for _ in range(20)]
    assert step.report().replays and len(set(masks)) == 20
    generator = cunet.Generator(5)
    assert masks == [F.dropout(x, 0.5, generator=generator).data.tobytes() for _ in range(20)]


def test_numbers_of_another_type_are_other_calls(rng):  # JAX 3163
    step = cunet.compile(lambda x, scale: cunet.multiply(x, scale).detach())
    x, _ = batch(rng)
    for scale in (2, 2.0, True, 0.0, -0.0) * 6:
        assert step(x, scale).data.tobytes() == (x * np.float32(scale)).tobytes()
    assert step.report().plans == 5


def test_layers_that_lack_a_part(rng):  # Chainer 4811, 8324
    class Reader(nn.Module):
        def __init__(self):
            self.norm = nn.BatchNorm1d(6, affine=False)
            self.lstm = nn.LSTM(6, 5, batch_first=True)
            self.head = nn.Linear(5, 3, bias=False)

        def forward(self, x):
            y, _ = self.lstm(cunet.reshape(self.norm(x), (len(x), 1, 6)))
            return self.head(y[:, -1])

    pair = Pair(Reader)
    for _ in range(12):
        pair.both(*batch(rng))
    assert pair.replays >= 4, pair.compiled.report()
