"""Containers: Sequential, ModuleList, ModuleDict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

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
        who = type(self).__name__
        if not isinstance(index, (int, np.integer)):
            raise TypeError(f"{who}: the position of one item must be a whole number, got {index!r}")
        if not -len(self) <= index < len(self):
            raise IndexError(f"{who}: there is no item {index} among {len(self)}")
        return list(self._items)[index]

    def __setitem__(self, index: int, item: Any) -> None:
        """Replace the item at a position, such as the last layer (-1) for another task."""
        self._put(self._key(index), item)

    def append(self, item: Any) -> Any:
        """Add an item at the end; return self."""
        self._put(self._free_key(), item)
        return self

    def extend(self, items: Iterable[Any]) -> Any:
        """Add items at the end, all or none of them; return self."""
        items = list(items)
        for i, item in enumerate(items):
            self._check(str(len(self) + i), item)
        for item in items:
            self.append(item)
        return self

    def insert(self, index: int, item: Any) -> None:
        """Put an item before that of a position; those after it move on, and so do their numbers."""
        key = self._free_key()
        self._check(key, item)
        entries = list(self._items.items())
        entries.insert(index, (key, item))
        self._renumber(entries)

    def pop(self, index: int = -1) -> Any:
        """Take out an item, the last one by default; return it."""
        item = self._items[self._key(index)]
        del self[index]
        return item

    def __delitem__(self, index: int | slice) -> None:
        """Take out an item or several; those after them move up, and so do their numbers."""
        entries = list(self._items.items())
        if not isinstance(index, slice):
            self._key(index)
        del entries[index]
        self._renumber(entries)

    def _free_key(self) -> str:
        """Return the number of the next item; a slice of a Sequential may have it already, as its items keep theirs."""
        number = len(self)
        while str(number) in self._items:
            number += 1
        return str(number)

    def _renumber(self, entries: list[tuple[str, Any]]) -> None:
        """Take `entries` for the items: under numbers from 0 if the items had such, else under their own keys."""
        if list(self._items) == [str(i) for i in range(len(self))]:
            entries = [(str(i), item) for i, (_, item) in enumerate(entries)]
        self._items = dict(entries)


def _kind(layer: Any) -> str:
    return type(layer).__name__ if isinstance(layer, Module) else getattr(layer, "__name__", type(layer).__name__)


class Sequential(_List):
    """Apply layers one after the other.

    Args:
        layers: modules or any other callables, such as ``F.elu``; or one dict of them by name.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 8), F.relu, nn.Linear(8, 2))
        >>> model(np.ones((3, 4))).shape, list(model.state_dict())
        ((3, 2), ['0.weight', '0.bias', '2.weight', '2.bias'])
        >>> model[-1] = nn.Linear(8, 5)  # for another task
        >>> model(np.ones((3, 4))).shape, model[:2](np.ones((3, 4))).shape
        ((3, 5), (3, 8))
    """

    def __init__(self, *layers: Any) -> None:
        named = len(layers) == 1 and isinstance(layers[0], Mapping)
        super().__init__(layers[0] if named else {str(i): layer for i, layer in enumerate(layers)})

    def _check(self, key: str, item: Any) -> None:
        if not callable(item):
            raise TypeError(f"{type(self).__name__}: layer {key!r} must be callable, got {type(item).__name__}")

    def forward(self, x: Any) -> Any:
        """Return ``layers[-1](... layers[1](layers[0](x)))``."""
        key = ""
        try:
            for key, layer in self._items.items():
                x = layer(x) if isinstance(layer, Module) else observed(layer, layer(x), self, key)
        except (TypeError, ValueError, AttributeError) as error:
            if not isinstance(x, tuple) or key == next(iter(self._items)):
                raise
            raise TypeError(self._of_a_tuple(key, x)) from error
        return x

    def _of_a_tuple(self, key: str, x: tuple[Any, ...]) -> str:
        """Return what is wrong where the layer `key` failed on the tuple that the one before it returned."""
        before = list(self._items)[list(self._items).index(key) - 1]
        giver, taker = (f"layer {k!r} ({_kind(self._items[k])})" for k in (before, key))
        return (
            f"{type(self).__name__}: {giver} returns a tuple of {len(x)}, on which {taker} failed; "
            "put a function between them that passes the first on: lambda y: y[0]"
        )

    def __getitem__(self, index: int | slice) -> Any:
        """Return one layer, or a Sequential that shares some under their keys."""
        if isinstance(index, slice):
            return Sequential(dict(list(self._items.items())[index]))
        return self._items[self._key(index)]


class ModuleList(_List):
    """A list of modules. A plain Python list as an attribute works as well; this one has PyTorch's name.

    Example:
        >>> layers = nn.ModuleList([nn.Linear(4, 4, bias=False) for _ in range(2)])
        >>> layers.insert(1, nn.Linear(4, 4))
        >>> list(layers.state_dict())
        ['0.weight', '1.weight', '1.bias', '2.weight']
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__({str(i): module for i, module in enumerate(modules or ())})

    def __getitem__(self, index: int | slice) -> Any:
        """Return one module, or a ModuleList of some."""
        if isinstance(index, slice):
            return ModuleList(list(self._items.values())[index])
        return self._items[self._key(index)]


class ModuleDict(_Container):
    """A dict of modules. A plain Python dict as an attribute works as well; this one has PyTorch's name.

    Example:
        >>> heads = nn.ModuleDict({"digit": nn.Linear(8, 10), "is_odd": nn.Linear(8, 1)})
        >>> {name: head(np.ones((2, 8))).shape for name, head in heads.items()}
        {'digit': (2, 10), 'is_odd': (2, 1)}
        >>> list(heads.state_dict())
        ['digit.weight', 'digit.bias', 'is_odd.weight', 'is_odd.bias']
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__(modules or {})

    def __getitem__(self, key: str) -> Module:
        """Return the module of a key."""
        return self._items[key]

    def __setitem__(self, key: str, module: Module) -> None:
        """Set the module of a key."""
        self._put(key, module)

    def __delitem__(self, key: str) -> None:
        """Take out the module of a key."""
        del self._items[key]

    def pop(self, key: str) -> Module:
        """Take out the module of a key; return it."""
        return self._items.pop(key)

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Set the modules of several keys, all or none of them: a mapping, or (key, module) pairs."""
        for key, module in ModuleDict(dict(modules)).items():
            self._put(key, module)

    def clear(self) -> None:
        """Take out all modules."""
        self._items.clear()

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
