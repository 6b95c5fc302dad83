"""What training asks of the device, and that a seed repeats it to the bit."""

import numpy as np
import pytest
from helpers import host
from trainer_helpers import classes, line, regression, trainer_of

import cunet
from cunet import F, nn, optim
from cunet.data import Loader
from cunet.train import Trainer


def run(seed, device, rng_data):
    cunet.manual_seed(seed)
    x, labels = rng_data
    model = nn.Sequential(nn.Linear(3, 16), nn.BatchNorm1d(16), F.relu, nn.Dropout(0.3), nn.Linear(16, 3))
    trainer = Trainer(
        model,
        F.cross_entropy,
        optim.Adam(model.parameters(), lr=1e-2),
        metrics=["accuracy"],
        device=device,
        progress=False,
    )
    trainer.fit(Loader(x, labels, batch_size=20, shuffle=True), (x, labels), epochs=3)
    logs = [{k: v for k, v in logs.items() if "second" not in k} for logs in trainer.history]
    return logs, {name: host(array) for name, array in model.state_dict().items()}


def test_one_seed_gives_the_same_bits(rng, device):
    data = classes(rng)
    (logs, state), (logs_again, state_again), (other, _) = (
        run(7, device, data),
        run(7, device, data),
        run(8, device, data),
    )
    assert logs == logs_again != other
    for name, array in state.items():
        np.testing.assert_array_equal(array, state_again[name])


@pytest.fixture
def sim(request):
    if request.config.getoption("device") != "sim":
        pytest.skip("counts on the simulated device")
    from sim.state import stats

    return stats


def test_one_synchronisation_an_epoch(sim, rng):
    x, labels = classes(rng)
    trainer = trainer_of(nn.Linear(3, 3), "gpu", F.cross_entropy, metrics=["accuracy"])
    train = Loader(x, labels, batch_size=8, device="gpu")
    trainer.fit(train)  # what is compiled and cached
    with sim.counting() as counted:
        trainer.fit(train, epochs=3)
    assert counted["syncs"] == 3
    with sim.counting() as counted:
        trainer.fit(train, (x, labels), epochs=2)
    assert counted["syncs"] == 4  # once for training, once for validation


def test_arrays_are_uploaded_once_a_fit(sim, rng):
    x, y = line(rng, 512)
    trainer = regression("gpu")
    trainer.fit((x, y))
    counts = []
    for epochs in (1, 5):
        with sim.counting() as counted:
            trainer.fit((x, y), (x, y), epochs=epochs)
        counts.append(counted["uploads"])
    assert counts[1] - counts[0] == 4  # the shuffled order of each further epoch


def test_a_bar_synchronises_only_to_refresh(sim, rng, monkeypatch, capsys):
    clock = iter(range(10**6))
    monkeypatch.setattr("time.perf_counter", lambda: next(clock) * 0.01)  # each look at the clock takes 10 ms
    x, y = line(rng, 512)
    trainer = regression("gpu", compile=False)  # a step that becomes a graph is compared once, which waits
    trainer.progress = True
    train = Loader(x, y, batch_size=4, device="gpu")
    with sim.counting() as counted:
        trainer.fit(train)
    assert (
        counted["syncs"] <= 1 + 1 + 2 * 128 * 0.01 / 0.5 + 1
    )  # a batch looks twice: for the bar, and for how long it took
