"""Fold a fitted scaler into the layer behind it: the same function, one layer less."""

from __future__ import annotations

import copy

from ..device import array_module
from ..nn.container import Sequential
from ..nn.linear import Identity, Linear
from ..nn.module import Module
from ..nn.parameter import Parameter
from .scaler import Scaler


def fold_scaler(model: Module) -> Module:
    """Return a copy of a model in which fitted scalers are merged into the `Linear` layers behind them.

    With ``scaled = A @ x + b`` the layer's weight becomes ``weight @ A`` and its bias ``bias + weight @ b``, computed
    in float64. Pairs that follow each other in a `Sequential`, at any depth, are merged, with an `Identity` in the
    scaler's place, so that names stay; a scaler before anything else stays. Samples must be flat: (N, features).

    Raises:
        RuntimeError: a scaler has not been fitted.

    Example:
        >>> from cunet.data import StandardScaler, fold_scaler
        >>> x = np.array([[0.0, 100.0], [2.0, 300.0]])
        >>> model = nn.Sequential(StandardScaler().fit(x), nn.Linear(2, 1))
        >>> folded = fold_scaler(model)
        >>> type(folded[0]).__name__, np.allclose(folded(x).numpy(), model(x).numpy(), atol=1e-5)
        ('Identity', True)
    """
    folded = copy.deepcopy(model)
    for layers in [module for module in folded.modules() if isinstance(module, Sequential)]:
        for k in range(len(layers) - 1):
            scaler, layer = layers[k], layers[k + 1]
            if isinstance(scaler, Scaler) and isinstance(layer, Linear):
                if not scaler.fitted:
                    raise RuntimeError(f"fold_scaler: the {type(scaler).__name__} must be fitted, it has seen nothing")
                _merge(scaler, layer)
                layers[k] = Identity().train(layer.training)
    return folded


def _merge(scaler: Scaler, layer: Linear) -> None:
    matrix, shift = scaler.affine()
    dtype, frozen = layer.weight.dtype, not layer.weight.requires_grad
    wide = layer.weight.data.astype(matrix.dtype)
    bias = wide @ shift + (0 if layer.bias is None else layer.bias.data)
    weight = wide * matrix if matrix.ndim == 1 else wide @ matrix
    layer.weight = Parameter(array_module(weight).ascontiguousarray(weight.astype(dtype)), not frozen)
    layer.bias = Parameter(bias.astype(dtype), not frozen)
    layer.in_features = weight.shape[1]
