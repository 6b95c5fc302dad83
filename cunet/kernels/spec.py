"""What a kernel says of itself. Backends read specs; they know nothing of who calls kernels, or why.

A spec is one of five kinds: `ElementwiseSpec`, `ReductionSpec`, `RowwiseSpec`, `GridSpec` and `InplaceSpec`; or a
`PrimitiveSpec`, a function without a text. `Definition` is a spec with what backends attached to it and prepared of it.

Types in parameter lists:

- ``T``  the dtype of the data: float16, bfloat16, float32 or float64;
- ``A``  the dtype of the arithmetic: float for half types and float32, double for float64. Python scalars and
  statistics (means, factors) are ``A``. Inside an elementwise body every ``T`` input and output *is* an ``A`` variable,
  so a body is the plain formula and half types are computed in float32;
- any other single capital letter, or a CUDA type such as ``bool`` or ``uint64``: taken as it stands.

Literals are written ``A(0.5)``: a bare ``0.5`` would drag float32 kernels into double. Parameter names must not be
``i``, ``n``, ``in0``, ``out0`` or begin with ``_``; those of a reduction must occur nowhere else in its text (``in_x``,
``out_y``), because CuPy renames them textually in its CUB variant.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..device import is_floating
from .grammar import Param


class Fold(NamedTuple):
    """How values become one: an expression for each, one that combines ``a`` and ``b``, the neutral value, its type."""

    map: str
    reduce: str
    identity: str
    state: str = "A"


class TwoPass(NamedTuple):
    """A reduction over values that are in the cache twice, the second time knowing more; for the native backend.

    Texts as in `ReductionSpec`; `n` is the number of values. `pivot` makes a number of the first fold's ``a``, which
    the second fold and `post` know as ``pivot``. `preamble` is placed before these texts.
    """

    first: Fold
    pivot: str
    second: Fold
    post: str
    preamble: str = ""


class Warps(NamedTuple):
    """A grid kernel's text for the native backend, in which `i` counts warps of 32 threads."""

    operation: str


class Plainly(NamedTuple):
    """A function for the native backend whose plain calls a builtin of the runtime does, once that is there.

    Attributes:
        builtin: its name.
        function: with the kernel's arguments; it may return NotImplemented.
    """

    builtin: str
    function: Callable[..., Any]


