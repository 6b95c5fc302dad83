"""Runs that stop and go on: what comes is what would have come, to the bit."""

import os
import signal
from unittest import TestCase

import numpy as np
import pytest
from checkpoint_helpers import Cut, StopAt, facts, images, net, run

import cunet
from cunet import nn, optim
from cunet.train import Callback, Checkpoint, Trainer


@pytest.mark.parametrize("stop", [1, 4, 5, 6, 9, 10, 14])
def test_a_run_that_was_cut_off_goes_on_to_the_bit(stop, device, dev, rng, tmp_path):
    data = images(dev, rng)
    whole = facts(run(data, tmp_path / "whole", device, compile=False))
    assert run(data, tmp_path / "cut", device, stop=stop, every=1) is None
    assert facts(run(data, tmp_path / "cut", device, every=1)) == whole


@pytest.mark.parametrize("make", [optim.SGD, optim.AdamW, optim.RMSprop])
def test_a_run_goes_on_from_the_last_file_if_steps_were_lost_since(make, device, dev, rng, tmp_path):
    data = images(dev, rng)
    whole = facts(run(data, tmp_path / "whole", device, make=make))
    assert run(data, tmp_path / "cut", device, stop=9, every=4, make=make) is None
    assert facts(run(data, tmp_path / "cut", device, every=4, make=make)) == whole
    assert facts(run(data, tmp_path / "cut", device, every=4, make=make))[-1] == 15  # over: nothing more is trained


@pytest.mark.cpu_only
def test_a_generator_of_batches_goes_on_where_it_was(rng, tmp_path):
    x, y = images(np.asarray, rng)
    batches = [(x[k : k + 4], y[k : k + 4]) for k in range(0, 20, 4)]

    def trained(folder, stop=0):
        model = net()
        callbacks = [Checkpoint(folder, monitor=None, every_steps=1), *([StopAt(stop)] if stop else [])]
        trainer = Trainer(model, "cross_entropy", optim.SGD(model.parameters(), lr=0.1), callbacks=callbacks)
        try:
            trainer.fit(batches, epochs=2, resume="auto")
        except Cut:
            return None
        return trainer

    whole = facts(trained(tmp_path / "whole"))
    trained(tmp_path / "cut", 7)
    assert facts(trained(tmp_path / "cut")) == whole


@pytest.mark.cpu_only
@pytest.mark.usefixtures("ctrl_c_is_heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_batch_saves_and_says_where(number, rng, tmp_path):
    class Send(Callback):
        def on_batch_end(self, trainer):
            if trainer.global_step == 7 and not trainer.history[1:]:
                os.kill(os.getpid(), number)

    data = images(np.asarray, rng)
    whole = facts(run(data, tmp_path / "whole", "cpu", compile=False))
    with TestCase().assertLogs("cunet", "INFO") as said:
        ended = run(data, tmp_path / "cut", "cpu", extra=[Send()])
    assert ended.interrupted and ended.global_step == 7
    assert "step-000000007.safetensors" in str(said.output) and 'resume="auto"' in str(said.output)
    assert facts(run(data, tmp_path / "cut", "cpu")) == whole
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)


@pytest.mark.cpu_only
def test_a_run_that_a_callback_stopped_is_over(rng, tmp_path):
    class Stop(Callback):
        def on_epoch_end(self, trainer, logs):
            trainer.stop = trainer.epoch == 2

    data = images(np.asarray, rng)
    first = facts(run(data, tmp_path, "cpu", extra=[Stop()]))
    assert first[-1] == 10
    assert facts(run(data, tmp_path, "cpu", extra=[Stop()])) == first


@pytest.mark.cpu_only
def test_save_and_load_between_two_fits(rng, tmp_path):
    data = images(np.asarray, rng)

    def trainer():
        model = net()
        return Trainer(model, "cross_entropy", optim.Adam(model.parameters(), 0.01))

    whole = trainer()
    whole.fit(data, epochs=2)
    first = trainer()
    first.fit(data, epochs=1)
    first.save(tmp_path / "half.safetensors")
    second = trainer()
    second.load(tmp_path / "half.safetensors")
    second.fit(data, epochs=1)
    assert facts(second) == facts(whole)


@pytest.mark.cpu_only
def test_a_hook_that_fails_at_the_end_does_not_skip_the_others(rng):
    class Fails(Callback):
        def on_fit_end(self, trainer):
            raise RuntimeError("first")

    class Ends(Callback):
        ended = False

        def on_fit_end(self, trainer):
            self.ended = True

    model, ends = net(), Ends()
    trainer = Trainer(model, "cross_entropy", optim.SGD(model.parameters(), 0.1), callbacks=[Fails(), ends])
    with pytest.raises(RuntimeError, match="first"):
        trainer.fit(images(np.asarray, rng))
    assert ends.ended


@pytest.mark.cpu_only
def test_streams_of_layers_and_what_is_frozen_are_in_the_state(rng, tmp_path):
    data = images(np.asarray, rng)

    def trainer():
        cunet.manual_seed(5)
        layers = [nn.Flatten(), nn.Linear(36, 8), nn.Dropout(0.5, generator=cunet.Generator(9, "own")), nn.Linear(8, 3)]
        model = nn.Sequential(*layers)
        return Trainer(model, "cross_entropy", optim.SGD(model.parameters(), 0.1))

    whole = trainer()
    whole.model[1].requires_grad_(False)
    whole.fit(data, epochs=1)
    whole.save(tmp_path / "half.safetensors")
    whole.fit(data, epochs=1)
    again = trainer()
    again.load(tmp_path / "half.safetensors")
    assert [p.requires_grad for p in again.model.parameters()] == [False, False, True, True]
    again.fit(data, epochs=1)
    assert facts(again) == facts(whole)
    assert again.model[2].generator.state_dict() == whole.model[2].generator.state_dict()
