"""A GPU that is not there or does not work: who hears of it, and that training runs on the CPU."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cunet import device as backend

ROOT = Path(__file__).parents[2]

# Trains on the machine as it is found, asks for a GPU, and tells what happened.
PROGRAM = """
import json, sys, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import numpy as np
    import cunet
    from cunet import F, nn, optim

    x = np.random.default_rng(0).standard_normal((64, 5)).astype(np.float32)
    labels = (x.sum(axis=1) > 0).astype(np.int64)
    model = nn.Linear(5, 2)
    trainer = cunet.Trainer(model, F.cross_entropy, optim.SGD(model.parameters(), lr=0.5), progress=False)
    losses = [logs["loss"] for logs in trainer.fit((x, labels), epochs=5)]
    refused = []
    for ask in (
        lambda: cunet.Trainer(model, F.cross_entropy, device="gpu"),
        lambda: model.to("gpu"),
        lambda: cunet.tensor([1.0], device="gpu"),
        lambda: cunet.data.Loader(x, device="gpu"),
    ):
        try:
            ask()
        except RuntimeError as error:
            refused.append(str(error))
    info = cunet.device_info()
print(json.dumps({
    "device": trainer.device, "learned": losses[-1] < losses[0], "refused": refused, "problem": info["problem"],
    "warnings": [str(w.message) for w in caught],
}))
"""

# What a CuPy needs to be found working.
WORKING = """
import numpy as np
from types import SimpleNamespace
class ndarray: pass
zeros = np.zeros
runtime = SimpleNamespace(
    getDeviceCount=lambda: 1, driverGetVersion=lambda: 12040, runtimeGetVersion=lambda: 12090,
    getDeviceProperties=lambda i: dict(name=b"Fake", major=9, minor=0, totalGlobalMem=2**34),
    memGetInfo=lambda: (2**33, 2**34),
)
cuda = SimpleNamespace(runtime=runtime)
def fail(kind, text):
    raise kind(text)
"""


def outcome(tmp_path, cupy, program=PROGRAM):
    """Run the program with a made-up CuPy (None: as installed) and return what it tells."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    if cupy is not None:
        (tmp_path / "cupy").mkdir()
        (tmp_path / "cupy" / "__init__.py").write_text(cupy)
        env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def assert_trains_on_the_cpu(found, problem, warned):
    assert found["device"] == "cpu"
    assert found["learned"]
    assert problem in found["problem"]
    assert len(found["warnings"]) == warned, found["warnings"]
    assert len(found["refused"]) == 4
    for text in found["refused"]:
        assert 'device "gpu" was asked for, but no GPU can be used: ' in text
        assert found["problem"] in text
        assert text.endswith("python -m cunet.doctor says what to install")
    for text in found["warnings"]:
        assert text == f"{found['problem']}; cunet runs on NumPy (python -m cunet.doctor tells more)"
        assert "\n" not in text
        assert len(text) < 500


