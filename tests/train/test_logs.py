"""Logs as files: what is in them, and that a run which was stopped leaves the same bytes."""

import csv
import json
import math

import numpy as np
import pytest
from checkpoint_helpers import Cut, StopAt
from trainer_helpers import classes, trainer_of

import cunet
from cunet import nn, optim
from cunet.train import Callback, Checkpoint, CSVLog, JSONLog, Schedule, Trainer

pytestmark = pytest.mark.cpu_only


class Later(Callback):
    """Adds to the logs after others had their turn; a new name from the third epoch on."""

    def on_epoch_end(self, trainer, logs):
        logs["note"] = 'a "quoted", text'
        if logs["epoch"] > 2:
            logs["late"] = np.float32(0.5)
        logs["odd"] = {"nan": math.nan, "list": [np.inf, np.int64(3)], "other": object}


def trained(folder, data, stop=0, epochs=4):
    cunet.manual_seed(3)
    model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.2), nn.Linear(8, 3))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    logs = [CSVLog(folder / "log.csv"), JSONLog(folder / "log.jsonl")]
    callbacks = [logs[0], Schedule(optim.CosineAnnealingLR(optimizer, 4)), Checkpoint(folder / "run", every_steps=1)]
    callbacks += [logs[1], Plain()] + ([StopAt(stop)] if stop else [])
    trainer = Trainer(model, "cross_entropy", optimizer, metrics=["confusion_matrix"], callbacks=callbacks,
                      progress=False, device="cpu")  # fmt: skip
    try:
        trainer.fit(data, data, epochs=epochs, batch_size=16, resume="auto", evaluate_first=True)
    except Cut:
        return None
    return trainer


class Plain(Callback):
    def on_epoch_end(self, trainer, logs):
        if logs["epoch"] > 2:
            logs["late"] = 0.5


def bytes_of(folder):
    return [(folder / name).read_bytes() for name in ("log.csv", "log.jsonl")]


@pytest.mark.parametrize("stop", [1, 7, 12, 18])
def test_a_run_that_was_cut_off_leaves_the_same_bytes(stop, tmp_path, rng):
    data = classes(rng, 96)  # 6 batches an epoch
    (tmp_path / "whole").mkdir(), (tmp_path / "cut").mkdir()
    whole = trained(tmp_path / "whole", data)
    assert trained(tmp_path / "cut", data, stop) is None
    with open(tmp_path / "cut/log.csv", "a") as file:  # what a killed process may leave
        file.write("half a li")
    (tmp_path / "cut/log.jsonl").unlink()
    trained(tmp_path / "cut", data)
    assert bytes_of(tmp_path / "cut") == bytes_of(tmp_path / "whole")
    rows = [json.loads(line) for line in bytes_of(tmp_path / "whole")[1].splitlines()]
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3, 4] and rows[4]["loss"] == whole.history[4]["loss"]
    assert np.sum(rows[1]["confusion_matrix"]) == 96


def test_columns_that_come_later_are_in_the_whole_csv(tmp_path, rng):
    trainer = trainer_of(nn.Linear(3, 3), loss="cross_entropy", callbacks=[CSVLog(tmp_path / "a.csv"), Later()])
    trainer.fit(classes(rng), epochs=2)
    trainer.fit(classes(rng), epochs=2)
    with open(tmp_path / "a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "loss", "complete", "note", "late"]
    assert [row["late"] for row in rows] == ["", "", "0.5", "0.5"]
    assert rows[0]["note"] == 'a "quoted", text' and rows[3]["complete"] == "True"
    assert [float(row["loss"]) for row in rows] == [logs["loss"] for logs in trainer.history]


def test_json_lines_are_strict_json(tmp_path, rng):
    path = tmp_path / "a.jsonl"
    trainer = trainer_of(nn.Linear(3, 3), loss="cross_entropy", callbacks=[JSONLog(path, times=True), Later()])
    trainer.fit(classes(rng), epochs=1)
    (row,) = [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]
    assert row["odd"] == {"nan": None, "list": [None, 3], "other": "<class 'object'>"}
    assert row["seconds"] > 0 and row["samples_per_second"] > 0


def test_an_epoch_that_was_cut_short_is_noted(tmp_path, rng):
    class Stop(Callback):
        def on_batch_end(self, trainer):
            trainer.stop = trainer.interrupted = True

    path = tmp_path / "a.csv"
    trainer_of(nn.Linear(3, 3), loss="cross_entropy", callbacks=[CSVLog(path), Stop()]).fit(classes(rng), epochs=2)
    assert path.read_text().splitlines()[1].endswith("False") and len(path.read_text().splitlines()) == 2


def test_a_file_that_cannot_be_is_said_before_the_first_step(tmp_path, rng):
    for path, error in ((tmp_path, IsADirectoryError), (tmp_path / "no/a.csv", FileNotFoundError)):
        trainer = trainer_of(nn.Linear(3, 3), loss="cross_entropy", callbacks=[CSVLog(path)])
        with pytest.raises(error):
            trainer.fit(classes(rng))
        assert trainer.global_step == 0


def test_a_file_that_is_removed_in_a_run_comes_again_whole(tmp_path, rng):
    class Remove(Callback):
        def on_epoch_begin(self, trainer):
            path.unlink()

    path = tmp_path / "a.csv"
    trainer_of(nn.Linear(3, 3), loss="cross_entropy", callbacks=[CSVLog(path), Remove()]).fit(classes(rng), epochs=3)
    assert [line.split(",")[0] for line in path.read_text().splitlines()] == ["epoch", "1", "2", "3"]
