"""Formulas: what a text computes, as terms of which equal ones are one object, so that nothing is computed twice.

A ternary is kept outside of products and sums that have a 0 in one of its branches: what is not taken stays 0 whatever
it would be multiplied by.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

COMPARISONS = {"<", ">", "<=", ">=", "==", "!="}
BOOLEAN = COMPARISONS | {"&&", "||", "!"}
ARITHMETIC = {"+", "-", "*", "/", "%", "neg"}


class Term:
    """One node of a formula.

    Attributes:
        op: "num", "var", "call", "neg", "?" (a ternary), "real" and "whole" (conversions), or an operator of C.
        args: terms; of "num" its value, of "var" its name, of "call" the function's name before its arguments.
        kind: "real", "whole" or "bool".
    """

    __slots__ = ("__weakref__", "args", "kind", "op")

    def __init__(self, op: str, args: tuple[Any, ...], kind: str) -> None:
        self.op, self.args, self.kind = op, args, kind

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms among the arguments."""
        return tuple(a for a in self.args if isinstance(a, Term))

    @property
    def number(self) -> float | None:
        """The value of a number, None of anything else."""
        return self.args[0] if self.op == "num" and self.kind != "bool" else None


_known: weakref.WeakValueDictionary[Any, Term] = weakref.WeakValueDictionary()


def make(op: str, *args: Any, kind: str = "") -> Term:
    """Return the term with these arguments: the one that there is, or a new one."""
    if not kind:
        parts = [a.kind for a in args if isinstance(a, Term)]
        parts = parts[1:] if op == "?" else parts
        if op in BOOLEAN or (op == "?" and set(parts) == {"bool"}):
            kind = "bool"
        else:
            whole = (op in ARITHMETIC or op == "?") and set(parts) <= {"whole", "bool"}
            kind = "whole" if whole else "real"
    if kind == "real" and op in ARITHMETIC | {"?"}:
        first = 1 if op == "?" else 0
        args = (*args[:first], *(real(a) for a in args[first:]))
    key = (op, kind, *((id(a) if isinstance(a, Term) else (type(a), a, str(a))) for a in args))
    return _known.setdefault(key, Term(op, args, kind))


def num(value: float, kind: str = "real") -> Term:
    """Return a number."""
    return make("num", value, kind=kind)


def var(name: str, kind: str = "real") -> Term:
    """Return a parameter."""
    return make("var", name, kind=kind)


def call(function: str, *args: Term) -> Term:
    """Return the value of a function, which is real."""
    return make("call", function, *map(real, args), kind="real")


def truth(function: str, *args: Term) -> Term:
    """Return the value of a function that says yes or no."""
    return make("call", function, *map(real, args), kind="bool")


ZERO, ONE, TWO = num(0.0), num(1.0), num(2.0)


def real(a: Term) -> Term:
    """Return a term as a real number: of `2 / 6` C makes 0."""
    if a.kind == "real":
        return a
    return num(float(a.args[0])) if a.op == "num" else make("real", a, kind="real")


def _folded(function: Callable[[Any, Any], Any], a: Term, b: Term) -> Term | None:
    """Return what two numbers make, None unless both are numbers."""
    if a.number is None or b.number is None:
        return None
    return num(function(a.number, b.number), "whole" if a.kind == b.kind == "whole" else "real")


def _inside(function: Callable[[Term, Term], Term], a: Term, b: Term) -> Term | None:
    """Return the sum of two ternaries with one condition as one ternary, None for others."""
    if a.op == b.op == "?" and a.args[0] is b.args[0] and a.kind == b.kind == "real":
        return ternary(a.args[0], function(a.args[1], b.args[1]), function(a.args[2], b.args[2]))
    return None


def neg(a: Term) -> Term:
    """Return ``-a``."""
    if a.number is not None:
        return num(-a.number, a.kind) if a.number else a
    return a.args[0] if a.op == "neg" else make("neg", a)


def add(a: Term, b: Term) -> Term:
    """Return ``a + b``."""
    if a.number == 0:
        return b
    if b.number == 0:
        return a
    if b.op == "neg":
        return sub(a, b.args[0])
    if a.op == "neg":
        return sub(b, a.args[0])
    if a is b and a.kind == "real":
        return mul(TWO, a)
    return _folded(lambda p, q: p + q, a, b) or _inside(add, a, b) or make("+", a, b)


