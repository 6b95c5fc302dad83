"""What is measured of a batch on a GPU, in one launch each: labels that were hit, and all sums of an epoch."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...device import Array, array_module, is_array
from ...kernels import primitive
from ...kernels.backends.cuda.types import c_type, data_types

_THREADS = 256
_MOST = 1 << 16  # positions that one block goes through; it is one processor's work
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # of CuPy's placeholders for types

_HITS = """
%(types)stypedef %(label)s L;
extern "C" __global__ void hit_rate(
    const T* scores, const L* labels, long long count, long long classes, long long inner, long long ignored,
    double* share, long long* kept) {
  __shared__ long long hit_by[%(threads)d], kept_by[%(threads)d];
  long long hits = 0, all = 0;
  for (long long i = threadIdx.x; i < count; i += %(threads)d) {
    if (labels[i] == ignored) continue;
    const T* row = scores + (i / inner * classes) * inner + i %% inner;
    A best = (A)row[0];
    long long at = 0;
    for (long long c = 1; c < classes; ++c) {
      const A value = (A)row[c * inner];
      if (value > best || (value != value && best == best)) { best = value; at = c; }  // NaN is the largest
    }
    hits += at == labels[i];
    ++all;
  }
  hit_by[threadIdx.x] = hits;
  kept_by[threadIdx.x] = all;
  for (int half = %(threads)d / 2; half > 0; half >>= 1) {
    __syncthreads();
    if (threadIdx.x < half) {
      hit_by[threadIdx.x] += hit_by[threadIdx.x + half];
      kept_by[threadIdx.x] += kept_by[threadIdx.x + half];
    }
  }
  if (threadIdx.x == 0) {
    *share = (double)hit_by[0] / (double)kept_by[0];
    *kept = kept_by[0];
  }
}
"""


@primitive
def hit_rate(scores: Array, labels: Array, ignored: int) -> tuple[Array, Array]:
    """Return the share of positions whose largest score is at the label, of those whose label counts; and how many do.

    Args:
        scores: shape (N, C, ...).
        labels: integers, shape (N, ...).
        ignored: the label that does not count.
    """
    kept = labels != ignored
    hits = (scores.argmax(axis=1) == labels) & kept
    count = kept.sum()
    with np.errstate(invalid="ignore"):
        return hits.sum() / count, count


@hit_rate.cuda
def _(scores: Array, labels: Array, ignored: int) -> Any:
    xp, word = array_module(scores), c_type(labels.dtype.name)
    if not is_array(labels) or word is None or not 0 < labels.size <= _MOST or scores.dtype.name not in _FLOATS:
        return NotImplemented
    classes, inner = scores.shape[1], labels[0].size
    share, kept = xp.empty((), np.float64), xp.empty((), np.int64)
    arrays = xp.ascontiguousarray(scores), xp.ascontiguousarray(labels)
    sizes = [np.int64(n) for n in (labels.size, classes, inner, ignored)]
    _hits(xp, scores.dtype, word)((1,), (_THREADS,), (*arrays, *sizes, share, kept))
    return share, kept


_FLOATS = ("float16", "bfloat16", "float32", "float64")


@functools.cache
def _hits(xp: Any, dtype: np.dtype, word: str) -> Any:
    return xp.RawKernel(_HITS % {"types": data_types(dtype), "label": word, "threads": _THREADS}, "hit_rate")


@primitive
def accumulate(totals: Array, values: Sequence[Any], weights: Sequence[Any], watched: int | None) -> None:
    """Add ``values * weights`` and `weights` to running sums on a GPU, in one launch.

    Args:
        totals: float64: the sums of values, those of weights, and how often the sum `watched` was no NaN afterwards.
        values, weights: numbers, or arrays of one element. A value without weight adds nothing, be it NaN.
        watched: which sum is looked at, or None.
    """
    kinds = tuple([is_array(x) for x in (*values, *weights)])
    given = [x if there else float(x) for x, there in zip((*values, *weights), kinds, strict=True)]
    _adding(array_module(totals), kinds, watched)(*given, totals, size=1)


def fits(values: Iterable[Any], weights: Iterable[Any]) -> bool:
    """Tell whether `accumulate` takes as many."""
    return sum(map(is_array, (*values, *weights))) < len(_LETTERS)


@functools.cache
def _adding(xp: Any, kinds: tuple[bool, ...], watched: int | None) -> Any:
    count, letters = len(kinds) // 2, iter(_LETTERS)
    ins = [f"raw {next(letters)} given{k}" if there else f"float64 given{k}" for k, there in enumerate(kinds)]
    read = [f"(double)given{k}[0]" if there else f"given{k}" for k, there in enumerate(kinds)]
    lines = []
    for k in range(count):
        lines.append(f"const double weight{k} = {read[count + k]}, term{k} = {read[k]} * weight{k}")
        lines.append(f"totals[{k}] += weight{k} == 0 ? 0.0 : term{k}")
        lines.append(f"totals[{count + k}] += weight{k}")
    if watched is not None:
        lines.append(f"totals[{2 * count}] += totals[{watched}] == totals[{watched}]")
    return xp.ElementwiseKernel(", ".join(ins), "raw float64 totals", ";\n".join(lines), "accumulate")