# What dataclasses write beyond a constructor takes time when cunet is imported, and a spec is equal to itself alone.
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class KernelSpec:
    """What all kinds have.

    Attributes:
        body: the NumPy function that is the specification, and the CPU path where nothing is compiled.
        ins, outs: parameters.
        preamble: CUDA text placed before the kernel; knows the type ``A``.
    """

    body: Callable[..., Any]
    ins: tuple[Param, ...] = ()
    outs: tuple[Param, ...] = ()
    preamble: str = ""
    kind: ClassVar[str] = ""

    @property
    def name(self) -> str:
        """The kernel's name: its function's."""
        return self.body.__name__

    @property
    def module(self) -> str:
        """The module of its function."""
        return self.body.__module__

    @property
    def params(self) -> tuple[Param, ...]:
        """Inputs, then outputs."""
        return (*self.ins, *self.outs)

    def texts(self) -> tuple[str, ...]:
        """Return all texts of the kernel but the preamble."""
        return ()

    def dtype(self, args: Sequence[Any]) -> np.dtype:
        """Return the dtype that ``T`` stands for in a call.

        Raises:
            TypeError: it is not floating, or no argument has it.
        """
        for param, arg in zip(self.ins, args, strict=False):
            if param.type == "T" and hasattr(arg, "dtype"):
                if not is_floating(arg.dtype):
                    who = self.name.removesuffix("_forward")  # the op, which is what was called
                    raise TypeError(f"{who}: a floating dtype is required, got {arg.dtype}; use astype")
                return arg.dtype
        names = ", ".join(param.name for param in self.ins if param.type == "T")
        raise TypeError(f"{self.name}: one of {names} must be an array, got numbers alone")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ElementwiseSpec(KernelSpec):
    """Each element of the outputs from the same element of the inputs, which broadcast.

    Attributes:
        operation: the text.
        smooth: another text of the same function, which is differentiated in its place; "": there is none.
        helpers: functions that these texts call, by name: where their derivatives are found.
    """

    operation: str = ""
    smooth: str = ""
    helpers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    kind: ClassVar[str] = "elementwise"

    def texts(self) -> tuple[str, ...]:
        """Return the operation."""
        return (self.operation,)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ReductionSpec(KernelSpec):
    """Map each element, combine, finish."""

    map: str = ""
    reduce: str = ""
    post: str = ""
    identity: str = ""
    state: str = "A"
    kind: ClassVar[str] = "reduction"

    def __post_init__(self) -> None:
        """Refuse texts that CuPy cannot make macros of."""
        if any("\n" in text for text in self.texts()):
            raise ValueError(f"{self.name}: map, reduce and post must be one line each (they become macros)")

    @property
    def fold(self) -> Fold:
        """How values become one."""
        return Fold(self.map, self.reduce, self.identity, self.state)

    def texts(self) -> tuple[str, ...]:
        """Return map, reduce and post."""
        return (self.map, self.reduce, self.post)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class RowwiseSpec(KernelSpec):
    """Fold each row, then use what was found in all of it."""

    operation: str = ""
    kind: ClassVar[str] = "rowwise"

    def texts(self) -> tuple[str, ...]:
        """Return the operation."""
        return (self.operation,)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class GridSpec(KernelSpec):
    """Raw arrays and an index space of its own; `space` names its axes: ("i",) or ("row", "column")."""

    operation: str = ""
    space: tuple[str, ...] = ("i",)
    kind: ClassVar[str] = "grid"

    def texts(self) -> tuple[str, ...]:
        """Return the operation."""
        return (self.operation,)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class InplaceSpec(KernelSpec):
    """Outputs are read and written; the body gets `scratch` arrays of their size."""

    operation: str = ""
    scratch: int = 0
    kind: ClassVar[str] = "inplace"

    def texts(self) -> tuple[str, ...]:
        """Return the operation."""
        return (self.operation,)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class PrimitiveSpec(KernelSpec):
    """A function of arrays without a text: a product, a convolution, a loop over time."""

    kind: ClassVar[str] = "primitive"


class Definition:
    """A kernel as backends see it.

    Attributes:
        spec: what it says of itself.
        attached: by a backend's name what it shall run instead of what it would make; None: nothing.
        prepared: what backends have made of it, under keys of their own.
        lead: where the array stands whose dtype and shape decide: the first of the data's type.
        ours: whether it is one of the library's.
    """

    def __init__(self, spec: KernelSpec) -> None:
        self.spec = spec
        self.attached: dict[str, Any] = {}
        self.prepared: dict[Any, Any] = {}
        self.lead = next((k for k, p in enumerate(spec.ins) if p.type == "T"), 0)
        self.ours = spec.module.startswith("cunet.")

    @property
    def name(self) -> str:
        """The kernel's name."""
        return self.spec.name

    def change(self, **texts: str) -> None:
        """Replace texts of the spec, and forget what was made of them: for tools that plant errors."""
        self.spec = dataclasses.replace(self.spec, **texts)  # type: ignore[arg-type]
        self.prepared.clear()


#: The library's own kernels by name, each under one name only. Users' kernels are not in it.
KERNELS: dict[str, Definition] = {}


def register(kernel: Definition) -> None:
    """Add one of the library's kernels to `KERNELS`; leave users' kernels alone.

    Raises:
        ValueError: there is another one of that name.
    """
    if not kernel.ours:
        return
    known = KERNELS.setdefault(kernel.name, kernel)
    if known is not kernel:
        raise ValueError(
            f"kernel {kernel.name!r} of {kernel.spec.module} has the name of one of {known.spec.module}; rename it"
        )


def single(outs: Sequence[Any]) -> Any:
    """Return what a call returns: its only output, or a tuple of them."""
    return outs[0] if len(outs) == 1 else tuple(outs)


def arithmetic(dtype: np.dtype) -> np.dtype:
    """Return the dtype that ``A`` stands for beside data of `dtype`."""
    return np.dtype(np.float64 if dtype.char == "d" else np.float32)
