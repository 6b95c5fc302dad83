"""PyTorch's compiler on some cases and on a step of the net with batch norm: static shapes, with and without graphs."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator
from typing import Any

from ..cases import chosen
from ..libraries import Torch, pytorch
from ..rows import Measure, Rows
from ..setting import Setting
from .training import images

MODES = ("default", "reduce-overhead")


def run(setting: Setting, rows: Rows) -> None:
    """Measure all."""
    with rows.skipping("all"):
        library = pytorch(setting.form)
        # The same backward runs many times.
        importlib.import_module("torch._functorch.config").donated_buffer = False
        rows.measure(_measures(setting, library))


def _measures(setting: Setting, library: Torch) -> Iterator[tuple[str, Measure]]:
    size = setting.form.sizes[-1]
    for mode in MODES:
        yield f"step {mode}", functools.partial(_step, setting, library, mode)
    for case in chosen(setting.form.others):
        for mode in MODES:
            yield f"{case.name} float32 {mode} {size:.0e}", functools.partial(_case, setting, library, case, mode, size)


def _compiler(library: Torch, mode: str) -> Any:
    backend = "inductor" if library.device == "cuda" else "eager"  # C++ for this CPU would take minutes
    return functools.partial(library.torch.compile, dynamic=False, mode=mode, backend=backend)


def _step(setting: Setting, library: Torch, mode: str) -> dict[str, Any]:
    _, (x, t, *_) = images(setting.form.data, setting.form.images)
    batch, net = setting.form.batch, setting.form.nets[min(1, len(setting.form.nets) - 1)]
    model = _compiler(library, mode)(library.net(net, x.shape[-1]))
    step, args = library.step(model), (library.array(x[:batch]), library.array(t[:batch]))
    return {"net": net, "mode": mode, "batch": batch, **setting.timer(library.stream)(lambda: step(*args))}


def _case(setting: Setting, library: Torch, case: Any, mode: str, size: int) -> dict[str, Any]:
    found: dict[str, Any] = {"case": case.name, "dtype": "float32", "mode": mode, "size": size}
    try:
        for way, call, _ in library.calls(
            case, size // 4, "float32", _compiler(library, mode), together=mode != MODES[0]
        ):
            found[way] = setting.timer(library.stream)(call)
    finally:
        library.free()
    return found
