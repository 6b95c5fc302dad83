"""Numbers that work on a processor goes by where NumPy does it.

"measured": alternatives were timed on two cores of an x86-64 server; "reckoned": from the sizes of caches.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, eq=False, repr=False)
class Tuning:
    """All of them; a test replaces the object that the other modules read.

    Attributes:
        long: elements from which elementwise work is cut into blocks, and kernels run tile by tile. Reckoned: two
            float32 arrays of fewer stay in a second-level cache anyway.
        block: elements of a block on one thread. Reckoned: three float32 arrays of it are in a second-level cache.
        shared: elements of a block on several threads. Measured: shorter calls lose more to handing over the
            interpreter than they gain.
        threaded: elements from which other threads are woken. Measured: that takes some tens of microseconds.
        inplace: elements of a block of an optimiser's step. Reckoned: five float32 arrays and their scratch stay in a
            second-level cache.
        own_gradient: elements from which a gradient is read in its own array. Measured: copying it beside others takes
            longer than a kernel call.
        rows: elements of the rows of a block of softmax, whose intermediate results stay in a core's cache. Reckoned.
        planes: elements of the planes of a block of a norm's statistics and of pooling. Reckoned, as `long`.
        stage: elements that one part of a sum over the first axis has at least, which are folded at once. Reckoned.
        stages: parts of such a sum at most. Reckoned: their results are folded in one more.
        columns: bytes of the columns of one part of a convolution, which is one sample at least. Reckoned: half of a
            second-level cache.
        shares: parts of a batch of a convolution, over threads; sums follow from them, so it is no number of cores.
        worth_sharing: multiplications of a convolution that are worth waking threads for. Measured.
        product: multiplications from which a product of matrices goes to threads of ours. Measured: those of the BLAS
            would spin beside them.
    """

    long: int = 65536
    block: int = 32768
    shared: int = 131072
    threaded: int = 262144
    inplace: int = 32768
    own_gradient: int = 32768
    rows: int = 32768
    planes: int = 65536
    stage: int = 1 << 15
    stages: int = 256
    columns: int = 1 << 20
    shares: int = 4
    worth_sharing: int = 10_000_000
    product: int = 1 << 18


tuning = Tuning()
