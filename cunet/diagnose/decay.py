"""What an optimiser decays that should stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..autograd.tensor import Tensor
from ..nn.module import Module
from ..optim.groups import is_scale


def decayed_names(model: Module, optimizer: Any) -> list[str]:
    """Return the names of the parameters of norms and PReLUs that an optimiser, or one of several, decays."""
    optimizers = optimizer.values() if isinstance(optimizer, Mapping) else [optimizer]
    groups = [group for one in optimizers for group in getattr(one, "param_groups", ())]
    decayed = {id(p) for group in groups if group.get("weight_decay") for p in group["params"]}
    scales = {id(v) for m in model.modules() if is_scale(m) for v in vars(m).values() if isinstance(v, Tensor)}
    return [name for name, p in model.named_parameters() if id(p) in scales & decayed]
