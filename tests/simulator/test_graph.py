"""Graphs of the simulated device: what a capture notes, what it refuses, and what a launch does again."""

import contextlib

import numpy as np
import pytest

import sim

cp = sim.namespace_or_skip()

from sim.graph import Graph  # noqa: E402
from sim.state import stats  # noqa: E402

SCALE = cp.ElementwiseKernel("T x, T a", "T y", "y = a * x", "scale_of_graph_test")


@contextlib.contextmanager
def capture(stream=None, pool=None):
    """Give a list that holds the graph afterwards."""
    stream, pool, found = stream or cp.cuda.Stream(non_blocking=True), pool or cp.cuda.MemoryPool(), []
    with stream, cp.cuda.using_allocator(pool.malloc):
        stream.begin_capture()
        try:
            yield found
        finally:
            with contextlib.suppress(RuntimeError):
                found.append(stream.end_capture())


def sums(x, w, table):
    """Call what there is: a kernel, functions, methods, operators, elements, writing in place."""
    y = SCALE(x, 2.0)
    y += w
    y[0] = y[1] * 3
    z = cp.concatenate([y, cp.where(y > 1, y, cp.zeros_like(y))], axis=1)
    w *= 0.5
    total = z.sum(axis=0) + cp.arange(z.shape[1])
    return total, table[cp.asarray(x[:, 0] > 0, dtype="i8")], z.max(), y.T


def test_a_launch_does_again_what_was_captured(rng):
    values, factors = rng.normal(size=(3, 2, 3)), rng.normal(size=3)
    x, w, table = cp.zeros((2, 3)), cp.asarray(factors), cp.asarray([5.0, 7.0])
    with capture() as graphs:
        found = sums(x, w, table)
    np.testing.assert_array_equal(w.get(), factors)  # nothing was done yet
    eager = cp.asarray(factors)
    for k in range(3):
        x.set(values[k])
        expected = sums(cp.asarray(values[k]), eager, table)
        graphs[0].launch()
        for a, b in zip((*found, w), (*expected, eager), strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype) and a.get().tobytes() == b.get().tobytes()


def test_results_are_not_there_before_a_launch_nor_is_what_a_launch_does_not_write():
    x = cp.ones(3)
    with capture() as graphs:
        y, empty = x + 1, cp.empty(3)
        z = SCALE(x, 2.0)
    assert np.isnan(y.get()).all() and np.isnan(z.get()).all()
    empty[...] = 1
    graphs[0].launch()
    assert y.get().tolist() == z.get().tolist() == [2, 2, 2]
    assert np.isnan(empty.get()).all()  # of the private pool, which others could have used


def test_numbers_are_those_of_the_capture():
    x, a = cp.ones(3), 2.0
    with capture() as graphs:
        y = SCALE(x, a)
        z = x * a
    a = 5.0
    graphs[0].launch()
    assert y.get().tolist() == z.get().tolist() == [2, 2, 2]
    assert [name for name, _ in graphs[0].kernels] == ["scale_of_graph_test"]


FORBIDDEN = {
    "float": lambda x: float(x.sum()),
    "item": lambda x: x[0].item(),
    "get": lambda x: x.get(),
    "asnumpy": lambda x: cp.asnumpy(x),
    "a branch": lambda x: 1 if x[0] > 0 else 2,
    "printing": lambda x: str(x),
    "an upload": lambda x: cp.asarray(np.ones(3)),
    "set": lambda x: x.set(np.ones(3)),
    "a host array as index": lambda x: x[np.array([0, 1])],
    "a shape that depends on data": lambda x: cp.nonzero(x),
    "a mask": lambda x: x[x > 0],
    "waiting for the stream": lambda x: cp.cuda.get_current_stream().synchronize(),
    "waiting for the device": lambda x: cp.cuda.Device().synchronize(),
    "another capture": lambda x: cp.cuda.get_current_stream().begin_capture(),
    "a graph": lambda x: Graph().launch(),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_what_waits_or_uploads_is_refused_and_spoils_the_capture(what):
    x, stream = cp.ones(3), cp.cuda.Stream(non_blocking=True)
    with capture(stream) as graphs:
        assert stream.is_capturing()
        with pytest.raises(RuntimeError, match="cudaErrorStreamCaptureUnsupported"):
            FORBIDDEN[what](x)
    assert graphs == [] and not stream.is_capturing()
    assert x.get().tolist() == [1, 1, 1]  # the stream is as before
    with stream:
        FORBIDDEN["float"](x)


@pytest.mark.parametrize("product", ["x @ x", "cp.einsum('ij,jk', x, x)", "cp.dot(x, x)", "cp.linalg.solve(x, x)"])
def test_products_of_cupys_are_refused(product):
    x, n = cp.ones((2, 2)), cp.ones((2, 2), int)
    with capture() as graphs:
        y = n @ n  # a kernel of CuPy's own
    graphs[0].launch()
    assert y.get().tolist() == [[2, 2], [2, 2]]
    with capture() as graphs, pytest.raises(NotImplementedError, match="during stream capture is currently"):
        eval(product, {"x": x, "cp": cp})
    assert graphs == []


def test_memory_has_to_come_from_a_pool_of_its_own():
    x = cp.ones(3)
    makers = [lambda: x + 1, lambda: cp.empty(3), lambda: SCALE(x, 2.0), lambda: cp.cuda.alloc(8), lambda: x.copy()]
    for make in makers:
        with capture(pool=cp.get_default_memory_pool()) as graphs, pytest.raises(RuntimeError, match="default pool"):
            make()
        assert graphs == []
    with capture(pool=cp.get_default_memory_pool()) as graphs:
        x += 1  # asks for none
        x[:2].reshape(2, 1)
    graphs[0].launch()
    assert x.get().tolist() == [2, 2, 2]


def test_only_the_stream_that_captures_is_looked_at():
    x, stream = cp.ones(3), cp.cuda.Stream(non_blocking=True)
    stream.begin_capture()
    assert float(x.sum()) == 3  # on the default stream
    with stream, cp.cuda.using_allocator(cp.cuda.MemoryPool().malloc):
        y = x + 1
        with cp.cuda.Stream.null:
            x *= 2
    stream.end_capture().launch()
    assert y.get().tolist() == [3, 3, 3]
    with pytest.raises(RuntimeError, match="legacy"):
        cp.cuda.Stream.null.begin_capture()
    with pytest.raises(RuntimeError, match="cudaErrorInvalidValue"):
        stream.end_capture()


def test_launches_of_graphs_are_counted():
    x = cp.ones(3)
    with capture() as graphs:
        x += 1
    with stats.counting() as counted:
        graphs[0].launch()
        graphs[0].launch(cp.cuda.Stream())
    assert (counted["graphs"], counted["launches"], counted["ops"], counted["syncs"]) == (2, 0, 0, 0)
