"""One call that `cunet.parity` compares, and the ops that need one."""

from __future__ import annotations

import importlib
import operator
import pkgutil
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import cunet

from .. import functional, ops
from ..autograd.op import is_op
from ..system.public import origin

Inputs = Callable[[np.random.Generator], tuple[Any, ...]]


class Row(NamedTuple):
    """One call of an op.

    Attributes:
        op: its name in `cunet` or `cunet.functional`, or among the ops of layers.
        inputs: makes the positional arguments of `call`, on the CPU and in float64 where they are floating.
        static: keyword arguments.
        kind: "move" where elements are only moved or chosen; "each" where every element is computed on its own; "sum"
            where the result or a gradient is a sum whose terms may cancel: a small element then has no right places
            of its own, and distances count relative to the largest element of its array.
        call: what is called instead of the op itself, where its arguments need arranging.
        label: tells it from another row of the op.
    """

    op: str
    inputs: Inputs
    static: dict[str, Any]
    kind: str
    call: Callable[..., Any] | None = None
    label: str = ""

    @property
    def name(self) -> str:
        """The op and its settings: what a report calls the row, and its inputs are seeded from."""
        settings = [f"{k}={getattr(v, '__name__', v)}".replace(" ", "") for k, v in self.static.items()]
        return " ".join(part for part in [self.op, self.label, *settings] if part)

    def run(self, *tensors: Any) -> Any:
        """Call the op."""
        return (self.call or function_of(self.op))(*tensors, **self.static)


#: Packages of ops beside `cunet` itself and `cunet.functional`.
PARTS = ("fft", "linalg")

#: Names that are no ops on arrays of a device: a move between devices, and a table that NumPy makes.
NO_OPS = {"to_device", "sinusoidal_positions"}


def library_ops() -> dict[str, Callable[..., Any]]:
    """Return every op that a module of `cunet.ops` defines, by the name it has there."""
    modules = [importlib.import_module(m.name) for m in pkgutil.walk_packages(ops.__path__, f"{ops.__name__}.")]
    own = [f for m in modules for f in vars(m).values() if is_op(f) and origin(f) == m.__name__]
    return {f.__name__: f for f in own}


def public_ops() -> list[str]:
    """Return the names of all ops that users get.

    They are as in ``linalg.inv`` where ops have a package of their own, and as in ``F.pad`` where `cunet` has another
    one of that name.
    """
    public = {n: getattr(cunet, n) for n in cunet.__all__}
    own = {n for n, f in public.items() if origin(f).startswith("cunet.ops.") and not isinstance(f, type)}
    inner = {f"{part}.{n}": getattr(getattr(cunet, part), n) for part in PARTS for n in getattr(cunet, part).__all__}
    inner = {n: f for n, f in inner.items() if not isinstance(f, type)}
    names = {*own, *inner, *[n for n, f in library_ops().items() if n[0] != "_" and f not in inner.values()]}
    for name in functional.__all__:
        names.add(name if getattr(cunet, name, None) in (None, getattr(functional, name)) else f"F.{name}")
    return sorted(names - NO_OPS)


def function_of(name: str) -> Callable[..., Any]:
    """Return a public op by name."""
    if "." in name:
        return operator.attrgetter(name)(cunet)
    return getattr(cunet, name, None) or getattr(functional, name, None) or library_ops()[name]
