"""Two copies of a net in training, one by eager steps and one by a compiled step, which must agree in every bit."""

import types

import numpy as np

import cunet
from cunet import functional as F
from cunet import nn, optim
from cunet.device import is_array, to_device
from cunet.kernels.backends.native.plans import library
from cunet.random import get_state, set_state

STEPS = 8  # of a step that is never replayed
WARM = 6  # steps until a step is replayed
#: Under ``--poison`` every new array is written by NumPy, which nobody records: such steps run as they are written.
POISONED = not isinstance(np.empty, types.BuiltinFunctionType)


def records():
    """Tell whether steps are recorded here: kernels are compiled, and the device under test is the CPU."""
    return cunet.native.enabled() and library() is not None


def mlp():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def bn_net():
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Sigmoid(), nn.Linear(8, 3))


def batch(rng, n=8, shape=(6,), classes=3):
    """Return an input and its labels."""
    return rng.normal(size=(n, *shape)).astype(np.float32), rng.integers(0, classes, n)


def sgd(parameters):
    return optim.SGD(parameters, lr=0.1, momentum=0.9)


class Side:
    """A net, its optimiser and its step; random streams of the process are as this side left them."""

    def __init__(self, make, optimizer, loss):
        self.streams = get_state()
        self.model = make()
        self.optimizer = optimizer(self.model.parameters())
        self.loss = loss

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = self.loss(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def run(self, step, *args):
        set_state(self.streams)
        found = step(*args)
        self.streams = get_state()
        return found

    def state(self):
        """Return everything that training changes, as bytes by name."""
        found = {f"model.{k}": a for k, a in self.model.state_dict().items()}
        found |= {f"grad.{k}": p.grad for k, p in self.model.named_parameters()}
        for k, state in enumerate(self.optimizer.state):
            found |= {f"optimizer.{k}.{name}": value for name, value in state.items()}
        return {k: None if a is None else np.asarray(to_device(a, "cpu")).tobytes() for k, a in found.items()} | {
            "streams": self.streams,
        }


class Pair:
    """See the module.

    Args:
        make: returns the model; both are made from one seed.
        optimizer: of parameters.
        loss: of output and target.
        step: what to compile, of a `Side` and a batch; by default a training step.
    """

    def __init__(self, make=mlp, optimizer=sgd, loss=F.cross_entropy, step=None):
        cunet.manual_seed(7)
        self.eager = Side(make, optimizer, loss)
        cunet.manual_seed(7)
        self.side = Side(make, optimizer, loss)
        self.of_eager = self.eager.step if step is None else step(self.eager)
        self.compiled = cunet.compile(self.side.step if step is None else step(self.side))

    def both(self, *args):
        """Run a step on both sides; return the compiled one's result."""
        expected = self.eager.run(self.of_eager, *args)
        found = self.side.run(self.compiled, *args)
        assert leaves(found) == leaves(expected)
        assert self.side.state() == self.eager.state()
        return found

    def each(self, change):
        """Do the same to both sides."""
        for side in (self.eager, self.side):
            side.run(change, side)

    @property
    def replays(self):
        return self.compiled.report().replays


class PairOnGpu(Pair):
    """The same on a GPU: nets are moved there, and what steps are given."""

    def __init__(self, make=mlp, *args, **kwargs):
        super().__init__(lambda: make().to("gpu"), *args, **kwargs)

    def both(self, *args):
        """Run a step on both sides; return the compiled one's result."""
        return super().both(*[to_device(a, "gpu") if isinstance(a, np.ndarray) else a for a in args])


def warmed(rng, *args, **kwargs):
    pair = Pair(*args, **kwargs)
    for _ in range(WARM):
        pair.both(*batch(rng))
    assert pair.replays
    return pair


def refused(rng, step, *more):
    """Run a kind of step on both sides; return the report as text."""
    pair = Pair(step=step)
    for _ in range(STEPS):
        pair.both(*batch(rng), *more)
    assert pair.replays == 0
    return str(pair.compiled.report())


def trained(side, x, y):
    side.optimizer.zero_grad()
    loss = F.cross_entropy(side.model(x), y)
    loss.backward()
    side.optimizer.step()
    return loss


def leaves(found):
    """Return what a step returned as bytes."""
    if isinstance(found, (tuple, list)):
        return [part for item in found for part in leaves(item)]
    if isinstance(found, dict):
        return [(k, part) for k, item in found.items() for part in leaves(item)]
    found = found.data if isinstance(found, cunet.Tensor) else found
    return [(found.dtype, found.shape, found.tobytes()) if is_array(found) else found]
