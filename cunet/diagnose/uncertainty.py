"""Predictions as distributions: Monte Carlo dropout, and ensembles of models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..autograd.tape import no_grad
from ..autograd.tensor import Tensor
from ..data import Loader
from ..device import Array, accumulator, array_module, asnumpy, device_of
from ..nn.attention import MultiheadAttention, PositionalEncoding
from ..nn.concrete_dropout import ConcreteDropout
from ..nn.dropout import DropoutBase
from ..nn.inputs import dtype_of
from ..nn.module import Module
from ..nn.recurrent_base import RNNBase
from ..nn.recurrent_dropout import DropConnect, VariationalDropout
from ..ops.softmax import softmax
from ..system.checks import check_counts

#: Modules that in training drop something, and do nothing else then that they do not do in evaluation.
DROPPING = (
    DropoutBase,
    ConcreteDropout,
    VariationalDropout,
    DropConnect,
    RNNBase,
    MultiheadAttention,
    PositionalEncoding,
)


class Predictive(NamedTuple):
    """The distribution of a prediction over several networks, as NumPy arrays.

    Attributes:
        mean: the mean of the networks' outputs, (N, ...); of probabilities, (N, C, ...), where they are classes.
        spread: their standard deviation, in the same shape, divided by the number of networks: what the networks do not
            agree about. The noise of the data is not in it.
        entropy: of `mean`, (N, ...) without the axis of classes, in nats: all the uncertainty there is about the class.
            None for values.
        mutual_information: between class and network, in nats: the part of the entropy that more data could take away,
            ``entropy - mean(entropy of each network)``. None for values.

    Source: Gal, "Uncertainty in Deep Learning", 2016, section 3.3.1; Houlsby et al. 2011, "Bayesian Active Learning for
    Classification and Preference Learning", equation 2.

    Example:
        >>> from cunet.diagnose import ensemble_predict
        >>> nets = [nn.Sequential(lambda x, p=p: cunet.tensor([p] * len(x))) for p in ([1.0, 0.0], [0.0, 1.0])]
        >>> found = ensemble_predict(nets, np.zeros((1, 2), np.float32), outputs="probabilities")
        >>> found.mean, found.spread
        (array([[0.5, 0.5]], dtype=float32), array([[0.5, 0.5]], dtype=float32))
        >>> found.entropy.round(4), found.mutual_information.round(4)  # all doubt is that they do not agree
        (array([0.6931], dtype=float32), array([0.6931], dtype=float32))
    """

    mean: np.ndarray
    spread: np.ndarray
    entropy: np.ndarray | None
    mutual_information: np.ndarray | None


def mc_dropout_predict(
    model: Module,
    x: Any,
    samples: int = 50,
    *,
    outputs: str = "logits",
    batch_size: int = 1024,
    dropping: tuple[type[Module], ...] = (),
) -> Predictive:
    """Apply a model with dropout at work several times, each time with fresh masks: Monte Carlo dropout.

    What drops is in training mode and all else in evaluation: batch norm uses its running statistics, and changes
    nothing. Every module's mode is restored. Masks are drawn from the layers' streams, batch by batch, so that seed and
    `batch_size` decide them.

    Args:
        model: a model with dropout: layers of that name, DropConnect, or recurrent and attention layers with a rate.
        x: the input array (N, ...), or a tuple of them for a model of several.
        samples: how many times.
        outputs: what the model returns: "logits" (N, C, ...), of which the softmax over axis 1 is taken;
            "probabilities" (N, C, ...); or "values" of any kind (N, ...), such as those of a regression.
        batch_size: of x at a time.
        dropping: classes of your own modules that drop something in training, by ``F.dropout(x, p, self.training)``.

    Raises:
        ValueError: nothing in the model drops; or `samples` is less than 1.

    Source: Gal and Ghahramani 2016, "Dropout as a Bayesian Approximation", equation 6.

    Example:
        >>> from cunet.diagnose import mc_dropout_predict
        >>> model = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.5), nn.Linear(8, 3))
        >>> found = mc_dropout_predict(model, np.ones((5, 2), np.float32), samples=20)
        >>> found.mean.shape, found.entropy.shape, bool((found.mutual_information <= found.entropy).all())
        ((5, 3), (5,), True)
    """
    check_counts("mc_dropout_predict", samples=samples)
    found = [module for module in model.modules() if isinstance(module, DROPPING + tuple(dropping))]
    if not any(map(_drops, found)):
        raise ValueError("mc_dropout_predict: model must have layers that drop something, got none, or all rates are 0")

    @contextmanager
    def ready() -> Iterator[None]:
        with model.evaluating():
            for module in found:
                module.training = True
            yield

    return _predict("mc_dropout_predict", [model] * samples, x, outputs, batch_size, ready)


def ensemble_predict(
    models: Iterable[Module], x: Any, *, outputs: str = "logits", batch_size: int = 1024
) -> Predictive:
    """Apply several models to the same data: a deep ensemble, of models that were trained from different seeds.

    Args:
        models: at least one, on one device, each applied in evaluation mode; their modes are restored.
        x, outputs, batch_size: as for `mc_dropout_predict`.

    Raises:
        ValueError: there is no model.

    Source: Lakshminarayanan, Pritzel and Blundell 2017, "Simple and Scalable Predictive Uncertainty Estimation using
    Deep Ensembles", section 2.4.

    Example:
        >>> from cunet.diagnose import ensemble_predict
        >>> models = [nn.Linear(2, 1, init="ones", bias=False), nn.Linear(2, 1, init="zeros", bias=False)]
        >>> found = ensemble_predict(models, np.array([[1.0, 2.0]], np.float32), outputs="values")
        >>> found.mean, found.spread
        (array([[1.5]], dtype=float32), array([[1.5]], dtype=float32))
    """
    nets = list(models)
    if not nets:
        raise ValueError("ensemble_predict: models must hold at least one model, got none")

    @contextmanager
    def ready() -> Iterator[None]:
        with ExitStack() as stack:
            for net in nets:
                stack.enter_context(net.evaluating())
            yield

    return _predict("ensemble_predict", nets, x, outputs, batch_size, ready)


def _drops(module: Module) -> bool:
    """Tell whether a rate of a module is above 0; of a class that is not known here it is taken for granted."""
    names = ("p", "dropout", "weight_drop", "variational_dropout")
    rates = [getattr(module, name) for name in names if hasattr(module, name)]
    return not isinstance(module, DROPPING) or any(map(np.any, rates))


def _predict(
    who: str, nets: Sequence[Module], x: Any, outputs: str, batch_size: int, ready: Callable[[], Any]
) -> Predictive:
    if outputs not in ("logits", "probabilities", "values"):
        raise ValueError(f'{who}: outputs must be "logits", "probabilities" or "values", got {outputs!r}')
    check_counts(who, batch_size=batch_size)
    first = next(nets[0].parameters(), None)
    device = "cpu" if first is None else device_of(first.data)
    inputs = x if isinstance(x, tuple) else (x,)
    parts = []
    with ready(), no_grad():
        for batch in Loader(*inputs, batch_size=batch_size, dtype=dtype_of(nets[0]), device=device):
            used = batch if isinstance(batch, tuple) else (batch,)
            parts.append(_mixture(who, (net(*used) for net in nets), outputs))
    columns = [[asnumpy(a) for a in column] for column in zip(*parts, strict=True) if column[0] is not None]
    return Predictive(*map(np.concatenate, columns), *[None] * (4 - len(columns)))


def _mixture(who: str, results: Iterable[Tensor], outputs: str) -> list[Array | None]:
    """Return mean, spread, entropy and mutual information over networks, for one batch.

    Mean and squared deviations by Welford's recurrence, so that no more than one result is kept.
    """
    arrays = (_checked(who, result, outputs) for result in results)
    count, mean = 1, next(arrays).copy()
    deviations = mean * 0
    inside = 0 if outputs == "values" else _entropy(mean)
    for y in arrays:
        count += 1
        away = y - mean
        mean += away / count
        deviations += away * (y - mean)
        inside = inside if outputs == "values" else inside + _entropy(y)
    xp = array_module(mean)
    spread = xp.sqrt(deviations / count)
    if outputs == "values":
        return [mean, spread, None, None]
    entropy = _entropy(mean)
    return [mean, spread, entropy, xp.maximum(entropy - inside / count, 0)]  # by Jensen it is not below 0


def _checked(who: str, result: Any, outputs: str) -> Array:
    """Return the output of a network as what is averaged, in float32 at least."""
    if not isinstance(result, Tensor):
        raise TypeError(f"{who}: the model must return one Tensor, got {type(result).__name__}")
    if outputs != "values" and result.ndim < 2:
        raise ValueError(f"{who}: {outputs} must have shape (N, C, ...), got {result.shape}")
    wide = result.data.astype(accumulator(result.dtype), copy=False)
    return softmax(wide, axis=1).data if outputs == "logits" else wide


def _entropy(p: Array) -> Array:
    """Return the entropy over axis 1, in nats; 0 log 0 is 0."""
    xp = array_module(p)
    return -(p * xp.log(xp.where(p > 0, p, 1))).sum(axis=1)
