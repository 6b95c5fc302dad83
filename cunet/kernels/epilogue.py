"""Epilogues: what follows a kernel's result in the same pass, such as an activation behind a norm.

A text names the place: ``y = epilogue((x - mean) * rstd)`` on the way forward, and on the way back
``epilogue_backward(gy, z)`` where the gradient behind the epilogue is wanted, `z` being what it was given. Without an
epilogue that reads ``y = (x - mean) * rstd`` and ``gy``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from .dispatch import Kernel
from .grammar import calls, parse
from .spec import KernelSpec, register

HOOKS = ("epilogue", "epilogue_backward")
_TEXTS = ("operation", "map")


class Epilogue(NamedTuple):
    """CUDA functions of an activation.

    Attributes:
        forward: text that defines ``activation(x, f0, f1)``; f0 and f1 are its parameters.
        backward: text that defines ``activation_back(gy, x, f0, f1)``.
    """

    forward: str
    backward: str


def epilogue_of(forward: KernelSpec, backward: KernelSpec) -> Epilogue:
    """Make an epilogue of the two kernels of an elementwise function with at most two parameters."""
    there = f"""{forward.preamble}
__device__ inline A activation(A x, A f0, A f1) {{
  {_parameters(forward)} A y;
  {forward.texts()[0]};
  return y;
}}
"""
    again = starts_from_result(backward)
    back = f"""{backward.preamble}
__device__ inline A activation_back(A gy, A x, A f0, A f1) {{
  {_parameters(backward)} {"const A y = activation(x, f0, f1); " * again}A gx;
  {backward.texts()[0]};
  return gx;
}}
"""
    return Epilogue(there, there + back if again else back)


def starts_from_result(backward: KernelSpec) -> bool:
    """Tell whether a way back starts from what the function returned, not from what it was given."""
    return backward.ins[1].name == "y"


def _parameters(spec: KernelSpec) -> str:
    """Return what gives the parameters of a kernel their own names."""
    given = [p.name for p in spec.ins if p.type == "A"]
    return " ".join(f"const A {name} = {p};" for name, p in zip(given, ("f0", "f1"), strict=False))


def plain(spec: KernelSpec) -> KernelSpec:
    """Return a spec without an epilogue: its hooks stand for what they are given."""
    return _replaced(spec, lambda name, arguments: arguments[0])


def fused(spec: KernelSpec, epilogue: Epilogue, body: Callable[..., Any], more: str = "") -> Kernel:
    """Return a kernel with an epilogue.

    Args:
        spec: its texts have hooks. The kernel takes two numbers more, at the end.
        epilogue: what follows.
        body: the NumPy function, with the name of the new kernel.
        more: parameters that the epilogue needs beside the kernel's own, which they follow.
    """
    prefix = "in_" if spec.kind == "reduction" else ""
    numbers = [f"{prefix}f0", f"{prefix}f1"]
    backward = any("epilogue_backward(" in text for text in spec.texts())

    def call(name: str, arguments: list[str]) -> str:
        function = "activation" if name == "epilogue" else "activation_back"
        return f"{function}({', '.join([*arguments, *numbers])})"

    ins = (*spec.ins, *parse(more), *parse(", ".join(f"A {name}" for name in numbers)))
    text = epilogue.backward if backward else epilogue.forward
    made = Kernel(dataclasses.replace(_replaced(spec, call), body=body, ins=ins, preamble=spec.preamble + text))
    register(made)
    return made


def _replaced(spec: KernelSpec, write: Callable[[str, list[str]], str]) -> KernelSpec:
    """Return a spec in whose texts hooks are replaced by what `write` makes of their names and arguments."""
    texts: dict[str, Any] = {name: getattr(spec, name) for name in _TEXTS if hasattr(spec, name)}
    changed: dict[str, Any] = {name: _written(text, write) for name, text in texts.items()}
    return spec if changed == texts else dataclasses.replace(spec, **changed)


def _written(text: str, write: Callable[[str, list[str]], str]) -> str:
    out, at = "", 0
    for start, end, name, arguments in calls(text, HOOKS):
        out += text[at:start] + write(name, arguments)
        at = end
    return out + text[at:]
