"""Kernels with two bodies: a NumPy function and its CUDA twin, and the one place that picks.

A kernel is a plain NumPy function under a decorator that holds its CUDA text::

    @elementwise("T x, A alpha", "T y", "y = x > 0 ? x : alpha * expm1(x)")
    def elu_forward(x, alpha):
        return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))

Types in the parameter strings:

- ``T``  the dtype of the data: float16, bfloat16, float32 or float64;
- ``A``  the dtype of the arithmetic: float for half types and float32, double for float64. Python
  scalars and statistics (means, factors) are ``A``. Inside an elementwise body every ``T`` input and
  output *is* an ``A`` variable, so a body is the plain formula and half types are computed in float32;
- any other single capital letter, or a CUDA type such as ``bool`` or ``uint64``: taken as it stands.

Literals are written ``A(0.5)``: a bare ``0.5`` would drag float32 kernels into double. Parameter names
must not be ``i``, ``n``, ``in0``, ``out0`` or begin with ``_``; those of a reduction must occur nowhere
else in its text (``in_x``, ``out_y``), because CuPy renames them textually in its CUB variant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..device import array_module, is_array, is_floating, is_half
from ..system import cpu
from .backends import native
from .backends.cuda import elementwise as cuda_elementwise
from .backends.cuda import reduction as cuda_reduction
from .backends.numpy import blocks
from .spec import Fold, Twice, folded_axes, parse, prelude, reduced_shape, signature

cpu.keep_memory()

LONG = 65536  # elements from which NumPy works in blocks

#: Every kernel by name; the tests walk it, so that none is left without a case.
KERNELS: dict[str, Elementwise | Reduction] = {}


class Kernel:
    """What elementwise and reduction kernels share: parsing, dispatch, half types on the CPU."""

    def __init__(self, body: Callable[..., Any], ins: str, outs: str, preamble: str, along: str = "") -> None:
        self.body = body
        self.name = body.__name__
        self.__name__ = body.__name__
        self.__doc__ = body.__doc__
        self.__module__ = body.__module__
        self.ins, self.outs = parse(ins), parse(outs)
        self.preamble = preamble
        self.along = tuple(along.split())  # factors that may be arrays along a row where all others are numbers
        self._compiled: dict[Any, Any] = {}
        self.registry = KERNELS
        self.compiled: dict[str, Any] = {}  # for the CPU, by dtype; see cunet.native
        #: Where the array stands whose dtype and shape decide: the first of the data's type.
        self._lead = next((k for k, p in enumerate(self.ins) if p.type == "T"), 0)
        KERNELS[self.name] = self  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Name the kernel as its function."""
        return f"<{type(self).__name__.lower()} kernel {self.name}>"

    def _dtype(self, args: Sequence[Any]) -> np.dtype:
        """Return the dtype that ``T`` stands for in this call."""
        for param, arg in zip(self.ins, args, strict=False):
            if param.type == "T" and hasattr(arg, "dtype"):
                if not is_floating(arg.dtype):
                    who = self.name.removesuffix("_forward")  # the op, which is what was called
                    raise TypeError(f"{who}: a floating dtype is required, got {arg.dtype}; use astype")
                return arg.dtype
        raise TypeError(f"{self.name}: no array argument of the data type")

    def _numpy(self, args: Sequence[Any], **kw: Any) -> Any:
        """Run the NumPy body: silently, and in float32 for half types."""
        dtype = self._dtype(args)
        with np.errstate(all="ignore"):  # inf and nan are results here, on the GPU as on the CPU
            if not is_half(dtype):
                return self.body(*args, **kw)
            args = [
                a.astype(np.float32) if param.type == "T" and hasattr(a, "dtype") else a
                for param, a in zip(self.ins, args, strict=False)
            ]
            result = self.body(*args, **kw)
            if isinstance(result, tuple):
                return tuple(r.astype(dtype) if p.type == "T" else r for p, r in zip(self.outs, result, strict=True))
            return result.astype(dtype) if self.outs[0].type == "T" else result

    def for_cpu(self, lead: Any) -> Any:
        """Return the compiled body for the dtype of a NumPy array, or False: see `cunet.native`."""
        if type(lead) is not np.ndarray:
            return False
        call = self.compiled.get(lead.dtype.char)
        return native.compiled(self, lead.dtype.char) if call is None else call

    def _device(self, xp: Any, dtype: np.dtype, make: Callable[..., Any], *variant: Any) -> tuple[Any, np.dtype]:
        """Return the compiled kernel for the arithmetic type of `dtype` and a `variant` of it, and that type."""
        wide = np.dtype(np.float64 if dtype == np.float64 else np.float32)
        key = (xp.__name__, wide.char, *variant)
        if key not in self._compiled:
            self._compiled[key] = make(xp, wide)
        return self._compiled[key], wide


