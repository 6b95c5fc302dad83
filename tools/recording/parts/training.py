"""Steps and epochs of whole nets on MNIST, by cunet, recorded and not, and by PyTorch."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import cunet
from cunet import data

from ..libraries import MODES, Cunet, Torch, pytorch
from ..rows import Measure, Rows
from ..setting import Setting

Library = Cunet | Torch


def run(setting: Setting, rows: Rows) -> None:
    """Measure epochs, then single steps."""
    libraries: list[Library] = [Cunet(setting.xp, setting.form)]
    with rows.skipping("PyTorch"):
        libraries.append(pytorch(setting.form))
    rows.measure([*_measures(setting, libraries, _epochs, setting.form.epochs), *_steps(setting, libraries)])


def _measures(setting: Setting, libraries: list[Library], what: Any, nets: Any) -> Iterator[tuple[str, Measure]]:
    for net in nets:
        for library in libraries:
            for mode in MODES:
                name = f"{net}, {library.name} {mode}"
                yield f"{what.__name__[1:]} {name}", functools.partial(what, setting, library, net, mode)
                if library.name == "cunet" and mode == MODES[0]:
                    recorded = functools.partial(what, setting, library, net, mode, recorded=True)
                    yield f"{what.__name__[1:]} {name} recorded", recorded


def _steps(setting: Setting, libraries: list[Library]) -> Iterator[tuple[str, Measure]]:
    return _measures(setting, libraries, _step, setting.form.nets)


@functools.cache
def images(wanted: str, limit: int) -> tuple[str, tuple[np.ndarray, ...]]:
    """Return the name of the data, and training images, their labels, test images, their labels.

    MNIST is read where ``CUNET_DATA`` has it, else it is "digits"; it is not fetched: a machine with a GPU may have no
    network.
    """
    folder = os.environ.get("CUNET_DATA")
    name = wanted if folder and Path(folder, "mnist").is_dir() else "digits"
    train, test = data.load_images(name)
    found = [a[:limit] for split in (train, test) for a in split.arrays(flatten=False)]
    if found[0].ndim == 3:
        found[0], found[2] = found[0][:, None], found[2][:, None]
    return name, tuple(found)


def _step(setting: Setting, library: Library, net: str, mode: str, recorded: bool = False) -> dict[str, Any]:
    _, (x, t, *_) = images(setting.form.data, setting.form.images)
    batch = setting.form.batch
    args = library.array(x[:batch]), library.array(t[:batch])
    with library.mode(mode):
        step = library.step(library.net(net, x.shape[-1]))
        run = cunet.compile(step) if recorded else step
        for _ in range(5 if recorded else 0):
            run(*args)  # recorded, compared
        found: dict[str, Any] = setting.timer(library.stream)(lambda: run(*args))
    found |= {"net": net, "library": library.name, "mode": mode, "batch": batch}
    return found | ({"report": str(run.report())} if recorded else {})


def _epochs(setting: Setting, library: Library, net: str, mode: str, recorded: bool = False) -> dict[str, Any]:
    name, arrays = images(setting.form.data, setting.form.images)
    x, t, test, labels = arrays[0], arrays[1], arrays[2], arrays[3]
    x_there, t_there = library.array(x), library.array(t)
    model = library.net(net, x.shape[-1])
    step = library.step(model)
    run = cunet.compile(step) if recorded else step
    rng, seconds, hosts = np.random.default_rng(0), [], []
    batch, count = setting.form.batch, len(x) // setting.form.batch
    with library.mode(mode):
        for _ in range(setting.form.epochs[net]):
            order = library.array(rng.permutation(len(x)))
            library.stream.synchronize()
            begin = time.perf_counter()
            for k in range(count):
                rows = order[k * batch : (k + 1) * batch]
                run(x_there[rows], t_there[rows])
            hosts.append(time.perf_counter() - begin)
            library.stream.synchronize()
            seconds.append(time.perf_counter() - begin)
        parts = [library.predict(model, library.array(test[k : k + 1000])) for k in range(0, len(test), 1000)]
    accuracy = float(np.mean(np.concatenate(parts) == labels))
    found = {"net": net, "library": library.name, "mode": mode, "data": name, "batch": batch, "steps": count}
    found |= {"seconds": seconds, "host_seconds": hosts, "accuracy": accuracy}
    return found | ({"report": str(run.report())} if recorded else {})
