"""What is mutated together: kernels, preambles that they share, templates; and how a mutant is planted."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .mutants import Mutant, kernel_mutants, preamble_mutants, template_mutants

FUSED = ("hardtanh",)  # it uses both parameters


@dataclasses.dataclass
class Unit:
    """What is mutated together: the texts of one kernel, or one preamble with the kernels that use it.

    Attributes:
        tests: index of an item -> seconds it took, for the items that launch one of the kernels.
        kills: index of an item -> how many mutants it found.
    """

    name: str
    kernels: list[Any]
    mutants: list[Mutant]
    tests: dict[int, float] = dataclasses.field(default_factory=dict)
    kills: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)

    def order(self) -> list[int]:
        """Return the tests, the best hunters first, then the quickest."""
        return sorted(self.tests, key=lambda k: (-self.kills[k], self.tests[k], k))

    def key(self, mutant: Mutant) -> str:
        """Name a mutant as mutation_equivalents.toml does."""
        copy = f" #{mutant.copy}" if mutant.copy > 1 else ""
        return f"{self.kernels[0].name}.{mutant.part}: {mutant.line}{copy}"


class Template:
    """A text that RawKernels are made of, with the kernels that it serves: stands where a kernel does in a `Unit`."""

    def __init__(self, module: Any, attribute: str, kernels: Iterable[Any]) -> None:
        self.name = f"{module.__name__.rpartition('.')[2]}{attribute}"
        self.module, self.attribute = module, attribute
        self.served = {k.name: k for k in kernels}

    @property
    def text(self) -> str:
        """What the module has."""
        return str(getattr(self.module, self.attribute))

    @text.setter
    def text(self, text: str) -> None:
        setattr(self.module, self.attribute, text)


def served(kernel: Any) -> dict[str, Any]:
    """Return by name the kernels whose text changes with this one: itself, or those of a `Template`."""
    return kernel.served if isinstance(kernel, Template) else {kernel.name: kernel}


def text_of(kernel: Any, part: str) -> str:
    """Return one text of a kernel or template."""
    return str(getattr(kernel if isinstance(kernel, Template) else kernel.spec, part))


def change(kernel: Any, part: str, text: str) -> None:
    """Replace one text of a kernel or template."""
    if isinstance(kernel, Template):
        kernel.text = text
    else:
        kernel.change(**{part: text})


def templates(kernels: dict[str, Any]) -> list[Unit]:
    """Return what there is to mutate in texts that stand in no kernel."""
    from cunet.kernels.backends.cuda import lanes, reduction_text

    found = []
    for module, attribute in ((reduction_text, "_ROWS"), (reduction_text, "_COLUMNS"), (lanes, "_JOIN")):
        template = Template(module, attribute, kernels.values())
        mutants = template_mutants(template.text, formatted=module is reduction_text)
        found.append(Unit(template.name, [template], mutants))
    return found


def units(kernels: dict[str, Any]) -> list[Unit]:
    """Return what there is to mutate in cunet's kernels; of norms with an activation, made alike, those in `FUSED`."""
    from cunet.ops.norm import epilogue

    made, kept = f"{epilogue.__name__}.", tuple(f"{epilogue.__name__}.{name}" for name in FUSED)
    ours = [k for k in kernels.values() if not k.spec.module.startswith(made) or k.spec.module in kept]
    result = [Unit(k.name, [k], kernel_mutants(k)) for k in ours]
    sharing = collections.defaultdict(list)
    for k in ours:
        sharing[k.spec.preamble].append(k)
    for text, users in sharing.items():
        found = preamble_mutants(text)
        if found:  # a plain struct has none
            result.append(Unit(f"{users[0].name} preamble", users, found))
    return result + templates(kernels)


def plant(unit: Unit, mutant: Mutant, folder: Path) -> list[Any]:
    """Change the kernels, and let them be compiled in `folder`; return a list that will hold compiler errors."""
    from sim import build

    base, compile_one, broken = build._prepare(), build._compile, []
    folder.mkdir()
    for file in base.iterdir():
        if file.suffix in (".h", ".gch"):
            folder.joinpath(file.name).symlink_to(file)

    def attempt(*args: Any) -> None:
        try:
            compile_one(*args)
        except build.CompileException as error:
            broken.append(error)
            raise

    build._prepare, build._compile = lambda: folder, attempt
    for kernel in unit.kernels:
        change(kernel, mutant.part, mutant.text)
        for each in served(kernel).values():
            each.prepared.clear()
    return broken
