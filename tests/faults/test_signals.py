"""Signals at moments that are not between two batches: what is lost is what was not saved, never what was."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fault_helpers import STEPS, fitted, goes_on, samples, trainer_in, undisturbed

from cunet.train import Callback

pytestmark = [pytest.mark.cpu_only, pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")]

ROOT = Path(__file__).parents[2]


class Sends(Callback):
    """Send signals to this process in a hook, in a step of a number."""

    def __init__(self, hook, step, *numbers):
        self.step, self.numbers = step, numbers
        setattr(self, hook, self.send)

    def send(self, trainer, *args):
        if trainer.global_step == self.step and self.numbers:
            numbers, self.numbers = self.numbers, ()
            for number in numbers:
                os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def signals_are_heard():
    previous = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in previous.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_batch_end", "on_epoch_end", "on_checkpoint"])
def test_a_signal_in_a_hook_loses_nothing(hook, number, tmp_path):
    whole = undisturbed(tmp_path / "whole")
    step = {"on_epoch_begin": STEPS, "on_epoch_end": STEPS}.get(hook, STEPS + 2)
    ended = fitted(trainer_in(tmp_path / "cut", [Sends(hook, step, number)], every=99), resume="auto")
    assert ended.interrupted and step <= ended.global_step <= step + 1
    assert (tmp_path / "cut" / f"step-{ended.global_step:09}.safetensors").exists()
    assert goes_on(tmp_path / "cut", every=99) == whole


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_signal_in_the_validation_lets_it_end(number, tmp_path):
    calls = []

    def metric(prediction, target):
        calls.append(1)
        if len(calls) == STEPS + 1:  # the first batch that is validated on
            os.kill(os.getpid(), number)
        return 1.0

    trainer = fitted(trainer_in(tmp_path, metrics={"one": metric}), resume="auto")
    assert trainer.interrupted and trainer.history[0]["valid_one"] == 1.0 and trainer.history[0]["complete"]


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)],
                         ids=["ctrl-c", "sigterm"])  # fmt: skip
def test_a_second_signal_loses_the_steps_since_the_last_save(number, error, tmp_path):
    whole = undisturbed(tmp_path / "whole")
    trainer = trainer_in(tmp_path / "cut", [Sends("on_batch_end", STEPS + 2, number, number)])
    with pytest.raises(error):
        fitted(trainer, resume="auto")
    assert sorted((tmp_path / "cut").iterdir())[-1].name == f"step-{STEPS + 1:09}.safetensors"
    assert goes_on(tmp_path / "cut") == whole


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=["kill", "sigterm", "ctrl-c"])
def test_a_process_that_is_ended_from_outside(number, tmp_path):
    code = """
import os, sys, time, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
from fault_helpers import fitted, trainer_in
from cunet.train import Callback
class Waits(Callback):
    def on_batch_end(self, trainer):
        if trainer.global_step == 6:
            print("now", flush=True)
            for _ in range(600):
                time.sleep(0.01)
fitted(trainer_in(sys.argv[2], [Waits()]), resume="auto")
"""
    command = [sys.executable, "-c", code, str(ROOT), str(tmp_path / "cut")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "now\n"
        process.send_signal(number)
        code = process.wait()
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 0)
    last = 5 if number == signal.SIGKILL else 6  # the step that was under way was ended, and saved
    assert sorted((tmp_path / "cut").iterdir())[-1].name == f"step-{last:09}.safetensors"
    assert goes_on(tmp_path / "cut") == undisturbed(tmp_path / "whole")


def test_a_keyboard_interrupt_that_a_hook_raises_is_one(tmp_path):
    class Raises(Callback):
        def on_epoch_end(self, trainer, logs):
            raise KeyboardInterrupt

    trainer = trainer_in(tmp_path, [Raises()])
    with pytest.raises(KeyboardInterrupt):
        fitted(trainer, samples(), resume="auto")
    assert trainer.interrupted and trainer.history[0]["loss"] > 0
    assert sorted(tmp_path.iterdir())[-1].name == f"step-{STEPS:09}.safetensors"
