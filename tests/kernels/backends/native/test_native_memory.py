"""No memory left inside C++: a MemoryError, and everything as it was before."""

import ctypes
import sys

import numpy as np
import pytest
from helpers import run_script
from native_helpers import needs_compiler, once

from cunet.kernels.backends.native import compiler
from cunet.kernels.backends.native.text import single, source

pytestmark = [pytest.mark.cpu_only, pytest.mark.slow, once, needs_compiler]

LIMIT = """
    import resource, sys, warnings
    import numpy as np
    import cunet
    from cunet import functional as F

    def use():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()

    def within(spare, call):
        '''Call with `spare` MB more of addresses; return the error's name, or the result.'''
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (use() + (spare << 20), hard))
        try:
            return call()
        except MemoryError as error:
            return "MemoryError", "cunet" in str(error)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

    def grown():
        '''Take threads and BLAS's memory beforehand.'''
        x = np.ones((600, 600), "f")
        (cunet.tensor(x) @ cunet.tensor(x)).sum()
        F.conv2d(cunet.tensor(np.ones((40, 8, 20, 20), "f")), cunet.tensor(np.ones((8, 8, 3, 3), "f")))

    grown()
"""
CASES = {
    "reduction": """
        x = cunet.Tensor(np.ones((4, 30_000_000), "f")[:, ::2])  # a row is copied before it is folded
        work = lambda: [round(float(v), 2) for v in x.logsumexp(axis=1).data]
        x[:, :9].logsumexp(axis=1)
        print(within(30, work), work())
    """,
    "convolution": """
        x = cunet.tensor(np.ones((1, 1024, 5, 5), "f"))
        w = cunet.tensor(np.ones((1024, 1024, 3, 3), "f"))  # packed before it is used
        work = lambda: float(F.conv2d(x, w, padding=1).data.max())
        F.conv2d(x[:, :8], w[:, :8], padding=1)
        print(within(20, work), work())
    """,
}
EXPECTED = {
    "reduction": f"('MemoryError', True) {[round(float(1 + np.log(15e6)), 2)] * 4}",
    "convolution": "('MemoryError', True) 9216.0",
}


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc how much is used")
@pytest.mark.parametrize("case", CASES)
def test_too_little_memory_is_an_error_and_not_the_end(case):
    import textwrap

    code = textwrap.dedent(LIMIT) + textwrap.dedent(CASES[case])
    done = run_script(code, {"CUNET_KEEP_MEMORY": "0"})  # else what was freed is there to be taken
    assert done.stdout.strip() == EXPECTED[case]


#: Units that find no memory in threads of ours; `own`: in the one that calls, too.
UNITS = """
static std::thread::id caller;
static bool own;
static std::atomic<int> done[1000];

extern "C" int check(bool also_own) {
  pool = new Threads;
  caller = std::this_thread::get_id();
  own = also_own;
  for (auto& d : done) d = 0;
  try {
    pool->run([](void*, int64_t k) {
      std::this_thread::sleep_for(std::chrono::microseconds(20));
      if (std::this_thread::get_id() != caller || (own && k >= 500)) throw std::bad_alloc();
      done[k]++;
    }, nullptr, 1000, 4);
  } catch (const std::bad_alloc&) {
    return -1;
  }
  int once = 0;
  for (auto& d : done) once += d == 1;
  return once;
}
"""


def test_the_caller_runs_what_other_threads_could_not():
    text = source("tuning.h", "threads.cpp") + UNITS
    assert compiler.compile_all([single("units", text)]) == [None]
    check = compiler.load(text).check
    check.argtypes = [ctypes.c_bool]
    for _ in range(20):
        assert check(False) == 1000
        assert check(True) == -1


def test_the_numbers_of_results_are_those_of_the_text():
    from cunet.kernels.backends.native import status

    assert f"kNoMemory = {status._NO_MEMORY}, kNeedsPanels = {status.NEEDS_PANELS} " in source("arrays.cpp")
    with pytest.raises(MemoryError, match="cunet"):
        status.result(status._NO_MEMORY)
    assert np.all([status.result(k) == k for k in range(4)])
