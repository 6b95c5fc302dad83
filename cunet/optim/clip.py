"""Clipping of gradients, by norm and by value, without waiting for the GPU."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ..autograd.tensor import Tensor
from ..device import Array, accumulator, array_module, like
from ..kernels.capture import done, owned
from ..system.checks import check_numbers
from ..system.quiet import quiet
from .flat_buffer import by_dtype_and_device, gather


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Array:
    """Scale the gradients down so that their norm, taken over all of them together, is at most `max_norm`.

    ``g *= min(1, max_norm / (norm + 1e-6))`` with ``norm = sum(|g| ** norm_type) ** (1 / norm_type)``. The sum is
    taken over ``g / max|g|``, so it neither overflows nor underflows; half types are summed in float32. Each
    ``p.grad`` becomes a new array; the old one is not written.

    A norm of nan makes every gradient nan, one of inf finite gradients 0 and infinite ones nan: test the returned
    norm where you look at the loss anyway, or pass `error_if_nonfinite`.

    Args:
        parameters: tensors; those without a gradient are passed over.
        max_norm, norm_type: largest norm allowed, and its order, > 0; ``math.inf``: the largest absolute value.
        error_if_nonfinite: raise instead of scaling by a norm of inf or nan; waits for the GPU.

    Returns:
        The norm before clipping, 0-d, on the device of the gradients, not waited for; a float32 0 without gradients.

    Raises:
        ValueError: `max_norm` or `norm_type` is not positive.
        RuntimeError: the norm is not finite and `error_if_nonfinite` is set.

    Source: Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063, algorithm 1.

    Example:
        >>> w = cunet.tensor([0.0, 0.0], requires_grad=True)
        >>> w.grad = np.array([3.0, 4.0], np.float32)
        >>> optim.clip_grad_norm_([w], max_norm=1.0)  # between backward and the optimiser's step
        array(5., dtype=float32)
        >>> w.grad.round(4)
        array([0.6, 0.8], dtype=float32)
    """
    check_numbers("clip_grad_norm_", max_norm=max_norm, norm_type=norm_type)
    for name, value in (("max_norm", max_norm), ("norm_type", norm_type)):
        if not value > 0:
            raise ValueError(f"clip_grad_norm_: {name} must be positive, got {value}")
    params = _with_grad(parameters)
    if not params:
        return np.zeros((), np.float32)
    with quiet():
        gradients = _flat_grads(params)
        total = done(total_norm, [flat for _, flat in gradients], norm_type)
        if error_if_nonfinite and not math.isfinite(float(total)):
            raise RuntimeError(f"clip_grad_norm_: the norm of the gradients is {float(total)}; they were not changed")
        for positions, flat in gradients:
            _assign([params[i] for i in positions], done(_clipped, flat, max_norm, total))
    return total


def gradient_norm(parameters: Iterable[Tensor]) -> Array:
    """Return the 2-norm of all gradients together, 0-d, not waited for; a float32 0 without gradients."""
    params = _with_grad(parameters)
    if not params:
        return np.zeros((), np.float32)
    with quiet():
        return done(total_norm, [flat for _, flat in _flat_grads(params)], 2.0)


def total_norm(parts: list[Array], norm_type: float) -> Array:
    """Return the norm of arrays of one axis together."""
    norms = [vector_norm(part, norm_type) for part in parts]
    return norms[0] if len(norms) == 1 else vector_norm(_joined(norms), norm_type)


def _clipped(flat: Array, max_norm: float, norm: Array) -> Array:
    return flat * array_module(flat).minimum(max_norm / (like(norm, flat) + 1e-6), 1.0).astype(flat.dtype)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limit every element of the gradients to ``[-clip_value, clip_value]``; nan stays.

    Args:
        parameters: tensors; those without a gradient are passed over. ``p.grad`` becomes a new array.
        clip_value: > 0.

    Raises:
        ValueError: `clip_value` is not positive.

    Example:
        >>> w = cunet.tensor([0.0, 0.0], requires_grad=True)
        >>> w.grad = np.array([0.25, -4.0], np.float32)
        >>> optim.clip_grad_value_([w], 1.0)
        >>> w.grad
        array([ 0.25, -1.  ], dtype=float32)
    """
    check_numbers("clip_grad_value_", clip_value=clip_value)
    if not clip_value > 0:
        raise ValueError(f"clip_grad_value_: clip_value must be positive, got {clip_value}")
    params = _with_grad(parameters)
    for positions, flat in _flat_grads(params):
        _assign([params[i] for i in positions], done(_limited, flat, clip_value))


def _limited(flat: Array, limit: float) -> Array:
    return flat.clip(-limit, limit)


def _with_grad(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """Return each parameter that has a gradient, once."""
    unique = {id(p): p for p in ([parameters] if isinstance(parameters, Tensor) else parameters)}
    return [p for p in unique.values() if p.grad is not None]


def _flat_grads(params: list[Tensor]) -> list[tuple[list[int], Array]]:
    """Return (positions, all their gradients in one 1-D array) per dtype and device; half types as float32."""
    out = []
    for positions in by_dtype_and_device(params):
        some: list[Array] = [params[i].grad for i in positions]
        xp = array_module(some[0])
        flat = xp.empty(sum(g.size for g in some), accumulator(some[0].dtype))
        out.append((positions, gather(some, flat)))
    return out


def _assign(params: list[Tensor], flat: Array) -> None:
    flat = flat.astype(params[0].grad.dtype, copy=False)  # type: ignore[union-attr]
    start = 0
    for p in params:
        end = start + p.data.size
        p.grad = owned(flat[start:end].reshape(p.data.shape))
        start = end


def vector_norm(x: Array, p: float) -> Array:
    """Return the p-norm of a 1-D array, scaled by its largest element so that powers stay in range."""
    xp = array_module(x)
    if x.size == 0:
        return xp.zeros((), x.dtype)
    size = xp.abs(x)
    largest = size.max()
    if p == math.inf:
        return xp.asarray(largest)
    info = np.finfo(x.dtype)
    # Held within finite numbers: inf / inf and 0 / 0 would turn an infinite or zero norm into nan.
    scale = xp.minimum(xp.maximum(largest, info.tiny), info.max)
    size /= scale
    if p == 2:
        size *= size
    elif p != 1:
        size **= p
    return xp.asarray(scale * size.sum() ** (1 / p))


def _joined(norms: list[Array]) -> Array:
    """Return norms of several dtypes or devices as one array, where the first of them is."""
    first = norms[0]
    wide = np.result_type(*[n.dtype for n in norms])
    return array_module(first).stack([like(n, first).astype(wide) for n in norms])
