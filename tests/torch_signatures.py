"""PyTorch's signatures as text, and how a signature here differs from one.

``python tests/torch_signatures.py`` writes torch_signatures.txt: a row for all that both have.
"""

import ast
import importlib
import inspect
import re
from pathlib import Path

#: Arguments that PyTorch has given up, that its layers have because they are made on a device, and that say how its
#: optimisers go about it.
LEFT_OUT = {"size_average", "reduce", "min_value", "max_value", "device"}
LEFT_OUT |= {"foreach", "fused", "capturable", "differentiable"}
FILE = Path(__file__).with_name("torch_signatures.txt")

#: Where PyTorch has what a section is of.
SECTIONS = {
    "functional": "nn.functional",
    "nn": "nn",
    "init": "nn.init",
    "optim": "optim",
    "lr_scheduler": "optim.lr_scheduler",
    "parametrizations": "nn.utils.parametrizations",
    "parametrize": "nn.utils.parametrize",
}


def place_of(section):
    """Return the module of a section here."""
    place = section if section == "functional" else SECTIONS[section]
    return importlib.import_module(f"cunet.{place}")


def ours(section, name):
    """Return what a row is of."""
    return getattr(place_of(section), name)


def there():
    """Return the rows of all that PyTorch and cunet have under one name, and that says which arguments it takes."""
    rows = []
    for section, place in SECTIONS.items():
        theirs = importlib.import_module(f"torch.{place}")
        for name in place_of(section).__all__:
            thing = getattr(theirs, name, None)
            if thing is not None and not inspect.ismodule(thing) and "args" not in (text := text_of(thing)):
                rows.append((section, name, text))
    return rows


def kept():
    """Return the version that the file is of, and its lines: section, name, arguments."""
    first, *lines = FILE.read_text(encoding="utf-8").splitlines()
    return first.split()[1], [re.fullmatch(r"(\w+)\.(\w+)\((.*)\)", line).groups() for line in lines]


def text_of(thing):
    """Return the arguments of a function or class of PyTorch, as ``input, p=0.5``; None if it takes anything.

    What follows a private argument has no place of its own in practice, and goes by name.
    """
    parts, name_only = [], False
    for name, default, by_name in _arguments(thing):
        if name in LEFT_OUT or (name == "dtype" and isinstance(thing, type)):
            continue
        if (by_name or name.startswith("_")) and not name_only:
            name_only = True
            parts.append("*")
        if not name.startswith("_"):
            parts.append(name if default is None else f"{name}={default}")
    return ", ".join(parts[:-1] if parts[-1:] == ["*"] else parts)


def _arguments(thing):
    """Yield name, default as text or None, and whether it goes by name alone."""
    import torch

    # Functions that choose by an option whether to return indices take anything: the form that does says what.
    thing = getattr(torch.nn.functional, f"{getattr(thing, '__name__', '')}_with_indices", thing)
    try:
        for p in inspect.signature(thing).parameters.values():
            shown = getattr(p.default, "__name__", repr(p.default))
            yield p.name, None if p.default is p.empty else shown, p.kind is p.KEYWORD_ONLY
    except ValueError:  # C++: the first line of the docstring
        first = re.match(r"\s*\w+\((.*?)\) ->", thing.__doc__, re.DOTALL)[1]
        for piece in first.split(","):
            name, _, default = (part.strip() for part in piece.partition("="))
            yield name, default or None, False


def differences(ours, theirs):
    """Return what a call in PyTorch's way would meet in a signature here: the names of arguments, and what is amiss.

    More arguments, and more defaults, are no differences, where PyTorch's have their places.
    """
    own = inspect.signature(ours).parameters
    by_place = [p.name for p in own.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    found, by_name, names = set(), False, []
    for place, part in enumerate(filter(None, re.split(r", (?![^(\[]*[)\]])", theirs))):
        if part == "*":
            by_name = True
            continue
        name, _, default = part.partition("=")
        names.append(name)
        if name not in own:
            found.add(f"{name} lacks")
        elif not by_name and own[name].kind is inspect.Parameter.KEYWORD_ONLY:
            found.add(f"{name} by name only")
        elif not by_name and by_place[place : place + 1] != [name]:
            found.add(f"{name} elsewhere")
        elif default and own[name].default is inspect.Parameter.empty:
            found.add(f"{name} required")
        elif default and not _same(default, own[name].default):
            found.add(f"{name}={own[name].default!r}")
    required = [n for n, p in own.items() if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return found | {f"{name} required" for name in required if name not in names}


def _same(text, value):
    try:
        return ast.literal_eval(text) == value
    except ValueError:
        return text == value


if __name__ == "__main__":
    import torch

    release = ".".join(torch.__version__.split(".")[:2])
    lines = [f"torch {release}", *(f"{section}.{name}({text})" for section, name, text in there())]
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")
