"""The handle of cuBLAS: one for each thread, on the current stream, with room of its own for each stream."""

import gc
import threading

import numpy as np
import pytest

from cunet.kernels.backends.cuda import cublas
from cunet.kernels.backends.cuda.products import product
from sim.state import stats


@pytest.fixture
def x(cp):
    return cp.asarray(np.float32([[2, 0], [0, 2]]))


def test_it_follows_the_current_stream(x, cp):
    product(x, x)
    for stream in (cp.cuda.Stream(non_blocking=True), cp.cuda.Stream(non_blocking=True)):
        with stream:
            assert product(x, x).sum().item() == 8  # the simulated cuBLAS refuses another stream, and no workspace
        assert product(x, x).sum().item() == 8


def test_streams_share_no_workspace_and_keep_theirs(x, cp, monkeypatch):
    handle, given = cublas.Handle(cublas.library(cp), cp), []
    monkeypatch.setattr(cp.cuda, "alloc", lambda size, alloc=cp.cuda.alloc: given.append(alloc(size)) or given[-1])
    first, second = cp.cuda.Stream(non_blocking=True), cp.cuda.Stream(non_blocking=True)
    lies = cublas.Layout(False, 2, 4)
    call = cublas.call_of(x.dtype, lies, lies, (2, 2, 2), 1)
    for stream in (first, second, first, second, second):
        with stream:
            handle.multiply(call, x, x, cp.empty((2, 2), "f"), False, "ieee")
    assert len(given) == 2


def test_after_a_first_product_only_the_product_itself_is_asked_for(x, cp, monkeypatch):
    """Handle, stream and workspace are there: a capture, which forbids to make them, meets a single call."""
    with cp.cuda.Stream(non_blocking=True):
        product(x, x)
        monkeypatch.setattr(cublas.Handle, "_call", None)
        monkeypatch.setattr(cp.cuda, "alloc", None)
        with stats.forbid():
            y = product(x, x)
    assert y.sum().item() == 8


def test_each_thread_has_its_own_handle_and_gives_it_back(x, cp):
    library = cublas.library(cp)
    product(x, x)
    before, during = set(library.handles), []

    def work():
        product(x, x)
        during.append(set(library.handles) - before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    del thread
    gc.collect()
    assert [len(handles) for handles in during] == [1]
    assert set(library.handles) == before


def test_long_sums_of_half_types_meet_in_float32(x, cp):
    product(x, x)
    assert {state.mode for state in cublas.library(cp).handles.values()} == {16}


def test_a_library_that_is_not_there_is_none(cp, monkeypatch):
    def absent(name):
        raise OSError(name)

    monkeypatch.setattr(cublas, "_library", cublas._UNKNOWN)
    monkeypatch.setattr(cublas.c, "CDLL", absent)
    assert cublas.library(cp) is None
    assert cublas.handle(cp) is None


def test_the_library_is_looked_for_where_cupy_finds_it(cp, monkeypatch):
    asked = []
    monkeypatch.setattr(cublas, "_library", cublas._UNKNOWN)
    monkeypatch.setattr(cublas.c, "CDLL", lambda name: asked.append(name) or object())  # without cuBLAS's functions
    assert cublas.library(cp) is None
    assert "cublas" in asked[0]
