"""Steps of a trainer on a GPU, as CUDA graphs: nothing that it leaves is another than without. Always simulated."""

import numpy as np
import pytest
from checkpoint_helpers import facts
from trainer_helpers import classes

import cunet
import sim
from cunet import F, nn, optim
from cunet.data import Loader
from cunet.train import Schedule, Trainer

sim.namespace_or_skip()
pytestmark = pytest.mark.usefixtures("simulated")


class Noting(Trainer):
    """Reads its losses, for which it waits."""

    def step(self, *batch):
        loss, prediction = super().step(*batch)
        if float(loss) < 0:
            raise ValueError
        return loss, prediction


def fitted(data, compile, kind=Trainer, epochs=3, **kwargs):
    cunet.manual_seed(3)
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    schedule = Schedule(optim.OneCycleLR(optimizer, 0.02, total_steps=12 * epochs), per="batch")
    trainer = kind(
        model, F.cross_entropy, optimizer, device="gpu", compile=compile, progress=False,
        metrics="accuracy", callbacks=[schedule], **kwargs,
    )  # fmt: skip
    loader = Loader(*data, batch_size=8, shuffle=True, generator=cunet.Generator(3, "order"), device="gpu")
    trainer.fit(loader, data, epochs)
    return trainer, trainer.predict(data[0])


def told(trainer):
    history = [{k: v for k, v in row.items() if "second" not in k} for row in trainer.history]
    return history, facts(trainer)


def test_training_evaluation_and_predictions_are_those_of_eager_steps(rng):
    data = classes(rng)
    (eager, of_eager), (found, predicted) = (fitted(data, mode) for mode in (False, "auto"))
    assert told(found) == told(eager) and np.array_equal(predicted, of_eager)
    report = found.reports()["fit"]
    assert report.replays > 12 and not eager.reports(), report


def test_a_step_that_waits_runs_as_it_is_written(rng):
    data = classes(rng)
    (eager, _), (found, _) = (fitted(data, mode, Noting, 2) for mode in (False, "auto"))
    assert told(found) == told(eager)
    report = found.reports()["fit"]
    assert report.replays == 0 and "waits for the GPU" in str(report) and "test_steps_on_gpu.py:" in str(report)
