"""ElementwiseKernel, ReductionKernel and RawKernel: CuPy's own rules and source text, executed by `build`.

Which types the placeholders stand for, what the source looks like and how a reduction is cut into blocks is asked of
CuPy's own functions, so nothing here can drift from them; only what needs a device is done here and in `arguments`.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import cupy
import numpy as np
from cupy._core import _kernel, _reduction

from . import build, nvrtc
from .arguments import argument, broadcast, check, dtypes_of, indexer, outputs, reduce_dims
from .array import ndarray
from .state import options, stats

_lock = threading.Lock()  # the runtime has one set of coordinates


def _run(
    source: str,
    name: str,
    arguments: Sequence[bytes],
    held: Sequence[Any],
    grid: Any,
    block: Any,
    shared: int = 0,
    jobs: Sequence[Any] = (),
) -> None:
    """Launch a kernel, now or from a graph; `held` are the arrays at whose addresses it works."""
    given = nvrtc.start(jobs)  # compiles while g++ does
    try:
        program = build.load(source, name)
    finally:
        nvrtc.finish(given)
    reverse = options.block > 1

    def launch() -> None:
        with _lock:
            program(arguments, grid, block, shared, reverse=reverse)

    if stats.graph is None:
        return launch()
    stats.launches += 1
    stats.graph.kernels.append((name, tuple(arguments)))
    stats.graph.note(functools.partial(_holding, launch, held))


def _holding(launch: Callable[[], None], held: Sequence[Any]) -> None:
    """Launch a kernel whose memory this call holds."""
    launch()


class _Kernel:
    """A kernel of CuPy's, asked for everything but its execution."""

    real: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.kernel = self.real(*args, **kwargs)
        self.__name__ = self.kernel.name

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kernel, name)

    def _count(self, args: Sequence[Any]) -> None:
        kernel = self.kernel
        if len(args) not in (kernel.nin, kernel.nargs):
            raise TypeError(
                f"Wrong number of arguments for {kernel.name!r}. It must be either {kernel.nin} or {kernel.nargs}"
                f" (with outputs), but given {len(args)}."
            )
        check(args)


class ElementwiseKernel(_Kernel):
    """See `cupy.ElementwiseKernel`."""

    real = cupy.ElementwiseKernel

    def __call__(self, *args: Any, size: int | None = None, stream: Any = None, block_size: int = 128) -> Any:
        k = self.kernel
        self._count(args)
        plain, shape = broadcast(args, k.params, size)  # given outputs take part in it
        ins, given = plain[: k.nin], list(args[k.nin :])
        in_types, out_types, type_map = _kernel._decide_params_type(
            k.in_params, k.out_params, dtypes_of(ins), dtypes_of([a._a for a in given])
        )
        outs = outputs(k, given, out_types, shape, size is not None)
        result = None if k.no_return else outs[0] if k.nout == 1 and not k.return_tuple else tuple(outs)
        if 0 in shape:
            return result
        all_args = ins + [a._a for a in outs]
        if k.reduce_dims:
            all_args, shape = reduce_dims(all_args, k.params, shape)
        described = [argument(a, t) for a, t in zip(all_args, (*in_types, *out_types), strict=True)]
        infos, arguments = zip(*described, indexer(shape), strict=True)
        extra = {name: v for name, v in k.kwargs.items() if name in ("loop_prep", "after_loop")}
        source = _kernel._get_elementwise_kernel_code(
            infos, type_map, k.params, k.operation, k.name, k.preamble, **extra
        )
        jobs = [nvrtc.job(source, k.name, k.kwargs.get("options", ()))] if nvrtc.wanted() else []
        grid = (3,) if options.block > 1 else (1,)
        _run(source, k.name, arguments, all_args, grid, (min(options.block, block_size),), jobs=jobs)
        return result


