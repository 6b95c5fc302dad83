"""Every layer, every optimiser, every example's net, under scripts of changes: the bits of eager steps."""

import importlib.util
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from optimizer_rows import FULL_ROWS
from record_helpers import POISONED, Pair, records
from record_layers import CHANGES, LAYERS, LOSSES, NARROWER, NOT_ALONE, Around, inputs_of

from cunet import functional as F
from cunet import nn, optim
from cunet.cli.nets import cnn, mlp

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.slow,
    pytest.mark.skipif(POISONED or not records(), reason="kernels run on NumPy here"),
]
NAMES = [name for name in (*LAYERS, *LOSSES) if name not in NARROWER]
#: The simplest script, which is drawn first, is one without events.
EVENTS = [None, *CHANGES, 3, 5, "hold", "let go", "clip", "fail"]
LONG, SHORT = 17, 7  # events of three steps; steps until some were replayed


def trained(side):
    """Return a step of a net that returns its loss."""
    side.most = None

    def step(*inputs):
        side.optimizer.zero_grad()
        loss = side.model(*inputs)
        loss.backward()
        if side.most:
            optim.clip_grad_norm_(side.model.parameters(), side.most)
        side.optimizer.step()
        return loss

    return step


def clip(side):
    side.most = None if side.most else 0.01


def fail(pair, inputs):
    """Let a layer fail on both sides in the same way."""

    def broken(*args):
        raise RuntimeError("broken")

    for side, step in ((pair.eager, pair.of_eager), (pair.side, pair.compiled)):
        layer = list(side.model.modules())[-1]
        layer.forward = broken
        with pytest.raises(RuntimeError, match="broken"):
            side.run(step, *inputs)
        del layer.forward


def play(pair, script, draw):
    """Go through a script, three steps after each event, with inputs of `draw(n)`."""
    n, held = 4, []
    for event in script:
        if isinstance(event, int):
            n = event
        elif event == "hold":
            held += [(a, a.copy()) for p in pair.side.model.parameters() if (a := p.grad) is not None]
        elif event == "let go":
            held.clear()
        elif event == "fail":
            fail(pair, draw(n))
        elif event is not None:
            pair.each(clip if event == "clip" else event)
        for _ in range(3):
            loss = pair.both(*draw(n))
        if held:
            held.append((loss.data, loss.data.copy()))
    assert all(a.tobytes() == copy.tobytes() for a, copy in held)


def optimizer_of(row):
    cls, kwargs = row
    return lambda parameters: cls(parameters, **kwargs)


def scripts(length=LONG):
    return st.lists(st.sampled_from(EVENTS), min_size=length, max_size=length)


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_under_a_script_of_changes(name):
    row = FULL_ROWS[NAMES.index(name) % len(FULL_ROWS)]

    @settings(max_examples=2, phases=[Phase.generate])
    @given(scripts(), st.integers(0, 99))
    def run(script, seed):
        rng = np.random.default_rng(seed)
        pair = Pair(lambda: Around(name), optimizer_of(row), step=trained)
        play(pair, script, lambda n: inputs_of(name, rng, n))
        assert pair.replays > 0 if any(script) else pair.replays >= 3 * LONG - 9, pair.compiled.report()

    run()


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_with_every_optimiser(rng, name):
    for row in FULL_ROWS:
        pair = Pair(lambda: Around(name), optimizer_of(row), step=trained)
        for _ in range(SHORT):
            pair.both(*inputs_of(name, rng, 4))
        assert pair.replays >= 1, (row, pair.compiled.report())


def test_no_layer_is_missing():
    layers = {name for name in nn.__all__ if isinstance(getattr(nn, name), type)}
    assert layers - {"Parameter", "VarianceReport"} == {*NAMES} | NOT_ALONE | NARROWER


class Scored(nn.Module):
    """A net and its loss."""

    def __init__(self, net, loss=F.cross_entropy):
        self.net, self.loss = net, loss

    def forward(self, x, y):
        return self.loss(self.net(x), y)


def example(name):
    """Return the module of an example, which is not run."""
    path = Path(__file__).parents[2] / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"example_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def mnist_mlp():
    return Scored(mlp([20, 12, 8, 10], norm="batch", activation="elu", dropout=0.2, init="kaiming_normal"))


def mnist_cnn():
    return Scored(cnn(8, channels=(2, 3), hidden=8, activation="relu", dropout=0.2, init="kaiming_normal"))


def torch_style():
    return Scored(example("mnist_torch_style").Net(), F.nll_loss)


def mnist_loop():
    return Scored(nn.Sequential(nn.Linear(20, 12), F.relu, nn.Dropout(0.2), nn.Linear(12, 10)))


#: The net, its optimiser, the shape of a sample, and events of a script.
EXAMPLES = {
    mnist_mlp: (optim.Lion, {}, (20,), LONG),
    mnist_cnn: (optim.AdamW, {}, (1, 8, 8), LONG),
    torch_style: (optim.Adadelta, {"lr": 1.0}, (1, 28, 28), 3),
    mnist_loop: (optim.Adam, {"lr": 1e-3}, (20,), LONG),
}


@pytest.mark.parametrize("make", EXAMPLES)
def test_every_net_of_the_examples_under_a_script_of_changes(make):
    cls, kwargs, shape, length = EXAMPLES[make]

    @settings(max_examples=2, phases=[Phase.generate])
    @given(scripts(length), st.integers(0, 99))
    def run(script, seed):
        rng = np.random.default_rng(seed)
        pair = Pair(make, optimizer_of((cls, kwargs)), step=trained)
        play(pair, script, lambda n: (rng.random((n, *shape), np.float32), rng.integers(0, 10, n)))
        assert pair.replays > 0, pair.compiled.report()

    run()


def test_the_example_of_features_on_one_scale(rng):
    pair = Pair(
        lambda: Scored(nn.Linear(2, 1, init="zeros", dtype=np.float64), F.mse_loss),
        lambda p: optim.SGD(p, lr=0.1),
        step=trained,
    )
    for _ in range(3 * LONG):
        pair.both(rng.normal(size=(50, 2)), rng.normal(size=(50, 1)))
    assert pair.replays >= 3 * LONG - 6


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_the_example_of_characters_hands_its_state_on(rng, cell):
    module = example("char_rnn")
    args = Namespace(cell=cell, hidden=6, variational=0.2, weight_drop=0.3)

    def step(side):
        def chunk(x, y, state):
            side.optimizer.zero_grad()
            scores, state = side.model(x, state)
            loss = module.bits(scores, y)
            loss.backward()
            optim.clip_grad_norm_(side.model.parameters(), 1.0)
            side.optimizer.step()
            return loss, module.detach(state)

        return chunk

    pair, state = Pair(lambda: module.CharModel(args), lambda p: optim.Adam(p, lr=0.01), step=step), None
    for k in range(3 * LONG):
        codes = rng.integers(0, 97, (5 if k % 10 else 3, 4))
        _, state = pair.both(codes, codes, state)
    assert pair.replays >= 2 * LONG, pair.compiled.report()
