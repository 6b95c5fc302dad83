"""Long elementwise NumPy work cut into blocks that stay in a core's cache, on all cores.

A body such as ``1 / (1 + np.exp(-x))`` makes three arrays of the size of x, each of which travels to the
memory and back. Over blocks they stay in the cache; and NumPy lets go of the interpreter while it computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ....system.cpu import cores, helpers, one_blas_thread
from ...spec import folded_axes, reduced_shape

BLOCK = 32768  # elements of a block on one thread
SHARED = 131072  # on several: shorter calls lose more to handing over the interpreter than they gain
THREADED = 262144  # elements from which other threads are woken


def cut(body: Any, args: Sequence[Any], lead: np.ndarray, dtypes: Sequence[Any]) -> Any:
    """Return what ``body(*args)`` returns, computed block by block, or NotImplemented if it cannot be cut.

    Args:
        body: works element by element on all of its arguments.
        args: numbers, and arrays that broadcast.
        lead: one of the arrays, of the shape that they broadcast to.
        dtypes: of the outputs.
    """
    shape = lead.shape
    if any(getattr(a, "dtype", lead.dtype) != lead.dtype for a in args):
        return NotImplemented  # the result would be of a dtype that only NumPy knows
    arrays = [a for a in args if isinstance(a, np.ndarray) and a.ndim]
    flat = all(a.shape == shape and a.flags.c_contiguous for a in arrays)
    if flat:
        args = [a.reshape(-1) if isinstance(a, np.ndarray) and a.ndim else a for a in args]
        length, per_row = lead.size, 1
        cuts = [isinstance(a, np.ndarray) and a.ndim > 0 for a in args]
    else:
        if any(a.ndim > len(shape) or any(n not in (1, s) for n, s in _aligned(a.shape, shape)) for a in arrays):
            return NotImplemented
        length, per_row = shape[0], lead.size // shape[0]
        cuts = [isinstance(a, np.ndarray) and a.ndim == len(shape) and a.shape[0] == length for a in args]
    threads = cores() if lead.size >= THREADED else 1
    step = max(1, (SHARED if threads > 1 else BLOCK) // per_row)
    if step >= length:
        return NotImplemented
    outs = [np.empty(shape, t) for t in dtypes]
    targets = [out.reshape(-1) for out in outs] if flat else outs

    def work(k: int) -> None:
        part = slice(k * step, min(k * step + step, length))
        with np.errstate(all="ignore"):
            results = body(*[a[part] if c else a for a, c in zip(args, cuts, strict=True)])
        for out, result in zip(targets, results if isinstance(results, tuple) else (results,), strict=True):
            out[part] = result

    count = -(-length // step)
    if threads > 1:
        helpers.run(work, count)
    else:
        for k in range(count):
            work(k)
    return outs[0] if len(outs) == 1 else tuple(outs)


def run(body: Any, args: Sequence[Any], lead: np.ndarray, dtypes: Sequence[Any]) -> Any:
    """Return what ``body(*args)`` returns, computed block by block if that can be and is worth it; silently."""
    result = cut(body, args, lead, dtypes) if lead.size >= 2 * BLOCK else NotImplemented
    if result is NotImplemented:
        with np.errstate(all="ignore"):
            result = body(*args)
    return result


def rows(calls: Sequence[Any], lead: np.ndarray) -> bool:
    """Run bodies one after the other on a block of rows, then on the next; return whether they could be cut.

    Blocks depend on the shape alone, so that sums do not depend on the number of threads.

    Args:
        calls: (body, arguments, axes to fold or {}, outputs). Arrays of as many axes as `lead` and of its length
            along the first are cut.
        lead: an array of the shape of the data.
    """
    ndim, length = lead.ndim, len(lead)
    step = max(1, SHARED * length // lead.size)
    if ndim < 2 or step >= length or any(axes and 0 in folded_axes(ndim, axes["axis"]) for _, _, axes, _ in calls):
        return False

    def work(k: int) -> None:
        part = slice(k * step, min(k * step + step, length))
        with np.errstate(all="ignore"):
            for body, args, axes, outs in calls:
                cut = [a[part] if getattr(a, "ndim", 0) == ndim and len(a) == length else a for a in args]
                results = body(*cut, **axes)
                for out, result in zip(outs, results if isinstance(results, tuple) else (results,), strict=True):
                    out[part] = result

    with one_blas_thread():
        helpers.run(work, -(-length // step))
    return True


def outputs(kernel: Any, args: Sequence[Any], **axes: Any) -> list[np.ndarray] | None:
    """Return arrays for the outputs of a kernel's NumPy body, or None where only NumPy knows what these are."""
    lead = args[kernel._lead]
    known = type(lead) is np.ndarray and lead.dtype.char in "fd" and all(p.type in "TA" for p in kernel.outs)
    params = list(zip(kernel.ins, args, strict=False))
    if not known or any(p.type in "TA" and getattr(a, "dtype", lead.dtype) != lead.dtype for p, a in params):
        return None
    shape = np.broadcast_shapes(*[a.shape for p, a in params if hasattr(a, "shape") and not p.raw])
    if axes:
        shape = reduced_shape(shape, axes.get("axis"), axes.get("keepdims", False))
    return [np.empty(shape, lead.dtype) for _ in kernel.outs]


def fold(kernel: Any, args: Sequence[Any], **axes: Any) -> Any:
    """Return what a reduction returns, computed on blocks of rows, or NotImplemented if it cannot be cut."""
    outs = outputs(kernel, args, **axes)
    if outs is None or not rows([(kernel.body, args, axes, outs)], args[kernel._lead]):
        return NotImplemented
    return outs[0] if len(outs) == 1 else tuple(outs)


def _aligned(small: Sequence[int], large: Sequence[int]) -> Any:
    return zip(small, large[len(large) - len(small) :], strict=True)
