"""Functions of users that a text may call: `derivative_of`."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .functions import FUNCTIONS, Function
from .reading import read
from .terms import Term

_numbers = itertools.count(1)


class Helper(NamedTuple):
    """A function whose derivatives are known.

    Attributes:
        name: as texts call it.
        place: in `FUNCTIONS`, where no name of a user's can stand.
        body: the function of NumPy's arrays.
    """

    name: str
    place: str
    body: Callable[..., Any]

    def __call__(self, *args: Any) -> Any:
        """Return what the function makes of NumPy's arrays."""
        return self.body(*args)


def derivative_of(text: str, *partials: str) -> Callable[[Callable[..., Any]], Helper]:
    """Tell the derivatives of a function that texts of kernels call.

    Args:
        text: CUDA text that defines it, over ``A``; goes before the kernel.
        partials: for each argument the derivative by it, an expression of the arguments, which may call the function.

    Returns:
        A decorator of the NumPy function of the same name and arguments.

    Raises:
        TypeError: there is not one expression for each argument, or one is outside of the grammar.

    Example:
        >>> @cunet.derivative_of("__device__ inline A bump(A u, A k) { return exp(-k * u * u); }",
        ...                      "-2 * k * u * bump(u, k)", "-u * u * bump(u, k)")
        ... def bump(u, k):
        ...     return np.exp(-k * u * u)
        >>> f = cunet.differentiable("T x", "T y", "y = bump(x, A(2))", helpers=[bump])
        >>> float(cunet.hessian(lambda x: f(x))(np.array(0.0)))
        -4.0
    """

    def decorate(body: Callable[..., Any]) -> Helper:
        name, names = body.__name__, list(inspect.signature(body).parameters)
        if len(partials) != len(names):
            raise TypeError(f"derivative_of: {name} needs one expression for each of {names}, got {len(partials)}")
        helper = Helper(name, f"{name} {next(_numbers)}", body)

        def slopes(e: Term, *arguments: Term) -> tuple[Term, ...]:
            known = dict(zip(names, arguments, strict=True))
            return tuple(_expression(part, names, helper, known) for part in partials)

        text_of_helper = text.rstrip() + "\n"
        FUNCTIONS[helper.place] = Function(slopes, body, len(names), helper=text_of_helper, written=name)
        for part in partials:
            _expression(part, names, helper, {})
        return helper

    return decorate


def _expression(text: str, names: Sequence[str], helper: Helper, known: dict[str, Term]) -> Term:
    """Return an expression of arguments, with terms in their places."""
    (found,) = read(f"d_ = {text}", dict.fromkeys(names, "A"), ("d_",), {}, {helper.name: helper.place}, known)
    return found
