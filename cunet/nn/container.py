"""Containers: Sequential, ModuleList, ModuleDict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from .module import Module
from .observe import observed

Layer = Callable[..., Any]


class _Container(Module):
    """Base of modules that hold others under keys, which are their names in a state dict."""

    def __init__(self, items: Mapping[str, Any]) -> None:
        self._items: dict[str, Any] = {}
        for key, item in items.items():
            self._put(key, item)

    def _put(self, key: str, item: Any) -> None:
        if not isinstance(key, str) or not key or "." in key:
            raise ValueError(f"{type(self).__name__}: a key must be a string without dots, got {key!r}")
        self._check(key, item)
        self._items[key] = item

    def _check(self, key: str, item: Any) -> None:
        if not isinstance(item, Module):
            raise TypeError(f"{type(self).__name__}: item {key!r} must be a Module, got {type(item).__name__}")

    def members(self) -> Iterator[tuple[str, Any]]:
        """Yield what the container holds under its keys, then what a subclass added as attributes."""
        yield from self._items.items()
        for name, value in vars(self).items():
            if name != "_items":
                yield name, value

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._items)


class _List(_Container):
    """Base of containers that are indexed by position."""

    def __iter__(self) -> Iterator[Any]:
        """Go over the items."""
        return iter(self._items.values())

    def _key(self, index: int) -> str:
        return list(self._items)[index]

    def __setitem__(self, index: int, item: Any) -> None:
        """Replace the item at a position, such as the last layer (-1) for another task."""
        self._put(self._key(index), item)

    def append(self, item: Any) -> Any:
        """Add an item at the end; return self."""
        self._put(str(len(self)), item)
        return self


class Sequential(_List):
    """Apply layers one after the other.

    Args:
        layers: modules or any other callables, such as ``F.elu``; or one dict of them by name.
    """

    def __init__(self, *layers: Any) -> None:
        named = len(layers) == 1 and isinstance(layers[0], Mapping)
        super().__init__(layers[0] if named else {str(i): layer for i, layer in enumerate(layers)})

    def _check(self, key: str, item: Any) -> None:
        if not callable(item):
            raise TypeError(f"{type(self).__name__}: layer {key!r} must be callable, got {type(item).__name__}")

    def forward(self, x: Any) -> Any:
        """Return ``layers[-1](... layers[1](layers[0](x)))``."""
        for key, layer in self._items.items():
            x = layer(x) if isinstance(layer, Module) else observed(layer, layer(x), self, key)
        return x

    def __getitem__(self, index: int | slice) -> Any:
        """Return one layer, or a Sequential that shares some under their keys."""
        if isinstance(index, slice):
            return Sequential(dict(list(self._items.items())[index]))
        return self._items[self._key(index)]


class ModuleList(_List):
    """A list of modules. A plain Python list as an attribute works as well; this one has PyTorch's name."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__({str(i): module for i, module in enumerate(modules)})

    def __getitem__(self, index: int | slice) -> Any:
        """Return one module, or a ModuleList of some."""
        if isinstance(index, slice):
            return ModuleList(list(self._items.values())[index])
        return self._items[self._key(index)]


class ModuleDict(_Container):
    """A dict of modules. A plain Python dict as an attribute works as well; this one has PyTorch's name."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__(modules or {})

    def __getitem__(self, key: str) -> Module:
        """Return the module of a key."""
        return self._items[key]

    def __setitem__(self, key: str, module: Module) -> None:
        """Set the module of a key."""
        self._put(key, module)

    def __contains__(self, key: str) -> bool:
        """Tell whether there is such a key."""
        return key in self._items

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
