"""The ops that a record measures, for cunet and for PyTorch, and the bytes that each has to move."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cunet import F, Tensor, no_grad
from cunet.ops.activation.registry import ACTIVATIONS, Activation

from .plan import CHIEF
from .rows import Skipped
from .timing import filled

WIDTH = 1024  # features of a row


@dataclass(frozen=True)
class Case:
    """One op to measure.

    Attributes:
        name: of the op.
        call: ``call(F, x, *params)``, for cunet's functional module and, if there is no `twin`, for PyTorch's.
        passes: how often all elements cross the memory bus, forward and backward, at least; None for products, which
            arithmetic bounds.
        shape: of x, from its number of elements.
        params: makes the other arguments for a shape; floating ones get gradients.
        twin: ``twin(torch, x, *params)``, where PyTorch has it under another name.
    """

    name: str
    call: Callable[..., Any]
    passes: tuple[int, int] | None = (2, 3)
    shape: Callable[[int], tuple[int, ...]] = lambda n: (max(n // WIDTH, 2), WIDTH)
    params: Callable[[tuple[int, ...]], tuple[np.ndarray, ...]] = lambda shape: ()
    twin: Callable[..., Any] | None = None

    def torch(self, torch: Any, x: Any, *params: Any) -> Any:
        """Call PyTorch's op."""
        return self.twin(torch, x, *params) if self.twin else self.call(torch.nn.functional, x, *params)


def _images(n: int) -> tuple[int, ...]:
    return max(n // (64 * 28 * 28), 2), 64, 28, 28


def _affine(axis: int) -> Callable[[tuple[int, ...]], tuple[np.ndarray, ...]]:
    return lambda shape: (np.ones(shape[axis], np.float32), np.zeros(shape[axis], np.float32))


def _scale(shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    return (np.ones(shape[-1], np.float32),)


def _weights(shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """A square matrix of features, or a kernel of 3 x 3 from as many channels to as many."""
    kernel = (shape[1], shape[1], *(3 for _ in shape[2:]))
    return (np.random.default_rng(1).standard_normal(kernel).astype(np.float32) / math.sqrt(math.prod(kernel[1:])),)


def _labels(shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    return (np.arange(shape[0]) * 7 % shape[1],)


def _torch_batch_norm(torch: Any, x: Any, w: Any, b: Any) -> Any:
    return torch.nn.functional.batch_norm(x, None, None, w, b, training=True)


#: What PyTorch calls an activation whose layer it does not have.
_TORCH_LAYERS = {"threshold": lambda nn: nn.Threshold(1.0, 0.0)}


def _activation(entry: Activation, options: dict[str, Any]) -> Case:
    def call(f: Any, x: Any) -> Any:
        return getattr(f, entry.name)(x, **options)

    def twin(torch: Any, x: Any) -> Any:
        if entry.name in _TORCH_LAYERS:
            return _TORCH_LAYERS[entry.name](torch.nn)(x)
        if not hasattr(torch.nn, str(entry.layer)):
            raise Skipped(f"PyTorch has no layer {entry.layer}")
        return getattr(torch.nn, str(entry.layer))(**options)(x)

    return Case(" ".join([entry.name, *map(str, options.values())]), call, twin=twin)


def _activations() -> list[Case]:
    """Return a case for each pair of kernels of the elementwise activations."""
    return [_activation(entry, options) for entry in ACTIVATIONS.values() for options in entry.settings()]


CASES = [
    *_activations(),
    Case(
        "prelu",
        lambda f, x, w: f.prelu(x, w),
        params=lambda shape: (np.full(shape[1], 0.25, np.float32),),
        shape=_images,
    ),
    Case("dropout", lambda f, x: f.dropout(x, 0.5), (2, 2)),
    Case("dropout2d", lambda f, x: f.dropout2d(x, 0.5), (2, 2), _images),
    Case("alpha_dropout", lambda f, x: f.alpha_dropout(x, 0.5, True), (2, 2)),
    Case("feature_alpha_dropout", lambda f, x: f.feature_alpha_dropout(x, 0.5, True), (2, 2), _images),
    Case("softmax", lambda f, x: f.softmax(x, -1)),
    Case("log_softmax", lambda f, x: f.log_softmax(x, -1)),
    Case("cross_entropy", lambda f, x, t: f.cross_entropy(x, t), (1, 2), params=_labels),
    # Its statistics need a pass of their own, both ways: x is read twice, then x and gy.
    Case(
        "batch_norm",
        lambda f, x, w, b: f.batch_norm(x, None, None, w, b, training=True),
        (3, 5),
        params=_affine(1),
        twin=_torch_batch_norm,
    ),
    Case(
        "batch_norm images",
        lambda f, x, w, b: f.batch_norm(x, None, None, w, b, training=True),
        (3, 5),
        _images,
        _affine(1),
        _torch_batch_norm,
    ),
    # A row fits into the registers of its threads: one pass is enough.
    Case("layer_norm", lambda f, x, w, b: f.layer_norm(x, x.shape[-1:], w, b), params=_affine(1)),
    Case("rms_norm", lambda f, x, w: f.rms_norm(x, x.shape[-1:], w), params=_scale),
    Case("group_norm", lambda f, x, w, b: f.group_norm(x, 8, w, b), (2, 3), _images, _affine(1)),
    Case("instance_norm", lambda f, x, w, b: f.instance_norm(x, weight=w, bias=b), (2, 3), _images, _affine(1)),
    # The gradient of the bias sums 1024 columns.
    Case("bias", lambda f, x, b: x + b, params=lambda shape: (np.zeros(shape[1], np.float32),)),
    Case("linear", lambda f, x, w: f.linear(x, w), None, params=_weights),
    Case("conv2d", lambda f, x, w: f.conv2d(x, w, padding=1), None, _images, _weights),
]


def chosen(names: tuple[str, ...] = ()) -> list[Case]:
    """Return the cases of those names in their order; without names all, the chief ones first."""
    known = {case.name: case for case in CASES}
    return [known[name] for name in names or dict.fromkeys([*CHIEF, *known])]


def ways(case: Case, xp: Any, n: int, dtype: Any) -> Iterator[tuple[str, Callable[[], Any], int]]:
    """Yield "forward" and "backward", what to call, and the bytes that have to cross the memory bus (0: a product)."""
    shape = case.shape(n)
    x, params = filled(xp, shape, dtype), [xp.asarray(p) for p in case.params(shape)]
    params = [p.astype(dtype) if p.dtype.kind == "f" else p for p in params]
    leaves = [Tensor(a, requires_grad=a.dtype.kind != "i") for a in (x, *params)]

    def forward() -> Any:
        with no_grad():
            return case.call(F, *leaves)

    y = case.call(F, *leaves)
    gradient = filled(xp, y.shape, y.dtype)

    def backward() -> None:
        for leaf in leaves:
            leaf.grad = None
        y.backward(gradient, retain_graph=True)

    size, passes = x.size * x.dtype.itemsize, case.passes or (0, 0)
    yield "forward", forward, passes[0] * size
    yield "backward", backward, passes[1] * size
