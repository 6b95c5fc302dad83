"""CUDA text cut into tokens, and what belongs together in it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"(?P<skip>//[^\n]*|/\*.*?\*/|#[^\n]*|\"[^\"\n]*\"|\s+)"
    r"|(?P<number>0[xX][0-9a-fA-F]+[uUlL]*|(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?[fFuUlL]*)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<op><<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[-+*/%<>=!&|^~?:;,.(){}\[\]])",
    re.DOTALL,
)
_ENDS = {")", ";", ",", "}", "]"}
_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True)
class Token:
    """A piece of CUDA text: its kind (number, name or op), its text and where it begins."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.start + len(self.text)


def tokens(text: str) -> list[Token]:
    """Cut CUDA text into tokens; comments, preprocessor lines and blanks are left out."""
    result, at = [], 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            raise ValueError(f"not CUDA text that this tool knows: {text[at : at + 20]!r}")
        if found.lastgroup != "skip":
            result.append(Token(str(found.lastgroup), found.group(), at))
        at = found.end()
    return result


def struct_members(preamble: str) -> dict[str, str]:
    """Return for each member of the structs in a preamble the next one of its struct."""
    members = {}
    for body in re.findall(r"struct\s+\w+\s*\{(.*?)\n?\};?", preamble, re.DOTALL):
        names = [n.strip() for group in re.findall(r"\b(?:A|T|int)\s+([\w, ]+);", body) for n in group.split(",")]
        members.update({n: names[(k + 1) % len(names)] for k, n in enumerate(names) if len(names) > 1})
    return members


def unary(previous: Token | None) -> bool:
    """Tell whether a minus after `previous` is a sign."""
    return previous is None or (previous.kind == "op" and previous.text not in (")", "]")) or previous.text == "return"


def scan(parts: list[Token], start: int, stops: set[str]) -> int:
    """Return the index of the first token of `stops` from `start` on that stands outside brackets; the end if none."""
    depth = 0
    for k in range(start, len(parts)):
        text = parts[k].text
        if depth == 0 and text in stops:
            return k
        depth += (text in _OPENING) - (text in _CLOSING)
        if depth < 0:
            return k
    return len(parts)


def ternary(parts: list[Token], at: int) -> tuple[int, int]:
    """Return the indices of the ``:`` and of the end that belong to the ``?`` at `at`."""

    def stop(start: int, nested: int) -> int:
        k = start
        while True:
            k = scan(parts, k, {"?", ":", *_ENDS})
            if k >= len(parts) or parts[k].text not in "?:" or (parts[k].text == ":" and nested == 0):
                return k
            nested += 1 if parts[k].text == "?" else -1
            k += 1

    colon = stop(at + 1, 0)
    return colon, stop(colon + 1, 0)


def changed_number(text: str) -> str:
    """Return another number of the same type: one more, or 1 % more."""
    digits = text.rstrip("uUlL") if text[:2].lower() == "0x" else text.rstrip("fFuUlL")
    suffix = text[len(digits) :]
    if digits[:2].lower() == "0x":
        return hex(int(digits, 16) + 1) + suffix
    return f"{int(digits) + 1}{suffix}" if digits.isdigit() else f"{float(digits) * 1.01!r}{suffix}"
