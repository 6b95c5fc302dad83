"""The same cases as in `kernels`, by PyTorch as it is without a compiler."""

from __future__ import annotations

from ..libraries import pytorch
from ..rows import Rows, Skipped
from ..setting import Setting
from .kernels import measures


def run(setting: Setting, rows: Rows) -> None:
    """Measure all cases."""
    try:
        library = pytorch(setting.form)
    except Skipped as reason:
        rows.write("all", "skipped", str(reason))
        return
    rows.measure(measures(setting, library))
