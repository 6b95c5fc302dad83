"""The text of reductions that are RawKernels; see `reduction`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...grammar import Param
from ...spec import ReductionSpec
from . import tuning as settings
from .lanes import STATE_BYTES, header
from .types import c_type

LANES, DEEP = 32, 8  # threads of a block of columns: side by side, and down the columns; the text knows them


class Variant(NamedTuple):
    """One of the programs of a reduction.

    Attributes:
        dtype: of the data.
        columns: the first axes are folded, else the last.
        kinds: of each argument, see `reduction.Partition`.
        source: reads the arguments; else, as the second of two launches, the running values of parts.
        last: writes the outputs; else running values.
        vector: elements of one load.
    """

    dtype: np.dtype
    columns: bool
    kinds: tuple[str, ...]
    source: bool
    last: bool
    vector: int


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


def text_of(spec: ReductionSpec, launch: Variant) -> str:
    """Return the CUDA text of one launch."""
    once, loads, each, params = [], [], [], []
    for p, kind in zip(spec.ins, launch.kinds, strict=True):
        if not launch.source and kind != "number":
            continue
        word = c_type(p.type)
        params.append(f"{word} {p.name}" if kind == "number" else f"const {word}* {p.name}_")
        if kind in ("kept", "one"):
            once.append(f"const {word} {p.name} = {p.name}_[{'_own' if kind == 'kept' else 0}];")
        elif kind in ("all", "folded") and launch.columns:
            each.append(f"const {word} {p.name} = {p.name}_[{'_at * _results + _own' if kind == 'all' else '_at'}];")
        elif kind in ("all", "folded"):
            load, value = _vector_load(p, kind)
            loads += load
            each.append(value)
    if not launch.source:
        params.append("const char* _parts")
        each.append(f"S _part; memcpy(&_part, _parts + (_at * _results + _own) * {STATE_BYTES}, sizeof(S));")
    finish, results = _finish(spec, launch.last)
    params += [*results, "long long _results, long long _count, long long _chunk"]
    params += [] if launch.columns else ["int _lanes"]
    bounds = settings.tuning.row_lanes
    text = (_COLUMNS if launch.columns else _ROWS).format(
        signature=f'extern "C" __global__ __launch_bounds__({bounds}) void {spec.name}({", ".join(params)})',
        reduce=spec.reduce, identity=spec.identity, map=spec.map if launch.source else "_part",
        once=" ".join(once), loads=" ".join(loads), each=" ".join(each), finish=finish,
    )  # fmt: skip
    head = header(launch.dtype, launch.vector, spec.preamble)
    return f"{head}typedef {spec.state} S;\nstatic const int _vector = {launch.vector};\n{text}"


def _vector_load(p: Param, kind: str) -> tuple[list[str], str]:
    """Return the loads of a parameter along a row, and how one of its values is read."""
    word, some = c_type(p.type), "some_data" if p.type == "T" else "some_factors"
    start = "_own * _count + _at" if kind == "all" else "_at"
    if p.type in "TA":
        load = f"const {some} {p.name}_now_ = *(const {some}*)({p.name}_ + {start});"
        return [load], f"const {word} {p.name} = {p.name}_now_.v[_v];"
    return [], f"const {word} {p.name} = {p.name}_[{start} + _v];"


def _finish(spec: ReductionSpec, last: bool) -> tuple[str, list[str]]:
    """Return what stores the results, or running values, and the parameters for them."""
    if not last:
        place = f"(blockIdx.y * _results + _own) * {STATE_BYTES}"
        return f"memcpy(_held_parts + {place}, &a, sizeof(S));", ["char* _held_parts"]
    outs = [(c_type(p.type), p.name) for p in spec.outs]
    finish = "".join(f"{word} {name}; " for word, name in outs) + f"{spec.post}; "
    finish += " ".join(f"{name}_[_own] = {name};" for _, name in outs)
    return finish, [f"{word}* {name}_" for word, name in outs]