class Elementwise(Kernel):
    """A kernel that computes each element of its outputs from the same element of its inputs."""

    in_place = False

    def __init__(
        self,
        body: Callable[..., Any],
        ins: str,
        outs: str,
        operation: str,
        preamble: str = "",
        per_thread: int = 0,
        cpu: str = "",
        along: str = "",
        with_slope: Callable[..., Any] | None = None,
    ) -> None:
        super().__init__(body, ins, outs, preamble, along)
        self.operation = operation
        self._with_slope = with_slope
        self.per_thread = per_thread
        self.cpu = cpu
        params = (*self.ins, *self.outs)
        given = [p for p in params if not p.raw and p.type not in ("A", "int32")]
        #: Kernels that write where they like, or whose output has a shape of its own, are not compiled for the CPU.
        raw = any(p.raw for p in self.outs) and native.ROWS not in operation
        self.native = bool(cpu or (given and given[0] in self.ins and not raw))
        #: Bodies with integers may look along an axis; all others are cut into blocks where arrays are long.
        self._cut = all(p.type in ("T", "A") and not p.raw for p in params)
        self._in_rows = cuda_elementwise.fits(self)

    def __call__(self, *args: Any, shape: tuple[int, ...] | None = None, threads: int | None = None) -> Any:
        """Return the outputs: NumPy's for NumPy arrays, CuPy's for CuPy arrays.

        Args:
            args: the inputs.
            shape: of the outputs, for kernels whose array inputs are all ``raw``; the NumPy body gets it too.
            threads: how many there shall be, for kernels whose outputs are ``raw`` as well.
        """
        xp = array_module(*args)
        if xp is np:
            if native.active and shape is None:
                call = self.for_cpu(args[self._lead])
                result = call(args, args[self._lead], native.threads) if call else NotImplemented
                if result is not NotImplemented:
                    return result
            if self._cut and getattr(args[self._lead], "size", 0) >= LONG:
                result = self._in_parts(args)
                if result is not NotImplemented:
                    return result
            return self._numpy(args) if shape is None else self._numpy(args, shape=shape)
        dtype = self._dtype(args)
        plan = cuda_elementwise.plan(self, args) if self._in_rows and shape is None else None
        if plan:
            return cuda_elementwise.run(self, xp, dtype, plan, args)
        kernel, wide = self._device(xp, dtype, self._make)
        if shape is not None:
            outs = [xp.empty(shape, {"T": dtype, "A": wide}.get(p.type, p.type)) for p in self.outs]
            if threads is None:
                kernel(*args, *outs)
            elif threads:
                kernel(*args, *outs, size=threads)
            return outs[0] if len(outs) == 1 else tuple(outs)
        if not self.per_thread:
            return kernel(*args)
        like = next(a for a in args if hasattr(a, "dtype") and is_array(a))
        outs = [xp.empty(like.shape, like.dtype) for _ in self.outs]
        if like.size:
            kernel(*args, *outs, size=-(-like.size // (32 * self.per_thread)) * 32)  # whole warps share tiles
        return outs[0] if len(outs) == 1 else tuple(outs)

    def _in_parts(self, args: Sequence[Any]) -> Any:
        lead = args[self._lead]
        if type(lead) is not np.ndarray or lead.dtype.char not in "fd":
            return NotImplemented
        return blocks.cut(self.body, args, lead, [lead.dtype] * len(self.outs))

    def with_back(self, x: Any) -> tuple[Any, Callable[[Any], Any] | None]:
        """Return y and, where NumPy finds dy/dx on the way, a function from the gradient of y to that of x, else None.

        The backward kernel would compute most of y again.
        """
        if type(x) is not np.ndarray or x.dtype.char not in "fd" or not x.ndim or (native.active and self.for_cpu(x)):
            return self(x), None
        y, slope = blocks.run(self._with_slope, [x], x, [x.dtype] * 2)
        return y, lambda gy: blocks.run(np.multiply, [gy, slope], slope, [slope.dtype])

    def device_text(self, wide: np.dtype) -> tuple[str, str, str, str]:
        """Return what CuPy is given for arithmetic type `wide`: inputs, outputs, operation, preamble.

        Each ``T`` parameter ``x`` is passed as ``x_`` and stands in the body as a variable of type ``A``.
        """
        loads = "".join(f"const A {p.name} = (A){p.name}_; " for p in self.ins if p.type == "T" and not p.raw)
        stores = [p.name for p in self.outs if p.type == "T" and not p.raw]
        declare = "".join(f"A {name} = (A){name}_; " if self.in_place else f"A {name}; " for name in stores)
        write = "".join(f" {name}_ = (T){name};" for name in stores)
        operation = f"{loads}{declare}{self.operation.rstrip().rstrip(';')};{write}"
        return (
            signature(self.ins, wide, "_"),
            signature(self.outs, wide, "_"),
            operation,
            prelude(wide) + self.preamble,
        )

    def _make(self, xp: Any, wide: np.dtype) -> Any:
        ins, outs, operation, preamble = self.device_text(wide)
        return xp.ElementwiseKernel(ins, outs, operation, self.name, preamble=preamble)


class Reduction(Kernel):
    """A kernel that folds axes of its inputs: map each element, combine, then finish."""

    def __init__(
        self,
        body: Callable[..., Any],
        ins: str,
        outs: str,
        map: str,
        reduce: str,
        post: str,
        identity: str,
        reduce_type: str = "A",
        preamble: str = "",
        cpu: Twice | None = None,
        along: str = "",
    ) -> None:
        super().__init__(body, ins, outs, preamble, along)
        for text in (map, reduce, post):
            if re.search(r"\n", text):
                raise ValueError(f"{self.name}: map, reduce and post must be one line each (they become macros)")
        self.map, self.reduce, self.post = map, reduce, post
        self.identity, self.reduce_type = identity, reduce_type
        self.fold = Fold(map, reduce, identity, reduce_type)
        self.cpu = cpu
        self.needs_cupy = cuda_reduction.needs_cupy(map, post)

    native, in_place = True, False

    def __call__(self, *args: Any, axis: Any = None, keepdims: bool = False) -> Any:
        """Return the outputs, the axes `axis` folded away (kept with length 1 if `keepdims`)."""
        xp = array_module(*args)
        if xp is np:
            if native.active:
                call = self.for_cpu(args[self._lead])
                result = call(args, args[self._lead], native.threads, axis, keepdims) if call else NotImplemented
                if result is not NotImplemented:
                    return result
            if getattr(args[self._lead], "size", 0) >= blocks.THREADED:
                result = blocks.fold(self, args, axis=axis, keepdims=keepdims)
                if result is not NotImplemented:
                    return result
            return self._numpy(args, axis=axis, keepdims=keepdims)
        dtype = self._dtype(args)
        types = {"T": dtype, "A": np.dtype(np.float64 if dtype == np.float64 else np.float32)}
        full = np.broadcast_shapes(*[a.shape for a in args if hasattr(a, "shape")])
        outs = [xp.empty(reduced_shape(full, axis, keepdims), types.get(p.type, p.type)) for p in self.outs]
        plan = cuda_reduction.plan(self, xp, args, types, sorted(folded_axes(len(full), axis)))
        if plan:
            cuda_reduction.fold(self, xp, types, plan, outs)
        else:  # CuPy returns only the first output and allocates the rest in vain: pass all of them
            self._device(xp, dtype, self._make)[0](*args, *outs, axis=axis, keepdims=keepdims)
        return outs[0] if len(outs) == 1 else tuple(outs)

    def device_text(self, wide: np.dtype) -> tuple[str, ...]:
        """Return what CuPy is given for arithmetic type `wide`, in the order of `ReductionKernel`."""
        return (
            signature(self.ins, wide),
            signature(self.outs, wide),
            self.map,
            self.reduce,
            self.post,
            self.identity,
            self.name,
            self.reduce_type,
            prelude(wide) + self.preamble,
        )

    def _make(self, xp: Any, wide: np.dtype) -> Any:
        *texts, reduce_type, preamble = self.device_text(wide)
        return xp.ReductionKernel(*texts, reduce_type=reduce_type, preamble=preamble)


def elementwise(
    ins: str,
    outs: str,
    operation: str,
    *,
    preamble: str = "",
    per_thread: int = 0,
    cpu: str = "",
    along: str = "",
    with_slope: Callable[..., Any] | None = None,
) -> Callable[[Callable[..., Any]], Elementwise]:
    """Make a kernel of a NumPy function that works element by element.

    Args:
        ins, outs: parameter lists, such as ``"T x, A alpha"`` (types: see the module's docstring).
        operation: the CUDA body; assigns every output. The decorated function is its specification.
        preamble: CUDA text placed before the kernel; knows the type ``A``.
        per_thread: for kernels whose arrays are all ``raw``: elements that one thread handles. Outputs
            then have the shape and dtype of the first array argument.
        cpu: with `per_thread`: the body for processors. There `i` counts warps: 32 times `per_thread` elements.
        along: names of factors that are often arrays along a row, while the others are one number a row: processors
            get a body for this.
        with_slope: for a function of one array, a NumPy function that returns y and dy/dx; see `with_back`.
    """
    return lambda body: Elementwise(body, ins, outs, operation, preamble, per_thread, cpu, along, with_slope)


def reduction(
    ins: str,
    outs: str,
    *,
    map: str,
    reduce: str,
    post: str,
    identity: str,
    reduce_type: str = "A",
    preamble: str = "",
    cpu: Twice | None = None,
    along: str = "",
) -> Callable[[Callable[..., Any]], Reduction]:
    """Make a kernel of a NumPy function ``body(*arrays, axis, keepdims)`` that folds axes.

    Args:
        ins, outs: parameter lists; names must occur nowhere else in the CUDA text.
        map: expression for one element; reduce: expression that combines ``a`` and ``b``; post: one
            expression that assigns the outputs from ``a`` (several with commas); identity: the neutral
            value. Struct states: members not called ``a`` or ``b``, at most 32 bytes.
        reduce_type: type of the running value.
        preamble: CUDA text placed before the kernel; knows the type ``A``.
        cpu: what processors do instead.
        along: see `elementwise`.
    """
    return lambda body: Reduction(body, ins, outs, map, reduce, post, identity, reduce_type, preamble, cpu, along)
