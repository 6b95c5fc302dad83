"""Several losses, several models: what a step and a compute of one's own may return."""

import numpy as np
import pytest
from checkpoint_helpers import Cut, StopAt
from helpers import host
from trainer_helpers import line

import cunet
from cunet import F, nn, optim
from cunet.data import Loader
from cunet.train import Checkpoint, Trainer


def made(kind, model=None, optimizer=None, device="cpu", **options):
    model = model or nn.Linear(2, 1)
    return kind(model, "mse_loss", optimizer or optim.SGD(model.parameters(), 0.05), device=device, progress=False,
                **options)  # fmt: skip


def test_parts_of_a_loss_are_in_the_history(device, dev, rng):
    class Penalised(Trainer):
        def compute(self, x, y):
            prediction = self.model(x)
            error, penalty = F.mse_loss(prediction, y), (self.model.weight**2).sum()
            return {"loss": error + 0.1 * penalty, "error": error, "penalty": penalty}, prediction

    x, y = line(rng)
    for options in ({}, {"accumulate": 2}):
        trainer = made(Penalised, device=device, metrics="mae", **options)
        (logs,) = trainer.fit(Loader(dev(x), dev(y), batch_size=16), (x, y))
        for valid in ("", "valid_"):
            parts = [logs[valid + name] for name in ("loss", "error", "penalty")]
            assert parts[0] == pytest.approx(parts[1] + 0.1 * parts[2], rel=1e-5)
        assert list(logs)[:5] == ["epoch", "loss", "error", "penalty", "mae"]


@pytest.mark.cpu_only
def test_a_loss_that_is_none_is_named(rng):
    class Nameless(Trainer):
        def compute(self, x, y):
            return {"error": F.mse_loss(self.model(x), y)}, None

    class Nothing(Trainer):
        def step(self, x, y):
            return None, None

    with pytest.raises(ValueError, match='of several losses one must be called "loss", got error'):
        made(Nameless).fit([line(rng)])
    with pytest.raises(TypeError, match=r"must return \(loss, prediction\), got None for the loss"):
        made(Nothing).fit([line(rng)])


class Pair(nn.Module):
    """Two models that train against each other."""

    def __init__(self):
        self.first, self.second = nn.Linear(2, 1), nn.Linear(2, 1)

    def forward(self, x):
        return self.first(x)


class Rivals(Trainer):
    """Each model learns what the other one leaves of the target."""

    def step(self, x, y):
        losses = {}
        for name, model, other in [
            ("loss", self.model.first, self.model.second), ("second_loss", self.model.second, self.model.first),
        ]:  # fmt: skip
            optimizer = self.optimizer[name]
            optimizer.zero_grad()
            losses[name] = F.mse_loss(model(x), y - other(x).detach())
            losses[name].backward()
            optimizer.step()
        return losses, None


def rivals(folder=None, stop=0):
    cunet.manual_seed(3)
    pair = Pair()
    optimizers = {
        "loss": optim.Adam(pair.first.parameters(), 0.05),
        "second_loss": optim.SGD(pair.second.parameters(), 0.05),
    }
    callbacks = [Checkpoint(folder, monitor=None, every_steps=1)] if folder else []
    return made(Rivals, pair, optimizers, callbacks=[*callbacks, *([StopAt(stop)] if stop else [])])


@pytest.mark.cpu_only
def test_several_optimisers_are_in_the_state_of_a_run(rng, tmp_path):
    data = Loader(*line(rng, 40), batch_size=10)

    def left_by(trainer):
        states = [host(v).tobytes() if hasattr(v, "tobytes") else v for o in trainer.optimizer.values()
                  for s in o.state_dict()["state"] for v in s.values()]  # fmt: skip
        return [a.tobytes() for a in trainer.model.state_dict().values()], states, trainer.global_step

    whole = rivals()
    whole.fit(data, epochs=3)
    assert whole.history[-1]["second_loss"] < whole.history[0]["second_loss"]
    with pytest.raises(Cut):
        rivals(tmp_path, stop=6).fit(data, epochs=3, resume="auto")
    again = rivals(tmp_path)
    again.fit(data, epochs=3, resume="auto")
    assert left_by(again) == left_by(whole)
    again.save(tmp_path / "end.safetensors")
    model = Pair()
    with pytest.raises(
        ValueError, match="the state is of the optimizer loss: Adam, second_loss: SGD, this trainer has SGD"
    ):
        made(Trainer, model, optim.SGD(model.parameters(), 0.1)).load(tmp_path / "end.safetensors")


@pytest.mark.cpu_only
def test_several_optimisers_need_a_step_of_ones_own(rng):
    pair = Pair()
    trainer = made(Trainer, pair, {"loss": optim.SGD(pair.parameters(), 0.1)})
    with pytest.raises(ValueError, match="several optimizers need a step of your own"):
        trainer.fit([line(rng)])
    with pytest.raises(TypeError, match="optimizer must be one of cunet.optim, .* or a dict of optimizers, got None"):
        made(Trainer, pair, {"loss": None})
    with pytest.warns(UserWarning, match="holds no parameter of this model"):
        made(Rivals, pair, {name: optim.SGD(Pair().parameters(), 0.1) for name in ("loss", "second_loss")}).fit(
            [line(rng)]
        )


@pytest.mark.cpu_only
def test_a_trainer_without_optimiser_is_saved_and_loaded(rng, tmp_path):
    data, model, other = line(rng), nn.Linear(2, 1), nn.Linear(2, 1)
    Trainer(model, "mse_loss", device="cpu").save(tmp_path / "a.safetensors")
    trainer = Trainer(other, "mse_loss", device="cpu", progress=False)
    trainer.load(tmp_path / "a.safetensors")
    assert trainer.evaluate(data) == Trainer(model, "mse_loss", device="cpu", progress=False).evaluate(data)
    np.testing.assert_array_equal(other.weight.data, model.weight.data)
