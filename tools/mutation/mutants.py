"""One small change at a time in a CUDA text: what is planted to see whether the tests notice it.

The changes, one per mutant:

- an operator becomes its counterpart: + and -, * and /, < and <=, > and >=, == and !=, && and ||, ++ and --,
  += and -=, >> and <<, & and |; ^ becomes |, % becomes /, *= and /= each other;
- the branches of ``?:`` change places, the condition of an ``if`` or a ``while`` is negated, a ``!`` is dropped;
- a constant changes: whole numbers by +1, others by 1 %, true and false into each other;
- an operand becomes the next one of its kind (real numbers, whole numbers, truth values, arrays, one kind of struct)
  that is known at that place, and a member of a struct the next of its members;
- a unary minus is dropped, and one is planted before the whole right side of an assignment of real numbers;
- exp and expm1, log and log1p, min and max change places, abs and sqrt are dropped, erf becomes erfc, normcdf erf,
  tanh atan and isinf isnan.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from .text import Token, changed_number, scan, struct_members, ternary, tokens, unary

_PAIRS = (("+", "-"), ("*", "/"), ("<", "<="), (">", ">="), ("==", "!="), ("&&", "||"), ("++", "--"), ("+=", "-="))
_PAIRS += (("*=", "/="), (">>", "<<"), ("&", "|"))
OPERATORS = dict(_PAIRS) | {b: a for a, b in _PAIRS} | {"^": "|", "%": "/"}
FUNCTIONS = {"exp": "expm1", "expm1": "exp", "log": "log1p", "log1p": "log", "min": "max", "max": "min"} | {
    "abs": "", "fabs": "", "sqrt": "", "erf": "erfc", "normcdf": "erf", "tanh": "atan", "isinf": "isnan"
}  # fmt: skip
REAL, WHOLE, TRUTH = "real", "whole", "truth"
KINDS = {"A": REAL, "T": REAL, "float": REAL, "double": REAL, "bool": TRUTH}
KINDS |= {t: WHOLE for t in ("int", "long", "unsigned", "short", "int32", "uint32", "int64", "uint64", "size_t")}
_ASSIGN = {"=", "+=", "-=", "*=", "/=", "++", "--"}


@dataclass(frozen=True)
class Mutant:
    """One changed text.

    Attributes:
        part: which text of the kernel: operation, map, reduce, post, identity, preamble, or the text of a template.
        text: all of it, changed.
        line: the changed line alone, for people.
        copy: 2 for the second mutant whose changed line reads so, and so on.
        change: what became what, for people.
        rule: the kind of change.
    """

    part: str
    text: str = field(repr=False)
    line: str
    change: str
    rule: str
    copy: int = 1


@dataclass
class Names:
    """What is known at a place: names in scope with their kinds, and the members of structs."""

    scope: dict[str, tuple[str, int]] = field(default_factory=dict)  # name -> kind, depth of braces
    unread: set[str] = field(default_factory=set)  # they hold nothing yet: outputs, what is being declared
    begins: dict[int, str] = field(default_factory=dict)  # token after a declaration -> what holds something from there
    members: dict[str, str] = field(default_factory=dict)  # member -> the next one of its struct
    kinds: dict[str, str] = field(default_factory=lambda: dict(KINDS))  # type -> kind
    declared: set[int] = field(default_factory=set)  # tokens that declare a name, and do not use it

    def other(self, name: str) -> str | None:
        """Return the next name of the same kind, or None."""
        if name not in self.scope:
            return None
        kind = self.scope[name][0]
        same = [k for k, v in self.scope.items() if v[0] == kind and (k == name or k not in self.unread)]
        found = same[(same.index(name) + 1) % len(same)]
        return None if found == name else found


def _declare(parts: list[Token], k: int, depth: int, names: Names) -> None:
    """Add what a declaration whose last word of type stands at `k` declares."""
    kind = names.kinds[parts[k].text]
    at = k + 1
    while at < len(parts) and parts[at].text in ("&", "*"):
        kind, at = ("array" if parts[at].text == "*" else kind), at + 1
    while at + 1 < len(parts) and parts[at].kind == "name" and parts[at + 1].text in ("=", ",", ";", ")"):
        if parts[at].text in names.kinds:  # another word of the type, or a cast
            return
        names.declared.add(at)
        stop = scan(parts, at + 1, {",", ";"})
        names.scope[parts[at].text] = (kind, depth)
        names.unread.add(parts[at].text)
        names.begins[stop] = parts[at].text
        at = stop
        if at >= len(parts) or parts[at].text != ",":
            return
        at += 1


def changes(text: str, names: Names) -> Iterator[tuple[int, int, str, str]]:
    """Yield (start, end, new text, rule) for every mutant of `text`."""
    parts = tokens(text)
    depth = 0
    for k, token in enumerate(parts):
        before, after = (parts[k - 1] if k else None), (parts[k + 1] if k + 1 < len(parts) else None)
        names.unread.discard(names.begins.get(k, ""))
        if token.text == "{":
            depth += 1
        elif token.text == "}":
            depth -= 1
            names.scope = {n: v for n, v in names.scope.items() if v[1] <= depth}
        if token.kind == "number":
            yield token.start, token.end, changed_number(token.text), "constant"
        elif token.kind == "op":
            yield from _of_operator(parts, k, text)
        elif token.text in names.kinds and after and after.text not in ("(", "{"):
            inside = depth == 0 and before is not None and before.text in ("(", ",", "const")
            _declare(parts, k, depth + inside, names)
        else:
            yield from _of_name(parts, k, names)
        if token.text == "=" and before and names.scope.get(before.text, ("", 0))[0] == REAL:
            stop = scan(parts, k + 1, {",", ";"})
            end = parts[stop - 1].end
            yield token.end, end, f" -({text[token.end : end].strip()})", "minus added"


def _of_operator(parts: list[Token], k: int, text: str) -> Iterator[tuple[int, int, str, str]]:
    token = parts[k]
    if token.text == "-" and unary(parts[k - 1] if k else None):
        yield token.start, token.end, "", "minus dropped"
    elif token.text == "!":
        yield token.start, token.end, "", "not dropped"
    elif token.text == "?":
        colon, stop = ternary(parts, k)
        end = parts[stop - 1].end
        first, second = text[token.end : parts[colon].start].strip(), text[parts[colon].end : end].strip()
        yield token.start, end, f"? ({second}) : ({first})", "branches"
    elif token.text in OPERATORS:
        yield token.start, token.end, OPERATORS[token.text], "operator"


def _of_name(parts: list[Token], k: int, names: Names) -> Iterator[tuple[int, int, str, str]]:
    token, before = parts[k], parts[k - 1].text if k else ""
    after = parts[k + 1].text if k + 1 < len(parts) else ""
    if token.text in ("true", "false"):
        yield token.start, token.end, "false" if token.text == "true" else "true", "constant"
    elif token.text in ("if", "while") and after == "(":
        stop = scan(parts, k + 2, {")"})
        yield parts[k + 1].start, parts[k + 1].end, "(!(", f"negated:{parts[stop].start}"
    elif after == "(":
        if token.text in FUNCTIONS:
            yield token.start, token.end, FUNCTIONS[token.text], "function"
    elif before == ".":
        if token.text in names.members:
            yield token.start, token.end, names.members[token.text], "member"
    elif k not in names.declared and after not in _ASSIGN and before not in ("++", "--"):
        other = names.other(token.text)
        if other:
            yield token.start, token.end, other, "operand"


def _line(text: str, start: int, end: int) -> str:
    first, last = text.rfind("\n", 0, start) + 1, text.find("\n", end)
    return " ".join(text[first : last if last >= 0 else len(text)].split())


def mutants(part: str, text: str, names: Names) -> list[Mutant]:
    """Return all mutants of one text of a kernel."""
    found: dict[str, Mutant] = {}
    lines: Counter[str] = Counter()
    for start, end, new, rule in changes(text, names):
        changed = text[:start] + new + text[end:]
        if rule.startswith("negated"):
            rule, at = rule.split(":")
            closing = int(at) + len(new) - (end - start)
            changed = changed[:closing] + ")" + changed[closing:]
        if changed != text and changed not in found:
            line = _line(changed, start, start + len(new))
            lines[line] += 1
            change = f"{text[start:end].strip()} -> {new.strip()}"
            found[changed] = Mutant(part, changed, line, change, rule, lines[line])
    return list(found.values())


def kernel_mutants(kernel: Any) -> list[Mutant]:
    """Return all mutants of the texts that a kernel alone owns; those of its preamble by `preamble_mutants`."""
    kernel = kernel.spec
    members = struct_members(kernel.preamble)
    if kernel.kind != "reduction":
        names = Names({p.name: (_kind(p), 0) for p in (*kernel.ins, *kernel.outs)}, members=members)
        names.unread = set() if kernel.kind == "inplace" else {p.name for p in kernel.outs}
        return mutants("operation", kernel.operation, names)
    result = []
    for part in ("map", "reduce", "post", "identity"):
        text = getattr(kernel, part)
        words = {t.text for t in tokens(text)}
        known = {p.name: (_kind(p), 0) for p in kernel.ins if part == "map" or p.name in words}
        known |= {p.name: (REAL, 0) for p in kernel.outs if part == "post"}
        known |= {name: ("state", 0) for name in "ab" if part == "reduce"}
        result += mutants(part, text, Names(known, {p.name for p in kernel.outs}, members))
        if part == "map" and kernel.state == "A":
            result.append(Mutant(part, f"-({text})", f"-({text})", f"{text} -> -({text})", "minus added"))
    return result


def preamble_mutants(preamble: str) -> list[Mutant]:
    """Return all mutants of a preamble."""
    structs = {name: name for name in re.findall(r"struct\s+(\w+)", preamble)}
    return mutants("preamble", preamble, Names(members=struct_members(preamble), kinds=KINDS | structs))


def template_mutants(template: str, formatted: bool) -> list[Mutant]:
    """Return all mutants of a text that kernels are made of; `formatted`: by `str.format`, whose places are kept.

    They have the part "text".
    """
    if not formatted:
        return mutants("text", template, Names(members=struct_members(template)))
    mark = "__place_"
    plain = re.sub(r"(?<!\{)\{(\w+)\}(?!\})", rf"{mark}\1", template).replace("{{", "{").replace("}}", "}")
    places = re.findall(rf"{mark}\w+", plain)
    result = []
    for m in mutants("text", plain, Names()):
        if re.findall(rf"{mark}\w+", m.text) == places:
            text = re.sub(rf"{mark}(\w+)", r"{\1}", m.text.replace("{", "{{").replace("}", "}}"))
            result.append(replace(m, text=text, line=re.sub(rf"{mark}(\w+)", r"{\1}", m.line)))
    return result


def _kind(param: Any) -> str:
    kind = KINDS.get(param.type, param.type)
    return f"array of {kind}" if param.raw else kind
