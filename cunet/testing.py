"""Checks for those who write ops: gradients against differences, one device against the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .autograd.derivatives import jvp
from .autograd.tensor import Tensor
from .autograd.transforms import grad
from .device import Array, Device, array_module, asnumpy, is_array, is_floating, like, to_device


def gradcheck(
    f: Callable[..., Any],
    *arrays: Any,
    rng: np.random.Generator | None = None,
    eps: float = 1e-4,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    differentiable: Sequence[int] | None = None,
    order: int = 1,
    forward: bool = False,
) -> None:
    """Compare the gradients that backward gives with central differences, in float64; derivatives of them too.

    The derivative of a random weighted sum of all outputs is compared along one random direction through all inputs
    together, and along up to three coordinates of each: ``(8 (f(eps) - f(-eps)) - (f(2 eps) - f(-2 eps))) / (12 eps)``.

    Args:
        f: takes Tensors, returns a Tensor or a tuple of them; must give the same result every time (seed
            it if it draws numbers) and have no kink within ``2 * eps`` of the inputs.
        arrays: inputs of any shape, on any device; floating ones are converted to float64, others passed on.
        rng: generator of weights and directions; one with a fixed seed if not given.
        eps: step of the differences.
        rtol, atol: error allowed, relative to the sum of the absolute terms of the derivative, and besides.
        differentiable: positions of the inputs to check; all floating arrays if not given.
        order: how many derivatives to check. A second one is the gradient of ``sum(gradient * direction)`` with a
            random direction, a third that of its own.
        forward: compare what `cunet.jvp` gives too, at each order.

    Raises:
        AssertionError: a gradient is off, or has not the dtype and shape of its input.
        TypeError: no output is of floating dtype, or no input is.

    Example:
        >>> from cunet.testing import gradcheck
        >>> gradcheck(lambda x: x**3, np.array([1.0, 2.0]), order=2)  # says nothing: it is right
        >>> wrong = cunet.custom_vjp(np.sin, lambda g, x: g)
        >>> gradcheck(wrong, np.array([1.0]))
        Traceback (most recent call last):
            ...
        AssertionError: gradcheck: along a random direction through all inputs: backward gives ...
    """
    rng = np.random.default_rng(0) if rng is None else rng
    inputs = [_to_dtype(a, np.float64) for a in arrays]
    which = [i for i, a in enumerate(inputs) if _is_floating(a)] if differentiable is None else list(differentiable)
    if not which:
        raise TypeError("gradcheck: at least one input must be an array of floating dtype")
    weights: list[Array | None] = []
    gradients = _weighted_gradients(f, inputs, which, rng, weights)
    for where, directions in _directions(inputs, which, rng):
        terms = [asnumpy(gradients[i] * d).ravel() for i, d in directions.items()]
        numeric = _slope(f, inputs, directions, weights, eps)
        allowed = atol + rtol * float(sum(np.abs(t).sum() for t in terms))
        _compare(f"{where}: backward", float(sum(t.sum() for t in terms)), numeric, allowed)
        if forward:
            _compare(f"{where}: jvp", _pushed(f, inputs, which, directions, weights), numeric, allowed)
    if order > 1:
        along, options = _along(f, inputs, which, rng), {"eps": eps, "rtol": rtol, "atol": atol}
        gradcheck(along, *inputs, rng=rng, differentiable=which, order=order - 1, forward=forward, **options)


def _pushed(
    f: Callable[..., Any],
    inputs: Sequence[Any],
    which: Sequence[int],
    directions: dict[int, Array],
    weights: Sequence[Array | None],
) -> float:
    """Return the derivative of the weighted sum of all outputs by forward mode."""

    def outputs(*xs: Any) -> list[Tensor]:
        full = [Tensor(a) if is_array(a) else a for a in inputs]
        for i, x in zip(which, xs, strict=True):
            full[i] = x
        return [y for y, w in zip(_outputs(f(*full)), weights, strict=True) if w is not None]

    tangents = [directions.get(i, inputs[i] * 0) for i in which]
    found = jvp(outputs, [inputs[i] for i in which], tangents)[1]
    return sum(_dot(w, t) for w, t in zip([w for w in weights if w is not None], found, strict=True))


def _along(
    f: Callable[..., Any], inputs: Sequence[Any], which: Sequence[int], rng: np.random.Generator
) -> Callable[..., Tensor]:
    """Return the derivative, along a random direction, of a curved function of all outputs, as a function."""
    directions = [_random_like(inputs[i], rng) for i in which]
    seed = int(rng.integers(2**32))

    def total(*xs: Any) -> Any:
        weights, parts = np.random.default_rng(seed), []
        for y in _outputs(f(*xs)):
            if is_floating(y.dtype):
                w = _random_like(y.data, weights)
                parts.append((y * w + y * y * (w * 0.5)).sum())
        return sum(parts[1:], parts[0])

    def along(*xs: Any) -> Tensor:
        gradients = grad(total, tuple(which), create_graph=True)(*xs)
        parts = [(g * d).sum() for g, d in zip(gradients, directions, strict=True)]
        return sum(parts[1:], parts[0])

    return along


def _slope(
    f: Callable[..., Any],
    inputs: Sequence[Any],
    directions: dict[int, Array],
    weights: Sequence[Array | None],
    eps: float,
) -> float:
    """Return the derivative of the weighted sum of all outputs by central differences of fourth order."""

    def total(step: float) -> float:
        moved = [_step(a, step * directions[i]) if i in directions else a for i, a in enumerate(inputs)]
        outputs = _outputs(f(*[Tensor(a) if is_array(a) else a for a in moved]))
        return sum(_dot(w, y.data) for w, y in zip(weights, outputs, strict=True) if w is not None)

    near, far = total(eps) - total(-eps), total(2 * eps) - total(-2 * eps)
    return (8 * near - far) / (12 * eps)


def _compare(where: str, analytic: float, numeric: float, allowed: float) -> None:
    if not abs(analytic - numeric) <= allowed:  # NaN must not pass
        raise AssertionError(
            f"gradcheck: {where} gives {analytic!r}, central differences give {numeric!r}: "
            f"{abs(analytic - numeric):.3g} apart, {allowed:.3g} allowed"
        )


def parity(
    f: Callable[..., Any],
    *arrays: np.ndarray,
    dtypes: Sequence[Any] = (np.float32, np.float64),
    device: Device = "auto",
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Run the same call on the CPU and on `device`, forward and backward, and measure how far they are apart.

    Args:
        f: takes Tensors, returns a Tensor or a tuple of them.
        arrays: inputs on the CPU; floating ones are converted to each of `dtypes`.
        dtypes: the dtypes to run in.
        device: what to compare with the CPU.
        seed: seed of the gradients handed to backward.

    Returns:
        One dict per dtype: ``dtype`` (its name), ``value`` and ``gradients`` (one per floating input): the largest
        distance in units in the last place of the CPU's result; ``relative`` the largest distance of all,
        relative to the largest element of its array.

    Example:
        >>> from cunet.testing import parity
        >>> [(row["dtype"], row["value"]) for row in parity(cunet.exp, np.array([1.0, 2.0]), device="cpu")]
        [('float32', 0.0), ('float64', 0.0)]
    """
    return [_parity(f, [_to_dtype(a, dtype) for a in arrays], np.dtype(dtype), device, seed) for dtype in dtypes]


