"""Batch norm and instance norm with running statistics, which the caller keeps: PyTorch's functions of these names."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autograd.custom import recomputing
from ...autograd.tensor import Tensor, as_array
from ...device import Array, accumulator, array_module, clearer_error, is_array, is_floating
from ...kernels import elementwise
from ...kernels.capture import done
from .batch_norm import batch_norm_inference, batch_norm_training
from .group_norm import _instance_norm


@elementwise(
    "T running_mean, T running_var, A mean, A var, A weight, A keep, A scale, A cross",
    "T new_mean, T new_var",
    "new_mean = (A(1) - weight) * running_mean + weight * mean; "
    "new_var = keep * running_var + scale * var + cross * (mean - running_mean) * (mean - running_mean)",
)
def blend_statistics(running_mean, running_var, mean, var, weight, keep, scale, cross):
    d = mean - running_mean
    return (1 - weight) * running_mean + weight * mean, keep * running_var + scale * var + cross * (d * d)


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    axis: int = 1,
    activation: Any = None,
) -> Tensor:
    """Normalise each channel: by the mean and variance of the batch in training, else by running ones.

    ``y = (input - mean) / sqrt(var + eps) * weight + bias``. In training the running statistics move: ``running = (1 -
    momentum) * running + momentum * batch``, for the variance that of the batch divided by count - 1. An array is
    written in place, a Tensor gets a new array as its `data`: what recorded ops still need stays as it was.

    Args:
        input: floating, 2 to 5 axes.
        running_mean, running_var: floating arrays or Tensors of shape (C,) with C the length of `axis`; in training
            both may be None.
        weight, bias: shape (C,), or None for 1 and 0.
        training: whether to normalise by the batch.
        momentum: weight of the new value.
        eps: added to the variance.
        axis: channel axis: 1 for (N, C, ...), -1 for (N, ..., C).
        activation: what to apply to y, in the same kernels: the name of an elementwise function of
            `cunet.functional` ("relu"), the function, or a `functools.partial` of it with its options. y before it
            is not kept.

    Returns:
        Tensor like `input`.

    Raises:
        ValueError: fewer than two values per channel in training (the output would be the bias whatever the input),
            no running statistics outside of it, or shapes do not fit.
        TypeError: running statistics that are no floating arrays.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithms 1 and 2.

    Example:
        >>> x, mean, var = cunet.tensor([[1.0, 10.0], [3.0, 30.0]]), np.zeros(2), np.ones(2)
        >>> F.batch_norm(x, mean, var, training=True).round(4)
        Tensor([[-1., -1.],
                [ 1.,  1.]])
        >>> mean, var.round(4)  # a tenth of the way to (2, 20) and (2, 200)
        (array([0.2, 2. ]), array([ 1.1, 20.9]))
        >>> F.batch_norm(x, mean, var).round(4)  # evaluation is the default
        Tensor([[0.7628, 1.7499],
                [2.6697, 6.1247]])
    """
    options: dict[str, Any] = {"axis": axis, "eps": eps, "activation": activation}
    given = _given("batch_norm", "training=True", not training, running_mean, running_var)
    if not training:
        running_mean, running_var = map(_fixed, given)
        return batch_norm_inference(input, running_mean, running_var, weight, bias, **options)
    y, mean, var = batch_norm_training(input, weight, bias, **options)
    if given:
        count = y.size // mean.size if mean.size else 2
        _move("batch_norm", given, mean.data, var.data, count / (count - 1), momentum)
    return y


def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    axis: int = 1,
    activation: Any = None,
) -> Tensor:
    """Normalise each channel of each sample over its positions, or all of them by running statistics.

    Running statistics that are given move towards the mean, over samples, of theirs; see `batch_norm`.

    Args:
        input: floating, shape (N, C, ...), or (N, ..., C) with ``axis=-1``.
        running_mean, running_var: as in `batch_norm`; both may be None where `use_input_stats`.
        weight, bias: shape (C,), or None for 1 and 0.
        use_input_stats: whether to normalise by the input.
        momentum, eps, axis, activation: see `batch_norm`.

    Returns:
        Tensor like `input`.

    Raises:
        ValueError: a channel has fewer than two positions (the output would be the bias whatever the input), no
            running statistics where they are needed, or shapes do not fit.
        TypeError: running statistics that are no floating arrays.

    Source: Ulyanov, Vedaldi and Lempitsky 2016, arXiv:1607.08022, equation 6.

    Example:
        >>> F.instance_norm(cunet.tensor([[[1.0, 3.0], [10.0, 30.0]]])).round(4)
        Tensor([[[-1.,  1.],
                 [-1.,  1.]]])
    """
    options: dict[str, Any] = {"axis": axis, "eps": eps, "activation": activation}
    given = _given("instance_norm", "use_input_stats=True", not use_input_stats, running_mean, running_var)
    if not use_input_stats:
        running_mean, running_var = map(_fixed, given)
        return batch_norm_inference(input, running_mean, running_var, weight, bias, **options)
    y = _instance_norm(input, weight, bias, **options)
    if given and len(y):
        _move("instance_norm", given, *sample_statistics(input, axis, y.shape[axis]), momentum)
    return y


def sample_statistics(x: Any, axis: int, channels: int) -> tuple[Array, Array, float]:
    """Return mean and variance over positions, averaged over samples, and the factor that unbiases the variance."""
    x = x.data if isinstance(x, Tensor) else as_array(x)
    samples, positions = x.shape[0], x[0].size // channels
    rows = array_module(x).moveaxis(x, axis, 1).reshape(samples * channels, positions)
    _, mean, var = batch_norm_training(rows, axis=0)
    mean, var = (done(_over_samples, s.data, samples, channels) for s in (mean, var))
    return mean, var, positions / (positions - 1)


def _over_samples(s: Array, samples: int, channels: int) -> Array:
    return s.reshape(samples, channels).mean(axis=0)


def _given(who: str, without: str, needed: bool, running_mean: Any, running_var: Any) -> tuple[Any, ...]:
    """Return the running statistics, or nothing for None, checked for all but their shape."""
    given = {"running_mean": running_mean, "running_var": running_var}
    missing = [name for name, value in given.items() if value is None]
    if missing and (needed or len(missing) == 1):
        raise ValueError(f"{who}: {missing[0]} must be given, got None; both may be None with {without}")
    for name, value in given.items():
        array = value.data if isinstance(value, Tensor) else value
        if value is not None and not (is_array(array) and is_floating(array.dtype)):
            got = array.dtype if is_array(array) else type(value).__name__
            raise TypeError(f"{who}: {name} must be a floating array or Tensor, got {got}")
    return () if missing else tuple(given.values())


def _fixed(running: Any) -> Any:
    """Return running statistics as recorded ops may keep them: a copy of an array, which is written in place later."""
    return running if isinstance(running, Tensor) else running.copy()


def _move(who: str, given: tuple[Any, ...], mean: Array, var: Array, correction: float, momentum: Any) -> None:
    """Move running statistics towards those of a batch; no value goes to the host."""
    if isinstance(momentum, bool) or not isinstance(momentum, (int, float, np.number)) or not 0 <= momentum <= 1:
        raise ValueError(f"{who}: momentum must be within [0, 1], the weight of the new, got {momentum!r}")
    if recomputing.get():
        return
    old = [s.data if isinstance(s, Tensor) else s for s in given]
    for name, running, a in zip(("running_mean", "running_var"), given, old, strict=True):
        if a.shape != mean.shape:
            raise ValueError(f"{who}: {name} must have shape (C,) = {mean.shape}, got {a.shape}")
        if isinstance(running, np.ndarray) and not a.flags.writeable:
            raise ValueError(f"{who}: {name} must be writable, got a read-only array")
    wide = accumulator(np.promote_types(*[a.dtype for a in old]))
    arrays = [a.astype(wide, copy=False) for a in (*old, mean, var)]
    try:
        new = blend_statistics(*arrays, momentum, 1 - momentum, momentum * correction, 0.0)
    except Exception as error:
        raise clearer_error(who, error, arrays) or error from error
    for running, a, value in zip(given, old, new, strict=True):
        if isinstance(running, Tensor):
            running.data = value.astype(a.dtype, copy=False)
        else:
            a[...] = value
