"""Kernels of values and tangents: one pass makes both, for forward mode."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..dispatch import Kernel
from ..grammar import Param
from ..spec import Definition, ElementwiseSpec
from .kernels import formulas, fresh_prefix
from .rules import tangent
from .terms import var
from .writing import DERIVED, body_of, text_of


def joined(forward: Definition, backward: Definition) -> Kernel | None:
    """Return the kernel of a value and of its tangent, by the texts of a kernel and of its gradient.

    An elementwise gradient is its own transpose: of a tangent it makes a tangent. The kernel takes the inputs of
    `forward`, then the tangent of its first, and has the same bits as the two. None: `backward` reads something else,
    or one of them is done in another way than by its text.
    """
    if backward not in forward.prepared:
        forward.prepared[backward] = _joined(forward, backward)
    return forward.prepared[backward]


def _joined(forward: Definition, backward: Definition) -> Kernel | None:
    spec, back = forward.spec, backward.spec
    if not isinstance(spec, ElementwiseSpec) or not isinstance(back, ElementwiseSpec):
        return None
    arriving, *wanted = back.ins
    known = {p.name: p for p in spec.params}
    plain = not (forward.attached or backward.attached) and len(spec.outs) == len(back.outs) == 1
    if not plain or any(known.get(p.name) != p for p in wanted) or known.keys() & {arriving.name, back.outs[0].name}:
        return None

    def body(*args: Any) -> tuple[Any, Any]:
        *inputs, t = args
        y = spec.body(*inputs)
        values = dict(zip(known, (*inputs, y), strict=True))
        return y, back.body(t, *[values[p.name] for p in wanted])

    return _kernel(forward, body, (arriving,), back.outs, back.operation, back.preamble)


def pushed(kernel: Definition, moving: tuple[int, ...]) -> Kernel | None:
    """Return the kernel of the outputs of one and of their tangents, by the derivative of its text.

    It takes the inputs of `kernel`, then the tangents of those that move. None: an output is of no floating type.

    Args:
        kernel: an elementwise one.
        moving: the places of inputs that move, in order.

    Raises:
        Unreadable: see `formulas`.
    """
    key = "pushed", moving
    if key not in kernel.prepared:
        kernel.prepared[key] = _pushed(kernel, moving)
    return kernel.prepared[key]


def _pushed(kernel: Definition, moving: tuple[int, ...]) -> Kernel | None:
    made, spec = formulas(kernel), kernel.spec
    assert isinstance(spec, ElementwiseSpec)
    if kernel.attached or any(p.type != "T" for p in spec.outs):
        return None
    fresh = fresh_prefix({p.name for p in spec.params})
    ins = [Param("", spec.ins[k].type, fresh + spec.ins[k].name) for k in moving]
    outs = [Param("", p.type, fresh + p.name) for p in spec.outs]
    directions = {spec.ins[k].name: var(fresh + spec.ins[k].name) for k in moving}
    found = {fresh + name: tangent(formula, made.inputs, directions) for name, formula in made.outputs.items()}
    text, preamble = text_of(found, spec.preamble)
    tangents = body_of("tangents", [p.name for p in (*spec.ins, *ins)], list(found.values()))

    def body(*args: Any) -> tuple[Any, ...]:
        return *_several(spec.body(*args[: len(spec.ins)])), *_several(tangents(*args))

    return _kernel(kernel, body, ins, outs, text, preamble)


def _several(results: Any) -> tuple[Any, ...]:
    return results if isinstance(results, tuple) else (results,)


def _kernel(
    kernel: Definition,
    body: Callable[..., Any],
    ins: Iterable[Param],
    outs: Iterable[Param],
    operation: str,
    preamble: str,
) -> Kernel:
    """Return the kernel that does what another one does, and then more, each text in a block of its own."""
    spec = kernel.spec
    body.__name__ = body.__qualname__ = f"{spec.name}_dual"
    body.__module__ = DERIVED
    texts = "\n".join(f"{{ {text.rstrip().rstrip(';')}; }}" for text in (*spec.texts(), operation))
    before = spec.preamble + preamble * (preamble != spec.preamble)
    made = Kernel(ElementwiseSpec(body, (*spec.ins, *ins), (*spec.outs, *outs), before, texts))
    made.ours = kernel.ours
    return made
