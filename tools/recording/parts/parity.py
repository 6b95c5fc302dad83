"""Every op and a training run on the device and on the CPU, as ``python -m cunet.parity`` compares them."""

from __future__ import annotations

import functools

from cunet.parity import LOSS_BOUNDS, compare, compare_training, dtypes
from cunet.parity.cases import ROWS

from ..rows import Rows
from ..setting import Setting


def run(setting: Setting, rows: Rows) -> None:
    """Compare all."""
    assert setting.xp
    ops = setting.form.ops
    measures = [
        (f"{row.name} {dtype.name}", functools.partial(compare, row, dtype))
        for row in ROWS
        for dtype in dtypes()
        if not ops or row.op in ops
    ]
    steps = 50 if setting.form.device == "gpu" else 2
    measures += [(f"training {dtype}", functools.partial(compare_training, dtype, steps)) for dtype in LOSS_BOUNDS]
    rows.measure(measures)
