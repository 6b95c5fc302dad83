"""Fold batch norms into the layers before them: the same function, fewer layers, for inference."""

from __future__ import annotations

import copy
from typing import Any

from ..device import Array, accumulator, array_module
from .batch_norm import BatchNorm
from .container import Sequential
from .conv import ConvBase
from .linear import Identity, Linear
from .module import Module
from .parameter import Parameter
from .parametrize import is_parametrized


def fold_batch_norm(model: Module) -> Module:
    """Return a copy of a model in which batch norms are merged into the layers before them.

    In evaluation mode ``y = (z - mean) / sqrt(var + eps) * weight + bias`` is linear in the output z of a `Linear` or
    a convolution, so it can go into that layer's own weight and bias. Pairs that follow each other in a `Sequential`,
    at any depth, are merged, an `Identity`, or the norm's own activation, in its place (so keys stay); a batch norm
    after anything else, such as an activation, stays, and so does one after a layer or weight that is used twice, or
    that is computed of others (`nn.utils.parametrizations`). A `Linear` is taken to get (N, features): do not fold one
    that gets (N, L, features) before a norm over L.

    Args:
        model: in evaluation mode; it is not changed.

    Returns:
        A copy, in evaluation mode; frozen parameters stay frozen.

    Raises:
        ValueError: a part of the model is in training mode, where a batch norm is no fixed map.

    Example:
        >>> model = nn.Sequential(nn.Linear(8, 4, bias=False), nn.BatchNorm1d(4, activation="relu"), nn.Linear(4, 2))
        >>> nn.fold_batch_norm(model.eval())
        Sequential(
          (0): Linear(8, 4)
          (1): relu
          (2): Linear(4, 2)
        )
    """
    for name, module in model.named_modules():
        if module.training:
            where = f"its part {name!r}" if name else "it"
            raise ValueError(f"fold_batch_norm: the model must be in evaluation mode, but {where} is in training mode; "
                             "call model.eval() first")  # fmt: skip
    folded = copy.deepcopy(model)
    uses = _uses(folded)
    for module in list(folded.modules()):
        if isinstance(module, Sequential):
            _fold_pairs(module, uses)
    return folded


def _uses(model: Module) -> dict[int, int]:
    """Return how many places of the model hold each module or tensor: what is shared must stay."""
    uses: dict[int, int] = {}
    for module in model.modules():
        for _, value in module.members():
            for item in _inside(value):
                uses[id(item)] = uses.get(id(item), 0) + 1
    return uses


def _inside(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return [item for part in value for item in _inside(part)]
    if isinstance(value, dict):
        return _inside(list(value.values()))
    return [value]


def _fold_pairs(layers: Sequential, uses: dict[int, int]) -> None:
    for k in range(len(layers) - 1):
        layer, norm = layers[k], layers[k + 1]
        if isinstance(layer, (Linear, ConvBase)) and isinstance(norm, BatchNorm) and _fits(layer, norm, uses):
            _merge(layer, norm)
            layers[k + 1] = norm.activation or Identity().eval()


def _fits(layer: Any, norm: BatchNorm, uses: dict[int, int]) -> bool:
    own = [layer, layer.weight, *([] if layer.bias is None else [layer.bias])]
    last = isinstance(layer, Linear) or layer.channels_last
    out = layer.out_features if isinstance(layer, Linear) else layer.out_channels
    axes = {-1, 1} if isinstance(layer, Linear) else {-1, layer.ndim + 1} if last else {1, -1 - layer.ndim}
    return (
        norm.running_mean is not None
        and norm.num_features == out
        and not is_parametrized(layer)  # what its weight is computed of could not make another
        and norm.axis in axes
        and all(uses.get(id(item), 0) <= 1 for item in own)
    )


def _merge(layer: Any, norm: BatchNorm) -> None:
    """Put the linear map of a batch norm into the weight and bias of a layer."""
    weight = layer.weight.data
    wide = accumulator(weight.dtype)
    xp = array_module(weight)

    def values(tensor: Any, default: float) -> Array:
        return xp.full(norm.num_features, default, wide) if tensor is None else tensor.data.astype(wide)

    scale = values(norm.weight, 1) / xp.sqrt(norm.running_var.data.astype(wide) + norm.eps)
    shift = values(norm.bias, 0) + (values(layer.bias, 0) - norm.running_mean.data.astype(wide)) * scale
    frozen = not layer.weight.requires_grad
    layer.weight = Parameter(scaled_weight(layer, scale), not frozen)
    layer.bias = Parameter(shift.astype(weight.dtype), not frozen)


def scaled_weight(layer: Linear | ConvBase, scale: Array) -> Array:
    """Return the weight of a layer whose outputs are `scale` (out,) times as large."""
    weight = layer.weight.data
    if isinstance(layer, ConvBase) and layer.transposed:  # (in, out / groups, *kernel)
        groups = layer.groups
        grouped = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
        new = grouped * scale.reshape(groups, 1, -1, *(1,) * layer.ndim)
    else:
        new = weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))
    return new.reshape(weight.shape).astype(weight.dtype)
