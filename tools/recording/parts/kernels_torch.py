"""The same cases as in `kernels`, by PyTorch as it is without a compiler."""

from __future__ import annotations

from ..libraries import pytorch
from ..rows import Rows
from ..setting import Setting
from .kernels import measures


def run(setting: Setting, rows: Rows) -> None:
    """Measure all cases."""
    with rows.skipping("all"):
        rows.measure(measures(setting, pytorch(setting.form)))
