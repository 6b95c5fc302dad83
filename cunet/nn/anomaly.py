"""Find where NaN and infinities come from: the op, the layer, and the line of the user's program."""

from __future__ import annotations

import linecache
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple

from ..autograd.tape import recording
from ..device import array_module, is_array, is_floating
from .module import Module


class Anomaly(FloatingPointError):
    """A value or a gradient became NaN or infinite.

    Attributes:
        op: name of the op.
        backward: whether it was the op's gradient.
        module: the layer's place in the model, such as "layers.2", or "" outside of models.
        file, line: of the user's program, where the op was called.

    Example:
        >>> x = cunet.tensor([-1.0], requires_grad=True)
        >>> try:
        ...     with cunet.detect_anomaly():
        ...         cunet.sqrt(x)
        ... except cunet.Anomaly as anomaly:
        ...     print(anomaly.op, anomaly.backward)
        sqrt False
    """

    def __init__(self, text: str, op: str, backward: bool, place: Place) -> None:
        super().__init__(text)
        self.op, self.backward = op, backward
        self.module, self.file, self.line = place.module, place.file, place.line


class Place(NamedTuple):
    """Where an op was called.

    Attributes:
        module, kind: the innermost layer's place in the outermost one, and its class; "" outside of layers.
        file, line: the innermost line that is not cunet's.
    """

    module: str
    kind: str
    file: str
    line: int

    def __str__(self) -> str:
        """Say it in words, with the text of the line."""
        layer = f" in {self.module} ({self.kind})" if self.module else f" in {self.kind}" if self.kind else ""
        text = linecache.getline(self.file, self.line).strip()
        return f"{layer}, called at {self.file}:{self.line}" + (f": {text}" if text else "")


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Within a ``with`` block, raise `Anomaly` at the first op whose result or gradient becomes NaN or infinite.

    The error names the op, the layer and the line. Recorded ops are watched, and their gradients in `backward` (which
    may come after the block). An infinity that an op was given is none it made: a mask of ``-inf`` raises nothing; NaN
    that came from outside is named too. Each result is looked at, so use it to search, not to train. Off, it costs
    nothing.

    Example:
        >>> x = cunet.tensor([0.0, 1.0], requires_grad=True)
        >>> with cunet.detect_anomaly():
        ...     y = cunet.log(x)
        Traceback (most recent call last):
            ...
        cunet.nn.anomaly.Anomaly: detect_anomaly: log made infinity in 1 of 2 values, of shape (2,) of finite values...
    """
    token = recording.set(_Watcher() if recording.get() else False)
    try:
        yield
    finally:
        recording.reset(token)


class _Watcher:
    """Looks at what every recorded op makes; stands in the place of True in `recording`."""

    def watched(self, name: str, inputs: Sequence[Any], y: Any, vjp: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Look at a result; return the vjp that looks at its gradients."""
        name, place = name.lstrip("_"), place_here()
        made, given = _worst(y if isinstance(y, tuple) else (y,)), _worst(inputs)
        if made and (made.kind == "NaN" or not given):
            if given and given.kind == "NaN":
                text = f"detect_anomaly: {name} was given NaN that no watched op made: {given}{place}"
            else:
                of = "infinities" if given else "finite values"
                text = f"detect_anomaly: {name} made {made} of {of}{place}"
            raise Anomaly(text, name, False, place)

        def looked_at(gy: Any) -> Any:
            gradients = vjp(gy)
            if _worst(gy if isinstance(gy, tuple) else (gy,)):
                return gradients  # seeds and sums of gradients are no op's

            def check(k: int, g: Any) -> Any:
                worst = _worst((g,))
                if worst:
                    text = (
                        f"detect_anomaly: backward of {name} made {worst} of a finite gradient, for argument {k}{place}"
                    )
                    raise Anomaly(text, name, True, place)
                return g

            def later(k: int, g: Callable[[], Any]) -> Callable[[], Any]:
                return lambda: check(k, g())

            return tuple([later(k, g) if callable(g) else check(k, g) for k, g in enumerate(gradients)])

        return looked_at


class _Found(NamedTuple):
    """What is not finite in an array."""

    kind: str
    number: int
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.kind} in {self.number} of {math.prod(self.shape)} values, of shape {self.shape}"


def _worst(values: Sequence[Any]) -> _Found | None:
    """Return what is not finite among arrays and numbers: NaN before infinities; None if all is finite."""
    found = None
    for value in values:
        if isinstance(value, float):
            kind = "NaN" if value != value else "infinity" if value in (float("inf"), -float("inf")) else ""
            found = _Found(kind, 1, ()) if kind and (found is None or kind == "NaN") else found
        elif is_array(value) and is_floating(value.dtype):
            xp = array_module(value)
            wrong = ~xp.isfinite(value)
            if bool(wrong.any()):
                nan = xp.isnan(value)
                kind = "NaN" if bool(nan.any()) else "infinity"
                if found is None or kind == "NaN":
                    found = _Found(kind, int((nan if kind == "NaN" else wrong).sum()), value.shape)
        if found is not None and found.kind == "NaN":
            return found
    return found


def place_here() -> Place:
    """Walk the stack outwards: to the first line that is not cunet's, and to the layers that run."""
    modules: list[Module] = []
    user: FrameType | None = None
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if user is None and name.partition(".")[0] != "cunet":
            user = frame
        if frame.f_code is Module.__call__.__code__:
            modules.append(frame.f_locals["self"])
        frame = frame.f_back
    file, line = (user.f_code.co_filename, user.f_lineno) if user is not None else ("?", 0)
    if not modules:
        return Place("", "", file, line)
    inner, root = modules[0], modules[-1]
    path = next((name for name, module in root.named_modules() if module is inner), "")
    return Place(path, type(inner).__name__, file, line)
