"""Parameter groups that spare biases and norms from weight decay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..autograd.tensor import Tensor
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
