"""Reductions on a device where CuPy's own would be slow: rows, columns, and sums over everything.

CuPy folds the columns of 65536 x 768 numbers in 24 blocks, and a struct over everything in one. Here a reduction over
the first or the last axes of contiguous arrays becomes a RawKernel made of the reduction's own text: threads side by
side read side by side, and where there are few results each of them is folded in `parts`, in blocks of their own, whose
running values a second launch joins. Everything else is left to CuPy.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from . import common

LANES, DEEP = 32, 8  # threads of a block of columns: side by side, and down the columns
MOST_LANES = 512  # threads that share a row
BLOCK = 128  # threads of a block of shorter rows
BLOCKS = 512  # as many a GPU should have to work on
SHORT, SHORT_ROW = 256, 2048  # elements of a part, at least: down columns, along rows


class Plan(NamedTuple):
    """How a reduction is cut.

    Attributes:
        columns: the first axes are folded, else the last.
        length: values in each result; results: how many.
        kinds: of each argument: "all" (one value an element), "kept" (one a result), "folded" (one for each place along
            the folded axes), "one", "number".
        args: contiguous arrays, and numbers.
    """

    columns: bool
    length: int
    results: int
    kinds: tuple[str, ...]
    args: list[Any]


def plan(kernel: Any, xp: Any, args: Sequence[Any], dtypes: dict[str, Any], axes: Sequence[int]) -> Plan | None:
    """Return how to fold `args` over `axes`, or None where CuPy shall do it.

    Args:
        kernel: a `cunet.kernels.Reduction`.
        xp: the array module.
        args: arrays and numbers.
        dtypes: what ``T`` and ``A`` stand for.
        axes: from 0, sorted.
    """
    if any(p.raw or common.c_type(p.type) is None for p in (*kernel.ins, *kernel.outs)) or kernel.needs_cupy:
        return None
    shape = np.broadcast_shapes(*[a.shape for a in args if hasattr(a, "shape")])
    ndim, folded = len(shape), tuple(axes)
    kept = tuple(k for k in range(ndim) if k not in folded)
    last = folded == tuple(range(ndim - len(folded), ndim))
    if not folded or 0 in shape or not (last or folded == tuple(range(len(folded)))):
        return None
    found = [_placed(xp, p, a, dtypes, shape, folded, kept) for p, a in zip(kernel.ins, args, strict=True)]
    if any(kind == "strided" for kind, _ in found):
        return None
    count, results = (math.prod(shape[k] for k in some) for some in (folded, kept))
    return Plan(not last, count, results, tuple(kind for kind, _ in found), [a for _, a in found])


def _placed(
    xp: Any, p: Any, a: Any, dtypes: dict[str, Any], shape: tuple[int, ...], folded: Sequence[int], kept: Sequence[int]
) -> tuple[str, Any]:
    """Return where the values of an argument lie, and the argument as the kernel takes it."""
    dtype = np.dtype(dtypes.get(p.type, p.type))
    if not common.on_device(a):
        return "number", dtype.type(a)
    if p.type != "T":
        a = a.astype(dtype, copy=False)
    if a.size == 1:
        return "one", a
    full = (1,) * (len(shape) - a.ndim) + a.shape
    for kind, axes in (("kept", kept), ("folded", folded)):
        if all(n == 1 or k in axes for k, n in enumerate(full)):
            part = tuple(n if k in axes else 1 for k, n in enumerate(shape))
            return kind, xp.ascontiguousarray(xp.broadcast_to(a.reshape(full), part))
    return ("all" if full == shape and a.flags.c_contiguous else "strided"), a


def fold(kernel: Any, xp: Any, dtypes: dict[str, Any], how: Plan, outs: Sequence[Any]) -> None:
    """Launch the reduction: once, or twice where its results are folded in parts."""
    dtype, wide_blocks = dtypes["T"], -(-how.results // LANES) if how.columns else how.results
    short = SHORT if how.columns else SHORT_ROW
    parts = max(1, min(-(-how.length // short), -(-BLOCKS // wide_blocks))) if wide_blocks < BLOCKS // 2 else 1
    vector = 1
    if not how.columns:
        loaded = [a for kind, a in zip(how.kinds, how.args, strict=True) if kind in ("all", "folded")]
        vector = common.vector_of(dtype, how.length, loaded)
    chunk = -(-how.length // (parts * vector)) * vector
    parts = -(-how.length // chunk)
    held = [xp.empty(parts * how.results * common.STATE_BYTES, np.uint8)] if parts > 1 else outs

    def launch(columns: bool, source: bool, last: bool, args: Sequence[Any], count: int, chunk: int) -> None:
        width = 1 if columns else vector
        variant = (dtype, columns, how.kinds, source, last, width)
        program, _ = kernel._device(
            xp, dtype, lambda xp, _: xp.RawKernel(_text(kernel, *variant), kernel.name), *variant
        )
        sizes: list[Any] = [np.int64(how.results), np.int64(count), np.int64(chunk)]
        across = -(-count // chunk)
        if columns:
            program((-(-how.results // LANES), across), (LANES, DEEP), (*args, *sizes))
        else:
            lanes = common.lanes_of(-(-chunk // width), MOST_LANES)
            block = max(lanes, BLOCK) if lanes <= 32 else lanes
            program((-(-how.results // (block // lanes)), across), (block,), (*args, *sizes, np.int32(lanes)))

    launch(how.columns, True, parts == 1, (*how.args, *held), how.length, chunk)
    if parts > 1:
        numbers = [a for kind, a in zip(how.kinds, how.args, strict=True) if kind == "number"]
        launch(True, False, True, (*numbers, *held, *outs), parts, parts)


# `a` and `b` are the names that reductions use; blockIdx.y counts the parts.
_ROWS = """{signature} {{
  __shared__ double _held[128];
  const int _lane = threadIdx.x & (_lanes - 1);
  const long long _row = (long long)blockIdx.x * (blockDim.x / _lanes) + threadIdx.x / _lanes;
  const bool _live = _row < _results;
  const long long _own = _live ? _row : _results - 1, _from = blockIdx.y * _chunk;
  const long long _to = !_live ? 0 : _from + _chunk < _count ? _from + _chunk : _count;
  auto _join = [](const S& a, const S& b) -> S {{ return {reduce}; }};
  S a = {identity};
  {once}
  #pragma unroll 4
  for (long long _at = _from + _lane * _vector; _at < _to; _at += _lanes * _vector) {{
    {loads}
    #pragma unroll
    for (int _v = 0; _v < _vector; ++_v) {{
      {each}
      a = _join(a, S({map}));
    }}
  }}
  a = join_lanes(a, _join, _lanes, (char*)_held);
  if (_lane == 0 && _live) {{ {finish} }}
}}
"""
_COLUMNS = """{signature} {{
  __shared__ double _held[1024];
  char* const _mine = (char*)_held + (threadIdx.y * 32 + threadIdx.x) * sizeof(S);
  const long long _column = (long long)blockIdx.x * 32 + threadIdx.x;
  const bool _live = _column < _results;
  const long long _own = _live ? _column : _results - 1, _from = blockIdx.y * _chunk;
  const long long _to = _from + _chunk < _count ? _from + _chunk : _count;
  auto _join = [](const S& a, const S& b) -> S {{ return {reduce}; }};
  S a = {identity};
  {once}
  #pragma unroll 4
  for (long long _at = _from + threadIdx.y; _at < _to; _at += 8) {{
    {each}
    a = _join(a, S({map}));
  }}
  for (int _half = 4; _half > 0; _half >>= 1) {{
    memcpy(_mine, &a, sizeof(S));
    __syncthreads();
    if (threadIdx.y < _half) {{
      S b;
      memcpy(&b, _mine + _half * 32 * sizeof(S), sizeof(S));
      a = _join(a, b);
    }}
  }}  // no barrier: nobody writes again what another reads
  if (threadIdx.y == 0 && _live) {{ {finish} }}
}}
"""


def _text(
    kernel: Any, dtype: np.dtype, columns: bool, kinds: tuple[str, ...], source: bool, last: bool, vector: int
) -> str:
    """Return the CUDA text of one launch; `source` False: of the second, which reads the running values of parts."""
    once, loads, each, params = [], [], [], []
    for p, kind in zip(kernel.ins, kinds, strict=True):
        if not source and kind != "number":
            continue
        word = common.c_type(p.type)
        params.append(f"{word} {p.name}" if kind == "number" else f"const {word}* {p.name}_")
        if kind in ("kept", "one"):
            once.append(f"const {word} {p.name} = {p.name}_[{'_own' if kind == 'kept' else 0}];")
        elif kind in ("all", "folded") and columns:
            each.append(f"const {word} {p.name} = {p.name}_[{'_at * _results + _own' if kind == 'all' else '_at'}];")
        elif kind in ("all", "folded"):
            some = "some_data" if p.type == "T" else "some_factors"
            start = "_own * _count + _at" if kind == "all" else "_at"
            if p.type in "TA":
                loads.append(f"const {some} {p.name}_now_ = *(const {some}*)({p.name}_ + {start});")
                each.append(f"const {word} {p.name} = {p.name}_now_.v[_v];")
            else:
                each.append(f"const {word} {p.name} = {p.name}_[{start} + _v];")
    if not source:
        params.append("const char* _parts")
        each.append(f"S _part; memcpy(&_part, _parts + (_at * _results + _own) * {common.STATE_BYTES}, sizeof(S));")
    outs = [(common.c_type(p.type), p.name) for p in kernel.outs]
    if last:
        params += [f"{word}* {name}_" for word, name in outs]
        finish = "".join(f"{word} {name}; " for word, name in outs) + f"{kernel.post}; "
        finish += " ".join(f"{name}_[_own] = {name};" for _, name in outs)
    else:
        params.append("char* _held_parts")
        finish = f"memcpy(_held_parts + (blockIdx.y * _results + _own) * {common.STATE_BYTES}, &a, sizeof(S));"
    params += ["long long _results, long long _count, long long _chunk", *([] if columns else ["int _lanes"])]
    text = (_COLUMNS if columns else _ROWS).format(
        signature=f'extern "C" __global__ __launch_bounds__({MOST_LANES}) void {kernel.name}({", ".join(params)})',
        reduce=kernel.reduce, identity=kernel.identity, map=kernel.map if source else "_part",
        once=" ".join(once), loads=" ".join(loads), each=" ".join(each), finish=finish,
    )  # fmt: skip
    head = common.header(dtype, vector, kernel.preamble)
    return f"{head}typedef {kernel.reduce_type} S;\nstatic const int _vector = {vector};\n{text}"


def needs_cupy(*texts: str) -> bool:
    """Tell whether the text of a reduction uses names that only CuPy's kernels know."""
    return any(re.search(r"\b_(in|out)_ind\b|\b_[jJi]\b", text) for text in texts)
