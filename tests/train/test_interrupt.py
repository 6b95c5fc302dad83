"""Ctrl-C during training: it ends after the batch, a second one at once."""

import signal
import threading

import pytest
from trainer_helpers import At, Recorder, line, press_ctrl_c, regression

from cunet import F, nn, optim
from cunet.data import Loader
from cunet.train import Trainer

pytestmark = pytest.mark.usefixtures("ctrl_c_is_heard")


@pytest.mark.cpu_only
def test_ctrl_c_ends_after_the_batch_and_keeps_all(rng):
    x, y = line(rng)
    recorder = Recorder()
    within = []

    class Interrupted(Trainer):
        def step(self, *batch):
            if self.epoch == 2:
                press_ctrl_c()  # in the middle of a batch: the step is finished all the same
                within.append(self.model.weight.data.copy())
            result = super().step(*batch)
            within.append(self.model.weight.data.copy())
            return result

    model = nn.Linear(2, 1)
    trainer = Interrupted(
        model, F.mse_loss, optim.SGD(model.parameters(), lr=0.1), callbacks=[recorder], progress=False
    )
    before = signal.getsignal(signal.SIGINT)
    history = trainer.fit(Loader(x, y, batch_size=16), (x, y), epochs=5)
    assert signal.getsignal(signal.SIGINT) is before is signal.default_int_handler
    assert [(logs["epoch"], logs["complete"]) for logs in history] == [(1, True), (2, False)]
    assert "valid_loss" in history[0] and "valid_loss" not in history[1] and history[1]["loss"] > 0
    assert trainer.interrupted and recorder.calls.count(("batch", 2)) == 1
    assert recorder.calls[-2:] == [("batch", 2), ("fit end", 2)]
    assert (within[-1] != within[-2]).all()
    trainer.fit(Loader(x, y, batch_size=64), epochs=1)
    assert trainer.history[-1]["epoch"] == 3 and not trainer.interrupted and not trainer.stop


@pytest.mark.cpu_only
def test_a_second_ctrl_c_raises_at_once(rng):
    x, y = line(rng)
    recorder = Recorder()

    def twice(prediction, target):
        press_ctrl_c()
        press_ctrl_c()
        pytest.fail("the second should have raised")

    trainer = regression(loss=twice, callbacks=[recorder])
    with pytest.raises(KeyboardInterrupt):
        trainer.fit((x, y))
    assert trainer.interrupted and recorder.calls[-1] == ("fit end", 1)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.cpu_only
def test_ctrl_c_in_the_validation_finishes_it(rng):
    x, y = line(rng)
    times = []

    def metric(prediction, target):
        if not trainer.model.training:
            times.append(1)
            if len(times) == 1:
                press_ctrl_c()
        return 1.0

    trainer = regression(metrics={"m": metric})
    trainer.fit((x, y), Loader(x, y, batch_size=16), epochs=5)
    assert len(times) == 4 and trainer.interrupted and len(trainer.history) == 1
    assert trainer.history[0]["complete"] and "valid_m" in trainer.history[0]
    assert trainer.model.training


@pytest.mark.cpu_only
def test_signals_of_others_and_other_threads_are_left_alone(rng):
    data, seen = line(rng), []

    def own(number, frame):
        seen.append(number)

    previous = signal.signal(signal.SIGINT, own)
    try:
        trainer = regression(callbacks=[At(1, press_ctrl_c)])
        trainer.fit(data, epochs=2)
        assert seen == [signal.SIGINT] and len(trainer.history) == 2
        assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, previous)
    trainer = regression()
    thread = threading.Thread(target=trainer.fit, args=(data,))
    thread.start()
    thread.join()
    assert len(trainer.history) == 1
