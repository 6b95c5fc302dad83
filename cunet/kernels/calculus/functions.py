"""The functions that a text may call: their derivatives, what NumPy calls them, and helpers that CUDA lacks.

Five of them are there for derivatives, which stay finite and keep their digits by them: ``sech2(x)`` is
``1 / cosh(x) ** 2``, ``gauss(x, k)`` is ``exp(k * x * x)``, ``softplus(x)`` is ``log(1 + exp(x))``, ``damp(s, q)`` is
``s * q``, or 0 where s is 0 whatever q is, and ``sign(x)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..backends.numpy import special
from .terms import ONE, TWO, ZERO, Term, add, call, div, make, mul, neg, num, sub, ternary

#: Partial derivatives of a value, given itself and the arguments.
Partials = Callable[..., tuple[Term, ...]]


class Function(NamedTuple):
    """What is known of a function.

    Attributes:
        partials: derivatives by the arguments.
        body: the function of NumPy's arrays.
        arity: how many arguments it takes.
        says: whether it says yes or no.
        same: the name under which it is known, where this is another one.
        helper: CUDA text that defines it.
        written: its name in texts, where that is not its place in `FUNCTIONS`.
    """

    partials: Partials
    body: Callable[..., Any]
    arity: int = 1
    says: bool = False
    same: str = ""
    helper: str = ""
    written: str = ""


def decays(a: Term) -> bool:
    """Tell whether a factor goes to 0 faster than any polynomial grows."""
    if a.op == "call":
        return a.args[0] in ("gauss", "sech2", "damp")
    if a.op == "/":
        return a.args[0].number is not None and exponent_over_one(a.args[1]) is not None
    if a.op == "*":
        return decays(a.args[0]) or decays(a.args[1])
    if a.op == "?":
        return all(b.number == 0 or decays(b) for b in a.args[1:])
    return a.op == "neg" and decays(a.args[0])


def exponent_over_one(a: Term) -> Term | None:
    """Return u where `a` is ``1 + exp(u)``, else None."""
    if a.op == "+":
        for p, q in (a.args, a.args[::-1]):
            if p.number == 1 and q.op == "call" and q.args[0] == "exp":
                return q.args[1]
    return None


def damped(s: Term, q: Term) -> Term:
    """Return ``s * q`` where s may go to 0 while q grows without bound."""
    return mul(s, q) if q.number is not None or s.number is not None else call("damp", s, q)


def logistic(u: Term) -> Term:
    """Return ``1 / (1 + exp(-u))``."""
    return div(ONE, add(ONE, call("exp", neg(u))))


def _constant(*_: Term) -> tuple[Term, ...]:
    return (ZERO, ZERO)


def _log1p(e: Term, u: Term) -> tuple[Term, ...]:
    return (div(ONE, add(ONE, u)),)


def _one_less_square(u: Term) -> Term:
    return mul(sub(ONE, u), add(ONE, u))


def _pow(e: Term, p: Term, q: Term) -> tuple[Term, ...]:
    less = sub(q, ONE)
    slope = mul(q, call("pow", p, less))
    by_base = slope if q.number is not None else ternary(make("==", q, ZERO), ZERO, slope)
    by_exponent = mul(e, ternary(make("==", p, ZERO), ZERO, call("log", p)))
    return by_base, by_exponent


def _chosen(sign: str) -> Partials:
    def partials(e: Term, p: Term, q: Term) -> tuple[Term, ...]:
        first = make(sign, p, q)
        return ternary(first, ONE, ZERO), ternary(first, ZERO, ONE)

    return partials


def _atan2(e: Term, y: Term, x: Term) -> tuple[Term, ...]:
    square = add(mul(x, x), mul(y, y))
    return div(x, square), neg(div(y, square))


def _copysign(e: Term, a: Term, b: Term) -> tuple[Term, ...]:
    return mul(call("copysign", ONE, a), call("copysign", ONE, b)), ZERO


def _np_damp(s: Any, q: Any) -> Any:
    return np.where(s == 0, 0, s * q)


def _np_sech2(x: Any) -> Any:
    e = np.exp(-2 * np.abs(x))
    return 4 * e / ((1 + e) * (1 + e))


def _by(factor: float, *args: Any) -> Partials:
    """Return the rule ``factor * gauss(u, k)``."""
    return lambda e, u: (mul(num(factor), call("gauss", u, num(args[0]))),)


_SECH2 = "__device__ inline A cunet_sech2(A x) { const A e = exp(-2 * abs(x)); return 4 * e / ((1 + e) * (1 + e)); }\n"
_GAUSS = (
    "__device__ inline A cunet_gauss(A x, A k) { const A s = x * x; return exp(k * s) * (1 + k * fma(x, x, -s)); }\n"
)
_DAMP = "__device__ inline A cunet_damp(A s, A q) { return s == 0 ? A(0) : s * q; }\n"
_SOFTPLUS = "__device__ inline A cunet_softplus(A x) { return (x < 0 ? A(0) : x) + log1p(exp(-abs(x))); }\n"
_SIGN = "__device__ inline A cunet_sign(A x) { return x > 0 ? A(1) : x < 0 ? A(-1) : x; }\n"

FUNCTIONS: dict[str, Function] = {
    "exp": Function(lambda e, u: (e,), np.exp),
    "exp2": Function(lambda e, u: (mul(num(math.log(2)), e),), np.exp2),
    "expm1": Function(lambda e, u: (call("exp", u),), np.expm1),
    "log": Function(lambda e, u: (div(ONE, u),), np.log),
    "log2": Function(lambda e, u: (div(num(1 / math.log(2)), u),), np.log2),
    "log10": Function(lambda e, u: (div(num(1 / math.log(10)), u),), np.log10),
    "log1p": Function(_log1p, np.log1p),
    "sqrt": Function(lambda e, u: (div(num(0.5), e),), np.sqrt),
    "rsqrt": Function(lambda e, u: (mul(mul(mul(num(-0.5), e), e), e),), lambda x: 1 / np.sqrt(x)),
    "cbrt": Function(lambda e, u: (div(div(num(1 / 3), e), e),), np.cbrt),
    "sin": Function(lambda e, u: (call("cos", u),), np.sin),
    "cos": Function(lambda e, u: (neg(call("sin", u)),), np.cos),
    "tan": Function(lambda e, u: (add(ONE, mul(e, e)),), np.tan),
    "sinh": Function(lambda e, u: (call("cosh", u),), np.sinh),
    "cosh": Function(lambda e, u: (call("sinh", u),), np.cosh),
    "tanh": Function(lambda e, u: (call("sech2", u),), np.tanh),
    "sech2": Function(lambda e, u: (mul(num(-2.0), damped(e, call("tanh", u))),), _np_sech2, helper=_SECH2),
    "asin": Function(lambda e, u: (call("rsqrt", _one_less_square(u)),), np.arcsin),
    "acos": Function(lambda e, u: (neg(call("rsqrt", _one_less_square(u))),), np.arccos),
    "atan": Function(lambda e, u: (div(ONE, add(ONE, mul(u, u))),), np.arctan),
    "asinh": Function(lambda e, u: (call("rsqrt", add(ONE, mul(u, u))),), np.arcsinh),
    "acosh": Function(lambda e, u: (mul(call("rsqrt", sub(u, ONE)), call("rsqrt", add(u, ONE))),), np.arccosh),
    "atanh": Function(lambda e, u: (div(ONE, _one_less_square(u)),), np.arctanh),
    "erf": Function(_by(2 / math.sqrt(math.pi), -1.0), special.erf),
    "erfc": Function(_by(-2 / math.sqrt(math.pi), -1.0), special.erfc),
    "normcdf": Function(_by(1 / math.sqrt(2 * math.pi), -0.5), special.normal_cdf),
    "gauss": Function(
        lambda e, u, k: (mul(mul(TWO, k), damped(e, u)), damped(e, mul(u, u))),
        lambda x, k: np.exp(k * (x * x)),
        2,
        helper=_GAUSS,
    ),
    "damp": Function(lambda e, s, q: (q, s), _np_damp, 2, helper=_DAMP),  # by `rules.derivative`, which knows more
    "softplus": Function(lambda e, u: (logistic(u),), lambda x: np.logaddexp(0, x), helper=_SOFTPLUS),
    "abs": Function(lambda e, u: (call("sign", u),), np.abs),
    "sign": Function(_constant, np.sign, helper=_SIGN),
    "floor": Function(_constant, np.floor),
    "ceil": Function(_constant, np.ceil),
    "trunc": Function(_constant, np.trunc),
    "rint": Function(_constant, np.rint),
    "isnan": Function(_constant, np.isnan, says=True),
    "isinf": Function(_constant, np.isinf, says=True),
    "isfinite": Function(_constant, np.isfinite, says=True),
    "pow": Function(_pow, np.power, 2),
    "min": Function(_chosen("<"), np.fmin, 2),
    "max": Function(_chosen(">"), np.fmax, 2),
    "fma": Function(lambda e, a, b, c: (b, a, ONE), lambda a, b, c: a * b + c, 3),
    "hypot": Function(lambda e, x, y: (div(x, e), div(y, e)), np.hypot, 2),
    "atan2": Function(_atan2, np.arctan2, 2),
    "fmod": Function(lambda e, x, y: (ONE, neg(call("trunc", div(x, y)))), np.fmod, 2),
    "copysign": Function(_copysign, np.copysign, 2),
}
#: Other names of these functions: the helpers' own, and those of C for float.
_ALIASES = {"fabs": "abs", "fabsf": "abs", "fmin": "min", "fmax": "max", "fminf": "min", "fmaxf": "max"}
_ALIASES |= {f"cunet_{name}" if function.helper else f"{name}f": name for name, function in FUNCTIONS.items()}
FUNCTIONS |= {alias: FUNCTIONS[name]._replace(same=name) for alias, name in _ALIASES.items()}
#: What has corners: a formula with these says nothing of how smooth its function is.
CORNERS = {"abs", "sign", "min", "max", "copysign", "floor", "ceil", "trunc", "rint", "fmod"}
