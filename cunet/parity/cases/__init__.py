"""What `cunet.parity` runs: at least one call of every public op, with inputs of a size at which kernels show their
seams (several tiles of dropout, rows longer than a block, lengths that no power of two divides).

A module has the rows of one family. A new op adds a row to that of its own; a test names the op that has none.
"""

from __future__ import annotations

from ..row import Row
from . import elementwise, layers, losses, matrices, norms, products, shapes, sorting

FAMILIES = (elementwise, products, matrices, shapes, sorting, losses, norms, layers)
ROWS: list[Row] = [row for family in FAMILIES for row in family.ROWS]
