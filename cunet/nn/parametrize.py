"""Weights that are computed of others whenever a layer needs them: what is trained is what they are computed of."""

from __future__ import annotations

from typing import Any

from ..autograd.tensor import Tensor
from ..device import Array
from .module import Module
from .parameter import Parameter


class Parametrization(Module):
    """How a weight is computed: ``forward(*originals)``, and ``inverse(weight)``, which returns originals for one."""

    def inverse(self, weight: Array) -> tuple[Array, ...]:
        """Return arrays of which `forward` makes `weight`."""
        raise NotImplementedError


class Originals(Module):
    """What a weight is computed of, ``original`` or ``original0`` and on, and how, ``0``: PyTorch's names."""

    def __init__(self, how: Parametrization, weight: Parameter) -> None:
        arrays = how.inverse(weight.data)
        self._names = ["original"] if len(arrays) == 1 else [f"original{k}" for k in range(len(arrays))]
        for name, array in zip(self._names, arrays, strict=True):
            setattr(self, name, Parameter(array, weight.requires_grad))
        setattr(self, "0", how)

    def forward(self) -> Tensor:
        """Return the weight."""
        return getattr(self, "0")(*(getattr(self, name) for name in self._names))

    def assign(self, weight: Array) -> None:
        """Give the originals values that make this weight."""
        for name, array in zip(self._names, getattr(self, "0").inverse(weight), strict=True):
            getattr(self, name).data = array


def register(who: str, module: Module, name: str, how: Parametrization) -> None:
    """Let a weight of a module be computed from now on.

    Raises:
        ValueError: the module has no such parameter, or it is computed already, or has no shape yet.
    """
    held = _parametrizations(module)
    weight = vars(module).get(name)
    if name in held:
        raise ValueError(f"{who}: {name} of {type(module).__name__} is computed already")
    if not isinstance(weight, Parameter):
        found = ", ".join(key for key, value in vars(module).items() if isinstance(value, Parameter)) or "none"
        raise ValueError(f"{who}: name must be that of a parameter of {type(module).__name__} ({found}), got {name!r}")
    if not weight.data.size:
        raise ValueError(f"{who}: {name} must have a shape before it is computed of others; call the layer once")
    originals = Originals(how, weight)
    base = _plain(type(module))
    del vars(module)[name]
    vars(module)["parametrizations"] = {**held, name: originals}
    module.__class__ = _computing(base, (*held, name))


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Tell whether a module has weights that are computed, or whether the one of that name is.

    Example:
        >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(4, 2))
        >>> is_parametrized = nn.utils.parametrize.is_parametrized
        >>> is_parametrized(layer), is_parametrized(layer, "bias")
        (True, False)
    """
    held = _parametrizations(module)
    return bool(held) if tensor_name is None else tensor_name in held


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make a computed weight a plain parameter again, and return the module.

    Args:
        module: what has the weight.
        tensor_name: its name.
        leave_parametrized: whether the parameter is what was computed last, or the only original.

    Raises:
        ValueError: it is not computed, or has several originals of which none is the weight.

    Example:
        >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(4, 2))
        >>> nn.utils.parametrize.remove_parametrizations(layer, "weight")
        Linear(4, 2)
        >>> list(layer.state_dict())
        ['bias', 'weight']
    """
    who = "remove_parametrizations"
    held = _parametrizations(module)
    if tensor_name not in held:
        raise ValueError(f"{who}: {tensor_name} of {type(module).__name__} must be computed, got a plain attribute")
    originals = held[tensor_name]
    if not leave_parametrized and len(originals._names) > 1:
        raise ValueError(f"{who}: leave_parametrized must be True where a weight has several originals, got False")
    first = getattr(originals, originals._names[0])
    if leave_parametrized:
        with originals.evaluating():  # so that computing it changes nothing
            weight = Parameter(originals().data.copy(), first.requires_grad)
    else:
        weight = first
    rest = {name: value for name, value in held.items() if name != tensor_name}
    base = _plain(type(module))
    module.__class__ = _computing(base, tuple(rest)) if rest else base
    vars(module)[tensor_name] = weight
    if rest:
        vars(module)["parametrizations"] = rest
    else:
        del vars(module)["parametrizations"]
    return module


def _parametrizations(module: Module) -> dict[str, Originals]:
    return vars(module).get("parametrizations", {})


def _plain(cls: type[Module]) -> type[Module]:
    """Return the class that a module had before any of its weights was computed."""
    return getattr(cls, "_plain", cls)


def _computing(base: type[Module], names: tuple[str, ...]) -> type[Module]:
    """Return the class like `base` whose weights of these names are computed, once in each call."""
    if (base, names) in _CLASSES:
        return _CLASSES[base, names]

    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        before, self._computed = self._computed, {}
        try:
            return base.forward(self, *args, **kwargs)
        finally:
            self._computed = before

    space: dict[str, Any] = {"__module__": base.__module__, "_plain": base, "_computed": None, "forward": forward}
    made = type(f"Parametrized{base.__name__}", (base,), space | {name: _weight(name) for name in names})
    return _CLASSES.setdefault((base, names), made)


#: One class for all layers of a class with the same computed weights.
_CLASSES: dict[tuple[type[Module], tuple[str, ...]], type[Module]] = {}


def _weight(name: str) -> property:
    """Return the attribute of a weight that is computed."""

    def get(self: Any) -> Tensor:
        if self._computed is None:
            return self.parametrizations[name]()
        if name not in self._computed:
            self._computed[name] = self.parametrizations[name]()
        return self._computed[name]

    def assign(self: Any, weight: Any) -> None:
        self.parametrizations[name].assign(weight.data if isinstance(weight, Tensor) else weight)

    return property(get, assign)
