"""Derivatives of formulas."""

from __future__ import annotations

from .functions import FUNCTIONS, damped, decays, exponent_over_one, logistic
from .terms import ONE, TWO, ZERO, Term, add, call, div, in_order, mul, neg, sub, ternary


def derivative(formula: Term, variable: Term) -> Term:
    """Return the derivative of a formula by a variable, branch by branch where it has branches."""
    slopes: dict[Term, Term] = {}
    for term in in_order([formula])[0]:
        slopes[term] = ONE if term is variable else _slope(term, slopes)
    return slopes[formula]


def _slope(e: Term, d: dict[Term, Term]) -> Term:
    """Return the derivative of a term, given those of its arguments."""
    if e.kind != "real" or e.op in ("num", "var"):
        return ZERO
    if e.op == "real":
        return ZERO
    a = e.args
    if e.op == "neg":
        return neg(d[a[0]])
    if e.op == "+":
        return add(d[a[0]], d[a[1]])
    if e.op == "-":
        return sub(d[a[0]], d[a[1]])
    if e.op == "*":
        p, q = a
        return mul(TWO, _product(d[p], p)) if p is q else add(_product(d[p], q), _product(d[q], p))
    if e.op == "/":
        return _quotient(e, d)
    if e.op == "?":
        return ternary(a[0], d[a[1]], d[a[2]])
    if e.op == "call":
        return _of_call(e, d)
    raise AssertionError(e.op)


def _product(a: Term, b: Term) -> Term:
    """Return ``a * b``; where one of them decays, its 0 wins over whatever the other has become."""
    if decays(a) == decays(b):
        return mul(a, b)
    return damped(a, b) if decays(a) else damped(b, a)


def _quotient(e: Term, d: dict[Term, Term]) -> Term:
    p, q = e.args
    first = div(d[p], q)
    if d[q].number == 0:
        return first
    u = exponent_over_one(q)
    if u is None:
        return sub(first, mul(div(d[q], q), e))
    # 1 / (1 + exp(u)): by two logistic factors, of which none is inf / inf.
    both = mul(logistic(neg(u)), logistic(u))
    return sub(first, damped(both, mul(d[u], p)))


def _of_call(e: Term, d: dict[Term, Term]) -> Term:
    name, *u = e.args
    if all(d[v].number == 0 for v in u):
        return ZERO
    if name == "damp":
        s, q = u
        return add(_product(d[s], q), damped(s, d[q]) if d[q].number != 0 else ZERO)
    if name == "log1p" and u[0].op == "call" and u[0].args[0] == "exp":
        w = u[0].args[1]
        return mul(d[w], logistic(w))
    total = ZERO
    for v, partial in zip(u, FUNCTIONS[name].partials(e, *u), strict=False):
        if d[v].number != 0:
            total = add(total, _product(partial, d[v]))
    return total


def gradient(inputs: dict[str, Term], outputs: dict[str, Term], arriving: dict[str, Term], wrt: str) -> Term:
    """Return the gradient of an input: for each output its slope times what arrives there; where that is 0, 0."""
    total = ZERO
    for name, formula in outputs.items():
        total = add(total, _arrived(arriving[name], derivative(formula, inputs[wrt])))
    return total


def tangent(formula: Term, inputs: dict[str, Term], directions: dict[str, Term]) -> Term:
    """Return the derivative of a formula in a direction: for each input its slope times how that moves."""
    total = ZERO
    for name, moved in directions.items():
        total = add(total, _arrived(moved, derivative(formula, inputs[name])))
    return total


def _arrived(g: Term, slope: Term) -> Term:
    if slope.number is not None:
        return mul(slope, g)
    if slope.op == "?":
        return ternary(slope.args[0], _arrived(g, slope.args[1]), _arrived(g, slope.args[2]))
    return neg(_arrived(g, slope.args[0])) if slope.op == "neg" else call("damp", g, slope)
