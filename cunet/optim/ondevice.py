"""Steps whose scheduled settings and step count lie on the device, so that a captured CUDA graph can replay them.

An optimiser's `advance` is plain arithmetic in its settings and in the numbers of its state. Here it runs once on names
instead of numbers, and what it would compute becomes a kernel of one thread: it reads the settings that are arrays, the
rate and maybe momentum or betas, counts the numbers up where they lie, and leaves the scalars of the step in an array
of which the update reads them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

from ..device import Array, array_module, is_array, is_gpu_array
from ..kernels import primitive
from .flat_buffer import FlatBuffer
from .rule import Group, State, UpdateRule

#: ``place(rule, group, buffer, run, scalars)`` returns for the scalars of a step arrays of one number each, which its
#: kernel reads in their place: set where a step is captured that is to be replayed with others.
placing: ContextVar[Callable[..., Any] | None] = ContextVar("cunet_placing", default=None)


class Formula:
    """Arithmetic that is written down as CUDA text instead of being done; numbers in it become parameters.

    Args:
        text: of this part, an expression of doubles.
        constants: the numbers met so far, shared by all parts.
    """

    def __init__(self, text: str, constants: list[float]) -> None:
        self.text, self.constants = text, constants

    def _join(self, form: str, other: Any, swapped: bool = False) -> Formula:
        if not isinstance(other, Formula):
            self.constants.append(float(other))
            other = Formula(f"c{len(self.constants) - 1}", self.constants)
        first, second = (other, self) if swapped else (self, other)
        return Formula(form.format(first.text, second.text), self.constants)

    def __add__(self, other: Any) -> Formula:
        """Write a sum."""
        return self._join("({} + {})", other)

    def __sub__(self, other: Any) -> Formula:
        """Write a difference."""
        return self._join("({} - {})", other)

    def __rsub__(self, other: Any) -> Formula:
        """Write a difference."""
        return self._join("({} - {})", other, swapped=True)

    def __mul__(self, other: Any) -> Formula:
        """Write a product."""
        return self._join("({} * {})", other)

    def __truediv__(self, other: Any) -> Formula:
        """Write a quotient."""
        return self._join("({} / {})", other)

    def __rtruediv__(self, other: Any) -> Formula:
        """Write a quotient."""
        return self._join("({} / {})", other, swapped=True)

    def __pow__(self, other: Any) -> Formula:
        """Write a power."""
        return self._join("pow({}, {})", other)

    def __rpow__(self, other: Any) -> Formula:
        """Write a power."""
        return self._join("pow({}, {})", other, swapped=True)

    def __gt__(self, other: Any) -> Formula:
        """Write a comparison, which is 1 or 0."""
        return self._join("({} > {} ? 1.0 : 0.0)", other)

    __radd__, __rmul__ = __add__, __mul__

    def root(self) -> Formula:
        """Write a square root."""
        return Formula(f"sqrt({self.text})", self.constants)


def root(x: Any) -> Any:
    """Return the square root of a number, or of a formula."""
    return x.root() if isinstance(x, Formula) else math.sqrt(x)


def has_rate_on_device(group: Group, buffer: FlatBuffer) -> bool:
    """Tell whether the rate of a group lies on the device of its parameters."""
    return buffer.device == "gpu" and is_gpu_array(group["lr"])


def set_setting(group: Group, name: str, value: float) -> None:
    """Set the momentum ("momentum"), or the first of the betas ("betas"), of a group.

    Where the rate lies on a GPU it does so too, from the first time on: it is written where it lies.
    """
    rest = () if name == "momentum" else group[name][1:]
    old, rate = group[name] if name == "momentum" else group[name][0], group["lr"]
    if is_gpu_array(old):
        old[...] = value
        return
    new = array_module(rate).full((), value, np.float64) if is_gpu_array(rate) else value
    group[name] = (new, *rest) if rest else new


def put(old: Any, new: Any) -> Any:
    """Return `new`, a setting or an array; in the arrays of a GPU in which the old one lies, be it in a tuple."""
    if isinstance(old, tuple) and isinstance(new, tuple | list) and len(old) == len(new):
        return tuple([put(*pair) for pair in zip(old, new, strict=True)])
    if not is_gpu_array(old):
        return new
    old[...] = new
    return old


def _named(group: Group, constants: list[float]) -> tuple[Group, list[Array]]:
    """Return the settings with names in place of the arrays among them, and these arrays, the rate first."""
    arrays: list[Array] = []

    def name(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple([name(part) for part in value])
        if not is_gpu_array(value):
            return value
        arrays.append(value)
        return Formula(f"setting{len(arrays) - 1}", constants)

    found = {"lr": name(group["lr"])}
    return {key: found[key] if key in found else name(value) for key, value in group.items()}, arrays


def settings_of(group: Group, buffer: FlatBuffer) -> Group:
    """Return the settings as a rule may look at them without waiting for the device: of an array there, only a name."""
    return _named(group, [])[0] if has_rate_on_device(group, buffer) else group


def runs(rule: UpdateRule, group: Group, buffer: FlatBuffer) -> Iterator[tuple[int, int, tuple[Any, ...]]]:
    """Do what `cunet.optim.runs.runs` does; looks at no number, and from the second step on makes no array for one."""
    keys = [[_identity(state.get(name)) for name in rule.numbers] for state in buffer.states]
    for first, last, _ in list(buffer.runs(keys)):
        numbers = [_shared_number(buffer, first, last, name, value) for name, value in rule.numbers.items()]
        yield first, last, _advance(rule, group, buffer, (first, last), numbers)
        buffer.updated(first, last)


def _identity(value: Any) -> tuple[str, Any]:
    """Return what tells a number of one run from that of another, without a look at what lies on the device."""
    return ("array", id(value)) if is_array(value) else ("number", value)


def _shared_number(buffer: FlatBuffer, first: int, last: int, name: str, initial: float) -> Array:
    """Return the number `name` of a run as a 0-d array in float64 that the states of this run share, and no other."""
    states: list[State] = buffer.states[first:last]
    value = states[0].get(name, initial)
    if not is_gpu_array(value):
        value = buffer.xp.full((), value, np.float64)
    elif value.dtype != np.float64 or sum(state.get(name) is value for state in buffer.states) != last - first:
        value = value.astype(np.float64)  # a copy: others count on
    for state in states:
        state[name] = value
    return value


def _advance(
    rule: UpdateRule, group: Group, buffer: FlatBuffer, run: tuple[int, int], numbers: list[Array]
) -> tuple[Any, ...]:
    """Count the numbers up in place; return the scalars of this step: numbers, or views of an array of the buffer."""
    constants: list[float] = []
    names = tuple([Formula(f"number{k}", constants) for k in range(len(numbers))])
    settings, arrays = _named(group, constants)
    after, scalars = rule.advance(settings, names)
    symbolic = [k for k, scalar in enumerate(scalars) if isinstance(scalar, Formula)]
    kernel = _kernel(
        buffer.xp,
        len(arrays),
        len(constants),
        tuple([n.text for n in after]),
        tuple([scalars[k].text for k in symbolic]),
        type(rule).__name__,
    )
    values = buffer.scalars.get(run)
    if values is None or values.size != len(symbolic):
        values = buffer.scalars[run] = buffer.xp.empty(len(symbolic), buffer.wide)
    advance(arrays, constants, numbers, values, kernel)
    views = iter([values[k : k + 1] for k in range(len(symbolic))])
    return tuple([next(views) if k in symbolic else scalar for k, scalar in enumerate(scalars)])


@primitive
def advance(settings: list[Array], constants: list[float], numbers: list[Array], values: Array, program: Any) -> None:
    """Count `numbers` up and fill `values`, on a GPU."""
    program(*settings, *constants, *numbers, values, size=1)


@functools.cache
def _kernel(xp: Any, settings: int, constants: int, after: tuple[str, ...], scalars: tuple[str, ...], name: str) -> Any:
    types = "ABCDEFGHIJ"  # of settings, which may be of any
    ins = [f"raw {types[k]} given{k}" for k in range(settings)] + [f"float64 c{k}" for k in range(constants)]
    outs = [*[f"raw float64 held{k}" for k in range(len(after))], "raw S scalars"]
    lines = [f"const double setting{k} = (double)given{k}[0]" for k in range(settings)]
    lines += [f"const double number{k} = held{k}[0]" for k in range(len(after))]
    lines += [f"scalars[{k}] = (S)({text})" for k, text in enumerate(scalars)]
    lines += [f"held{k}[0] = {text}" for k, text in enumerate(after)]
    return xp.ElementwiseKernel(", ".join(ins), ", ".join(outs), ";\n".join(lines), f"advance_{name.lower()}")
