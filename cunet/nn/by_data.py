"""First values of whole models: by what a batch becomes in them (LSUV, data-dependent), and by their depth (Fixup)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from .. import init as initialisers
from ..autograd.tape import no_grad
from ..autograd.tensor import Tensor
from ..device import Array, accumulator, array_module, like
from ..random import Generator
from .conv import ConvBase
from .fold import scaled_weight
from .linear import Linear
from .module import Module
from .observe import observing
from .parametrize import is_parametrized
from .report import model_input, unchanged

Model = TypeVar("Model", bound=Module)
Weighted = Linear | ConvBase


def lsuv_(
    model: Model, x: Any, tol: float = 0.1, max_iterations: int = 10, *, generator: Generator | None = None
) -> Model:
    """Give linear and convolution layers orthonormal weights, scaled so that each output has variance 1 on a batch.

    Layer by layer, in the order in which they are called: ``weight = weight / sqrt(var(output))`` until the variance is
    within `tol` of 1. One pass is made; later layers see what earlier ones have become. An output that is constant is
    left as it is. Biases, buffers, modes and random streams stay what they are.

    Args:
        model: in the mode that it is to be looked at in.
        x: a batch (N, ...), or a tuple of arrays for a model of several.
        tol: how far from 1 the variance may be.
        max_iterations: how often a weight is scaled at most; a bias that is not 0 needs more than one.
        generator: where the orthonormal weights are drawn from.

    Raises:
        ValueError: a number is out of its range, or a layer has no shape yet.

    Source: Mishkin and Matas 2016, arXiv:1511.06422, algorithm 1.

    Example:
        >>> model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 8))
        >>> x = np.random.default_rng(0).normal(3.0, 10.0, (100, 16))
        >>> model = nn.init.lsuv_(model, x, tol=0.01)
        >>> round(model[0](x).var().item(), 1), round(model(x).var().item(), 1)
        (1.0, 1.0)
    """
    max_iterations = operator.index(max_iterations)
    if not tol > 0 or max_iterations < 1:
        raise ValueError(f"lsuv_: tol must be above 0 and max_iterations at least 1, got {tol} and {max_iterations}")
    for layer in _layers("lsuv_", model):
        weight = layer.weight
        drawn = initialisers.get("orthogonal")(weight.shape, generator, weight.dtype)
        _assign(layer, like(drawn, weight.data))

    def scaled(layer: Weighted, out: Array, bias: Array | float) -> Array:
        xp = array_module(out)
        for _ in range(max_iterations):
            variance = float(out.var())
            if abs(variance - 1) <= tol or not variance > 0:
                break
            factor = variance**-0.5
            _assign(layer, (layer.weight.data * factor).astype(layer.weight.dtype))
            out = xp.asarray((out - bias) * factor + bias)
        return out

    _run(model, x, scaled)
    return model


def data_dependent_(model: Model, x: Any) -> Model:
    """Scale and shift linear and convolution layers so that each output channel has mean 0 and variance 1 on a batch.

    Layer by layer: ``weight = weight / std`` and ``bias = (bias - mean) / std`` with mean and std of each channel over
    samples and positions; a layer without a bias is only scaled. A channel that is constant keeps its scale. It is what
    `nn.utils.parametrizations.weight_norm` is begun with, and works with plain weights too.

    Args:
        model, x: as for `lsuv_`; the weights are those that the model has.

    Raises:
        ValueError: a layer has no shape yet.

    Source: Salimans and Kingma 2016, arXiv:1602.07868, equations 5 and 6.

    Example:
        >>> layer, x = nn.Linear(2, 1, init=1.0, bias_init=5.0), np.array([[1.0, 2.0], [3.0, 4.0]])
        >>> nn.init.data_dependent_(layer, x)(x).data
        array([[-1.],
               [ 1.]], dtype=float32)
    """
    _layers("data_dependent_", model)

    def scaled(layer: Weighted, out: Array, bias: Array | float) -> Array:
        xp = array_module(out)
        axis = _channels(layer, out)
        others = tuple(a for a in range(out.ndim) if a != axis)
        mean, std = out.mean(axis=others, keepdims=True), out.std(axis=others, keepdims=True)
        std = xp.where(std > 0, std, 1.0).astype(out.dtype)
        _assign(layer, scaled_weight(layer, (1 / std).reshape(-1)))
        if layer.bias is None:
            return out / std
        layer.bias.data = ((bias - mean) / std).reshape(-1).astype(layer.bias.dtype)
        return (out - mean) / std

    _run(model, x, scaled)
    return model


def fixup_(branches: Iterable[Module], head: Module | None = None, *, generator: Generator | None = None) -> None:
    """Give the layers of residual branches first values with which a deep network trains without norms.

    Of L branches with m weight layers each: the last one of each branch becomes 0, the others are drawn by He's normal
    distribution times ``L ** (-1 / (2 m - 2))``; the head becomes 0. All biases become 0. The paper's scalars (a
    multiplier in each branch and a bias before each weight, rule 3) are parameters of the model's own.

    Args:
        branches: the residual branches, each a module with its weight layers in the order of their calls.
        head: the layer that classifies, if its first outputs are to be 0.
        generator: where the values are drawn from.

    Raises:
        ValueError: a branch has no linear or convolution layer, or one has no shape yet.

    Source: Zhang, Dauphin and Ma 2019, arXiv:1901.09321, section 3, "Fixup initialization".

    Example:
        >>> branches = [nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)) for _ in range(10)]
        >>> nn.init.fixup_(branches)
        >>> branches[0](np.ones(8)).data  # each block begins as the way around it
        array([0., 0., 0., 0., 0., 0., 0., 0.], dtype=float32)
    """
    found = [_layers("fixup_", branch) for branch in branches]
    if not all(found):
        raise ValueError("fixup_: each branch must have a linear or convolution layer, got one without")
    last = [] if head is None else _layers("fixup_", head)
    for layers in found:
        for layer in layers[:-1]:
            weight = layer.weight
            fans = initialisers.fans(weight.shape, transposed=getattr(layer, "transposed", False),
                                     groups=getattr(layer, "groups", 1))  # fmt: skip
            drawn = initialisers.get("kaiming_normal")(weight.shape, generator, weight.dtype, fans=fans)
            scale = len(found) ** (-1 / (2 * len(layers) - 2))
            _assign(layer, like((drawn * scale).astype(weight.dtype), weight.data))
        last.append(layers[-1])
    for layer in last:
        _assign(layer, layer.weight.data * 0)
    for layer in (layer for layers in (*found, last) for layer in layers):
        if layer.bias is not None:
            layer.bias.data = layer.bias.data * 0


def _layers(who: str, model: Module) -> list[Weighted]:
    """Return the linear and convolution layers of a model.

    Raises:
        ValueError: one has no shape yet.
    """
    found = [(name, module) for name, module in model.named_modules() if isinstance(module, (Linear, ConvBase))]
    for name, module in found:
        if not module.weight.size:
            raise ValueError(f"{who}: {name or type(module).__name__} must have a shape; call the model once first")
    return [module for _, module in found]


def _assign(layer: Weighted, weight: Array) -> None:
    """Give a layer another weight, also where that is computed of others."""
    if is_parametrized(layer, "weight"):
        setattr(layer, "weight", weight)  # noqa: B010 - to type checkers it is a Parameter
    else:
        layer.weight.data = weight


def _channels(layer: Weighted, out: Array) -> int:
    """Return the axis of the channels in the output of a layer."""
    return out.ndim - 1 if isinstance(layer, Linear) or layer.channels_last else out.ndim - 1 - layer.ndim


def _run(model: Module, x: Any, scaled: Callable[[Weighted, Array, Array | float], Array]) -> None:
    """Send a batch through a model, and let each layer be changed at its first output, which goes on as changed."""
    seen: set[int] = set()

    def observe(layer: Any, out: Any, owner: Module | None, key: str) -> Any:
        if not isinstance(layer, (Linear, ConvBase)) or id(layer) in seen or not out.size:
            return out
        seen.add(id(layer))
        wide = out.data.astype(accumulator(out.dtype))
        bias: Array | float = 0.0
        if layer.bias is not None:
            shape = [1] * wide.ndim
            shape[_channels(layer, wide)] = -1
            bias = layer.bias.data.astype(wide.dtype).reshape(shape)
        return Tensor(scaled(layer, wide, bias).astype(out.dtype))

    inputs = x if isinstance(x, tuple) else (x,)
    with unchanged(model), observing(observe), no_grad():
        model(*[model_input(a, model) for a in inputs])
