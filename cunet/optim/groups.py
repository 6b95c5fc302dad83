"""Groups of parameters: what may be in one, and those that spare biases and norms from weight decay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..autograd.tensor import Tensor
from ..device import is_floating
from ..nn.module import Module


def no_decay_groups(
    model_or_named_parameters: Module | Iterable[tuple[str, Tensor]], weight_decay: float
) -> list[dict[str, Any]]:
    """Split parameters into a group with weight decay and one without: ``AdamW(no_decay_groups(model, 0.01))``.

    Decay makes a weight matrix smoother; it only harms what sets a scale or an offset. Without decay go
    biases, the weights of norm layers and of PReLU, and everything else of fewer than two axes. Frozen
    parameters are left out.

    Args:
        model_or_named_parameters: a model, or (name, parameter) pairs. Only a model tells which weights of
            two axes or more belong to a norm, such as a LayerNorm over images.
        weight_decay: of the first group.

    Returns:
        The two groups, with names; a group that would be empty is left out.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 1))
        >>> for group in optim.no_decay_groups(model, 0.01):
        ...     print(group["weight_decay"], [name for name, _ in group["params"]])
        0.01 ['0.weight', '2.weight']
        0.0 ['0.bias', '1.weight', '1.bias', '2.bias']
    """
    spared: set[int] = set()
    model: Any = model_or_named_parameters
    if hasattr(model, "named_parameters"):
        named = model.named_parameters()
        for module in filter(is_scale, model.modules()):
            spared.update(id(value) for value in vars(module).values() if isinstance(value, Tensor))
    else:
        named = model
    decay: list[tuple[str, Tensor]] = []
    rest: list[tuple[str, Tensor]] = []
    for name, p in named:
        if p.requires_grad:
            bare = p.data.ndim < 2 or name.rpartition(".")[2] == "bias" or id(p) in spared
            (rest if bare else decay).append((name, p))
    groups = [{"params": decay, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def is_scale(module: Module) -> bool:
    """Tell whether a layer is a norm or a PReLU, by the name of its class or of one it inherits from."""
    return any("Norm" in cls.__name__ or cls.__name__ == "PReLU" for cls in type(module).__mro__)


def check_parameters(optimizer: str, named: Sequence[tuple[str | None, Any]], old: Sequence[Tensor]) -> None:
    """Raise ValueError or TypeError for what cannot be a new group.

    Args:
        optimizer: complains.
        named: the parameters, each with its name or None.
        old: those that other groups have.
    """
    if not named:
        raise ValueError(f"{optimizer}: a parameter group is empty; was the iterator used before?")
    seen, arrays = {id(p) for p in old}, {id(p.data) for p in old}
    for i, (name, p) in enumerate(named):
        who = f"{optimizer}: parameter {i if name is None else repr(name)}"
        if not isinstance(p, Tensor):
            raise TypeError(f"{who} must be a Tensor, got {type(p).__name__}")
        if not is_floating(p.data.dtype):
            raise TypeError(f"{who} must have a floating dtype, got {p.data.dtype}")
        if not p.is_leaf:
            raise ValueError(f"{who} is the result of an op; only leaves can be trained")
        if id(p) in seen:
            raise ValueError(f"{who} is given twice")
        if id(p.data) in arrays:
            raise ValueError(f"{who} shares its array with another one; pass one Tensor for both")
        seen.add(id(p))
        arrays.add(id(p.data))
    if not any(p.requires_grad for _, p in named):
        raise ValueError(f"{optimizer}: no parameter of the group requires a gradient: nothing would be trained")
