"""What is recorded of calls of compiled code, and who touches arrays besides."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from record_helpers import POISONED

import cunet
from cunet import functional as F
from cunet.kernels.backends.native import native
from cunet.kernels.backends.native import recorder as module
from cunet.kernels.backends.native.plans import library
from cunet.kernels.backends.native.recorder import Recorder

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(POISONED or not native.enabled() or library() is None, reason="kernels run on NumPy here"),
]


@pytest.fixture
def x(rng):
    x = rng.normal(size=(40, 30)).astype(np.float32)
    F.elu(x)
    return x


def handler_of(a):
    return np._core.multiarray.get_handler_name(a)


def test_arrays_lie_in_a_region_of_their_own(x):
    with Recorder() as recorder:
        y = F.elu(x).data
    assert handler_of(y) == "cunet_recorded" != handler_of(np.empty(3))
    assert [block.size for block in recorder.blocks] == [x.nbytes] and recorder.blocks[0].address == y.ctypes.data
    assert y.tobytes() == F.elu(x).data.tobytes()


def test_a_call_is_recorded_with_its_operands_and_numbers(x):
    with Recorder() as recorder:
        y = F.elu(x[::2], alpha=0.25).data
    plan = recorder.plan
    assert len(plan.records) == 1 and plan.whole
    read, written = plan.operands
    assert (read.address, read.shape, read.strides, read.written) == (x.ctypes.data, (20, 30), (240, 4), False)
    assert (written.address, written.shape, written.written) == (y.ctypes.data, (20, 30), True)
    assert (written.low, written.high) == (y.ctypes.data, y.ctypes.data + y.nbytes)
    assert [np.int64(n.bits).view(np.float64) for n in plan.numbers] == [0.25]


def test_a_plan_runs_on_other_arrays_and_numbers(x):
    with Recorder() as recorder:
        y = F.elu(x, alpha=0.25).data
    plan, other, out = recorder.plan, x[::-1].copy(), np.empty_like(x)
    plan.expect(x)
    plan.move(0, 0, 0)
    plan.place(1, out.ctypes.data)
    plan.vary(0)
    del y
    assert plan.set(np.array([id(other)], np.uint64).tobytes(), np.array([2.0]).tobytes()) == 0
    assert plan.run(0, 1) == 0
    assert out.tobytes() == F.elu(other, alpha=2.0).data.tobytes()


@pytest.mark.parametrize(
    "other",
    [np.zeros((40, 31), np.float32), np.zeros((40, 30)), np.zeros((40, 60), np.float32)[:, ::2], np.zeros(1200, "f4")],
    ids=["shape", "dtype", "strides", "axes"],
)
def test_a_plan_refuses_arrays_of_another_layout(x, other):
    with Recorder() as recorder:
        F.elu(x)
    recorder.plan.expect(x)
    recorder.plan.move(0, 0, 0)
    assert recorder.plan.set(np.array([id(other)], np.uint64).tobytes(), b"") == -1


@pytest.mark.parametrize(
    "touch",
    [lambda y: y[3, 4], lambda y: float(y[0, 0]), lambda y: y.__setitem__((5, 5), 1), lambda y: y.sum(), bytes],
    ids=["read", "number", "write", "sum", "copy"],
)
def test_whoever_else_touches_an_array_is_seen(x, touch):
    with Recorder() as recorder:
        y = F.elu(x).data
        before = recorder.faults()
        z = F.elu(y)  # as recorded calls do
        untouched = recorder.faults()
        touch(y)
        after = recorder.faults()
    assert (before, untouched) == (0, 0) and after
    assert [block.touched for block in recorder.blocks[:2]] == [True, False]
    del z


def test_small_blocks_are_told_apart(x):
    with Recorder() as recorder:
        arrays = [np.empty(1, np.float32) for _ in range(50)]
        arrays[7][0] = 1
    assert [k for k, block in enumerate(recorder.blocks) if block.touched] == [7]
    assert len({block.address % 4096 for block in recorder.blocks}) > 1


def test_memory_is_zero_where_it_is_asked_to_be_and_grows():
    with Recorder():
        zeros, grown = np.zeros(3000), np.arange(5.0)
        grown.resize(4000, refcheck=False)
    assert not zeros.any() and grown[:5].tolist() == [0, 1, 2, 3, 4] and not grown[5:].any()


def test_an_array_grows_when_the_recording_has_ended(x):
    with Recorder():
        y = F.elu(x).data
    expected = y.copy()
    y.resize(80, 30, refcheck=False)
    assert y[:40].tobytes() == expected.tobytes() and not y[40:].any()


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="the system does not say what a process holds")
def test_memory_of_arrays_that_are_gone_is_given_back():
    def held():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    with Recorder() as recorder:
        before = held()
        for _ in range(40):
            np.empty(1 << 20)[...] = 1
        after = held()
    assert sum(block.size for block in recorder.blocks) >= 40 * (8 << 20) and after - before < 5 * (8 << 20)


def test_more_arrays_than_there_is_room_for(x, monkeypatch):
    monkeypatch.setattr(module, "_RESERVED", 1 << 20)
    F.elu(np.zeros(1000, np.float32))
    with Recorder() as recorder:
        kept = [np.zeros(40_000) for _ in range(5)]
        kept[-1].resize(50_000, refcheck=False)
    assert recorder.full and len(recorder.blocks) == 3 and not any(a.any() for a in kept)
    step = cunet.compile(lambda a: cunet.exp(cunet.concatenate([a] * 100)).sum().detach())
    for _ in range(4):
        assert step(np.zeros(4000, np.float32)).data == 400_000
    assert "more memory than can be watched" in str(step.report())


def test_a_region_ends_with_its_last_array(x):
    with Recorder():
        y = F.elu(x).data
    view = y[2:5]
    expected = F.elu(x).data[2:5]
    del y
    assert view.tobytes() == expected.tobytes()


def test_an_error_within_ends_the_recording(x):
    with pytest.raises(ZeroDivisionError), Recorder():
        F.elu(x)
        1 / 0  # noqa: B018
    assert handler_of(np.empty(3)) == "default_allocator"
    with Recorder() as recorder:
        F.elu(x)
    assert len(recorder.plan.records) == 1


def test_what_one_thread_records_is_no_matter_of_another(x):
    import threading

    with Recorder() as recorder:
        thread = threading.Thread(target=F.elu, args=(x,))
        thread.start()
        thread.join()
    assert recorder.plan.records == [] and recorder.blocks == []


def test_a_real_fault_still_ends_the_process():
    code = (
        "import ctypes, numpy as np\n"
        "from cunet.kernels.backends.native.recorder import Recorder\n"
        "with Recorder():\n"
        "    ctypes.string_at(8)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGSEGV


def test_gradients_are_recorded_too(x):
    w = cunet.tensor(x, requires_grad=True)
    F.elu(w).backward(np.ones_like(x))
    expected = w.grad
    w.grad = None
    seed = np.ones_like(x)
    with Recorder() as recorder:
        F.elu(w).backward(seed)
    assert recorder.plan.whole and len(recorder.plan.records) == 2
    assert w.grad.tobytes() == expected.tobytes()
