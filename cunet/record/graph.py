"""A step that was captured as a CUDA graph, ready to be replayed on other inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..autograd.tensor import Tensor
from ..device import Array, is_gpu_array
from .lefts import Lefts
from .moves import Scalars
from .notes import owner
from .place import Place
from .reached import Before, reached, same_bits
from .slots import Run
from .state import State
from .tree import Tree, leaves_of
from .watch import Watch


class EarlierGradient:
    """Stands for a gradient from before the step; whoever wants more of it than that it is there gets an error."""

    __slots__ = ()


class GraphPlan:
    """Replays a step; made by a call of it that is captured and, for its result, replayed at once.

    Args:
        step, tree: the step, and its call.
        place: where it is captured.
        watch: what it reaches.
        adds: whether it may look at gradients that were there before.

    Attributes:
        noted: what the capture noted.
        result: of the call.
        spoiled: why its replays would not do what the step does, or "".
        bytes, peak, least: memory of the pool.
        written: arrays from before the step that it reaches, without gradients: each whole, and once.

    Raises:
        NotRecordable: see `Before.check` and `Lefts.add`; tensors and optimisers are as they were.
    """

    def __init__(self, step: Callable[..., Any], tree: Tree, place: Place, watch: Watch, adds: bool) -> None:
        self._place, self._watch = place, watch
        self._inputs = [a.copy(order="K") for a in tree.arrays]
        self._ids = [id(t._data) for t in watch.tensors]
        self._streams = [(g.seed, g.stream) for g in watch.generators]
        self.written = reached(watch)
        self.noted = Run(place.slots, watch, captured=True)
        before = Before(watch)
        try:
            put = _put_gradients(watch, adds)
            self._graph, found = place.capture(lambda: tree.call(step, self._inputs), self.noted)
            before.check(self.noted)
            self._brought = [(watch.tensors[k], room) for k, room in put.items() if adds]
            self._kept = [(t, room) for t, room in self._brought if t._grad is room]
            self._take(found, put, before.state)
        except BaseException:
            before.state.restore(watch)
            raise
        after = [g.call for g in watch.generators]
        self._drawn = [b - a for a, b in zip(before.state.calls, after, strict=True)]
        self._updates = [Scalars(u, watch.optimizers[u.optimizer]) for u in self.noted.updates]
        for t, old in zip(watch.tensors, before.state.grads, strict=True):
            t._grad = old
        self._launch(tree.arrays, self.noted.scalars, before.state.calls)
        self.spoiled = self._write_back(tree.arrays)
        self.result = self._leave(before.state.calls)
        self.bytes = self.peak = self.least = place.pool.total_bytes()

    def _take(self, found: Any, put: dict[int, Any], before: State) -> None:
        """Find what the step leaves behind."""
        self._lefts = Lefts([owner(a) for a in (*self._inputs, *self.written, *[room for _, room in self._brought])])
        self._grads: list[tuple[Tensor, int | None]] = []
        for k, (t, old) in enumerate(zip(self._watch.tensors, before.grads, strict=True)):
            if t._grad is None and old is not None:
                self._grads.append((t, None))
            elif t._grad is not put.get(k, old):
                self._grads.append((t, self._lefts.add(t._grad, "gradient")))
        leaves: list[Array] = []
        self._build = leaves_of(found, leaves)
        self._leaves = [self._lefts.add(a, "result") for a in leaves]

    def _launch(self, arrays: Sequence[Array], scalars: Sequence[Sequence[float]], calls: Sequence[int]) -> None:
        """Compute everything, from these inputs, scalars of optimisers and calls of streams."""
        place = self._place
        with place.entered():
            for room, a in zip(self._inputs, arrays, strict=True):
                room[...] = a
            for t, room in self._brought:
                room[...] = t._grad
            place.slots.fill(self.noted, scalars, calls if any(self._drawn) else ())
            self._graph.launch(place.stream)

    def _write_back(self, arrays: Sequence[Array]) -> str:
        """Bring what the step wrote into inputs, or gradients that it replaced, to where it belongs; say so."""
        kept = {id(room) for _, room in self._kept}
        pairs = list(zip(self._inputs, arrays, strict=True))
        pairs += [(room, t._grad) for t, room in self._brought if id(room) not in kept]
        wrong = [(room, a) for room, a in pairs if not same_bits(room, a)]
        for room, a in wrong:
            a[...] = room
        return f"it writes into an input, or an earlier gradient, of shape {wrong[0][0].shape}" if wrong else ""

    def _leave(self, calls: Sequence[int], after: Sequence[tuple[Any, ...]] = ()) -> Any:
        """Put everything where the step would have put it; return its result.

        Args:
            calls: of streams, before the step.
            after: numbers of optimisers after it, where they have not moved on yet.
        """
        fresh = self._lefts.copies()
        for t, room in self._kept:
            t._grad[...] = room  # type: ignore[index]
        for t, number in self._grads:
            t._grad = None if number is None else fresh[number]
        for generator, call, drawn in zip(self._watch.generators, calls, self._drawn, strict=True):
            generator.call = call + drawn
        for update, numbers in zip(self._updates, after, strict=False):
            update.move(numbers)
        return self._build([fresh[number] for number in self._leaves])

    def fits(self) -> bool:
        """Tell whether parameters, buffers and streams are those of the capture."""
        return [id(t._data) for t in self._watch.tensors] == self._ids and [
            (g.seed, g.stream) for g in self._watch.generators
        ] == self._streams

    def run(self, arrays: Sequence[Array]) -> tuple[Any, str]:
        """Replay the step on other inputs; return its result and "", or why nothing was done."""
        after, scalars = [], []
        for update in self._updates:
            now = update.now()
            if now is None:
                return None, "an optimiser takes another path"
            after.append(now[0])
            scalars.append([float(s) for s in now[1]])
        calls = [g.call for g in self._watch.generators]
        self._launch(arrays, scalars, calls)
        return self._leave(calls, after), ""

    def times(self) -> dict[str, float]:
        """Return nothing: a GPU is not asked how long its kernels take."""
        return {}


def _put_gradients(watch: Watch, adds: bool) -> dict[int, Any]:
    """Put something in the place of gradients; return it by tensor: arrays to copy them into, or what stands for them.

    Most steps clear them first. To copy them in would cost as much as to hand them out.
    """
    put: dict[int, Any] = {}
    for k, t in enumerate(watch.tensors):
        if is_gpu_array(t._grad):
            put[k] = t._grad.copy(order="K") if adds else EarlierGradient()  # type: ignore[union-attr]
            t._grad = put[k]
    return put
