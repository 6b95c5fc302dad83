"""CUDA text that kernels over rows share: types, vector loads, and the joining of what threads hold.

CuPy's own reductions leave a GPU half idle where a result is a struct or there are several of them: one thread a
load, no registers kept between a statistic and its use, 24 blocks for the sums of 768 columns. `cunet.rowwise` and
`reduction` make text for RawKernels that do better; every barrier of theirs stands in this file or in `reduction`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ....device import is_gpu_array

STATE_BYTES = 32  # of a running value, at most
_WORDS = {
    "float16": "float16", "bfloat16": "bfloat16", "float32": "float", "float64": "double", "bool": "bool",
    "int32": "int", "uint32": "unsigned int", "int64": "long long", "uint64": "unsigned long long",
}  # fmt: skip
_INCLUDES = {name: f"#include <cupy/{name}.cuh>\n" for name in ("float16", "bfloat16")}

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


def c_type(kind: str) -> str | None:
    """Return what C calls the type of a parameter, or None for a placeholder other than ``T`` and ``A``."""
    return kind if kind in ("T", "A") else _WORDS.get(kind)


def types(wide: np.dtype, gradient: np.dtype) -> str:
    """Return the definitions of ``A``, the type `wide`, and of ``G``."""
    return f"{_INCLUDES.get(gradient.name, '')}typedef {_WORDS[wide.name]} A;\ntypedef {_WORDS[gradient.name]} G;"


def header(dtype: np.dtype, vector: int, preamble: str) -> str:
    """Return what stands before a kernel: the types ``T`` and ``A``, loads of `vector` elements, `join_lanes`."""
    wide = "double" if dtype == np.float64 else "float"
    return (
        f"{_INCLUDES.get(dtype.name, '')}typedef {_WORDS[dtype.name]} T;\ntypedef {wide} A;\n"
        f"struct __align__({vector} * sizeof(T)) some_data {{ T v[{vector}]; }};\n"
        f"struct __align__({vector} > 1 ? 16 : sizeof(A)) some_factors {{ A v[{vector}]; }};\n"
        f"{_JOIN}{preamble}\n"
    )


def on_device(a: Any) -> bool:
    """Tell whether an argument is an array of the device; refuse NumPy's, as CuPy's own kernels do."""
    if isinstance(a, np.ndarray):
        raise TypeError(f"Unsupported type {type(a)}")
    return is_gpu_array(a)


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


def calls(text: str, names: Sequence[str]) -> Iterator[tuple[int, int, str, list[str]]]:
    """Yield (start, end, name, arguments) of each call of one of `names` in CUDA text."""
    at = 0
    while True:
        found = [(k, n) for n in names if (k := _word(text, n + "(", at)) >= 0]
        if not found:
            return
        start, name = min(found)
        depth, first, arguments, k = 0, start + len(name) + 1, [], start + len(name)
        while True:
            c = text[k]
            depth += (c in "([{") - (c in ")]}")
            if depth == 0 or (c == "," and depth == 1):
                arguments.append(text[first:k].strip())
                first = k + 1
            k += 1
            if depth == 0:
                break
        at = k
        yield start, k, name, arguments


def _word(text: str, word: str, at: int) -> int:
    """Return where `word` begins from `at` on, not as the end of a longer one; -1 if nowhere."""
    k = text.find(word, at)
    while k > 0 and (text[k - 1].isalnum() or text[k - 1] in "_."):
        k = text.find(word, k + 1)
    return k
