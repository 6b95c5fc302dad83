"""What a graph keeps alive and when it lets go; and graphs too deep for recursion."""

import gc
import weakref

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Tensor, op

DEEP = 100_000


@pytest.fixture(scope="module", autouse=True)
def older_objects():
    """Keep what earlier tests left out of what the collector looks at: some million objects, seconds each time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Owner:
    """Something a weak reference can watch, handed to the closure of a vjp."""


@pytest.fixture
def watched():
    """An op that saves an object, and the weak references to all it saved."""
    alive = []

    @op
    def watched(x):
        saved = Owner()
        alive.append(weakref.ref(saved))

        def vjp(gy):
            assert saved is not None
            return (gy * 2,)

        return x * 2, vjp

    return watched, alive


def count(alive):
    return sum(ref() is not None for ref in alive)


def leaf(dev, *shape):
    return Tensor(dev(np.ones(shape, np.float32)), requires_grad=True)


def test_backward_frees_all_that_was_saved_while_the_result_lives(watched, dev):
    f, alive = watched
    x = leaf(dev, 3)
    y = f(f(x) * f(x)).sum()
    assert count(alive) == 3
    y.backward()
    assert count(alive) == 0
    assert host(x.grad).tolist() == [16, 16, 16]


def test_backward_frees_behind_itself_while_it_runs(watched, dev):
    f, alive = watched
    seen = []

    @op
    def probe(x):
        return x * 1, lambda gy: (seen.append(count(alive)) or gy,)

    y = leaf(dev, 1)
    for _ in range(5):
        y = f(probe(y))
    y.backward()
    assert seen == [4, 3, 2, 1, 0]


def test_arrays_that_ops_saved_are_freed(dev):
    x = leaf(dev, 4)
    hidden = x * 3
    saved = weakref.ref(hidden.data)
    y = (hidden.exp() * hidden).sum()
    del hidden
    assert saved() is not None  # the graph needs it
    y.backward()
    assert saved() is None


def test_retain_graph_keeps_what_the_next_backward_frees(watched, dev):
    f, alive = watched
    y = f(leaf(dev, 1))
    y.backward(retain_graph=True)
    assert count(alive) == 1
    y.backward()
    assert count(alive) == 0


def test_a_graph_that_is_dropped_is_freed_at_once(watched, dev):
    f, alive = watched
    y = f(f(leaf(dev, 2)))
    parts = cunet.split(y, 2)
    assert count(alive) == 2
    del y, parts
    assert count(alive) == 0


def test_under_no_grad_nothing_is_saved(watched, dev):
    f, alive = watched
    with cunet.no_grad():
        y = f(leaf(dev, 1))
    assert count(alive) == 0
    assert y.is_leaf


def test_a_result_that_needs_no_gradient_saves_nothing(watched, dev):
    f, alive = watched
    f(Tensor(dev([1.0])))
    assert count(alive) == 0


def test_the_intermediate_gradients_are_freed(dev):
    x = leaf(dev, 3)
    seen = []

    @op
    def probe(z):
        def vjp(gz):
            seen.append(weakref.ref(gz))
            return (gz * 2,)

        return z * 2, vjp

    y = probe(probe(x) * 3).sum()
    y.backward()
    assert len(seen) == 2
    assert [ref() for ref in seen] == [None, None]


def test_there_are_no_reference_cycles(dev):
    x, w = leaf(dev, 4, 3), leaf(dev, 3, 2)

    def step():
        y = cunet.concatenate([x @ w, (x @ w).exp()], axis=1)
        a, b = cunet.split(y, 2, axis=1)
        loss = (cunet.where(a.data > 0, a, 0.0) / (b + 1)).sum() + x[[0, 0]].var() + cunet.einsum("ij->", x)
        loss.backward()

    step()
    gc.collect()  # what was left when kernels were made
    step()
    assert gc.collect() == 0


def test_an_error_leaves_no_cycle_that_holds_arrays(dev):
    x = leaf(dev, 4)
    y = x * 2
    saved = weakref.ref(y.data)
    with pytest.raises(ValueError, match="gradient is needed"):
        y.backward()
    del y
    assert saved() is None


@pytest.mark.cpu_only
def test_a_chain_of_100_000_ops_differentiates():
    x = Tensor(np.ones(1), requires_grad=True)
    y = x
    for _ in range(DEEP // 2):
        y = y * 1.0001 + 0.0
    y.backward()
    np.testing.assert_allclose(x.grad, 1.0001 ** (DEEP // 2), rtol=1e-10)


@pytest.mark.cpu_only
def test_a_chain_of_100_000_ops_is_dropped_without_recursion():
    y = Tensor(np.ones(1), requires_grad=True)
    for _ in range(DEEP):
        y = y + 1.0
    saved = weakref.ref(y.data)
    del y
    assert saved() is None


@pytest.mark.slow
@pytest.mark.cpu_only
def test_a_deep_and_wide_graph():
    x = Tensor(np.ones(1), requires_grad=True)

    def run(levels):
        y = x
        for _ in range(levels):  # ten uses of every level
            parts = [y * 0.1 for _ in range(8)]
            y = cunet.concatenate(parts).sum() + y * 0.2
        x.grad = None
        y.sum().backward()

    run(2)
    gc.collect()  # what first calls leave
    run(DEEP // 10)
    assert gc.collect() == 0
    np.testing.assert_allclose(x.grad, 1, rtol=1e-9)


@pytest.mark.cpu_only
def test_one_op_of_many_inputs():
    leaves = [Tensor(np.ones(1), requires_grad=True) for _ in range(10_000)]
    cunet.concatenate(leaves).sum().backward()
    assert all(leaf.grad[0] == 1 for leaf in leaves)
