"""Options of the command line that a recipe's own arguments are."""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

#: Begins the names under which argparse keeps settings, so that they meet no other.
SETTING = "setting of recipe: "


#: Letters of all choices from which on help lists them not beside the option, but behind it.
_LONG = 40


def add_settings(parser: argparse.ArgumentParser, recipe: Callable[..., Any]) -> list[str]:
    """Add an option for each argument of a recipe, ``batch_size`` as ``--batch-size``; return their names.

    Types are those of the defaults; what a ``Literal`` lists is what may be chosen; the help is the line of the
    argument in the docstring.

    Raises:
        argparse.ArgumentError: one is called as an option that is there.
    """
    told = _told(recipe)
    names = []
    group = parser.add_argument_group("settings of this recipe")
    for name, argument in _signature(recipe).parameters.items():
        if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
            continue
        names.append(name)
        default = argument.default
        options: dict[str, Any] = {"dest": SETTING + name, "help": told.get(name, " ")}
        if default is argument.empty:
            options["required"] = True
        else:
            options["default"] = default
            options["help"] = f"{told.get(name, '')} (default: {_text(default)})".strip()
        kind = _kind(default, argument.annotation)
        if "choices" in kind and kind["metavar"]:
            options["help"] += f"; one of {', '.join(map(str, kind['choices']))}"
        group.add_argument("--" + name.replace("_", "-"), **options, **kind)
    return names


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return the values of a recipe's arguments."""
    values = {name: getattr(options, SETTING + name) for name in options.settings}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def fitted(recipe: Callable[..., Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return settings as the recipe takes them: a sequence is a list where the default is one."""
    arguments = _signature(recipe).parameters
    lists = {name for name, argument in arguments.items() if isinstance(argument.default, list)}
    return {name: list(value) if name in lists else value for name, value in values.items()}


def _kind(default: Any, annotation: Any) -> dict[str, Any]:
    """Return how argparse reads an option."""
    said = {annotation, *get_args(annotation)}
    if isinstance(default, bool) or (default is None or default is inspect.Parameter.empty) and bool in said:
        return {"action": argparse.BooleanOptionalAction}
    if isinstance(default, (tuple, list)) or get_origin(annotation) in (tuple, list):
        several = default if isinstance(default, (tuple, list)) else ()
        return {"nargs": "*", **_number(type(several[0]) if several else None, said)}
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)
        return {"choices": choices, "metavar": None if len("".join(map(str, choices))) < _LONG else "NAME"}
    return _number(type(default), said)


def _number(given: Any, said: set[Any]) -> dict[str, Any]:
    """Return how one value is read: as what the default is, else as what the annotation says."""
    kind = next((k for k in (float, int) if given is k), None) or next((k for k in (float, int) if k in said), str)
    return {"type": kind, "metavar": {int: "N", float: "X", str: "NAME"}[kind]}


def _signature(recipe: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(recipe, eval_str=True)
    except (NameError, AttributeError, SyntaxError, TypeError):  # an annotation that type checkers alone understand
        return inspect.signature(recipe)


def _told(recipe: Callable[..., Any]) -> dict[str, str]:
    """Return what the docstring says of each argument: ``name: text`` below ``Args:``."""
    _, _, args = (inspect.getdoc(recipe) or "").partition("Args:\n")
    lines = re.findall(r"^    ([\w, ]+): *(.+(?:\n     +.+)*)", args.partition("\n\n")[0], re.MULTILINE)
    return {
        name.strip(): " ".join(text.split()).replace("%", "%%") for names, text in lines for name in names.split(",")
    }


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
