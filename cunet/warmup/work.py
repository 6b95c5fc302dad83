"""What is compiled, and how: in few large libraries, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from ..kernels import KERNELS
from ..kernels.backends.native import ahead, build, compiler, functions, native, plans
from ..kernels.backends.native.text import Unit
from ..kernels.needs import Need, needs
from ..nn.ahead import roots
from ..nn.module import Module
from ..ops.activation.registry import ACTIVATIONS
from ..ops.norm.epilogue import foreseen
from ..system.cpu import cores

_LARGEST = 40  # kernels in a library: beyond that little is saved, and cores would wait for the last one


class Warmed(NamedTuple):
    """What became of kernels and hand-written functions.

    Attributes:
        made: how many were compiled.
        kept: how many were there already.
        failed: names of those that cannot be compiled.
    """

    made: int
    kept: int
    failed: list[str]


def everything() -> list[Need]:
    """Return all of the library's kernels and hand-written functions, and norms with each activation behind them."""
    for activation in ACTIVATIONS.values():
        if activation.fusable:
            foreseen(activation.function)
    return [*KERNELS.values(), *functions.SOURCES]


def of_model(model: Module) -> list[Need]:
    """Return what a model runs forward and backward, as far as its code tells: without a loss and an optimiser."""
    return needs(root for layer in model.modules() for root in roots(layer))


def warm(wanted: Iterable[Need], dtype: Any = np.float32) -> Warmed:
    """Compile what is wanted for a dtype and is not in the cache, and load it once; and what records steps."""
    wide = np.dtype(dtype)
    names = [need for need in wanted if isinstance(need, str)]
    kernels = [need for need in wanted if not isinstance(need, str) and build.compilable(need, wide)]
    units = [*(build.unit([k], wide) for k in kernels), *(functions.unit(name, wide.char) for name in names)]
    todo = [unit for unit in units if compiler.missing(unit).parts]
    large = [
        build.runtime_unit(),
        plans.unit(),
        *(unit for unit in todo if not unit.head),
        *_large([u for u in todo if u.head]),
    ]
    ahead.compile_now(sorted(large, key=lambda unit: -len(unit.text())))  # so that cores do not wait for the last one
    failed = [k.name for k in kernels if not native.prepare(k, wide.char)]
    failed += [name for name in names if functions.function(name, wide.char) is None]
    return Warmed(len(todo) - len(failed), len(units) - len(todo), failed)


def _large(units: list[Unit]) -> list[Unit]:
    """Join units of kernels to as many as the cores can take in equal shares."""
    count = cores() * -(-len(units) // (cores() * _LARGEST))
    shares = [units[k::count] for k in range(count)]
    return [Unit(share[0].head, tuple(part for unit in share for part in unit.parts)) for share in shares if share]
