"""Event files: TensorBoard's own reader finds in them what the run was; a browser shows it."""

import io
import re
import socket
import subprocess
import sys
import time
import urllib.request

import browser
import numpy as np
import pytest
from checkpoint_helpers import Cut, StopAt
from trainer_helpers import classes, trainer_of

import cunet
from cunet import nn
from cunet.train import Checkpoint, TensorBoard

pytestmark = pytest.mark.cpu_only


def read(folder):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed; it comes with the extra [tensorboard]")
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()


def tensors(run, tag):
    from tensorboard.util.tensor_util import make_ndarray

    return [(event.step, make_ndarray(event.tensor_proto)) for event in run.Tensors(tag)]


def scalars(run, tag):
    return {step: float(value) for step, value in tensors(run, tag)}


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A run of 3 epochs with 4 steps each, on images."""
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed; it comes with the extra [tensorboard]")
    folder = tmp_path_factory.mktemp("board")
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    callback = TensorBoard(folder, every_steps=2, settings={"note": "x < y", "depth": 2, "odd": (1, 2)})
    trainer = trainer_of(model, loss="cross_entropy", metrics=["accuracy", "confusion_matrix"], callbacks=callback)
    data = rng.standard_normal((60, 1, 8, 8)).astype(np.float32), rng.integers(0, 3, 60)
    trainer.fit(data, data, epochs=3, batch_size=16)
    return folder, trainer


def test_numbers_of_training_and_validation_share_their_names(whole):
    folder, trainer = whole
    train, valid = read(folder / "train"), read(folder / "valid")
    for name in ("loss", "accuracy"):
        rows = {4 * logs["epoch"]: logs for logs in trainer.history}
        assert scalars(train, name) == pytest.approx({step: logs[name] for step, logs in rows.items()})
        assert scalars(valid, name) == pytest.approx({step: logs[f"valid_{name}"] for step, logs in rows.items()})
    assert sorted(scalars(train, "steps/loss")) == [2, 4, 6, 8, 10, 12]
    assert scalars(train, "steps/loss")[8] == pytest.approx(trainer.history[1]["loss"])
    assert "seconds" in train.Tags()["tensors"] and "confusion_matrix" not in train.Tags()["tensors"]


def test_weights_pictures_texts_and_settings(whole):
    folder, trainer = whole
    train = read(folder / "train")
    step, buckets = tensors(train, "weights/3.weight")[-1]
    weight = trainer.model[3].weight.data
    assert step == 12 and buckets[:, 2].sum() == weight.size and buckets[0, 0] == pytest.approx(weight.min())
    assert [step for step, _ in tensors(train, "first layer")] == [4, 8, 12]
    ((_, (width, height, png)),) = tensors(train, "inputs")
    shown = pytest.importorskip("PIL.Image").open(io.BytesIO(png))
    assert (int(width), int(height)) == shown.size == (8 * 9 - 1, 2 * 9 - 1)
    assert b"Conv2d(1, 4" in tensors(train, "model")[0][1].item()
    assert b"| loss | cross_entropy |" in tensors(train, "run")[0][1].item()
    metadata = train.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    for word in (b"SGD", b"lr", b"x < y", b"depth", b"(1, 2)", b"batch_size"):
        assert word in metadata


def test_what_a_killed_run_wrote_after_its_last_checkpoint_is_gone(tmp_path, rng):
    data = classes(rng, 96)  # 6 batches an epoch

    def trained(stop=0):
        cunet.manual_seed(1)
        board = TensorBoard(tmp_path / "board", every_steps=1, histograms=False)
        callbacks = [
            board,
            Checkpoint(tmp_path / "run", monitor=None, every_steps=4),
            *([StopAt(stop)] if stop else []),
        ]
        trainer = trainer_of(nn.Linear(3, 3), loss="cross_entropy", callbacks=callbacks)
        trainer.fit(data, epochs=3, batch_size=16, resume="auto")

    with pytest.raises(Cut):
        trained(11)
    assert max(scalars(read(tmp_path / "board/train"), "steps/loss")) == 11
    trained()
    found = [step for step, _ in tensors(read(tmp_path / "board/train"), "steps/loss")]
    assert found == list(range(1, 19))


def test_odd_values_and_wrong_settings(tmp_path, rng):
    read(tmp_path)
    model = nn.Linear(3, 3)
    model.weight.data[0, 0] = np.nan
    callback = TensorBoard(tmp_path / "a", images=False)
    trainer = trainer_of(model, loss=lambda p, t: (p * 0).sum(), callbacks=callback)
    with pytest.warns(UserWarning, match="the loss is NaN"):
        trainer.fit(classes(rng), epochs=1)
    ((_, buckets),) = tensors(read(tmp_path / "a/train"), "weights/weight")
    assert buckets[:, 2].sum() == 8
    with pytest.raises(ValueError, match="TensorBoard: every_steps must be at least 1, got 0"):
        TensorBoard(tmp_path, every_steps=0)


def test_without_the_package_the_extra_is_named(monkeypatch, tmp_path, rng):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    trainer = trainer_of(nn.Linear(3, 3), loss="cross_entropy", callbacks=TensorBoard(tmp_path))
    with pytest.raises(ImportError, match=r'TensorBoard needs tensorboard.*pip install "cunet\[tensorboard\]"'):
        trainer.fit(classes(rng))


@pytest.mark.slow
def test_a_browser_shows_it(whole, tmp_path):
    browser.chromium()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "tensorboard.main", "--logdir", str(whole[0]), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                runs = urllib.request.urlopen(f"{address}/data/runs", timeout=5).read().decode()
                if "valid" in runs:
                    break
            except OSError:
                pass
            time.sleep(0.1)
        text = browser.run("--virtual-time-budget=20000", "--dump-dom", f"{address}/#timeseries", folder=tmp_path)
    finally:
        server.terminate()
        server.wait()
    seen = re.sub(r"<[^>]+>", " ", text)
    for word in ("accuracy", "loss", "first layer", "weights", "train", "valid"):
        assert word in seen
