"""Containers: Sequential, ModuleList, ModuleDict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from .module import Module, observed

Layer = Callable[..., Any]


class Sequential(Module):
    """Apply layers one after the other.

    Args:
        layers: modules or any other callables, such as ``F.elu``; or one dict of them by name.
    """

    def __init__(self, *layers: Any) -> None:
        if len(layers) == 1 and isinstance(layers[0], Mapping):
            named = dict(layers[0])
        else:
            named = {str(i): layer for i, layer in enumerate(layers)}
        for name, layer in named.items():
            if not callable(layer):
                raise TypeError(f"Sequential: layer {name!r} must be callable, got {type(layer).__name__}")
        self._layers: dict[str, Layer] = named

    def members(self) -> Iterable[tuple[str, Any]]:
        """Yield the layers under their own names."""
        return self._layers.items()

    def forward(self, x: Any) -> Any:
        """Return ``layers[-1](... layers[1](layers[0](x)))``."""
        for layer in self._layers.values():
            x = layer(x) if isinstance(layer, Module) else observed(layer, layer(x))
        return x

    def __len__(self) -> int:
        """Return the number of layers."""
        return len(self._layers)

    def __iter__(self) -> Iterator[Layer]:
        """Go over the layers."""
        return iter(self._layers.values())

    def __getitem__(self, index: int | slice) -> Any:
        """Return one layer, or a Sequential of some that shares them."""
        chosen = list(self._layers.values())[index]
        return Sequential(*chosen) if isinstance(index, slice) else chosen


class ModuleList(Module):
    """A list of modules. A plain Python list as an attribute works as well; this one has PyTorch's name."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self._items: list[Module] = list(modules)

    def members(self) -> Iterable[tuple[str, Any]]:
        """Yield the modules under their positions."""
        return ((str(i), module) for i, module in enumerate(self._items))

    def append(self, module: Module) -> ModuleList:
        """Add a module at the end; return self."""
        self._items.append(module)
        return self

    def __len__(self) -> int:
        """Return the number of modules."""
        return len(self._items)

    def __iter__(self) -> Iterator[Module]:
        """Go over the modules."""
        return iter(self._items)

    def __getitem__(self, index: int | slice) -> Any:
        """Return one module, or a ModuleList of some."""
        chosen = self._items[index]
        return ModuleList(chosen) if isinstance(chosen, list) else chosen


class ModuleDict(Module):
    """A dict of modules. A plain Python dict as an attribute works as well; this one has PyTorch's name."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        self._items: dict[str, Module] = dict(modules or {})

    def members(self) -> Iterable[tuple[str, Any]]:
        """Yield the modules under their keys."""
        return self._items.items()

    def __getitem__(self, key: str) -> Module:
        """Return the module of a key."""
        return self._items[key]

    def __setitem__(self, key: str, module: Module) -> None:
        """Set the module of a key."""
        self._items[key] = module

    def __contains__(self, key: str) -> bool:
        """Tell whether there is such a key."""
        return key in self._items

    def __len__(self) -> int:
        """Return the number of modules."""
        return len(self._items)

    def __iter__(self) -> Iterator[str]:
        """Go over the keys."""
        return iter(self._items)

    def keys(self) -> Iterable[str]:
        """Return the keys."""
        return self._items.keys()

    def values(self) -> Iterable[Module]:
        """Return the modules."""
        return self._items.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Return the keys with their modules."""
        return self._items.items()
