"""Arrays that are mapped from files: read batch by batch, as plain arrays, on the device that is asked for."""

import numpy as np
import pytest
from helpers import host

from cunet import nn
from cunet.data import Loader, upload
from cunet.device import device_of
from cunet.random import Generator
from cunet.train import Trainer


@pytest.fixture
def mapped(rng, tmp_path):
    """An array and the same one mapped from a file."""
    x = rng.normal(size=(30, 3, 2))
    np.save(tmp_path / "x.npy", x)
    return x, np.load(tmp_path / "x.npy", mmap_mode="r")


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_are_those_of_the_array(shuffle, device, mapped):
    x, on_disk = mapped
    y = np.arange(30)
    options = {"batch_size": 8, "shuffle": shuffle, "device": device, "dtype": np.float32}
    loader = Loader(on_disk, y, generator=Generator(1), **options)
    assert isinstance(loader.arrays[0], np.memmap) and loader.arrays[0].dtype == np.float64  # nothing was read
    assert isinstance(loader.astype(np.float16).arrays[0], np.memmap)
    for found, expected in zip(loader, Loader(x, y, generator=Generator(1), **options), strict=True):
        for mine, other in zip(found, expected, strict=True):
            assert type(mine) is type(other) and mine.dtype == other.dtype and device_of(mine) == device_of(other)
            np.testing.assert_array_equal(host(mine), host(other))


def test_batches_go_to_a_gpu_while_it_computes(device, mapped, monkeypatch):
    monkeypatch.setattr(upload, "_uploads", {})
    list(Loader(mapped[1], batch_size=8, device=device))
    assert len(upload._uploads) == (device == "gpu")


@pytest.mark.cpu_only
def test_without_a_shuffle_a_batch_is_a_view_of_the_file(mapped):
    batch = next(iter(Loader(mapped[1], batch_size=8)))[0]
    assert type(batch) is np.ndarray and np.shares_memory(batch, mapped[1]) and not batch.flags.writeable


def test_training_on_a_file(device, mapped):
    x, on_disk = mapped
    losses = []
    for data in (x, on_disk):
        model = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
        model.load_state_dict({name: np.full(w.shape, 0.1, w.dtype) for name, w in model.state_dict().items()})
        trainer = Trainer(model, "cross_entropy", "sgd", device=device, progress=False)
        trainer.fit(Loader(data, np.arange(30) % 2, batch_size=8), epochs=2)
        trainer.fit((data, np.arange(30) % 2), (data, np.arange(30) % 2), batch_size=30)
        losses.append([logs["loss"] for logs in trainer.history] + [trainer.history[-1]["valid_loss"]])
        assert trainer.predict(data).shape == (30, 2)
    np.testing.assert_allclose(*losses, rtol=1e-5)
