"""CUDA text that kernels over rows share: vector loads, and the joining of what threads hold.

CuPy's own reductions leave a GPU half idle where a result is a struct or there are several of them: one thread a
load, no registers kept between a statistic and its use, 24 blocks for the sums of 768 columns. `rowwise` and
`reduction` make text for RawKernels that do better; every barrier of theirs stands in this file or in `reduction`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .types import data_types

STATE_BYTES = 32  # of a running value, at most

# Every thread of a row gets the same value, joined in the order of the lanes. `held` is 1 KiB of shared memory.
_JOIN = """
template <class S> __device__ inline S swap_lanes(const S& mine, int step) {
  static_assert(sizeof(S) <= 32, "a running value has at most 32 bytes");
  unsigned words[(sizeof(S) + 3) / 4] = {0};
  memcpy(words, &mine, sizeof(S));
  #pragma unroll
  for (int k = 0; k < (int)(sizeof(words) / 4); ++k) words[k] = __shfl_xor_sync(0xffffffffu, words[k], step);
  S other;
  memcpy(&other, words, sizeof(S));
  return other;
}
template <class S, class Join> __device__ inline S join_lanes(S mine, Join join, int lanes, char* held) {
  for (int step = 1; step < lanes && step < 32; step <<= 1) {
    const S other = swap_lanes(mine, step);
    mine = threadIdx.x & step ? join(other, mine) : join(mine, other);
  }
  if (lanes <= 32) return mine;
  const int warps = lanes >> 5;
  __syncthreads();  // all have read what an earlier call left in `held`
  if ((threadIdx.x & 31) == 0) memcpy(held + (threadIdx.x >> 5) * sizeof(S), &mine, sizeof(S));
  __syncthreads();
  memcpy(&mine, held + (threadIdx.x & (warps - 1)) * sizeof(S), sizeof(S));
  for (int step = 1; step < warps; step <<= 1) {
    const S other = swap_lanes(mine, step);
    mine = threadIdx.x & step ? join(other, mine) : join(mine, other);
  }
  return mine;
}
"""


def header(dtype: np.dtype, vector: int, preamble: str) -> str:
    """Return what stands before a kernel: the types ``T`` and ``A``, loads of `vector` elements, `join_lanes`."""
    return (
        f"{data_types(dtype)}"
        f"struct __align__({vector} * sizeof(T)) some_data {{ T v[{vector}]; }};\n"
        f"struct __align__({vector} > 1 ? 16 : sizeof(A)) some_factors {{ A v[{vector}]; }};\n"
        f"{_JOIN}{preamble}\n"
    )


def vector_of(dtype: np.dtype, length: int, arrays: Sequence[Any]) -> int:
    """Return how many elements are loaded at once from rows of `length`: 16 bytes, or 1 where rows do not allow it."""
    vector = 16 // dtype.itemsize
    return vector if length % vector == 0 and all(a.data.ptr % 16 == 0 for a in arrays) else 1


def lanes_of(loads: int, most: int) -> int:
    """Return how many threads work on a row of that many loads: a power of two, at most 32 as far as 4 loads each."""
    lanes = 1
    while lanes < min(loads if loads <= 128 else -(-loads // 4), most):
        lanes <<= 1
    return min(lanes, 32) if loads <= 128 else lanes
