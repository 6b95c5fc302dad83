"""Kernels of values and tangents: one pass makes both, for forward mode."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..dispatch import Kernel
from ..grammar import Param
from ..spec import Definition, ElementwiseSpec
from .kernels import formulas, fresh_prefix
from .rules import gradient, tangent
from .terms import ZERO, var
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


def joined_backward(forward: Definition, backward: Definition, moves: bool) -> Kernel | None:
    """Return the kernel of the gradients of what `joined` makes: of the array and, if that `moves`, of its tangent.

    It takes the inputs of `forward` and its output, the tangent, what arrives at the output, and what arrives at its
    tangent. None: nothing is joined, or the slope is a function of the output.

    Raises:
        Unreadable: the text of `backward` cannot be differentiated; see `formulas`.
    """
    key = backward, moves
    if key not in forward.prepared:
        forward.prepared[key] = (
            None if joined(forward, backward) is None else _joined_backward(forward, backward, moves)
        )
    return forward.prepared[key]


def _joined_backward(forward: Definition, backward: Definition, moves: bool) -> Kernel | None:
    spec, back, made = forward.spec, backward.spec, formulas(backward)
    assert isinstance(spec, ElementwiseSpec) and isinstance(back, ElementwiseSpec)
    (tangent_, *wanted), (found,), (y,), x = back.ins, back.outs, spec.outs, spec.ins[0]
    fresh = fresh_prefix({p.name for p in (*spec.params, *back.params)})
    at_y, at_t = (Param("", "T", fresh + name) for name in (y.name, found.name))
    arriving = {found.name: var(at_t.name)}
    if y.name in made.inputs and gradient(made.inputs, made.outputs, arriving, y.name).number != 0:
        return None
    bent = gradient(made.inputs, made.outputs, arriving, x.name) if x.name in made.inputs else ZERO
    ins = (*spec.ins, *(p for p in wanted if p == y), tangent_, at_y, at_t)
    outs = [Param("", "T", fresh + fresh + name) for name in (x.name, tangent_.name)][: 1 + moves]
    by_x, preamble = text_of({"bent_": bent}, back.preamble)
    text = f"A bent_; {by_x} {{ {_applied(back, at_y)} {outs[0].name} = bent_ + {found.name}; }}"
    if moves:
        text += f" {{ {_applied(back, at_t)} {outs[1].name} = {found.name}; }}"
    slope = body_of("bent", [p.name for p in (*back.ins, at_t)], [bent])

    def body(*args: Any) -> Any:
        values = dict(zip([p.name for p in ins], args, strict=True))
        rest = [values[p.name] for p in wanted]
        gx = back.body(values[at_y.name], *rest) + slope(values[tangent_.name], *rest, values[at_t.name])
        return (gx, back.body(values[at_t.name], *rest)) if moves else gx

    return _named(forward, body, "dual_backward", ins, outs, back.preamble + preamble, text)


def _applied(back: ElementwiseSpec, arriving: Param) -> str:
    """Return the text of a gradient where something else arrives."""
    return f"const A {back.ins[0].name} = {arriving.name}; A {back.outs[0].name}; {_closed(back.operation)}"


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
    texts = "\n".join(f"{{ {_closed(text)} }}" for text in (*spec.texts(), operation))
    before = spec.preamble + preamble * (preamble != spec.preamble)
    return _named(kernel, body, "dual", (*spec.ins, *ins), (*spec.outs, *outs), before, texts)


def _named(
    kernel: Definition,
    body: Callable[..., Any],
    what: str,
    ins: Iterable[Param],
    outs: Iterable[Param],
    preamble: str,
    text: str,
) -> Kernel:
    """Return a kernel that is named after another, and as trusted."""
    body.__name__ = body.__qualname__ = f"{kernel.name}_{what}"
    body.__module__ = DERIVED
    made = Kernel(ElementwiseSpec(body, tuple(ins), tuple(outs), preamble, text))
    made.ours = kernel.ours
    return made


def _closed(text: str) -> str:
    return text.rstrip().rstrip(";") + ";"
