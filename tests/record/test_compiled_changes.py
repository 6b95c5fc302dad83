"""A compiled step while everything around it changes: always what the eager step does, in every bit."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_helpers import POISONED, WARM, Pair, batch, bn_net, mlp, records, warmed
from record_layers import CHANGES as COMMON
from record_layers import clear_gradients

import cunet
from cunet import functional as F
from cunet import nn, optim
from cunet.kernels import listening

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(POISONED or not records(), reason="kernels run on NumPy here"),
]


def dropout_net():
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 3))


def momentum(side):
    layer = next(m for m in side.model.modules() if isinstance(m, nn.BatchNorm1d))
    layer.momentum = 0.3 - layer.momentum if layer.momentum != 0.1 else 0.2


def forget_statistics(side):
    next(m for m in side.model.modules() if isinstance(m, nn.BatchNorm1d)).reset_running_stats()


CHANGES = [*COMMON, momentum, forget_statistics]


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
def test_a_change_is_seen(rng, change):
    pair = warmed(rng, dropout_net)
    for _ in range(3):
        pair.each(change)
        for _ in range(3):
            pair.both(*batch(rng))


@given(st.lists(st.sampled_from([*CHANGES, 5, 8, "wrong labels", "hold", "let go"]), max_size=25), st.integers(0, 99))
@settings(max_examples=25)
def test_any_script_of_changes_gives_the_bits_of_eager_steps(script, seed):
    rng = np.random.default_rng(seed)
    pair = Pair(dropout_net, lambda p: optim.Adam(p, lr=0.01))
    n, held = 8, []
    for event in script:
        for _ in range(3):
            found = pair.both(*batch(rng, n))
        if callable(event):
            pair.each(event)
        elif isinstance(event, int):
            n = event
        elif event == "hold":
            arrays = [found.data, *[p.grad for p in pair.side.model.parameters() if p.grad is not None]]
            held += [(a, a.copy()) for a in arrays]
        elif event == "let go":
            held.clear()
        else:
            fail(pair, rng, n)
    assert all(a.tobytes() == copy.tobytes() for a, copy in held)


def fail(pair, rng, n=8):
    """Let a step fail on both sides in the same way."""
    x, y = batch(rng, n)
    y[-1] = 17
    messages = []
    for side, step in ((pair.eager, pair.of_eager), (pair.side, pair.compiled)):
        with pytest.raises(ValueError, match="class labels") as error:
            side.run(step, x, y)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def test_an_error_is_that_of_the_eager_step_and_nothing_has_changed(rng):
    pair = warmed(rng)
    fail(pair, rng)
    assert pair.side.state() == pair.eager.state()
    replays = pair.replays
    pair.both(*batch(rng))  # the one that failed has taken the gradients away
    pair.both(*batch(rng))
    assert pair.replays == replays + 1


@pytest.mark.parametrize("clear", ["before", "behind", "every third"])
def test_gradients_are_cleared_outside_of_the_step(rng, clear):
    def step(side):
        def accumulating(x, y):
            loss = F.cross_entropy(side.model(x), y)
            loss.backward()
            side.optimizer.step()
            return loss

        return accumulating

    pair = Pair(bn_net, step=step)
    for k in range(4 * WARM):
        if clear == "before" or (clear == "every third" and k % 3 == 0):
            pair.each(clear_gradients)
        pair.both(*batch(rng))
        if clear == "behind":
            pair.each(clear_gradients)
    assert pair.replays >= 2 * WARM


@pytest.mark.parametrize("clip", [optim.clip_grad_norm_, optim.clip_grad_value_], ids=lambda f: f.__name__)
def test_clipping_is_replayed(rng, clip):
    def step(side):
        def clipped(x, y):
            side.optimizer.zero_grad()
            loss = F.cross_entropy(side.model(x), y)
            loss.backward()
            norm = clip(side.model.parameters(), 0.01)
            side.optimizer.step()
            return loss, norm

        return clipped

    pair = Pair(bn_net, step=step)
    for _ in range(2 * WARM):
        pair.both(*batch(rng))
    assert pair.replays >= WARM, pair.compiled.report()


def test_a_rate_is_never_stale_where_numpy_updates_weights(rng):
    pair = Pair(lambda: mlp().astype(np.float16), lambda p: optim.SGD(p, lr=0.1))
    for k in range(2 * WARM):
        pair.each(lambda side, k=k: side.optimizer.set_rate(0, 0.1 if k < WARM else 0.5))
        x, y = batch(rng)
        pair.both(x.astype(np.float16), y)


def test_gradients_that_somebody_holds_stay_as_they_are(rng):
    pair = warmed(rng)
    parameter = next(pair.side.model.parameters())
    held = [parameter.grad, parameter.grad[1:], parameter.grad.T]
    copies = [a.copy() for a in held]
    del held[0]
    pair.both(*batch(rng))
    assert held[0].tobytes() == copies[1].tobytes() and held[1].tobytes() == copies[2].tobytes()


def test_running_statistics_that_somebody_holds_stay_as_they_are(rng):
    pair = warmed(rng, bn_net)
    layer = next(m for m in pair.side.model.modules() if isinstance(m, nn.BatchNorm1d))
    held, copy = layer.running_mean.data, layer.running_mean.data.copy()
    pair.both(*batch(rng))
    assert held.tobytes() == copy.tobytes() != layer.running_mean.data.tobytes()


def test_what_is_listened_to_runs_as_it_is_written(rng):
    pair = warmed(rng)
    seen = []

    def note(kernel, args, options, proceed):
        seen.append(kernel.name)
        return proceed()

    with listening(note):
        pair.both(*batch(rng))
    assert seen and "listens" in str(pair.compiled.report())


def test_steps_in_threads_do_not_share_a_plan(rng):
    model = mlp()
    predict = cunet.compile(lambda x: F.softmax(model(x)).detach())
    batches = [rng.normal(size=(64, 6)).astype(np.float32) for _ in range(8)]
    for x in batches:
        predict(x)
    expected = [F.softmax(model(x)).data.tobytes() for x in batches]
    wrong = []

    def run():
        for _ in range(40):
            wrong.extend(k for k, x in enumerate(batches) if predict(x).data.tobytes() != expected[k])

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_inputs_may_lie_in_any_way(rng):
    pair = warmed(rng)
    for change in (np.asfortranarray, lambda x: np.repeat(x, 2, axis=1)[:, ::2], lambda x: x[::-1]):
        for _ in range(WARM):
            x, y = batch(rng)
            pair.both(change(x), y)
    x, y = batch(rng)
    for _ in range(WARM):
        pair.both(x.astype(">f4"), y.astype(np.int16))
    x.flags.writeable = False
    for _ in range(WARM):
        pair.both(x, y)


def test_arrays_that_are_only_read_may_be_others(rng):
    model = mlp()
    step, (x, _) = cunet.compile(lambda x: F.softmax(model(x)).detach()), batch(rng)
    for k in range(3 * WARM):
        weight = rng.normal(size=(3, 8)).astype(np.float32)
        model[2].weight.data = np.asfortranarray(weight) if k % 4 == 3 else weight
        assert step(x).data.tobytes() == F.softmax(model(x)).data.tobytes()
    assert step.report().replays >= 2 * WARM - 4
    assert step.report().refusals["an input or a buffer is laid out in another way"] >= 3


def test_lists_dicts_and_tensors_are_arguments_and_results(rng):
    model = mlp()

    def step(batch, *, scale):
        y = model(batch["x"]).detach()
        return {"y": y, "scaled": (y * scale, [F.relu(y)])}

    compiled = cunet.compile(step)
    for k in range(10):
        x = cunet.Tensor(batch(rng)[0])
        found, expected = compiled({"x": x}, scale=2.0), step({"x": x}, scale=2.0)
        assert found["scaled"][1][0].data.tobytes() == expected["scaled"][1][0].data.tobytes()
        assert (
            compiled({"x": x}, scale=float(k))["scaled"][0].data.tobytes() == (expected["y"] * float(k)).data.tobytes()
        )
    assert compiled.report().replays
