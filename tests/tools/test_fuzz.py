"""The fuzzer finds planted faults of each kind, and gives the command that shows one again."""

import functools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fuzzing.calls import Call, draw
from fuzzing.layers import LAYERS
from fuzzing.layouts import LAYOUTS
from fuzzing.routes import difference, execute, plain, run
from fuzzing.worker import findings
from native_helpers import needs_compiler, once

from cunet import F
from cunet.kernels.backends.native import native
from cunet.parity.row import Row, function_of

pytestmark = [pytest.mark.cpu_only, pytest.mark.slow, once]

ROOT = Path(__file__).resolve().parents[2]
#: Replaces what a compiled kernel does.
FAULT = """
import os, time
from cunet.ops import error_function

def fault(x):
    {fault}

error_function.erf_forward.native(fault)
"""
FAULTS = {
    "values": ("return x * 1.001", "places apart"),
    "dtype": ("return (x * 0).astype('f4')", "not float64"),
    "input": ("x[...] = 2; return x + 0", "an input was changed"),
    "inside": ("raise KeyError('x')", "KeyError"),
    "warning": ("import warnings; warnings.warn('odd', stacklevel=1); return x", "UserWarning: odd"),
    "crash": ("os.abort()", "native: killed by SIGABRT"),
    "exit": ("os._exit(3)", "native: exit status 3"),
    "hang": ("time.sleep(100)", "native: no end after 4 s"),
    "busy machine": ("for _ in range(5): sum(range(10**6)), time.sleep(1)\n    return x * 1.001", "places apart"),
    "loop": ("while True: pass", "native: no end after 4 s"),
}


@pytest.fixture(autouse=True)
def route(monkeypatch):
    """Have the route as it was after a test: the fuzzer chooses one for each call."""
    monkeypatch.setattr(native, "active", native.active)


def fuzz(*arguments):
    command = [sys.executable, str(ROOT / "tools" / "fuzz.py"), "--sim", "no", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@functools.cache
def number_of(op):
    """Return the first call of an op in float64, with more than one element and nothing odd."""
    for number in range(20000):
        call = draw(0, number)
        x = call.arrays[0]
        if call.row.op == op and x.dtype == np.float64 and x.size > 9 and set(call.layouts) == {"plain"}:
            return str(number)
    raise AssertionError(op)


@needs_compiler
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_and_can_be_shown_again(tmp_path, name):
    body, said = FAULTS[name]
    plant = tmp_path / "fault.py"
    plant.write_text(FAULT.format(fault=body))
    number = number_of("erf")
    found = fuzz("--start", number, "--calls", "2", "--timeout", "4", "--preload", str(plant))
    assert found.returncode == 1, found.stdout + found.stderr
    assert f"python tools/fuzz.py --seed 0 --only {number}  # erf(float64[" in found.stdout
    assert said in found.stdout
    assert "2 calls by" in found.stdout  # the call after it ran as well


@needs_compiler
def test_the_same_call_without_a_fault_is_no_finding():
    assert fuzz("--only", number_of("erf")).returncode == 0


def test_a_call_is_the_same_each_time_and_most_calls_are_taken():
    calls = [draw(3, number) for number in range(200)]
    assert [str(draw(3, number)) for number in range(200)] == [str(call) for call in calls]
    refused = sum(bool(run(call, "numpy, plain").error) for call in calls)
    assert 10 < refused < 80


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_what_it_is_called(name):
    a = np.arange(12.0).reshape(3, 4)
    layout = LAYOUTS[name]
    view = layout.view(layout.base(a.copy()))
    assert view.shape == a.shape
    assert name in ("broadcast", "overlapping") or np.array_equal(view, a)
    odd = view.strides != a.strides or not view.dtype.isnative or not view.flags.writeable or not view.flags.aligned
    assert odd == (name != "plain")
    assert plain(view).strides == a.strides
    assert np.array_equal(plain(view), view)


@pytest.mark.parametrize("lucky", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_a_step_loses_by_itself_is_no_finding_but_more_than_that_is(rng, dtype, lucky):
    """Behind a saturated tanh the gradient is 1 - y * y: the rounding of y, which no last place of an input moves."""
    row = Row("rnn_layer", lambda _: (), {}, "sum", function_of("rnn_layer"))
    x = rng.uniform(5, 7, 1000).astype(np.float32)
    luck = np.abs(np.tanh(x) - np.tanh(x.astype(np.float64)))
    x = x[luck.argsort()[:1]] if lucky else x[:9]  # one whose tanh happens to be right in float32
    arrays = [x[None, :, None], np.zeros((len(x), 1)), np.ones((1, 1)), np.ones((1, 1))]
    arrays = [a.astype(dtype) for a in arrays]
    call = Call(row, arrays, ["plain"] * 4, {})
    reference = run(call, "numpy, plain")
    y, gx = reference.arrays[0].astype(np.float64), reference.arrays[2]

    def rounded(places):
        """What comes for x when y is so many places higher: the gradient holds the factor 1 - y * y."""
        factor = (1 - (y + places * np.spacing(dtype(0.9))) ** 2) / (1 - y * y)
        return reference._replace(arrays=[*reference.arrays[:2], (gx * factor).astype(dtype), *reference.arrays[3:]])

    assert difference(call, "native", reference, rounded(1)) == ""
    assert "places apart" in difference(call, "native", reference, rounded(100))
    assert difference(call, "native", reference, execute(call, arrays)) == ""


def test_what_an_outer_product_makes_fits_into_memory():
    calls = [call for call in (draw(8013, number) for number in range(2000)) if call.row.op in ("outer", "tensordot")]
    assert len(calls) > 5
    assert max(np.prod([float(a.size) for a in call.arrays]) for call in calls) < 2e7


@pytest.mark.parametrize(("wrong", "expected"), [(1.0, 0), (1.001, 1)])
def test_what_one_thread_loses_in_a_long_sum_is_no_finding_but_a_wrong_sum_is(monkeypatch, wrong, expected):
    """One number many times, whose roundings all go one way."""
    sim = pytest.importorskip("sim")
    if sim.unavailable_reason():
        pytest.skip(sim.unavailable_reason())
    sim.install()
    try:
        row = Row("softmax", lambda _: (), {}, "sum", lambda x, **_: wrong_on("gpu", F.softmax(x, axis=1), wrong))
        call = Call(row, [np.where(np.arange(36000) % 18000, -0.3, 0.0).reshape(2, 18000)], ["transposed"], {})
        assert "places apart" in difference(call, "sim", run(call, "numpy, plain"), run(call, "sim"))
        assert len(findings(call, ["numpy, plain", "sim"])) == expected
    finally:
        sim.uninstall()


def wrong_on(device, y, factor):
    return y * factor if y.device == device else y


@pytest.mark.parametrize("name", ["nn.LayerNorm", "nn.TransformerEncoderLayer", "nn.LayerNormLSTM"])
def test_weights_of_norms_stay_finite(monkeypatch, name):
    monkeypatch.setattr("fuzzing.calls.LAYERS", {name: LAYERS[name]})
    monkeypatch.setattr("fuzzing.calls._special", lambda rng, a: a + np.inf)
    drawn = [draw(8, number) for number in range(400)]
    normed = [[np.isfinite(a.astype(float)).all() for a in call.arrays] for call in drawn if call.row.op == name]
    assert not all(finite[0] for finite in normed)
    assert all(all(finite[1:]) for finite in normed)
