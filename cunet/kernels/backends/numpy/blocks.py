"""Long NumPy work cut into blocks that stay in a core's cache, on all cores.

A body such as ``1 / (1 + np.exp(-x))`` makes three arrays of the size of x, each of which travels to the
memory and back. Over blocks they stay in the cache; and NumPy lets go of the interpreter while it computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ....system.cpu import cores, helpers, one_blas_thread
from ...axes import folded_axes
from ...spec import single
from . import tuning as settings


class Call(NamedTuple):
    """A body with its arguments, the axes that it folds (or {}), and where its results go."""

    body: Callable[..., Any]
    args: Sequence[Any]
    axes: dict[str, Any]
    outs: Sequence[np.ndarray]


def cut(body: Callable[..., Any], args: Sequence[Any], lead: np.ndarray, dtypes: Sequence[Any]) -> Any:
    """Return what ``body(*args)`` returns, computed block by block, or NotImplemented if it cannot be cut.

    Args:
        body: works element by element on all of its arguments.
        args: numbers, and arrays that broadcast.
        lead: one of the arrays, of the shape that they broadcast to.
        dtypes: of the outputs.
    """
    if any(getattr(a, "dtype", lead.dtype) != lead.dtype for a in args):
        return NotImplemented  # the result would be of a dtype that only NumPy knows
    arrays = [a for a in args if isinstance(a, np.ndarray) and a.ndim]
    flat = all(a.shape == lead.shape and a.flags.c_contiguous for a in arrays)
    if flat:
        args = [a.reshape(-1) if isinstance(a, np.ndarray) and a.ndim else a for a in args]
        length = lead.size
        cuts = [isinstance(a, np.ndarray) and a.ndim > 0 for a in args]
    elif all(_broadcasts(a.shape, lead.shape) for a in arrays):
        length = len(lead)
        cuts = [isinstance(a, np.ndarray) and a.ndim == lead.ndim and len(a) == length for a in args]
    else:
        return NotImplemented
    threads = cores() if lead.size >= settings.tuning.threaded else 1
    step = max(1, (settings.tuning.shared if threads > 1 else settings.tuning.block) // (lead.size // length))
    if step >= length:
        return NotImplemented
    outs = [np.empty(lead.shape, t) for t in dtypes]
    targets = [out.reshape(-1) for out in outs] if flat else outs

    def work(k: int) -> None:
        part = slice(k * step, min(k * step + step, length))
        with np.errstate(all="ignore"):
            results = body(*[a[part] if c else a for a, c in zip(args, cuts, strict=True)])
        fill([target[part] for target in targets], results)

    _each(work, -(-length // step), threads)
    return single(outs)


def _each(work: Callable[[int], None], count: int, threads: int) -> None:
    if threads > 1:
        helpers.run(work, count)
    else:
        for k in range(count):
            work(k)


def fill(outs: Sequence[np.ndarray], results: Any) -> None:
    """Copy what a body returned, one array or a tuple of them, into arrays."""
    for out, result in zip(outs, results if isinstance(results, tuple) else (results,), strict=True):
        out[...] = result


def run(body: Callable[..., Any], args: Sequence[Any], lead: np.ndarray, dtypes: Sequence[Any]) -> Any:
    """Return what ``body(*args)`` returns, computed block by block if that can be and is worth it; silently."""
    result = cut(body, args, lead, dtypes) if lead.size >= 2 * settings.tuning.block else NotImplemented
    if result is NotImplemented:
        with np.errstate(all="ignore"):
            result = body(*args)
    return result


def rows(calls: Sequence[Call], lead: np.ndarray) -> bool:
    """Run bodies one after the other on a block of rows, then on the next; return whether they could be cut.

    Blocks depend on the shape alone, so that sums do not depend on the number of threads.

    Args:
        calls: what to run. Arrays of as many axes as `lead` and of its length along the first are cut.
        lead: an array of the shape of the data.
    """
    ndim, length = lead.ndim, len(lead)
    step = max(1, settings.tuning.shared * length // lead.size)
    folds_rows = any(call.axes and 0 in folded_axes(ndim, call.axes.get("axis")) for call in calls)
    if ndim < 2 or step >= length or folds_rows:
        return False

    def work(k: int) -> None:
        part = slice(k * step, min(k * step + step, length))
        with np.errstate(all="ignore"):
            for body, args, axes, outs in calls:
                inside = [a[part] if getattr(a, "ndim", 0) == ndim and len(a) == length else a for a in args]
                fill([out[part] for out in outs], body(*inside, **axes))

    with one_blas_thread():
        helpers.run(work, -(-length // step))
    return True


def _broadcasts(small: Sequence[int], large: Sequence[int]) -> bool:
    if len(small) > len(large):
        return False
    return all(n in (1, s) for n, s in zip(small, large[len(large) - len(small) :], strict=True))
