"""Replays in several threads: the same bits, whatever runs side by side."""

import numpy as np
import pytest
from record_helpers import POISONED, Pair, batch, bn_net, records

import cunet
from cunet import functional as F
from cunet import nn, optim
from cunet.kernels.backends.native import native
from cunet.kernels.backends.native.plans import Plan
from cunet.record import order

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(POISONED or not records(), reason="kernels run on NumPy here"),
]
STEPS = 24


@pytest.fixture
def ordered(monkeypatch):
    """Have all plans ordered, also those that are not worth it; return the list of what was."""
    found = []
    monkeypatch.setattr(order, "_WORTH", 0)
    monkeypatch.setattr(order, "_GAIN", -1.0)
    tell = Plan.order
    monkeypatch.setattr(Plan, "order", lambda plan, *given: (found.append(given), tell(plan, *given)))
    return found


@pytest.fixture(params=[2, 5])
def threads(request, monkeypatch):
    native.runtime()
    monkeypatch.setattr(native, "threads", request.param)
    return request.param


def branches():
    """Make a net whose branches know nothing of each other."""

    class Net(nn.Module):
        def __init__(self):
            self.parts = [nn.Sequential(nn.Linear(6, 40), nn.BatchNorm1d(40), nn.ReLU()) for _ in range(4)]
            self.head = nn.Linear(160, 3)

        def forward(self, x):
            return self.head(cunet.concatenate([part(x) for part in self.parts], axis=1))

    return Net()


def conv_net():
    return nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3))


NETS = {"batch norm": (bn_net, (6,)), "branches": (branches, (6,)), "convolution": (conv_net, (2, 6, 6))}


@pytest.mark.parametrize("name", NETS)
def test_threads_change_no_bit(rng, ordered, threads, name):
    make, shape = NETS[name]
    pair = Pair(make, lambda parameters: optim.Adam(parameters))
    for _ in range(STEPS):
        pair.both(*batch(rng, 64, shape=shape))
    assert ordered and pair.replays >= STEPS - 6, pair.compiled.report()


def test_products_of_one_task_are_shared(rng, ordered, threads):
    pair = Pair(lambda: nn.Sequential(nn.Linear(300, 400), nn.ReLU(), nn.Linear(400, 3)))
    for _ in range(STEPS):
        pair.both(*batch(rng, 200, shape=(300,)))
    assert ordered and pair.replays


def test_one_thread_orders_nothing(rng, ordered, monkeypatch):
    native.runtime()
    monkeypatch.setattr(native, "threads", 1)
    pair = Pair(bn_net)
    for _ in range(STEPS):
        pair.both(*batch(rng))
    assert pair.replays and not ordered


def test_an_input_that_is_a_parameter_is_read_in_its_turn(rng, ordered, threads):
    class Net(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Linear(6, 6), nn.Linear(6, 3))

    def training(side):
        model, optimizer = side.model, side.optimizer

        def step(x):
            optimizer.zero_grad()
            (model[1](model[0](x)) ** 2).mean().backward()
            optimizer.step()
            return model[1](x).detach()

        return step

    pair = Pair(Net, step=training)
    for k in range(STEPS):
        x, _ = batch(rng, 6)
        if k < 12:
            pair.both(x)
            continue
        found = [
            side.run(run, side.model[0].weight.data)
            for side, run in ((pair.eager, pair.of_eager), (pair.side, pair.compiled))
        ]
        assert found[0].data.tobytes() == found[1].data.tobytes() and pair.eager.state() == pair.side.state()
    assert ordered and pair.replays >= STEPS - 6, pair.compiled.report()


def test_memory_is_at_most_that_of_the_step_as_written(rng):
    def net():
        first, second, last = (nn.Linear(n, m) for n, m in ((32, 64), (64, 64), (64, 3)))
        return nn.Sequential(first, nn.BatchNorm1d(64), nn.ReLU(), second, nn.Sigmoid(), last)

    pair = Pair(net)
    for _ in range(12):
        pair.both(*batch(rng, 16, shape=(32,)))
    report = pair.compiled.report()
    assert report.replays and 0 < report.peak <= 1.05 * report.peak_eager  # pieces of 64 bytes
    assert report.bytes < report.peak  # gradients' memory is used before they are there


@pytest.mark.slow
def test_no_gradient_of_the_recording_is_kept(rng):
    import gc
    import weakref

    model = bn_net()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    seen = []

    @cunet.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(9):
        step(*batch(rng))
        seen += [weakref.ref(p.grad) for p in model.parameters()]
    gc.collect()
    assert step.report().replays
    assert len({id(r()) for r in seen if r() is not None}) == len([*model.parameters()])


def test_the_report_says_where_time_goes(rng):
    pair = Pair(bn_net)
    for _ in range(12):
        pair.both(*batch(rng))
    report = pair.compiled.report()
    assert {"product", "normalize"} <= report.times.keys()
    assert all(0 < spent < 1 for spent in report.times.values())
    assert list(report.times.values()) == sorted(report.times.values(), reverse=True)
    assert "us in calls: " in str(report) and "as written" in str(report)


def test_a_step_with_calls_of_python_between_is_ordered_in_parts(rng, ordered, threads):
    pair = Pair(lambda: nn.Sequential(nn.Linear(6, 8), nn.Softplus(), nn.Linear(8, 3)), loss=lambda x, y: (
        F.cross_entropy(x, y) + cunet.sort(x, axis=1)[:, 0].mean()
    ))  # fmt: skip
    for _ in range(STEPS):
        pair.both(*batch(rng))
    if pair.replays:
        assert len(ordered) > 1 and np.all([len(given[1]) for given in ordered])
