"""Counter-based random streams: the same bits on every device, in any order, without stored masks.

A draw is Philox4x64-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") with
key ``(seed, id of the stream's name)`` and counter ``(0, call, 0, 0)``, bit for bit
``numpy.random.Philox``. Each draw takes the next call number, so streams of different names, and
different calls of one stream, never overlap, and a draw can be made again from three plain numbers.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np

from ..device import Array, gpu, resolve_device
from ..system.place import here

_MASK = (1 << 64) - 1


class Draw(NamedTuple):
    """What names one draw: the Philox key ``(seed, stream)`` and the call number, each 64 bits.

    Example:
        >>> draw = cunet.Generator(seed=7, stream="noise").next()
        >>> first = draw.rng().normal(size=3)
        >>> np.array_equal(draw.rng().normal(size=3), first)  # a draw names its numbers: they can be had again
        True
    """

    seed: int  #: of the generator, 64 bits
    stream: int  #: `stream_id` of its name
    call: int  #: which of its draws, counted from 0

    def bit_generator(self, block: int = 0) -> np.random.Philox:
        """Return NumPy's Philox at the first word of 256-bit block `block` of this draw."""
        return np.random.Philox(key=self.seed | self.stream << 64, counter=block | self.call << 64)

    def rng(self) -> np.random.Generator:
        """Return a NumPy generator that reads this draw from its beginning."""
        return np.random.Generator(self.bit_generator())


class Counter:
    """Where a call number lies in the memory of a GPU; a graph that is replayed reads what is there then.

    Attributes:
        array: the number, shape (1,), uint64.
        start: what it is; `Generator.commit` and `Generator.replayed` count it up.
    """

    def __init__(self, array: Array, start: int) -> None:
        self.array, self.start = array, start

    def at(self, call: int) -> Counted:
        """Return a call number as so many calls after the one that is there."""
        return Counted(self.array, (call - self.start) & _MASK)


class Counted(NamedTuple):
    """A number that is `offset` more than the one in an array of a GPU, modulo 2**64: an argument of grid kernels."""

    array: Array
    offset: int


class _CountedDraw(Draw):
    """A draw whose call number lies on a GPU too."""

    counter: Counter


def call_of(draw: Draw) -> Any:
    """Return the call number of a draw as kernels on a GPU take it."""
    return draw.counter.at(draw.call) if isinstance(draw, _CountedDraw) else np.uint64(draw.call)


