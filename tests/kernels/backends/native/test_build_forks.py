"""A process that forks while one of its threads compiles: both go on."""

import os

import pytest
from helpers import run_script
from native_helpers import SMALL, needs_compiler, once, wrapper

pytestmark = [pytest.mark.cpu_only, pytest.mark.slow, once, needs_compiler]

#: A thread compiles a kernel and the compiler waits; meanwhile a child needs that kernel and a hand-written function.
PROGRAM = (
    SMALL.partition("with warnings")[0]
    + """
import os, signal, sys, threading, time
from multiprocessing import get_context

import cunet
from cunet import functional as F
from cunet.kernels.backends.native import functions

functions.SOURCES.pop("cunet_convolve")  # takes long to compile
warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads

def work(_=None):
    signal.alarm(100)
    pooled = F.max_pool2d(cunet.tensor(np.ones((1, 1, 4, 4), np.float32)), 2)
    return int(body(np.ones(3, np.float32))[0]), pooled.data.tolist()

found = []
{first}
thread = threading.Thread(target=lambda: found.append(FIRST()))
thread.start()
while not os.path.exists("{folder}/waits"):
    time.sleep(0.01)
if "{way}" == "fork":
    pid = os.fork()
    if not pid:
        sys.exit(0 if work()[0] == 3 else 1)  # runs what is registered for the end of the process
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
else:
    with get_context("fork").Pool(2) as pool:
        print([seen[0] for seen in pool.map(work, range(4))])
open("{folder}/go", "w").close()
thread.join()
print(found)
"""
)
WAIT = """
if grep -q "{mark}" "$src" && mkdir "{folder}/once" 2>/dev/null; then
  touch "{folder}/waits"
  while [ ! -f "{folder}/go" ]; do sleep 0.05; done
fi
"""
#: What the thread compiles: the runtime and a kernel, or a hand-written function.
KINDS = {
    "kernel": ("body_f", "FIRST = lambda: int(body(np.ones(3, np.float32))[0])"),
    "function": ("cunet_pool", "FIRST = lambda: work()[0]"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["fork", "Pool"])
def test_a_child_does_not_wait_for_a_thread_that_it_does_not_have(way, kind, tmp_path):
    mark, first = KINDS[kind]
    compiler = wrapper(tmp_path / "g++", WAIT.format(folder=tmp_path, mark=mark))
    program = PROGRAM.replace("{first}", first).replace("{folder}", str(tmp_path)).replace("{way}", way)
    done = run_script(program, {"CXX": compiler, "XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert done.stdout.splitlines() == ["0" if way == "fork" else "[3, 3, 3, 3]", "[3]"]
    assert not [name for name in os.listdir(tmp_path / "cache" / "cunet" / "native") if name.startswith("new-")]
