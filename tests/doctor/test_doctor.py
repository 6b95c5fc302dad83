"""`cunet.device_info` and `python -m cunet.doctor`."""

import json
import platform
import subprocess
import sys

import numpy as np
import pytest
from helpers import run_script
from native_helpers import needs_compiler

import cunet
import sim
from cunet import device as backend
from cunet import doctor
from cunet.doctor import machine

NO_DRIVER = "CuPy is installed, but there is no NVIDIA driver"
no_sim = sim.unavailable_reason()


def test_device_info_is_plain_data():
    info = cunet.device_info()
    assert json.loads(json.dumps(info)) == info
    assert info["python"] == platform.python_version()
    assert info["numpy"] == np.__version__
    assert {
        "blas",
        "blas_threads",
        "cpu_count",
        "kernels",
        "cupy",
        "nvidia_driver",
        "cuda_runtime",
        "problem",
    } <= info.keys()


@pytest.mark.slow
@pytest.mark.cpu_only
def test_threads_of_the_blas_are_those_it_was_told():
    if machine._blas()["blas_threads"] is None:
        pytest.skip("this BLAS does not tell its threads")
    code = "import cunet; print(cunet.device_info()['blas_threads'])"
    for threads in ("1", "2"):
        env = {"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
        assert done.stdout.strip() in (threads, "1")  # a machine of one CPU has no second
    assert machine._blas()["blas"].split()[0] != "unknown"


@pytest.mark.cpu_only
def test_the_command_prints_and_warns_of_nothing():
    done = subprocess.run([sys.executable, "-W", "error", "-m", "cunet.doctor"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names[:7] == ["cunet", "Python", "NumPy", "kernels", "CuPy", "driver", "CUDA"]
    assert "runs" in names


@needs_compiler
@pytest.mark.slow
@pytest.mark.cpu_only
def test_the_cache_is_verified_and_cleared(tmp_path):
    code = "import numpy as np, cunet; cunet.F.elu(np.ones(4, np.float32))"
    env = {"XDG_CACHE_HOME": str(tmp_path), "CUNET_NATIVE": "1"}
    doctor = "from cunet.doctor.command import main; raise SystemExit(main({}))"

    def line(arguments):
        return run_script(doctor.format(arguments), env).stdout.splitlines()[-1]

    run_script(code, env)
    made = sorted((tmp_path / "cunet" / "native").glob("*.so"))
    assert line([]) == "cache    2 compiled libraries, none damaged"  # one of them under two names
    for path in {path.stat().st_ino: path for path in made}.values():  # the runtime is made anew by the report itself
        path.write_bytes(path.read_bytes()[:-1])
    assert line([]) == "cache    2 compiled libraries, 2 damaged, to be compiled again when needed"
    assert line(["--clear-cache"]).startswith(f"cache    {len(made)} files removed")
    assert not list((tmp_path / "cunet" / "native").glob("*.so"))
    env["CUNET_NATIVE"] = "0"
    assert line([]) == "cache    not used"


@pytest.mark.skipif(bool(no_sim), reason=f"no simulated device: {no_sim}")
def test_a_gpu_is_shown_with_its_memory():
    sim.install()
    try:
        info = cunet.device_info()
        text = doctor.report()
    finally:
        sim.uninstall()
    (gpu,) = info["gpus"]
    assert gpu["name"] == "simulated device"
    assert gpu["compute_capability"] == "9.0"
    assert gpu["memory_total"] == 2**36
    assert info["cuda_runtime"] == "12.9"
    assert "GPU      simulated device, compute capability 9.0, 64.0 of 64.0 GiB free" in text.splitlines()


def test_a_gpu_whose_memory_another_process_holds(monkeypatch):
    class Busy:
        def __init__(self, index):
            pass

        def __enter__(self):
            raise RuntimeError("cudaErrorDevicesUnavailable")

        def __exit__(self, *exception):
            pass

    class runtime:  # noqa: N801
        @staticmethod
        def getDeviceProperties(index):
            return {"name": "Busy", "major": 8, "minor": 6, "totalGlobalMem": 2**33}

    class cupy:  # noqa: N801
        class cuda:  # noqa: N801
            Device = Busy

    cupy.cuda.runtime = runtime
    gpu = machine._gpu(cupy, 1)
    assert gpu == {"name": "Busy", "compute_capability": "8.6", "memory_total": 2**33, "memory_free": None}
    info = cunet.device_info() | {"gpus": [gpu]}
    assert "unknown of 8.0 GiB free" in doctor.report(info)


def advice(**found):
    standard = {"cupy": [], "problem": "CuPy is not installed", "nvidia_driver": None, "nvidia_devices": None}
    return machine._advice(standard | found)


DRIVER = {"nvidia_driver": "supports CUDA 12.4", "nvidia_devices": 1}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, "No NVIDIA driver was found: cunet runs on the CPU, and needs nothing more for that."),
        ({"cupy": ["cupy-cuda12x 14.2.0"], "problem": NO_DRIVER}, "No NVIDIA driver was found"),
        (DRIVER, 'The driver supports CUDA 12.4: pip install "cunet[cuda12]".'),
        (DRIVER | {"nvidia_driver": "supports CUDA 13.1"}, 'pip install "cunet[cuda13]"'),
        (DRIVER | {"nvidia_driver": "supports CUDA 14.0"}, 'pip install "cunet[cuda13]"'),
        (DRIVER | {"nvidia_driver": "supports CUDA 11.8"}, "update it to one that supports CUDA 12 or later"),
        (
            DRIVER | {"cupy": ["cupy-cuda13x 14.2.0"], "problem": "the installed CuPy is for CUDA 13"},
            'pip uninstall cupy-cuda13x, then pip install "cunet[cuda12]"',
        ),
        (
            DRIVER | {"cupy": ["cupy-cuda12x 14.2.0"], "problem": "cannot compute"},
            'pip install "cupy-cuda12x[ctk]"',
        ),
        (DRIVER | {"nvidia_devices": 0, "problem": "there is no GPU"}, "sees no GPU: look at nvidia-smi"),
        ({"nvidia_driver": "present, but does not answer"}, "reinstall it, or restart"),
        ({"nvidia_driver": "nvidia-smi is there, but no libcuda"}, "reinstall it, or restart"),
        (DRIVER | {"cupy": ["cupy 14.0", "cupy-cuda12x 14.2.0"], "problem": ""}, "uninstall all of them"),
        (DRIVER | {"cupy": ["cupy-cuda12x 14.2.0"], "problem": ""}, ""),
    ],
)
def test_advice_fits_what_was_found(found, expected):
    assert expected in advice(**found)
    assert bool(advice(**found)) == bool(expected)


def test_the_report_says_where_cunet_runs_and_why(monkeypatch):
    monkeypatch.setattr(backend, "_gpu", None)
    monkeypatch.setattr(backend, "_problem", NO_DRIVER)
    info = cunet.device_info() | {"nvidia_driver": None, "cupy": ["cupy-cuda12x 14.2.0"]}
    lines = doctor.report(info).splitlines()
    assert f"runs on  CPU: {NO_DRIVER}" in lines
    assert "CuPy     cupy-cuda12x 14.2.0" in lines
    assert "driver   none" in lines
