"""Memory that nobody has written shows: what ``np.empty`` returns is full of NaN, or of numbers that nobody expects."""

import functools

import numpy as np


def poisoned(make):
    """Return ``np.empty`` or a relative of it that fills its result: NaN, -1 in integers, true in bools.

    Memory of the system is often 0 by chance, or still right from the call before.
    """

    @functools.wraps(make)
    def filled(*args, **kwargs):
        a = make(*args, **kwargs)
        if a.dtype.kind in "fc" or a.dtype.name == "bfloat16":
            a.fill(np.nan)
        elif a.dtype.kind in "iub":
            a.fill(np.array(-1).astype(a.dtype))
        return a

    return filled
