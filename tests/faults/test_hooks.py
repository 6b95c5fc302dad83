"""A hook, a loss, a metric or the data raise: what is lost are the steps since the last save."""

import numpy as np
import pytest
from checkpoint_helpers import facts
from fault_helpers import STEPS, fitted, goes_on, samples, trainer_in, undisturbed, weights

from cunet.train import Callback

pytestmark = pytest.mark.cpu_only

HOOKS = ["on_fit_begin", "on_epoch_begin", "on_batch_end", "on_epoch_end", "on_checkpoint", "on_fit_end", "state_dict"]


class Broken(Exception):
    pass


class Ends(Callback):
    """Note that the end of the fit was told."""

    def __init__(self):
        self.ended = 0

    def on_fit_end(self, trainer):
        self.ended += 1


def breaking(hook, step):
    """Return a callback that raises in a hook, from a step on."""

    class Breaking(Callback):
        steps = 0

        def on_batch_end(self, trainer):
            Breaking.steps = trainer.global_step

    own = Breaking.on_batch_end

    def broken(self, *args):
        if hook == "on_batch_end":
            own(self, *args)
        if Breaking.steps >= step:
            raise Broken
        return {} if hook == "state_dict" else None

    setattr(Breaking, hook, broken)
    return Breaking()


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_raises_loses_the_steps_since_the_last_save(hook, tmp_path):
    whole = undisturbed(tmp_path / "whole")
    before, after = Ends(), Ends()
    trainer = trainer_in(tmp_path / "cut", [before, breaking(hook, 0 if hook == "on_fit_begin" else STEPS + 2), after])
    with pytest.raises(Broken):
        fitted(trainer, resume="auto")
    assert before.ended == after.ended == 1
    saved = sorted(p.name for p in (tmp_path / "cut").glob("*")) if (tmp_path / "cut").exists() else []
    steps = {"on_fit_begin": 0, "on_epoch_begin": 2 * STEPS, "on_epoch_end": 2 * STEPS, "on_fit_end": 3 * STEPS}
    last = steps.get(hook, STEPS + 1)
    assert saved[-1:] == ([f"step-{last:09}.safetensors"] if last else [])
    assert goes_on(tmp_path / "cut") == whole


def test_a_state_that_a_callback_does_not_take_ends_a_resume_before_its_first_step(tmp_path):
    class Kept(Callback):
        broken = False

        def state_dict(self):
            return {"a": 1}

        def load_state_dict(self, state):
            if self.broken:
                raise Broken

    whole = facts(fitted(trainer_in(tmp_path / "whole", [Kept()]), resume="auto"))
    fitted(trainer_in(tmp_path / "cut", [Kept()]), epochs=2, resume="auto")
    files = sorted(p.read_bytes() for p in (tmp_path / "cut").iterdir())
    ends, kept = Ends(), Kept()
    kept.broken = True
    trainer = trainer_in(tmp_path / "cut", [ends, kept])
    with pytest.raises(Broken):
        fitted(trainer, resume="auto")
    assert ends.ended == 1 and trainer.global_step == 2 * STEPS
    assert sorted(p.read_bytes() for p in (tmp_path / "cut").iterdir()) == files
    assert facts(fitted(trainer_in(tmp_path / "cut", [Kept()]), resume="auto")) == whole


def test_all_errors_at_the_end_are_told_and_the_first_is_raised():
    class Fails(Callback):
        def __init__(self, word):
            self.word = word

        def on_fit_end(self, trainer):
            raise ValueError(self.word)

    with pytest.raises(ValueError) as caught:
        fitted(trainer_in(None, [Fails("one"), Fails("two"), Ends()]))
    assert str(caught.value) == "one"
    assert caught.value.__notes__ == ["Fails.on_fit_end failed too: ValueError('two')"]


@pytest.mark.parametrize("place", ["loss", "metric", "augment", "model", "memory"])
def test_an_error_within_a_step_loses_that_step(place, tmp_path):
    whole = undisturbed(tmp_path / "whole", metrics="accuracy")
    calls = []

    def count(value):
        calls.append(1)
        if len(calls) == STEPS + 2:
            raise MemoryError if place == "memory" else Broken
        return value

    from cunet import F
    from cunet.train import accuracy

    options = {
        "loss": {"loss": lambda p, t: count(F.cross_entropy(p, t))},
        "metric": {"metrics": {"accuracy": lambda p, t: count(accuracy(p, t))}},
        "augment": {"augment": lambda x, y: count((x, y))},
    }.get(place, {"augment": lambda x, y: count((x, y))})
    trainer = trainer_in(tmp_path / "cut", **{"metrics": "accuracy", **options})
    with pytest.raises(MemoryError if place == "memory" else Broken):
        fitted(trainer, valid=False, resume="auto")
    assert trainer.global_step == STEPS + 1 and [logs["epoch"] for logs in trainer.history] == [1]
    assert goes_on_without_validation(tmp_path / "cut") is not None
    assert whole[-1] == 3 * STEPS


def goes_on_without_validation(folder):
    return facts(fitted(trainer_in(folder, metrics="accuracy"), valid=False, resume="auto"))


def test_data_that_raise_lose_nothing_that_was_learnt(tmp_path):
    x, labels = samples()
    batches = [(x[k : k + 5], labels[k : k + 5]) for k in range(0, 20, 5)]

    def torn():
        yield from batches[:2]
        raise OSError("the network is gone")

    class Data:
        broken = True

        def __iter__(self):
            return torn() if self.broken else iter(batches)

    def trained(data):
        trainer = trainer_in(tmp_path)
        trainer.fit(data, epochs=2, resume="auto")
        return trainer

    data = Data()
    with pytest.raises(OSError, match="the network is gone"):
        trained(data)
    assert (tmp_path / "step-000000002.safetensors").exists()
    data.broken = False
    again = facts(trained(data))
    other = trainer_in(None)
    other.fit(batches, epochs=2)
    assert again == facts(other)


def test_an_error_in_the_validation_loses_the_validation(tmp_path):
    x, labels = samples()
    trainer = trainer_in(tmp_path)
    with pytest.raises(ValueError):
        trainer.fit((x, labels), (x[:, :2], labels), batch_size=5)
    assert trainer.global_step == STEPS and trainer.history[0]["loss"] > 0 and not trainer.history[0]["complete"]
    before = weights(trainer)
    again = trainer_in(tmp_path)
    again.fit((x, labels), (x, labels), batch_size=5, resume="auto")
    assert weights(again) == before and "valid_loss" in again.history[-1]
    assert np.isfinite(again.history[-1]["valid_loss"])
