"""The kernels of cunet: device and host time of each case, beside copies of as many bytes."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..cases import Case, chosen
from ..libraries import MODES, Cunet, Torch
from ..plan import Form
from ..rows import Measure, Rows
from ..setting import Setting
from ..timing import copier


def run(setting: Setting, rows: Rows) -> None:
    """Measure copies, then all cases."""
    library = Cunet(setting.xp, setting.form)
    timer = setting.timer(library.stream)
    copies = [(f"copy {n:.0e}", lambda n=n: {"bytes": n, **timer(copier(library.xp, n))}) for n in setting.form.sizes]
    rows.measure([*copies, *measures(setting, library)])


def measures(setting: Setting, library: Cunet | Torch) -> Iterator[tuple[str, Measure]]:
    """Yield a measure for each case, dtype, mode of products, and size."""
    for case, dtype, mode, size in settings_of(setting.form):
        name = f"{case.name} {dtype} {mode} {size:.0e}"
        yield name, functools.partial(_case, setting, library, case, dtype, mode, size)


def settings_of(form: Form) -> Iterator[tuple[Case, str, str, int]]:
    """Yield all that is measured, the chief cases first."""
    for case in chosen(form.cases):
        for dtype in form.dtypes:
            for mode in MODES if dtype == "float32" and case.passes is None else MODES[:1]:
                for size in form.sizes:
                    yield case, dtype, mode, size


def _case(setting: Setting, library: Cunet | Torch, case: Case, dtype: str, mode: str, size: int) -> dict[str, Any]:
    found: dict[str, Any] = {"case": case.name, "dtype": dtype, "mode": mode, "size": size}
    elements = size // (4 if dtype == "float32" else np.dtype(np.float16).itemsize)
    try:
        with library.mode(mode):
            for way, call, moved in library.calls(case, elements, dtype):
                found[way] = {"bytes": moved, **setting.timer(library.stream)(call)}
    finally:
        library.free()
    return found
