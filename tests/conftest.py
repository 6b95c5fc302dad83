"""The device under test (``--device cpu|sim|gpu``), and random numbers that depend on nothing but the test's name."""

import hashlib
import importlib
import os

import hypothesis
import numpy as np
import pytest
from poison import poisoned

from cunet import device as backend
from cunet import random as cunet_random

# On the simulated device a first call compiles, and a machine may be busy; a failure that comes and goes helps nobody.
hypothesis.settings.register_profile(
    "cunet", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("cunet")

skip_all = pytest.StashKey[str | None]()


def pytest_configure(config):
    device = config.getoption("device")
    if config.getoption("poison"):
        np.empty, np.empty_like = poisoned(np.empty), poisoned(np.empty_like)
    config.stash[skip_all] = None
    if device == "cpu":
        backend._gpu = None  # "auto" means NumPy in this run, GPU or not
    elif device == "gpu" and backend.gpu() is None:
        raise pytest.UsageError(
            "--device gpu: no usable GPU; cunet[cuda12] or cunet[cuda13] and an NVIDIA driver are needed"
        )
    elif device == "sim":
        config.stash[skip_all] = install_sim()


def install_sim():
    """Install the simulated device, or return why it cannot be had; an error where CUNET_REQUIRE_SIM=1 forbids that."""
    try:
        sim = importlib.import_module("sim")
    except ModuleNotFoundError as error:
        if error.name != "sim":
            raise
        reason = "there is no sim/"
    else:
        reason = sim.unavailable_reason()
    if reason is None:
        sim.install()
    elif os.environ.get("CUNET_REQUIRE_SIM") == "1":
        raise pytest.UsageError(f"--device sim is required (CUNET_REQUIRE_SIM=1), but {reason}")
    return reason and f"no simulated device: {reason}"


def pytest_report_header(config):
    return f"device under test: {config.getoption('device')}"


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(config, items):
    device, reason = config.getoption("device"), config.stash[skip_all]
    kept, left_out = [], []
    for item in items:
        if "simulated" in item.fixturenames:  # it brings its device, whatever is under test
            item.add_marker(pytest.mark.cpu_only)
        if " at 0x" in item.nodeid or "\\x" in item.nodeid:  # another name in every process, and with it another seed
            raise pytest.UsageError(f"{item.nodeid}: a test's name may hold neither an address nor bytes; give ids=")
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))
        elif device != "cpu" and item.get_closest_marker("cpu_only"):
            left_out.append(item)  # it touches no device; to skip these 7,000 takes time as well
            continue
        kept.append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = evenly(kept) if hasattr(config, "workerinput") else kept


def evenly(items):
    """Return tests with the slow ones at even distances, so that each worker gets its share of them."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    others = [item for item in items if not item.get_closest_marker("slow")]
    places = [((k + 0.5) / len(part), item) for part in (slow, others) for k, item in enumerate(part)]
    return [item for _, item in sorted(places, key=lambda place: place[0])]


def seed_of(request):
    return int.from_bytes(hashlib.blake2b(request.node.nodeid.encode(), digest_size=8).digest())


@pytest.fixture(autouse=True)
def own_seed(request):
    """Seed cunet from the test's name, and give the state back as it was."""
    state = cunet_random.get_state()
    cunet_random.manual_seed(seed_of(request))
    yield
    cunet_random.set_state(state)


@pytest.fixture
def rng(request):
    """A NumPy generator of the test's own: the same numbers in any order and on any machine."""
    return np.random.default_rng(seed_of(request))


@pytest.fixture(scope="session")
def device(request):
    """The device's name as cunet knows it: the simulated one answers to "gpu"."""
    return "cpu" if request.config.getoption("device") == "cpu" else "gpu"


@pytest.fixture(scope="session")
def dev(device):
    """``dev(array, dtype=None)``: what NumPy can read, as an array on the device under test."""
    return lambda x, dtype=None: backend.to_device(np.asarray(x, dtype), device)


@pytest.fixture
def poison(monkeypatch):
    """Fill what np.empty returns with NaN during a test, as ``--poison`` does during a run."""
    for name in ("empty", "empty_like"):
        monkeypatch.setattr(np, name, poisoned(getattr(np, name)))


@pytest.fixture
def simulated():
    """Install the simulated device, whatever device is under test."""
    import sim

    sim.install()
    yield
    sim.uninstall()
