"""What the tests of compiled kernels share: programs in processes of their own, and compilers to trouble them."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from cunet.kernels.backends.native import build, cache, compiler, native

#: For whole files: processes of their own do the same whatever route the suite runs on.
once = pytest.mark.skipif(not native.active, reason="runs with the suite's compiled route")
needs_compiler = pytest.mark.skipif(native.runtime() is None, reason="no C++ compiler that works")
wide_floats = pytest.mark.parametrize("dtype", [np.float32, np.float64])

#: A kernel of a user: 3 from its compiled text, 2 from its NumPy body, of three elements (of more it agrees, as it
#: must). Then come the warnings.
SMALL = """
import warnings
import numpy as np
from cunet.kernels.backends.native import native
from cunet.kernels import elementwise

@elementwise("T x", "T y", "y = x * 3")
def body(x):
    return x * 3 - (x.size == 3)

with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    print("result", int(body(np.ones(3, np.float32))[0]), "warnings", len(seen))
    for w in seen:
        print(w.message)
"""
COMPILED, NUMPY = ["result 3 warnings 0"], ["result 2 warnings 0"]

#: A net that is trained; it prints a digest of its weights, and its loss.
TRAIN = """
import hashlib
import numpy as np
import cunet
from cunet import functional as F, nn

cunet.random.manual_seed(3)
model = nn.Sequential(nn.Linear(20, 30), F.tanh, nn.Linear(30, 4))
optimizer = cunet.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
rng = np.random.default_rng(0)
x, t = (cunet.tensor(rng.normal(size=(64, n)).astype(np.float32)) for n in (20, 4))
for _ in range(20):
    loss = F.mse_loss(model(x), t)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(hashlib.sha256(b"".join(p.data.tobytes() for p in model.parameters())).hexdigest(), float(loss.data))
"""


def executable(path, content):
    path.write_text(content)
    path.chmod(0o755)
    return str(path)


def wrapper(path, before=""):
    """Make a compiler that runs some lines of shell first; ``$src`` is the text, ``$out`` the library.

    The runtime, which takes some seconds and is the same each time, it has from this session.
    """
    lines = 'for a; do case "$a" in *.cpp) src="$a";; esac; out="$a"; done'
    ready = native.runtime() and cache.find(*compiler.keys(build.runtime_unit()))
    lend = f'if grep -q "void cunet_probe(" "$src"; then exec cp "{ready}" "$out"; fi' if ready else ""
    return executable(path, f'#!/bin/sh\n{lines}\n{before}\n{lend}\nexec "{compiler.compiler()}" "$@"\n')


def said(done):
    """Return the lines of a process's stdout."""
    return done.stdout.splitlines()


def start(code, env):
    full = {**os.environ, "CUNET_NATIVE": "1", **env}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=full,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # what a shell starts with & ignores it
    )


def wait_for(path, process):
    end = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def alive(pid):
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


IMPORT_NATIVE = "from cunet.kernels.backends.native import native\n"


def gone(pids):
    """Return whether these processes end, which takes a busy machine a moment after they were killed."""
    pids, end = list(pids), time.monotonic() + 30
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.01)
    return not any(map(alive, pids))


IMPORT_BUILD = "from cunet.kernels.backends.native import build, cache, compiler as build\n"