class ReductionKernel(_Kernel):
    """See `cupy.ReductionKernel`. Like it, it returns the first output only, so give all where there are several."""

    real = cupy.ReductionKernel

    def __call__(
        self, *args: Any, out: Any = None, axis: Any = None, keepdims: bool = False, stream: Any = None
    ) -> ndarray:
        k = self.kernel
        if out is not None:
            if k.nout != 1:
                raise NotImplementedError("out= with several outputs")
            args += (out,)
        self._count(args)
        ins, shape = broadcast(args[: k.nin], k.in_params, None)
        given = list(args[k.nin :])
        in_types, out_types, type_map = _kernel._decide_params_type(
            k.in_params, k.out_params, dtypes_of(ins), dtypes_of([a._a for a in given])
        )
        axes, kept = _axes(axis, ins, shape)
        if keepdims:
            out_shape = tuple(1 if i in axes else n for i, n in enumerate(shape))
        else:
            out_shape = tuple(shape[i] for i in kept)
        outs = outputs(k, given, out_types, out_shape, False)
        if 0 in out_shape:
            return outs[0]
        if k.identity == "" and 0 in shape:
            raise ValueError(f"zero-size array to reduction operation {k.name} which has no identity")
        ins, shape = _permuted(k, ins, shape, axes + kept)
        all_outs = [a._a for a in outs]
        if k.reduce_dims:
            ins, shape = reduce_dims(ins, k.in_params, shape)
            all_outs, out_shape = reduce_dims(all_outs, k.out_params, out_shape)
        self._launch(ins + all_outs, (*in_types, *out_types), type_map, shape, out_shape)
        return outs[0]

    def _launch(self, args: list[Any], dtypes: Any, type_map: Any, shape: Any, out_shape: Any) -> None:
        k = self.kernel
        # A block of 512 threads, as on a GPU, would be 512 fibers: the tree of 32 is of the same kind.
        contiguous = min(_contiguous_size(args[: k.nin], k.in_params, out_shape), options.block)
        block, stride, count = _reduction._get_block_specs(
            math.prod(shape), math.prod(out_shape), contiguous, options.block
        )
        described = [argument(a, t) for a, t in zip(args, dtypes, strict=True)]
        described += [indexer(shape), indexer(out_shape), argument(stride, np.int32)]
        infos, arguments = zip(*described, strict=True)
        index_type = "int64" if math.prod(shape) // math.prod(out_shape) > 0x7FFFFFFF else "int32"
        types = _kernel._TypeMap((*type_map._pairs, ("IndexT", index_type)))
        texts = (k.reduce_type, k.identity, k.map_expr, k.reduce_expr, k.post_map_expr, k.preamble, k.options)
        make = functools.partial(_reduction._ReductionKernel_get_cached_function_code, k.nin, k.nout, k._params, infos)
        jobs = []
        if nvrtc.wanted():
            jobs = [nvrtc.job(make(types, k.name, 512, *texts), k.name, k.options)]
            if k.nin == k.nout == 1 and isinstance(args[0], np.ndarray) and not k.in_params[0].raw:
                jobs += nvrtc.cub_jobs(k, dtypes)
        _run(make(types, k.name, options.block, *texts), k.name, arguments, args, (count,), (block,), jobs=jobs)


def _axes(axis: Any, ins: Sequence[Any], shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the axes to fold and the axes to keep; one strided input is folded along its memory, as in CuPy."""
    axes, kept = _reduction._get_axis(axis, len(shape))
    if len(ins) == 1 and len(kept) <= 1 and not ins[0].flags.c_contiguous:
        axes = tuple(sorted(axes, key=lambda i: -abs(ins[0].strides[i])))
    return axes, kept


def _permuted(kernel: Any, ins: list[Any], shape: tuple[int, ...], order: tuple[int, ...]) -> tuple[list[Any], Any]:
    """Put the folded axes first."""
    if order == tuple(range(len(shape))):
        return ins, shape
    if any(p.raw for p in kernel.in_params):
        raise NotImplementedError("Illegal conditions")
    return [a.transpose(order) if isinstance(a, np.ndarray) else a for a in ins], tuple(shape[i] for i in order)


def _contiguous_size(ins: Sequence[Any], params: Sequence[Any], out_shape: tuple[int, ...]) -> int:
    """Return how many outputs stand side by side in memory in the best of the inputs."""
    best = 1
    for a, p in zip(ins, params, strict=True):
        run = 1
        if isinstance(a, np.ndarray) and not p.raw:
            for n, stride in zip(reversed(out_shape), reversed(a.strides), strict=False):
                if stride != run * a.itemsize:
                    break
                run *= n
        best = max(best, run)
    return best


class RawKernel:
    """See `cupy.RawKernel`: plain CUDA text, arrays passed as pointers."""

    max_static_shared = 48 << 10

    def __init__(self, code: str, name: str, options: tuple[str, ...] = (), **kwargs: Any) -> None:
        self.code, self.name, self.options, self.kwargs = code, name, tuple(options), kwargs
        self.__name__ = name
        self.max_dynamic_shared_size_bytes = self.max_static_shared

    def compile(self, log_stream: Any = None) -> None:
        """Compile now, not at the first call."""
        build.load(self.code, self.name)

    def __call__(self, grid: Any, block: Any, args: Sequence[Any], *, shared_mem: int = 0, stream: Any = None) -> None:
        check(args)
        if math.prod(block) > 1024 or shared_mem > self.max_dynamic_shared_size_bytes:
            raise RuntimeError("CUDA_ERROR_INVALID_VALUE: invalid argument")  # CUDADriverError needs a driver
        jobs = [nvrtc.job(self.code, self.name, self.options, headers=False)] if nvrtc.wanted() else []
        _run(self.code, self.name, [_raw_argument(a) for a in args], args, grid, block, shared_mem, jobs)


def _raw_argument(a: Any) -> bytes:
    if isinstance(a, ndarray):
        return np.int64(a._a.ctypes.data).tobytes()
    python = {bool: np.bool_, int: np.int64, float: np.float64, complex: np.complex128}
    return np.asarray(a, python.get(type(a), getattr(a, "dtype", None))).tobytes()


class RawModule:
    """See `cupy.RawModule`: several kernels in one text."""

    def __init__(self, *, code: str, options: tuple[str, ...] = (), **kwargs: Any) -> None:
        self.code, self.options, self.kwargs = code, options, kwargs

    def get_function(self, name: str) -> RawKernel:
        """Return a kernel by name."""
        return RawKernel(self.code, name, self.options, **self.kwargs)
