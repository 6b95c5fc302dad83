"""Tasks that wait for each other, in threads: the order, and what happens when memory lacks or a task fails."""

import ctypes
import functools
import os
import shutil

import numpy as np
import pytest

from cunet.kernels.backends.native import compiler
from cunet.kernels.backends.native.text import single, source

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(not (compiler.compiler() and shutil.which("g++")), reason="there is no compiler"),
]

#: A graph of tasks, each of which takes `micros`, shares some units, and notes when it began and ended.
CHECK = """
static std::atomic<int> now{0}, units[64];
static int began[64], ended[64], micros, fails;
static bool no_memory;
static std::thread::id caller;

static int task(void*, int64_t k) {
  began[k] = now++;
  try {
    share([](void* context, int64_t) {
      std::this_thread::sleep_for(std::chrono::microseconds(micros));
      if (no_memory && std::this_thread::get_id() != caller) throw std::bad_alloc();
      units[*(int64_t*)context]++;
    }, &k, 5, 4);
  } catch (const std::bad_alloc&) {
    return 4;
  }
  ended[k] = now++;
  return k == fails ? 7 : 0;
}

extern "C" int check(int64_t count, const int32_t* waits, const int32_t* first, const int32_t* followers, int lanes,
                     int32_t* out, int takes, int failing, bool lacks) {
  if (!pool) pool = new Threads;
  const Graph graph = {count, waits, first, followers};
  for (auto& u : units) u = 0;
  for (int k = 0; k < 64; k++) began[k] = ended[k] = -1;
  micros = takes, fails = failing, no_memory = lacks, caller = std::this_thread::get_id();
  const int code = Team(graph, task, nullptr, lanes).run();
  for (int64_t k = 0; k < count; k++) out[3 * k] = began[k], out[3 * k + 1] = ended[k], out[3 * k + 2] = units[k];
  return code;
}
"""


@functools.cache
def library():
    text = source("tuning.h", "threads.cpp", "tasks.h", "tasks.cpp") + CHECK
    assert compiler.compile_all([single("tasks", text)]) == [None]
    found = compiler.load(text).check
    found.argtypes = [ctypes.c_int64, *[ctypes.c_void_p] * 3, ctypes.c_int, ctypes.c_void_p]
    found.argtypes += [ctypes.c_int, ctypes.c_int, ctypes.c_bool]
    return found


def run(waits, lanes, micros=10, fails=-1, no_memory=False):
    """Return what `check` returned, and of each task when it began and ended, and its units."""
    behind = [[j for j, others in enumerate(waits) if k in others] for k in range(len(waits))]
    counts = np.array([len(others) for others in waits], np.int32)
    first = np.cumsum([0, *map(len, behind)]).astype(np.int32)
    followers = np.array([j for others in behind for j in others] or [0], np.int32)
    out = np.zeros((len(waits), 3), np.int32)
    pointers = [a.ctypes.data for a in (counts, first, followers)]
    code = library()(len(waits), *pointers, lanes, out.ctypes.data, micros, fails, no_memory)
    return code, out


def graphs(rng, count):
    for _ in range(count):
        size = int(rng.integers(1, 40))
        yield [
            {int(j) for j in rng.integers(0, k, min(k, int(rng.integers(0, 4))))} if k else set() for k in range(size)
        ]


@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_every_task_is_done_once_and_in_its_turn(rng, lanes):
    for waits in graphs(rng, 20):
        code, out = run(waits, lanes)
        assert code == 0 and np.all(out[:, 2] == 5)
        for k, others in enumerate(waits):
            assert out[k, 0] < out[k, 1] and all(out[j, 1] < out[k, 0] for j in others)


def test_who_waits_for_long_sleeps_and_comes_back():
    waits = [set(), {0}, set(), {1, 2}]
    code, out = run(waits, 4, micros=4000)
    assert code == 0 and np.all(out[:, 2] == 5) and out[3, 0] > max(out[:3, 1])


def test_one_thread_goes_by_urgency_among_those_that_wait_for_nothing():
    _, out = run([set(), set(), {0}, set()], 1)
    assert [int(k) for k in np.argsort(out[:, 0])] == [0, 2, 1, 3]  # what waited for the last one comes first


@pytest.mark.parametrize("lanes", [1, 4])
def test_what_a_task_returns_ends_the_others(lanes):
    chain = [set(), {0}, {1}, {2}]
    code, out = run(chain, lanes, fails=1)
    assert code == 7 and np.all(out[:2, 2] == 5) and np.all(out[2:, 0] == -1)


@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="it ends a process in which C++ throws")
def test_units_that_find_no_memory_are_done_by_whose_task_it_is(rng):
    for waits in graphs(rng, 10):
        code, out = run(waits, 4, no_memory=True)
        if code == 0:
            assert np.all(out[:, 2] == 5)
        else:
            assert code == 4  # a task of another thread than the caller's, which itself finds none
