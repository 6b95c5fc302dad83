"""What `gpu_record.py` measures: ops and one training step, in time and in bytes per second, beside PyTorch.

Nothing here needs a GPU but the numbers: a timer and an array module come from outside, so that the tests run all of it
on the simulated device.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cunet import F, Tensor, nn, no_grad, optim
from cunet.ops.activation.registry import ACTIVATIONS, Activation

WIDTH = 1024  # features of a row
Timer = Callable[[Callable[[], Any]], float]  # seconds of one call


class EventTimer:
    """Time a call by events of the device: the median of some runs of several calls each, after a warm-up.

    Several calls lie between two events, so the time of one is what a stream of them costs: the device's, or the
    host's where that is longer, as it is for small arrays.

    Args:
        cuda: ``cupy.cuda``.
        seconds: time to spend on one measurement, about.
        runs: of which the median is taken.
    """

    def __init__(self, cuda: Any, seconds: float = 0.1, runs: int = 7) -> None:
        self.cuda, self.seconds, self.runs = cuda, seconds, runs

    def __call__(self, call: Callable[[], Any]) -> float:
        """Return seconds per call."""
        for _ in range(3):
            call()
        first = self._time(call, 1)
        calls = min(max(1, math.ceil(self.seconds / self.runs / max(first, 1e-6))), 1000)
        return statistics.median(self._time(call, calls) for _ in range(self.runs))

    def _time(self, call: Callable[[], Any], calls: int) -> float:
        start, end = self.cuda.Event(), self.cuda.Event()
        start.record()
        for _ in range(calls):
            call()
        end.record()
        end.synchronize()
        return self.cuda.get_elapsed_time(start, end) / 1e3 / calls


@dataclass(frozen=True)
class Case:
    """One op to measure.

    Attributes:
        name: of the op.
        call: ``call(F, x, *params)``, for cunet's functional module and, if there is no `twin`, for PyTorch's.
        passes: how often all elements cross the memory bus, forward and backward, at least.
        shape: of x, from its number of elements.
        params: makes the other arguments for a shape; floating ones get gradients.
        twin: ``twin(torch, x, *params)``, where PyTorch has it under another name.
    """

    name: str
    call: Callable[..., Any]
    passes: tuple[int, int] = (2, 3)
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
            raise NotImplementedError(f"PyTorch has no layer {entry.layer}")
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
]


def filled(xp: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Return an array of made-up numbers on the device; only the first million is drawn."""
    count = math.prod(shape)
    some = xp.asarray(np.random.default_rng(0).standard_normal(min(count, 1 << 20)).astype(np.float32)).astype(dtype)
    x = xp.empty(count, dtype)
    for start in range(0, count, some.size):
        part = x[start : start + some.size]
        part[...] = some[: part.size]
    return x.reshape(shape)


def copy_bandwidths(xp: Any, timer: Timer, sizes: Sequence[int]) -> dict[int, float]:
    """Return the bytes per second, read and written together, of a copy of each number of bytes."""
    found = {}
    for size in sizes:
        source, target = xp.zeros(size, np.uint8), xp.zeros(size, np.uint8)
        found[size] = 2 * size / timer(lambda source=source, target=target: xp.copyto(target, source))  # type: ignore[misc]
    return found


def ways(case: Case, xp: Any, n: int, dtype: Any) -> Iterator[tuple[str, Callable[[], Any], int]]:
    """Yield "forward" and "backward", what to call, and the bytes that have to cross the memory bus."""
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

    size = x.size * x.dtype.itemsize
    yield "forward", forward, case.passes[0] * size
    yield "backward", backward, case.passes[1] * size


def measure(
    xp: Any, timer: Timer, sizes: Sequence[int], dtypes: Sequence[Any], rivals: Any = None, cases: Sequence[Case] = ()
) -> dict[str, Any]:
    """Measure all cases in all sizes and dtypes.

    Args:
        xp: the array module.
        timer: times a call.
        sizes: numbers of elements.
        dtypes: floating dtypes.
        rivals: ``rivals(case, n, dtype) -> {"forward": {name: seconds}, "backward": ...}``, or None.
        cases: `CASES` if not given.

    Returns:
        "copy": rows of "bytes" and "bytes_per_second"; "ops": rows of "op", "direction", "dtype", "elements",
        "bytes" (that must be moved), "seconds", "fraction" (of the bandwidth of a copy of as many bytes as x has)
        and "rivals" (seconds by name); "errors": what could not be measured, in words.
    """
    dtypes = [np.dtype(d) for d in dtypes]
    bandwidth = copy_bandwidths(xp, timer, sorted({n * d.itemsize for n in sizes for d in dtypes}))
    rows: list[dict[str, Any]] = []
    errors = []
    for case in cases or CASES:
        for dtype in dtypes:
            for n in sizes:
                try:
                    rows += _measure_one(case, xp, timer, n, dtype, bandwidth[n * dtype.itemsize], rivals)
                except Exception as error:  # a GPU with less memory still gives a record
                    errors.append(f"{case.name} {dtype.name} {n:.0e}: {type(error).__name__}: {str(error)[:200]}")
                xp.get_default_memory_pool().free_all_blocks()  # PyTorch has a pool of its own
    copies = [{"bytes": k, "bytes_per_second": v} for k, v in bandwidth.items()]
    return {"copy": copies, "ops": rows, "errors": errors}


def _measure_one(
    case: Case, xp: Any, timer: Timer, n: int, dtype: np.dtype, bandwidth: float, rivals: Any
) -> list[dict[str, Any]]:
    rows = []
    for direction, call, moved in ways(case, xp, n, dtype):
        seconds = timer(call)
        row = {"op": case.name, "direction": direction, "dtype": dtype.name, "elements": n, "bytes": moved}
        rows.append(row | {"seconds": seconds, "fraction": moved / seconds / bandwidth, "rivals": {}})
    others = rivals(case, n, dtype) if rivals else {}
    for row in rows:
        row["rivals"] = others.get(row["direction"], {})
    return rows


def mlp_step(xp: Any, batch: int) -> Callable[[], Any]:
    """Return a training step of the MLP: 784-512-256-10, batch norm, ReLU, dropout, Adam."""
    layers: list[Any] = []
    for i, o in ((784, 512), (512, 256)):
        layers += [nn.Linear(i, o, bias=False), nn.BatchNorm1d(o), nn.ReLU(), nn.Dropout(0.2)]
    model = nn.Sequential(*layers, nn.Linear(256, 10)).to("gpu")
    optimizer = optim.Adam(model.parameters())
    x, target = Tensor(filled(xp, (batch, 784), np.float32)), xp.asarray(np.arange(batch) % 10)

    def step() -> Any:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        return loss

    return step


def measure_mlp(xp: Any, timer: Timer, batches: Sequence[int], rivals: Any = None) -> list[dict[str, Any]]:
    """Return rows of "batch", "images_per_second" and "rivals" (images per second by name)."""
    rows = []
    for batch in batches:
        own = batch / timer(mlp_step(xp, batch))
        others = {name: batch / seconds for name, seconds in (rivals(batch) if rivals else {}).items()}
        rows.append({"batch": batch, "images_per_second": own, "rivals": others})
    return rows