SILENT = {
    "no driver": (
        "runtime.driverGetVersion = lambda: 0\n"
        "runtime.getDeviceCount = lambda: fail(RuntimeError, 'cudaErrorInsufficientDriver: CUDA driver version is')",
        "CuPy is installed, but there is no NVIDIA driver",
    ),
    "no GPU": (
        "runtime.getDeviceCount = lambda: fail(RuntimeError, 'cudaErrorNoDevice: no CUDA-capable device is detected')",
        "CuPy and the driver are installed, but there is no GPU",
    ),
    "no GPU, counted": (
        "runtime.getDeviceCount = lambda: 0",
        "CuPy and the driver are installed, but there is no GPU",
    ),
}
WARNED = {
    "for another CUDA": (
        'try:\n    raise ImportError("libcublas.so.11: cannot open shared object file")\n'
        "except ImportError as error:\n"
        '    raise ImportError("=====\\nFailed to import CuPy.\\n" + "advice\\n" * 99) from error',
        "CuPy is installed but does not import (ImportError: libcublas.so.11: cannot open shared object file)",
    ),
    "a part missing": (
        "import fastrlock_that_is_not_there",
        "CuPy is installed but does not import (ModuleNotFoundError: No module named 'fastrlock_that_is_not_there')",
    ),
    "import breaks otherwise": (
        "raise AttributeError('numpy has no attribute that it had\\nin version 1')",
        "CuPy is installed but does not import (AttributeError: numpy has no attribute that it had in version 1)",
    ),
    "driver too old": (
        "runtime.runtimeGetVersion = lambda: 13000\n"
        "runtime.getDeviceCount = lambda: fail(RuntimeError, 'cudaErrorInsufficientDriver: CUDA driver version is')",
        "the installed CuPy is for CUDA 13, the NVIDIA driver supports CUDA 12 at most",
    ),
    "CUDA does not start": (
        "runtime.getDeviceCount = lambda: fail(RuntimeError, 'cudaErrorUnknown: unknown error')",
        "CuPy is installed, but CUDA does not start (RuntimeError: cudaErrorUnknown: unknown error)",
    ),
    "no NVRTC": (
        "zeros = lambda *args: fail(RuntimeError, 'CuPy failed to load libnvrtc.so.12: OSError')",
        "CuPy sees a GPU but cannot compute on it (RuntimeError: CuPy failed to load libnvrtc.so.12: OSError)",
    ),
    "no cuBLAS": (
        "class X(np.ndarray):\n"
        "    def __matmul__(self, other): fail(RuntimeError, 'CuPy failed to load libcublas.so.12')\n"
        "zeros = lambda *args: np.zeros(*args).view(X)",
        "CuPy sees a GPU but cannot compute on it (RuntimeError: CuPy failed to load libcublas.so.12)",
    ),
    "a page of text": (
        "zeros = lambda *args: fail(RuntimeError, 'nvrtc: error\\n' * 1000)",
        "CuPy sees a GPU but cannot compute on it (RuntimeError: nvrtc: error nvrtc: error",
    ),
}


@pytest.mark.slow
@pytest.mark.cpu_only
@pytest.mark.parametrize("name", SILENT)
def test_an_ordinary_cpu_machine_hears_nothing(name, tmp_path):
    text, problem = SILENT[name]
    assert_trains_on_the_cpu(outcome(tmp_path, f"{WORKING}\n{text}\n"), problem, warned=0)


@pytest.mark.slow
@pytest.mark.cpu_only
@pytest.mark.parametrize("name", WARNED)
def test_a_broken_gpu_path_is_told_once(name, tmp_path):
    text, problem = WARNED[name]
    assert_trains_on_the_cpu(outcome(tmp_path, f"{WORKING}\n{text}\n"), problem, warned=1)


NO_CUPY = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "cupy":
            raise ModuleNotFoundError("No module named 'cupy'", name="cupy")
sys.meta_path.insert(0, Missing())
"""


@pytest.mark.slow
@pytest.mark.cpu_only
def test_without_cupy_nothing_is_said(tmp_path):
    assert_trains_on_the_cpu(outcome(tmp_path, None, NO_CUPY + PROGRAM), "CuPy is not installed", warned=0)


@pytest.mark.slow
@pytest.mark.cpu_only
def test_the_real_cupy_without_a_driver_is_silent(tmp_path):
    if importlib.util.find_spec("cupy") is None:
        pytest.skip("CuPy is not installed")
    ask = "import cupy; print(cupy.cuda.runtime.driverGetVersion())"
    if subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True).stdout.strip() != "0":
        pytest.skip("this machine has an NVIDIA driver")
    assert_trains_on_the_cpu(outcome(tmp_path, None), "CuPy is installed, but there is no NVIDIA driver", warned=0)


@pytest.mark.cpu_only
def test_a_working_cupy_is_taken(tmp_path):
    program = (
        "import json, warnings; warnings.simplefilter('error'); import cunet; from cunet import device as backend\n"
    )
    program += "info = cunet.device_info()\n"
    program += "print(json.dumps([backend.resolve_device('auto'), info['problem'], info['cuda_runtime']]))"
    assert outcome(tmp_path, WORKING, program) == ["gpu", "", "12.9"]


@pytest.mark.cpu_only
@pytest.mark.parametrize("device", ["cuda:1", "mps", "GPU", "", None, 0])
def test_an_unknown_device_is_refused(device):
    with pytest.raises(ValueError, match='device must be "cpu", "gpu" or "auto", got'):
        backend.resolve_device(device)
