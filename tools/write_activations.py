"""Write the names of activations that the registry has and the package lacks, where type checkers can read them.

    python tools/write_activations.py

An activation registered beside its op (`cunet.ops.activation.registry`) becomes a function of `cunet.functional` and a
layer of `cunet.nn`: both have to stand in the source, since type checkers and editors do not run it. What is there
already is left as it is; a test holds it against the registry.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cunet import Tensor, functional, nn  # noqa: E402
from cunet.nn import activation as layers  # noqa: E402
from cunet.ops import activation as room  # noqa: E402
from cunet.ops.activation.registry import ACTIVATIONS, Activation, option_signature  # noqa: E402

#: What a layer is shown on; a gate halves it.
EXAMPLE = [-2.0, -0.5, 0.5, 2.0]


def home(entry: Activation) -> str:
    """Return the module of an activation within cunet, such as ``ops.activation.rectifier``."""
    return inspect.unwrap(entry.function).__module__.removeprefix("cunet.")


def layer_text(entry: Activation) -> str:
    """Return the source of the layer class of an activation, with an example that anyone may make a better one."""
    text = f'class {entry.layer}(Unary):\n    """Layer that applies `cunet.functional.{entry.name}`; same options.\n\n'
    text += f"    Example:\n        >>> nn.{entry.layer}()({EXAMPLE}).round(4)\n"
    text += f'        {entry.function(Tensor(EXAMPLE)).round(4)}\n    """\n\n'
    text += f"    function = staticmethod({home(entry).rpartition('.')[2]}.{entry.name})\n"
    for option in option_signature(entry.function).parameters.values():
        text += f"    {option.name}: {option.annotation} = {option.default!r}\n"
    return text


def missing() -> Iterator[tuple[str, str]]:
    """Yield (file, source that it lacks) for all activations: imports, which go to its top, and classes."""
    for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
        importlib.import_module(module.name)  # what nothing imports yet is registered too
    for entry in ACTIVATIONS.values():
        parent, _, module = home(entry).rpartition(".")
        if not hasattr(functional, entry.name):
            yield "cunet/functional.py", f"from .{parent}.{module} import {entry.name} as {entry.name}\n"
        if entry.layer and not hasattr(nn, entry.layer):
            yield "cunet/nn/__init__.py", f"from .activation import {entry.layer} as {entry.layer}\n"
            if not hasattr(layers, module):
                yield "cunet/nn/activation.py", f"from ..{parent} import {module}\n"
            yield "cunet/nn/activation.py", layer_text(entry)


def put(source: str, text: str) -> str:
    """Return a source with an import before its others, or with a class at its end."""
    if text.startswith("class"):
        return f"{source}\n\n{text}"
    start = source.index("\nfrom .") + 1
    return source[:start] + text + source[start:]


def main() -> int:
    """Write what is missing, and say where; return the exit status."""
    changed = set()
    for name, text in missing():
        path = ROOT / name
        path.write_text(put(path.read_text(encoding="utf-8"), text), encoding="utf-8")
        changed.add(str(path))
    for command in (["check", "--select", "I", "--fix"], ["format"]) if changed else ():
        subprocess.run([sys.executable, "-m", "ruff", *command, "--quiet", *sorted(changed)], check=True)
    print(*sorted(changed) or ["nothing is missing"], sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
