"""The random streams that the layers of a model hold."""

from __future__ import annotations

from ..random import Generator
from .module import Module


def generators(model: Module) -> dict[str, Generator]:
    """Return the generators in attributes of a model's layers, by name; one that is shared once, by its first name."""
    found: dict[int, tuple[str, Generator]] = {}
    for name, module in model.named_modules():
        for attribute, value in vars(module).items():
            if isinstance(value, Generator):
                found.setdefault(id(value), (f"{name}.{attribute}".lstrip("."), value))
    return dict(found.values())