def _parity(f: Callable[..., Any], inputs: list[Any], dtype: np.dtype, device: Device, seed: int) -> dict[str, Any]:
    which = [i for i, a in enumerate(inputs) if _is_floating(a)]
    results = []
    for place in ("cpu", device):
        moved = [to_device(a, place) if is_array(a) else a for a in inputs]
        values: list[Array] = []
        gradients = _weighted_gradients(f, moved, which, np.random.default_rng(seed), [], values)
        results.append(([asnumpy(v) for v in values], [asnumpy(gradients[i]) for i in which]))
    (values_cpu, grads_cpu), (values_device, grads_device) = results
    pairs = [*zip(values_device, values_cpu, strict=True), *zip(grads_device, grads_cpu, strict=True)]
    ulps = [ulp_distance(a, b) for a, b in pairs]
    return {
        "dtype": dtype.name,
        "value": max(ulps[: len(values_cpu)]),
        "gradients": ulps[len(values_cpu) :],
        "relative": max(_relative_distance(a, b) for a, b in pairs),
    }


def ulp_distance(a: np.ndarray, reference: np.ndarray) -> float:
    """Return the largest distance of `a` from `reference`, in units in the last place of the reference's dtype.

    NaN is at distance 0 from NaN, an infinity from the same infinity; both are infinitely far from all else.

    Example:
        >>> from cunet.testing import ulp_distance
        >>> ulp_distance(np.array([1 + 2.0**-22], np.float32), np.array([1.0], np.float32))
        2.0
    """
    if not a.size:
        return 0.0
    info = None if reference.dtype.name == "bfloat16" else np.finfo(reference.dtype)
    least, digits = (-126, 7) if info is None else (info.minexp, info.nmant)
    x, y = a.astype(np.float64), reference.astype(np.float64)
    with np.errstate(all="ignore"):
        exponent = np.maximum(np.frexp(y)[1] - 1, least)
        distance = np.abs(x - y) / np.ldexp(1.0, exponent - digits)
    distance = np.where((x == y) | (np.isnan(x) & np.isnan(y)), 0.0, distance)
    return float(np.where(np.isnan(distance), np.inf, distance).max())