class Generator:
    """A named stream of draws.

    Args:
        seed: any integer; taken modulo 2**64.
        stream: name of the stream; streams of one seed are independent of each other.
        call: number of the next draw.

    The whole state is ``(seed, stream, call)``: see `state_dict`.

    Raises:
        TypeError: the seed is no integer.

    Example:
        >>> generator = cunet.Generator(seed=7, stream="noise")
        >>> noise = generator.rng().normal(size=3)
        >>> generator  # one draw was taken
        Generator(seed=7, stream='noise', call=1)
        >>> F.dropout(cunet.tensor(np.ones(8, np.float32)), generator=generator.spawn("dropout"))
        Tensor([2., 2., 0., 2., 0., 2., 0., 0.])
    """

    def __init__(self, seed: int = 0, stream: str = "default", call: int = 0) -> None:
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise TypeError(f"Generator: seed must be an int, got {type(seed).__name__}")
        self.seed, self.stream, self.call = int(seed) & _MASK, stream, call
        self._lock = threading.Lock()
        self._counter: Counter | None = None

    def __repr__(self) -> str:
        """Show the three numbers that are the state."""
        return f"Generator(seed={self.seed}, stream={self.stream!r}, call={self.call})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle the three numbers; a lock belongs to one process."""
        return type(self), (self.seed, self.stream, self.call)

    def next(self) -> Draw:
        """Take the next draw; for a sample of a dataset that a `Loader` asks for, one that depends on its place."""
        at = here.get()
        if at is not None:
            return Draw(self.seed, stream_id(self.stream), at.call(self.seed, self.stream))
        with self._lock:
            call = self.call
            self.call = (call + 1) & _MASK
        if self._counter is None:
            return Draw(self.seed, stream_id(self.stream), call)
        draw = _CountedDraw(self.seed, stream_id(self.stream), call)
        draw.counter = self._counter
        return draw

    def on_device(self) -> None:
        """Keep the call number on the GPU too, where dropout's kernels then read it: masks stay what they are.

        A CUDA graph that is captured of a step draws new masks in each replay, if the step ends with `commit` and each
        replay is told to `replayed`.

        Raises:
            RuntimeError: there is no GPU.
        """
        resolve_device("gpu")
        xp: Any = gpu()
        self._counter = Counter(xp.full(1, np.uint64(self.call), np.uint64), self.call)

    def commit(self) -> int:
        """Bring the call number on the GPU up to date, by one kernel there; return how many draws that were.

        Raises:
            RuntimeError: `on_device` was not called.
        """
        counter = self._counter
        if counter is None:
            raise RuntimeError("Generator: the call number is not on the GPU; on_device puts it there")
        count = (self.call - counter.start) & _MASK
        counter.array += np.uint64(count)
        counter.start = self.call
        return count

    def replayed(self, count: int) -> None:
        """Note that a graph made `count` draws, and counted them up on the GPU."""
        self.call = (self.call + count) & _MASK
        if self._counter is not None:
            self._counter.start = (self._counter.start + count) & _MASK

    def rng(self) -> np.random.Generator:
        """Take the next draw as a NumPy generator: ``g.rng().normal(size=3)``."""
        return self.next().rng()

    def spawn(self, name: str) -> Generator:
        """Return the stream ``<this stream>/<name>`` of the same seed, from its first call."""
        return Generator(self.seed, f"{self.stream}/{name}")

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain numbers and a name, fit for JSON."""
        return {"seed": self.seed, "stream": self.stream, "call": self.call}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        if set(state) != {"seed", "stream", "call"}:
            raise ValueError(f"Generator: state must have the keys seed, stream, call; got {sorted(state)}")
        self.seed, self.stream, self.call = int(state["seed"]), str(state["stream"]), int(state["call"])


def stream_id(name: str) -> int:
    """Return the 64-bit id of a stream's name (BLAKE2b: the same in every process).

    Example:
        >>> cunet.random.stream_id("dropout")
        10899584076077068586
        >>> cunet.Generator(seed=7, stream="dropout").next()
        Draw(seed=7, stream=10899584076077068586, call=0)
    """
    if name not in _IDS:
        import hashlib

        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        _IDS[name] = int.from_bytes(digest, "little")
    return _IDS[name]


_IDS: dict[str, int] = {}
_defaults: dict[str, Generator] = {}
_seed = 0


def default_generator(stream: str = "default") -> Generator:
    """Return the process-wide generator of a stream: what is used where none is given.

    Example:
        >>> layer = nn.Linear(2, 3)  # draws its weight and its bias
        >>> cunet.random.default_generator("init")
        Generator(seed=0, stream='init', call=2)
    """
    if stream not in _defaults:
        _defaults[stream] = Generator(_seed, stream)
    return _defaults[stream]


def manual_seed(seed: int) -> None:
    """Restart every process-wide generator from `seed`.

    The seed before the first call is 0, so a program that never seeds is reproducible too.

    Example:
        >>> cunet.manual_seed(3)
        >>> first = nn.Linear(2, 3).weight.numpy()
        >>> cunet.manual_seed(3)
        >>> np.array_equal(nn.Linear(2, 3).weight.numpy(), first)
        True
    """
    global _seed
    _seed = Generator(seed).seed
    for generator in _defaults.values():
        generator.seed, generator.call = _seed, 0


def get_state() -> dict[str, Any]:
    """Return the state of all process-wide generators as plain numbers.

    Example:
        >>> y = F.dropout(cunet.tensor([1.0, 1.0]))
        >>> state = cunet.random.get_state()
        >>> [stream for stream in state["streams"] if stream["stream"] == "dropout"]
        [{'seed': 0, 'stream': 'dropout', 'call': 1}]
    """
    return {"seed": _seed, "streams": [g.state_dict() for g in _defaults.values()]}


def set_state(state: dict[str, Any]) -> None:
    """Restore a state that `get_state` returned.

    Example:
        >>> state = cunet.random.get_state()
        >>> F.dropout(cunet.tensor(np.ones(8, np.float32)))
        Tensor([0., 0., 2., 0., 2., 2., 0., 0.])
        >>> cunet.random.set_state(state)
        >>> F.dropout(cunet.tensor(np.ones(8, np.float32)))
        Tensor([0., 0., 2., 0., 2., 2., 0., 0.])
    """
    loaded = {s["stream"]: Generator(s["seed"], s["stream"], s["call"]) for s in state["streams"]}
    manual_seed(state["seed"])
    for name, generator in loaded.items():
        default_generator(name).load_state_dict(generator.state_dict())


def streams() -> dict[str, Generator]:
    """Return the process-wide generators that there are, by stream.

    Example:
        >>> layer = nn.Linear(2, 3)
        >>> cunet.random.streams()["init"].call
        2
    """
    return dict(_defaults)
