"""Functions of Tensors made of kernels: `differentiable`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, overload

from ..device import is_array, is_floating
from ..kernels.calculus.helpers import Helper
from ..kernels.calculus.kernels import from_text, from_typed_text
from ..kernels.dispatch import Kernel
from ..kernels.grammar import parse
from .derived import op_of
from .duals import of_text
from .linear import set_rule
from .op import op
from .rules import Composite, pointwise
from .tensor import Tensor
from .tracing import plain, traced_at

Function = Callable[..., Any]


@overload
def differentiable(source: Any, /) -> Function: ...
@overload
def differentiable(
    source: str, outs: str, operation: str, /, *, name: str = ..., smooth: str = ..., helpers: Sequence[Helper] = ...
) -> Function: ...
def differentiable(
    source: Any,
    outs: Any = None,
    operation: Any = None,
    /,
    *,
    name: str = "kernel",
    smooth: str = "",
    helpers: Sequence[Helper] = (),
) -> Function:
    """Make of the text of a kernel a function of Tensors that has derivatives of every order, on every device.

    The text is read, differentiated, and written again for CPUs and GPUs: it must be within the grammar of
    ``docs/your-kernel-differentiated.md``.

    Args:
        source: the inputs, such as ``"T x, A alpha"``, before `outs` and `operation`; or instead of all three a kernel
            made by `cunet.elementwise`, by `cunet.reduction` if it sums, or by `cunet.rowwise`, whose gradient is that
            of its body, run on Tensors; or a ``cupy.ElementwiseKernel``, whose data are of one floating type.
        outs: the outputs.
        operation: the text that assigns them.
        name: of the kernel, in errors and profiles.
        smooth: another text of the same function, to be differentiated in place of `operation`.
        helpers: functions that the text calls, made by `derivative_of`.

    Returns:
        A function with the parameters of the text, by position or by name. Arrays have gradients, numbers have none.

    Raises:
        TypeError: something in the text has no derivative here; the message names it and its line.

    Example:
        >>> text = "A u = exp(-r); energy = depth * (1 - u) * (1 - u)"
        >>> morse = cunet.differentiable("T r, A depth", "T energy", text)
        >>> force = cunet.grad(lambda r: -morse(r, 2.0).sum())
        >>> force(np.array([0.5])).round(6)
        array([-0.954605])
    """
    kernel = _kernel(source, outs, operation, name, smooth, helpers)
    run = _by_body(kernel) if kernel.spec.kind == "rowwise" else op_of(kernel)
    if kernel.spec.kind == "elementwise":
        pointwise(run, dual=of_text(kernel))
    names = [p.name for p in kernel.spec.ins]
    options = {"axis", "keepdims"} if kernel.spec.kind == "reduction" else set()

    def apply(*args: Any, **named: Any) -> Tensor | tuple[Tensor, ...]:
        given = {key: value for key, value in named.items() if key in options}
        arrays = _in_order(kernel.name, names, args, {k: v for k, v in named.items() if k not in options})
        return run(*arrays, **given)

    functools.update_wrapper(apply, kernel.body)
    return apply


def _by_body(kernel: Kernel) -> Function:
    """Return the op of a kernel whose gradient is that of its body."""
    rule = Composite(kernel.body)

    def run(*arrays: Any) -> tuple[Any, Function]:
        y = kernel(*arrays)

        def vjp(gy: Any) -> tuple[Any, ...]:
            wanted = [is_array(a) and is_floating(a.dtype) for a in arrays]
            leaves = [Tensor(a, requires_grad=True) if want else a for a, want in zip(arrays, wanted, strict=True)]
            with traced_at(0):
                return tuple(map(plain, rule.vjp(y, leaves, {})(gy)))

        return y, vjp

    run.__name__ = kernel.name
    lifted = op(run)
    set_rule(lifted, rule)
    return lifted


def _kernel(source: Any, outs: Any, operation: Any, name: str, smooth: str, helpers: Sequence[Helper]) -> Kernel:
    if isinstance(source, str):
        if not isinstance(outs, str) or not isinstance(operation, str):
            got = ", ".join(type(text).__name__ for text in (source, outs, operation))
            raise TypeError(f"differentiable: a text needs inputs, outputs and an operation, three strings, got {got}")
        return from_text(name, parse(source), parse(outs), operation, smooth, helpers=helpers)
    if outs is not None or operation is not None or smooth or helpers:
        raise TypeError("differentiable: a kernel has its outputs and its text, and says itself what is smooth")
    if isinstance(source, Kernel):
        return source
    if hasattr(source, "in_params") and hasattr(source, "operation"):  # CuPy's
        return from_typed_text(source.name, source.in_params, source.out_params, source.operation, source.preamble)
    raise TypeError(f"differentiable: a text or an elementwise kernel is required, got {type(source).__name__}")


def _in_order(who: str, names: list[str], args: tuple[Any, ...], named: dict[str, Any]) -> list[Any]:
    """Return arguments by position."""
    rest = names[len(args) :]
    if len(args) > len(names) or set(named) != set(rest):
        given = [*names[: len(args)], *(["..."] if len(args) > len(names) else []), *named]
        raise TypeError(f"{who}: takes {', '.join(names)}; got {', '.join(given) or 'nothing'}")
    return [*args, *(named[name] for name in rest)]