def _relative_distance(a: np.ndarray, reference: np.ndarray) -> float:
    x, y = a.astype(np.float64), reference.astype(np.float64)
    finite = np.isfinite(x) & np.isfinite(y)
    scale = float(np.abs(y[finite]).max(initial=0.0))
    distance = float(np.abs(x[finite] - y[finite]).max(initial=0.0))
    return distance / scale if scale else distance


def _weighted_gradients(
    f: Callable[..., Any],
    inputs: Sequence[Any],
    which: Sequence[int],
    rng: np.random.Generator,
    weights: list[Array | None],
    values: list[Array] | None = None,
) -> dict[int, Array]:
    """Return the gradients of the weighted sum of all outputs; append the weights (None: not floating) and values."""
    leaves = [Tensor(a, requires_grad=i in which) if is_array(a) else a for i, a in enumerate(inputs)]
    outputs = _outputs(f(*leaves))
    weights += [_random_like(y.data, rng) if is_floating(y.dtype) else None for y in outputs]
    if values is not None:
        values += [y.data for y in outputs]
    terms = [(y, w) for y, w in zip(outputs, weights, strict=True) if w is not None and y.requires_grad]
    if all(w is None for w in weights):
        raise TypeError("gradcheck: at least one output must be of floating dtype")
    for k, (y, w) in enumerate(terms):
        y.backward(w, retain_graph=k < len(terms) - 1)
    gradients = {}
    for i in which:
        x = leaves[i]
        g = x.grad if x.grad is not None else array_module(x.data).zeros_like(x.data)
        if g.shape != x.shape or g.dtype != x.dtype:
            raise AssertionError(
                f"gradcheck: input {i} has shape {x.shape} and dtype {x.dtype}, "
                f"its gradient has shape {g.shape} and dtype {g.dtype}"
            )
        gradients[i] = g
    return gradients


def _directions(
    inputs: Sequence[Any], which: Sequence[int], rng: np.random.Generator
) -> Iterator[tuple[str, dict[int, Array]]]:
    """Yield what to call it and the direction for each input that moves."""
    random = {i: _random_like(inputs[i], rng) for i in which}
    yield "along a random direction through all inputs", random
    for i in which:
        shape, size = inputs[i].shape, inputs[i].size
        for position in rng.choice(size, min(size, 3), replace=False) if size else ():
            at = tuple(int(k) for k in np.unravel_index(position, shape))
            one = np.zeros(shape)
            one[at] = 1
            yield f"input {i} of shape {shape} at {at}", {i: like(one, inputs[i])}


def _outputs(result: Any) -> tuple[Tensor, ...]:
    outputs = result if isinstance(result, tuple) else (result,)
    if not all(isinstance(y, Tensor) for y in outputs):
        raise TypeError("gradcheck: the function must return a Tensor or a tuple of Tensors")
    return outputs


def _random_like(x: Array, rng: np.random.Generator) -> Array:
    return like(np.asarray(rng.standard_normal(x.shape)).astype(x.dtype), x)


def _step(x: Array, d: Array) -> Array:
    return array_module(x).asarray(x + d)  # the sum of 0-d arrays is a scalar in NumPy


def _dot(w: Array, y: Array) -> float:
    return float((asnumpy(w) * asnumpy(y)).sum())


def _is_floating(a: Any) -> bool:
    return is_array(a) and is_floating(a.dtype)


def _to_dtype(a: Any, dtype: Any) -> Any:
    a = a.data if isinstance(a, Tensor) else a
    if not is_array(a) and isinstance(a, (float, list, np.generic)):
        a = np.asarray(a)
    return a.astype(dtype) if _is_floating(a) else a
