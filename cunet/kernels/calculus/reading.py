"""Reads the text of an elementwise kernel as formulas of its inputs; local names vanish.

The grammar: declarations ``[const] type name = expression, ...;``, assignments (``=``, ``+=``, ``-=``, ``*=``, ``/=``),
``if``/``else`` around these, ternaries, casts, operators of C on numbers, and the functions of `functions`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple, NoReturn

from .functions import FUNCTIONS
from .terms import BUILDERS, COMPARISONS, Term, call, make, neg, num, real, ternary, truth, var

_TOKEN = re.compile(
    r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?[fFuUlL]*)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign><<=|>>=|&&|\|\||\+\+|--|->|::|<<|>>|[-+*/%<>=!&|^]=|.)"
)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)
_LEVELS = {"||": 1, "&&": 2, "==": 6, "!=": 6, "<": 7, ">": 7, "<=": 7, ">=": 7, "+": 9, "-": 9, "*": 10, "/": 10,
           "%": 10}  # fmt: skip
_WHOLE = {"int", "long", "unsigned", "size_t", "ptrdiff_t", "int32", "int64", "uint32", "uint64", "short", "char"}
_REAL = {"A", "T", "float", "double", "float32", "float64"}
TYPES = _WHOLE | _REAL | {"bool"}


class Unreadable(TypeError):
    """A text outside of the grammar; the message names the token and its line."""


class _Token(NamedTuple):
    kind: str  # "number", "name", "sign" or "end"
    text: str
    line: int


def _tokens(text: str) -> list[_Token]:
    text = _COMMENT.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    found, line = [], 1
    for match in re.finditer(rf"\s+|{_TOKEN.pattern}", text):
        if match.lastgroup:
            found.append(_Token(match.lastgroup, match[0], line))
        line += match[0].count("\n")
    return [*found, _Token("end", "the end", line)]


def read(
    text: str,
    inputs: Mapping[str, str],
    outputs: tuple[str, ...],
    constants: Mapping[str, str],
    helpers: Mapping[str, str] | None = None,
    known: Mapping[str, Term] | None = None,
) -> list[Term]:
    """Return the formula of each output.

    Args:
        text: the operation.
        inputs: the type of each input, by name.
        outputs: the names of the outputs.
        constants: names that stand for others, such as a user's type for ``T``.
        helpers: functions beside those that all texts know, by name: their place in `FUNCTIONS`.
        known: formulas that stand in the place of inputs.

    Raises:
        Unreadable: the text is outside of the grammar, or leaves an output unassigned.
    """
    reader = _Reader(text, constants, helpers or {})
    for name, kind in inputs.items():
        reader.known[name] = var(name, "bool" if kind == "bool" else "real" if kind in _REAL else "whole")
    reader.known.update(known or {})
    reader.outputs = set(outputs)
    while reader.token.kind != "end":
        reader.statement()
    missing = [name for name in outputs if name not in reader.known]
    if missing:
        raise Unreadable(f"output {missing[0]!r} is not assigned")
    return [real(reader.known[name]) for name in outputs]


class _Reader:
    """The parser: statements into `known`, expressions by the precedence of their operators."""

    def __init__(self, text: str, constants: Mapping[str, str], helpers: Mapping[str, str]) -> None:
        self.tokens, self.at, self.constants, self.helpers = _tokens(text), 0, constants, helpers
        self.known: dict[str, Term] = {}
        self.declared: dict[str, str] = {}
        self.outputs: set[str] = set()

    @property
    def token(self) -> _Token:
        """The next token."""
        return self.tokens[self.at]

    def fail(self, why: str, token: _Token | None = None) -> NoReturn:
        """Raise Unreadable for a token, that which comes next if none is given."""
        token = token or self.token
        raise Unreadable(f"line {token.line}: {token.text!r}: {why}")

    def take(self, *texts: str) -> bool:
        """Go past the next token if it is one of these."""
        if self.token.text in texts and self.token.kind != "end":
            self.at += 1
            return True
        return False

    def need(self, text: str) -> None:
        """Go past a token that has to come."""
        if not self.take(text):
            self.fail(f"{text!r} was expected")

    def name(self) -> str:
        """Go past a name."""
        if self.token.kind != "name":
            self.fail("a name was expected")
        self.at += 1
        return self.tokens[self.at - 1].text

    def statement(self) -> None:
        """Read one statement."""
        if self.take(";"):
            return
        if self.take("{"):
            while not self.take("}"):
                self.statement()
            return
        if self.take("if"):
            return self._branches()
        if self.token.text in ("for", "while", "do", "switch", "return", "goto", "struct", "#"):
            self.fail("a text that is differentiated has declarations, assignments, if and else, and no others")
        if self.token.text == "const" or self._type_comes():
            self._declaration()
        else:
            self._assignment()
        if self.token.kind != "end" and self.token.text != "}":
            self.need(";")

    def _type_comes(self, ahead: int = 0) -> bool:
        text = self.tokens[self.at + ahead].text
        return self.constants.get(text, text) in TYPES

    def _type(self) -> str:
        """Read a type of one word or several; return what it is."""
        words = []
        while self._type_comes():
            words.append(self.constants.get(self.token.text, self.token.text))
            self.at += 1
        if not words:
            self.fail(f"a type was expected, such as {', '.join(sorted(_REAL)[:4])}, int or bool")
        if self.token.text in ("*", "&"):
            self.fail("pointers and references have no derivative")
        return "bool" if "bool" in words else "whole" if set(words) & _WHOLE and "double" not in words else "real"

    def _declaration(self) -> None:
        self.take("const")
        kind = self._type()
        self.take("const")
        while True:
            name = self.name()
            if self.token.text == "[":
                self.fail("arrays have no derivative")
            self.declared[name] = kind
            self.known.pop(name, None)
            if self.take("="):
                self.known[name] = self._as(kind, self.expression())
            if not self.take(","):
                return

    def _assignment(self) -> None:
        token = self.token
        name = self.name()
        if name not in self.declared and name not in self.outputs:
            self.fail("neither an output nor a local name", token)
        sign = self.token
        if not self.take("=", "+=", "-=", "*=", "/="):
            self.fail("an assignment was expected")
        value = self.expression()
        if sign.text != "=":
            if name not in self.known:
                self.fail("is read before it is written", token)
            value = BUILDERS[sign.text[0]](self.known[name], value)
        self.known[name] = self._as(self.declared.get(name, "real"), value)

    def _branches(self) -> None:
        """Read what stands behind ``if``: a name has the value of the branch that is taken."""
        self.need("(")
        condition = self._truth(self.expression())
        self.need(")")
        before = dict(self.known)
        self.statement()
        yes, self.known = self.known, dict(before)
        if self.take("else"):
            self.statement()
        no, both = self.known, dict(before)
        for name in yes.keys() & no.keys():
            both[name] = ternary(condition, yes[name], no[name])
        self.known = both

    def _as(self, kind: str, value: Term) -> Term:
        if kind == "real":
            return real(value)
        if kind == "bool":
            return self._truth(value)
        return value if value.kind == "whole" else make("whole", value, kind="whole")

    def _truth(self, value: Term) -> Term:
        return value if value.kind == "bool" else make("!=", value, num(0, "whole"))

    def expression(self) -> Term:
        """Read an expression."""
        condition = self._binary(1)
        if not self.take("?"):
            return condition
        yes = self.expression()
        self.need(":")
        return ternary(self._truth(condition), yes, self.expression())

    def _binary(self, level: int) -> Term:
        left = self._unary()
        while self.token.kind == "sign" and _LEVELS.get(self.token.text, 0) >= level:
            sign = self.token.text
            self.at += 1
            right = self._binary(_LEVELS[sign] + 1)
            if sign in ("&&", "||"):
                left = make(sign, self._truth(left), self._truth(right))
            elif sign in COMPARISONS:
                left = make(sign, *((left, right) if left.kind == right.kind else (real(left), real(right))))
            elif sign == "%":
                left = make(sign, left, right, kind="whole")
            else:
                left = BUILDERS[sign](left, right)
        return left

    def _unary(self) -> Term:
        if self.take("-"):
            return neg(self._unary())
        if self.take("+"):
            return self._unary()
        if self.take("!"):
            return make("!", self._truth(self._unary()))
        if self.token.text == "(" and self._type_comes(1) and self.tokens[self.at + 2].text != "(":
            self.at += 1
            kind = self._type()
            self.need(")")
            return self._as(kind, self._unary())
        return self._primary()

    def _primary(self) -> Term:
        token = self.token
        if self.take("("):
            inner = self.expression()
            self.need(")")
            return inner
        self.at += 1
        if token.kind == "number":
            digits = token.text.rstrip("fFuUlL")
            return num(int(digits), "whole") if digits.isdigit() else num(float(digits))
        if token.kind != "name":
            self.fail("no operator of the grammar, or not here", token)
        if token.text in ("true", "false"):
            return num(token.text == "true", "bool")
        if self._type_comes(-1):
            self.at -= 1
            kind = self._type()
            self.need("(")
            inner = self.expression()
            self.need(")")
            return self._as(kind, inner)
        if self.token.text == "(":
            return self._call(token)
        if self.token.text in ("[", ".", "->"):
            self.fail("elements of arrays and members of structs have no derivative", token)
        if token.text not in self.known:
            known = token.text in self.declared or token.text in self.outputs
            self.fail("is read before it is written" if known else "an unknown name", token)
        return self.known[token.text]

    def _call(self, token: _Token) -> Term:
        self.need("(")
        arguments: list[Term] = []
        while not self.take(")"):
            if self.token.text == "&":
                self.fail("a result through a pointer has no derivative")
            arguments.append(self.expression())
            if self.token.text != ")":
                self.need(",")
        name = self.helpers.get(token.text, token.text)
        function = FUNCTIONS.get(name)
        if function is None:
            self.fail("a function whose derivative is not known", token)
        if len(arguments) != function.arity:
            self.fail(f"takes {function.arity} arguments, got {len(arguments)}", token)
        maker: Callable[..., Term] = truth if function.says else call
        return maker(function.same or name, *arguments)
