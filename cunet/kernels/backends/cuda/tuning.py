"""Numbers that the CUDA backend works by. Counted, not measured: none has seen a GPU."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, eq=False, repr=False)
class Tuning:
    """All of them; a test replaces the object that the other modules read.

    Attributes:
        broadcast: elements from which elementwise kernels with broadcast arguments go row by row; below, a launch costs
            more than CuPy's divisions.
        flat: elements from which they do where nothing is broadcast: below that a call costs the host more than the
            device.
        few_rows, wide_row, narrow_row: rows that are fewer than that are not wider; none are narrower: a block has a
            row, and a GPU some hundred blocks at work.
        held: loads of each input that a thread keeps in registers between folds; more would spill.
        row_lanes: threads that share a row at most: half of what a block may have, for registers.
        block: threads of a block whose rows are shorter than that.
        many_rows, long_row: rows that are fewer are not longer in rowwise kernels; few long rows are better folded in
            parts.
        blocks: as many a GPU should have to work on: four for each processor of the largest.
        part_down, part_along: elements of a part of a reduction, at least: down columns, along rows.
        gradients: arrays of one launch of an optimiser's step: their addresses are arguments, and CUDA takes 4 KiB.
        threads: of a block of an optimiser's step.
        columns: bytes of the columns of one part of a convolution, which is one sample at least: of a GPU's memory,
            little.
    """

    broadcast: int = 1 << 17
    flat: int = 1 << 22
    few_rows: int = 256
    wide_row: int = 8192
    narrow_row: int = 16
    held: int = 4
    row_lanes: int = 512
    block: int = 128
    many_rows: int = 64
    long_row: int = 8192
    blocks: int = 512
    part_down: int = 256
    part_along: int = 2048
    gradients: int = 32
    threads: int = 256
    columns: int = 1 << 27


tuning = Tuning()
