"""What a user meets when the GPU path is not there or breaks: one clear message, and training on the CPU goes on."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cunet
import sim
from cunet import F, Tensor, nn, optim
from cunet import device as backend
from cunet.data import Loader
from cunet.kernels.backends.native import native
from cunet.parity import cases
from sim.state import options

ROOT = Path(__file__).parents[2]
no_sim = sim.unavailable_reason()
on_sim = pytest.mark.skipif(bool(no_sim), reason=f"no simulated device: {no_sim}")

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


@pytest.mark.cpu_only
@pytest.mark.parametrize("name", SILENT)
def test_an_ordinary_cpu_machine_hears_nothing(name, tmp_path):
    text, problem = SILENT[name]
    assert_trains_on_the_cpu(outcome(tmp_path, f"{WORKING}\n{text}\n"), problem, warned=0)


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


@pytest.mark.cpu_only
def test_without_cupy_nothing_is_said(tmp_path):
    assert_trains_on_the_cpu(outcome(tmp_path, None, NO_CUPY + PROGRAM), "CuPy is not installed", warned=0)


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
@pytest.mark.parametrize("device", ["cuda", "GPU", "", None, 0])
def test_an_unknown_device_is_refused(device):
    with pytest.raises(ValueError, match='device must be "cpu", "gpu" or "auto", got'):
        backend.resolve_device(device)


# -- on a device that is there


@pytest.fixture
def device():
    sim.install()
    yield backend.gpu()
    sim.uninstall()


def out_of_memory(*args, **kwargs):
    from cupy.cuda.memory import OutOfMemoryError

    raise OutOfMemoryError(4 << 30, 1 << 30)


def kernel_without_memory(monkeypatch, name):
    monkeypatch.setattr(cunet.kernels.KERNELS[name], "attached", {"cuda": out_of_memory})


@on_sim
def test_out_of_memory_forward_names_the_op_and_spoils_nothing(device, monkeypatch):
    x = Tensor(device.ones(3, "float32"), requires_grad=True)
    with monkeypatch.context() as patch, pytest.raises(MemoryError) as caught:
        kernel_without_memory(patch, "elu_forward")
        F.elu(x)
    assert str(caught.value).startswith("elu: the GPU is out of memory (Out of memory allocating 4,294,967,296 bytes")
    assert "use a smaller batch or model, or free arrays" in str(caught.value)
    F.elu(x).sum().backward()
    np.testing.assert_array_equal(x.grad.get(), np.ones(3))


@on_sim
def test_out_of_memory_backward_names_the_op_and_changes_no_gradient(device, monkeypatch):
    x = Tensor(device.ones(3, "float32"), requires_grad=True)
    y = F.elu(x).sum()
    with (
        monkeypatch.context() as patch,
        pytest.raises(MemoryError, match=r"^elu \(backward\): the GPU is out of memory"),
    ):
        kernel_without_memory(patch, "elu_backward")
        y.backward()
    assert x.grad is None


@on_sim
def test_out_of_memory_in_an_upload(device, monkeypatch):
    monkeypatch.setattr(device, "asarray", out_of_memory)
    with pytest.raises(MemoryError, match="^to_device: the GPU is out of memory"):
        backend.to_device(np.ones(3), "gpu")
    with pytest.raises(MemoryError, match="the GPU is out of memory"):
        nn.Linear(3, 2).to("gpu")


@on_sim
def test_training_goes_on_after_a_batch_that_was_too_large(device, monkeypatch):
    model = nn.Sequential(nn.Linear(4, 3), nn.ELU(), nn.Linear(3, 2)).to("gpu")
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    x, target = device.ones((5, 4), "float32"), device.zeros(5, "int64")

    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        return loss.item()

    first = step()
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        kernel_without_memory(patch, "elu_backward")
        step()
    step()
    assert step() < first


@on_sim
def test_a_kernel_that_does_not_compile_names_the_op(device, monkeypatch):
    monkeypatch.setattr(options, "nvrtc", ())  # which would complain first, in a way of its own
    monkeypatch.setattr(native, "active", False)  # which warns, see test_native

    @cunet.elementwise("T x", "T y", "y = no_such_function(x)")
    def half_forward(x):
        return x / 2

    @cunet.op
    def half(x):
        return half_forward(x), lambda gy: (gy / 2,)

    try:
        x = np.ones(3, np.float32)
        np.testing.assert_array_equal(half(x).data, [0.5] * 3)  # the CPU does not mind
        with pytest.raises(RuntimeError) as caught:
            half(backend.to_device(x, "gpu"))
    finally:
        del cunet.kernels.KERNELS["half_forward"]
    assert str(caught.value).startswith("half: its CUDA kernel does not compile on this machine")
    assert "no_such_function" in str(caught.value)


MIXABLE = [row for row in cases.ROWS if len(row.inputs(np.random.default_rng(0))) > 1]


@on_sim
@pytest.mark.parametrize("row", MIXABLE, ids=lambda row: row.name)
def test_arrays_of_two_devices_are_refused_in_one_way(row, device, rng):
    arrays = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in row.inputs(rng)]
    for moved in range(len(arrays)):
        mixed = [Tensor(backend.to_device(a, "gpu") if i == moved else a) for i, a in enumerate(arrays)]
        with pytest.raises(TypeError) as caught:
            row.run(*mixed)
        text = str(caught.value)
        assert "all arrays must be on one device, got (" in text
        assert "cpu" in text and "gpu" in text
        assert text.endswith("move them with .to(device)")


@on_sim
def test_a_model_on_the_gpu_says_so_to_a_batch_on_the_cpu(device):
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).to("gpu")
    with pytest.raises(TypeError, match=r"^linear: all arrays must be on one device, got \(cpu, gpu, gpu\)"):
        model(np.ones((5, 4), np.float32))


@on_sim
def test_the_trainer_moves_what_it_is_given(device):
    model = nn.Linear(4, 2)
    trainer = cunet.Trainer(model, F.cross_entropy, optim.SGD(model.parameters(), lr=0.1), device="gpu", progress=False)
    trainer.fit(Loader(np.ones((6, 4), np.float32), np.zeros(6, np.int64), batch_size=3))
    assert model.weight.device == "gpu"
    assert len(trainer.history) == 1


@pytest.mark.cpu_only
def test_other_errors_stay_what_they_are():
    assert backend.clearer_error("op", ValueError("wrong shape"), [np.ones(3), np.ones(4)]) is None
    with pytest.raises(ValueError, match="shapes|broadcast|mismatch"):
        cunet.add(np.ones(3), np.ones(4))
