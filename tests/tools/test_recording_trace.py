"""tools/recording/trace.py: what is launched at real sizes, found without launching anything."""

import numpy as np
import pytest

import sim

xp = sim.namespace_or_skip()

from recording.cases import chosen, ways  # noqa: E402
from recording.trace import tracing  # noqa: E402

from sim import launch, nvrtc  # noqa: E402

pytestmark = [pytest.mark.cpu_only, pytest.mark.usefixtures("simulated")]


def launches(name, elements):
    (case,) = chosen((name,))
    with tracing() as seen:
        for _, call, _ in ways(case, xp, elements, np.dtype(np.float32)):
            call()
    return seen


def test_launches_tell_kernel_kind_threads_and_arrays():
    before = launch._run, nvrtc.wanted, launch.RawKernel.__call__
    small, large = launches("relu", 1 << 20), launches("relu", 1 << 22)
    assert [(one.kernel, one.kind) for one in small[-2:]] == [
        ("relu_forward", "ElementwiseKernel"),
        ("relu_backward", "ElementwiseKernel"),
    ]
    assert {one.kind for one in large} == {"RawKernel"} and large[-1].kernel == "relu_backward"
    assert small[-2].threads == 1 << 20 and small[-2].arrays == [1 << 22] * 2
    assert large[-1].threads * 16 == 1 << 22 and large[-1].arrays == [1 << 24] * 3
    assert large[-1].elements == 1 << 22 and "relu_backward" in large[-1].job["source"]
    assert before == (launch._run, nvrtc.wanted, launch.RawKernel.__call__)


def test_nothing_is_executed():
    with tracing():
        y = xp.ElementwiseKernel("T x", "T y", "y = x", "same")(xp.zeros(8, "f"))
    assert np.isnan(y.get()).all()  # nobody wrote into it
