"""One axis resampled, forward and backward: NumPy body and CUDA body side by side.

Arrays are (before, length, behind). The way back gathers: each element asks the outputs that it may be mixed into, in
one order. Both sides find by arithmetic what is mixed, so that nothing is sent to a GPU.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from ..device import Array
from ..kernels import grid
from .linalg import product

# For each output element: the elements that are mixed, and their shares; a pair for each of them.
Taps = tuple[tuple[np.ndarray, np.ndarray], ...]
_CUBIC = -0.75  # the slope of the cubic kernel at 1, PyTorch's


class Resampling(NamedTuple):
    """How an axis is resampled: numbers, as kernels take them.

    Output element i lies at ``(i + middle) * step - middle`` of the input, where elements lie at whole numbers.

    Attributes:
        length, out: of the axis, before and after.
        step: how far apart in the input two neighbours of the output are.
        middle: where in itself an element lies, 1/2 or 0.
        mixed: how many elements are mixed: 1, the one before; 2 or 4, those around.
    """

    length: int
    out: int
    step: float
    middle: float
    mixed: int


_PARAMS = "int64 length, int64 out, float64 step, float64 middle, int32 mixed"
#: Element k of those that output `o` mixes, and its share; and the first and last output that may mix element `q`.
_MIXED_CUDA = f"""
__device__ inline double cubic_share(double d) {{
  const double a = {_CUBIC};
  return d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
}}
__device__ inline long long mixed_element(
    long long o, int k, long long length, double step, double middle, int mixed, A& share) {{
  const long long last = length - 1;
  double place = (o + middle) * step - middle;
  if (mixed == 1) place += 1e-9;  // products like 3 * (1 / 3) must not fall below the whole number
  if (mixed < 4) place = place < 0 ? 0 : place > last ? last : place;
  const long long before = (long long)floor(place), q = mixed < 4 ? before + k : before + k - 1;
  const double part = place - before;
  share = (A)(mixed == 1 ? 1 : mixed == 2 ? (k ? part : 1 - part) : cubic_share(fabs(part - (k - 1))));
  return q < 0 ? 0 : q > last ? last : q;
}}
__device__ inline long long first_mixing(long long q, double step, double middle, int mixed) {{
  if (step == 0) return 0;
  const double place = floor((q - (mixed + 1) / 2 + middle) / step - middle) - 1;  // one more: numbers are rounded
  return place < 0 ? 0 : (long long)place;
}}
__device__ inline long long last_mixing(
    long long q, long long out, double step, double middle, int mixed) {{
  if (step == 0) return out - 1;
  const double place = ceil((q + (mixed + 1) / 2 + middle) / step - middle) + 1;
  return place > out - 1 ? out - 1 : (long long)place;
}}
"""


def _cubic(distance: np.ndarray) -> np.ndarray:
    """Return the share of an element at a distance of 0 to 2: equation 4 of the paper, for any slope."""
    a, d = _CUBIC, distance
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, far)


@functools.lru_cache(maxsize=64)
def _taps(how: Resampling) -> Taps:
    last, at = how.length - 1, np.arange(how.out, dtype=np.float64)
    place = (at + how.middle) * how.step - how.middle
    if how.mixed == 1:
        # Products like 3 * (1 / 3) must not fall below the whole number.
        return ((np.minimum(np.floor(place + 1e-9), last).astype(np.int64), np.ones(how.out)),)
    if how.mixed == 2:
        place = np.clip(place, 0, last)
    before = np.floor(place).astype(np.int64)
    part = place - before
    if how.mixed == 2:
        return (before, 1 - part), (np.minimum(before + 1, last), part)
    return tuple((np.clip(before + k, 0, last), _cubic(np.abs(part - k))) for k in (-1, 0, 1, 2))


@grid(
    f"raw T x, int64 behind, {_PARAMS}",
    "T y",
    """
    const long long row = (long long)i / behind, column = (long long)i - row * behind;
    const long long plane = row / out, o = row - plane * out;
    A total = A(0);
    for (int k = 0; k < mixed; ++k) {
      A share;
      const long long q = mixed_element(o, k, length, step, middle, mixed, share);
      if (share != A(0)) total += share * (A)x[(plane * length + q) * behind + column];
    }
    y = total
    """,
    preamble=_MIXED_CUDA,
)
def resample(x, behind, *numbers, shape):
    y: Array = None
    for source, share in _taps(Resampling(*numbers)):
        if not share.any():
            continue
        part = x.take(source, axis=1)
        if (share != 1).any():
            part = part * share.reshape(-1, 1).astype(x.dtype)
        y = part if y is None else y + part
    return y


@grid(
    f"raw T gy, int64 behind, {_PARAMS}",
    "T gx",
    """
    const long long row = (long long)i / behind, column = (long long)i - row * behind;
    const long long plane = row / length, q = row - plane * length;
    const long long last = last_mixing(q, out, step, middle, mixed);
    A total = A(0);
    for (long long o = first_mixing(q, step, middle, mixed); o <= last; ++o) {
      const A g = (A)gy[(plane * out + o) * behind + column];
      for (int k = 0; k < mixed; ++k) {
        A share;
        const bool met = mixed_element(o, k, length, step, middle, mixed, share) == q;
        if (met && share != A(0)) total += share * g;
      }
    }
    gx = total
    """,
    preamble=_MIXED_CUDA,
)
def resample_backward(gy, behind, *numbers, shape):
    """Apply the transpose as a product: sums in one order."""
    how = Resampling(*numbers)
    matrix = np.zeros((how.length, how.out))
    for source, share in _taps(how):
        np.add.at(matrix, (source, np.arange(how.out)), share)
    return product(matrix.astype(gy.dtype), gy)