def sub(a: Term, b: Term) -> Term:
    """Return ``a - b``; of equal terms too, for ``inf - inf`` is NaN."""
    if b.number == 0:
        return a
    if a.number == 0:
        return neg(b)
    if b.op == "neg":
        return add(a, b.args[0])
    return _folded(lambda p, q: p - q, a, b) or _inside(sub, a, b) or make("-", a, b)


def mul(a: Term, b: Term) -> Term:
    """Return ``a * b``; 0 times anything is 0."""
    if a.number == 0 or b.number == 0:
        return ZERO
    for p, q in ((a, b), (b, a)):
        if p.number == 1:
            return q
        if p.number == -1:
            return neg(q)
        if p.op == "neg":
            return neg(mul(p.args[0], q))
        if _has_zero(p):
            return ternary(p.args[0], mul(p.args[1], q), mul(p.args[2], q))
    if b.number is not None and a.number is None:
        a, b = b, a
    if a.number is not None and b.op == "*" and b.args[0].number is not None and b.kind == "real":
        return mul(num(a.number * b.args[0].number), b.args[1])
    return _folded(lambda p, q: p * q, a, b) or make("*", a, b)


def div(a: Term, b: Term) -> Term:
    """Return ``a / b``, of whole numbers as C does."""
    if b.number == 1:
        return a
    if a.kind == b.kind == "whole":
        return make("/", a, b)
    if a.number == 0:
        return ZERO
    if a.number is not None and b.number:
        return num(a.number / b.number)
    if a.op == "neg":
        return neg(div(a.args[0], b))
    if _has_zero(a):
        return ternary(a.args[0], div(a.args[1], b), div(a.args[2], b))
    return make("/", a, b)


def _has_zero(a: Term) -> bool:
    """Tell whether a term is a ternary of which a branch is 0."""
    return a.op == "?" and a.kind == "real" and any(b.number == 0 or _has_zero(b) for b in a.args[1:])


def ternary(condition: Term, yes: Term, no: Term) -> Term:
    """Return ``condition ? yes : no``; what the condition says is known in both."""
    if condition.op == "num":
        return yes if condition.args[0] else no
    yes, no = _knowing(yes, condition, True, {}), _knowing(no, condition, False, {})
    if yes is no:
        return yes
    if yes.kind != no.kind and "real" in (yes.kind, no.kind):
        yes, no = real(yes), real(no)
        return yes if yes is no else make("?", condition, yes, no)
    return make("?", condition, yes, no)


def _knowing(a: Term, condition: Term, value: bool, memo: dict[Term, Term]) -> Term:
    """Return a term where a condition holds, or does not."""
    if a in memo:
        return memo[a]
    if a is condition:
        found = num(value, "bool")
    elif a.op == "?" and a.args[0] is condition:
        found = _knowing(a.args[1 if value else 2], condition, value, memo)
    else:
        args = tuple(_knowing(b, condition, value, memo) if isinstance(b, Term) else b for b in a.args)
        same = all(p is q for p, q in zip(args, a.args, strict=True))
        found = a if same else rebuilt(a, args)
    memo[a] = found
    return found


def rebuilt(a: Term, args: tuple[Any, ...]) -> Term:
    """Return a term with other arguments."""
    if a.op in BUILDERS:
        return BUILDERS[a.op](*args)
    return real(args[0]) if a.op == "real" else make(a.op, *args, kind=a.kind)


BUILDERS: dict[str, Callable[..., Term]] = {"+": add, "-": sub, "*": mul, "/": div, "?": ternary, "neg": neg}


def in_order(roots: list[Term]) -> tuple[list[Term], dict[Term, int]]:
    """Return all terms of formulas, arguments first, and how often each is used."""
    uses: dict[Term, int] = {}
    order: list[Term] = []
    waiting: list[tuple[Term, bool]] = [(root, False) for root in reversed(roots)]
    while waiting:
        term, done = waiting.pop()
        if done:
            order.append(term)
            continue
        uses[term] = uses.get(term, 0) + 1
        if uses[term] == 1:
            waiting.append((term, True))
            waiting.extend((a, False) for a in reversed(term.terms))
    return order, uses
