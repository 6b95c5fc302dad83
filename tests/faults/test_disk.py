"""Disks that are full, cannot be written, are gone, or have two writers: what is there before stays whole."""

import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from checkpoint_helpers import facts
from fault_helpers import EPOCHS, STEPS, fitted, full_disk, goes_on, trainer_in, undisturbed, weights

from cunet import nn
from cunet.system import trees
from cunet.train import BestWeights, Callback

pytestmark = pytest.mark.cpu_only

ROOT = Path(__file__).parents[2]
ERRORS = {
    "full": OSError(errno.ENOSPC, "No space left on device"),
    "quota": OSError(errno.EDQUOT, "Disk quota exceeded"),
    "gone": OSError(errno.EIO, "Input/output error"),
    "read-only": OSError(errno.EROFS, "Read-only file system"),
}


def names(folder):
    return sorted(p.name for p in folder.iterdir())


class When(Callback):
    """Do something after a step."""

    def __init__(self, step, action):
        self.step, self.action = step, action

    def on_batch_end(self, trainer):
        if trainer.global_step == self.step:
            self.action()


@pytest.mark.parametrize("kind", ERRORS)
def test_a_save_that_fails_ends_the_run_and_loses_what_came_since_the_last_one(kind, tmp_path, monkeypatch):
    whole = undisturbed(tmp_path / "whole")
    with monkeypatch.context() as patch:
        trainer = trainer_in(tmp_path / "cut", [When(STEPS + 2, lambda: full_disk(patch, ERRORS[kind]))])
        with pytest.raises(OSError) as caught:
            fitted(trainer, resume="auto")
    assert caught.value is ERRORS[kind]
    assert names(tmp_path / "cut") == [f"step-{k:09}.safetensors" for k in range(STEPS - 1, STEPS + 2)]  # no .part
    assert trainer.global_step == STEPS + 2 and len(trainer.history) == 1  # the run in memory is whole
    assert goes_on(tmp_path / "cut") == whole


@pytest.mark.slow
def test_a_real_disk_that_is_full(tmp_path):
    """The size of files is limited for a child process, as by a quota; Python ignores the signal for it."""
    code = """
import resource, sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
from fault_helpers import fitted, trainer_in
from cunet.train import Callback
class Full(Callback):
    def on_batch_end(self, trainer):
        if trainer.global_step == 6:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
fitted(trainer_in(sys.argv[2], [Full()]), resume="auto")
"""
    run = subprocess.run([sys.executable, "-c", code, str(ROOT), str(tmp_path / "cut")], capture_output=True, text=True)
    assert run.returncode == 1 and "File too large" in run.stderr
    assert names(tmp_path / "cut") == [f"step-{k:09}.safetensors" for k in (3, 4, 5)]
    assert goes_on(tmp_path / "cut") == undisturbed(tmp_path / "whole")


@pytest.mark.parametrize("kind", ERRORS)
def test_the_best_weights_so_far_stay(kind, tmp_path, monkeypatch):
    path = tmp_path / "best.safetensors"
    first = fitted(trainer_in(None, [BestWeights(path, None)]), epochs=1)
    with monkeypatch.context() as patch:
        full_disk(patch, ERRORS[kind], room=100)
        with pytest.raises(OSError):
            fitted(trainer_in(None, [BestWeights(path, None)]), epochs=2)
    other = trainer_in(None)
    other.model.load(path)
    assert weights(other) == weights(first) and names(tmp_path) == ["best.safetensors"]


def test_a_folder_that_is_removed_in_a_run_is_named_and_what_was_in_it_is_lost(tmp_path):
    trainer = trainer_in(tmp_path / "run", [When(STEPS, lambda: shutil.rmtree(tmp_path / "run"))])
    with pytest.raises(FileNotFoundError, match="there is no folder .*run to write step-000000004.safetensors to"):
        fitted(trainer, resume="auto")
    assert trainer.global_step == STEPS
    trainer.save(tmp_path / "rescued.safetensors")
    again = trainer_in(None)
    fitted(again, resume=tmp_path / "rescued.safetensors")
    assert facts(again)[:3] == undisturbed(tmp_path / "whole")[:3]


def test_a_folder_that_cannot_be_made_is_said_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("")
    trainer = trainer_in(tmp_path / "file" / "run")
    with pytest.raises(OSError):
        fitted(trainer, resume="auto")
    assert trainer.global_step == 0 and trainer.history == []


@pytest.mark.slow
@pytest.mark.parametrize("home", ["nowhere", "file"])
def test_a_home_that_cannot_be_written_costs_no_run(home, tmp_path):
    """Compiled kernels are then made again by each process, or NumPy runs; weights are the same."""
    place = tmp_path / "home"
    if home == "file":
        place.write_text("")
    code = """
import hashlib, sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
from fault_helpers import fitted, trainer_in, weights
print(hashlib.sha256(repr(weights(fitted(trainer_in(None)))).encode()).hexdigest())
"""
    found = []
    for variables in ({"HOME": str(place / "x"), "XDG_CACHE_HOME": str(place / "x" / "cache")}, {}):
        env = {**os.environ, **variables}
        run = subprocess.run([sys.executable, "-c", code, str(ROOT)], capture_output=True, text=True, env=env)
        assert run.returncode == 0, run.stderr
        found.append(run.stdout)
    assert found[0] == found[1]


@pytest.mark.slow
def test_two_runs_that_save_to_one_folder_leave_whole_files(tmp_path):
    code = """
import sys
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/tests"]
from fault_helpers import fitted, trainer_in
fitted(trainer_in(sys.argv[2]), resume="auto")
"""
    command = [sys.executable, "-c", code, str(ROOT), str(tmp_path / "shared")]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    files = sorted((tmp_path / "shared").iterdir())
    assert len(files) == 3 and all(trees.load_tree(path)["steps"] for path in files)
    assert goes_on(tmp_path / "shared")[-1] == EPOCHS * STEPS


def test_two_writers_of_one_file_leave_one_of_the_two(tmp_path):
    models = [nn.Linear(64, 64), nn.Linear(64, 64)]
    path, failed = tmp_path / "weights.safetensors", []

    def write(model):
        try:
            for _ in range(20):
                model.save(path)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    other = nn.Linear(64, 64)
    while any(thread.is_alive() for thread in threads):
        if path.exists():
            other.load(path)  # at any time it is whole
            assert any((other.weight.data == m.weight.data).all() for m in models)
    for thread in threads:
        thread.join()
    assert failed == [] and names(tmp_path) == ["weights.safetensors"]
