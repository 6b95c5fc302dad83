"""A sample of what `tools/derived_kernels.py` compiles."""

import derived_kernels
import pytest

import sim

sim.namespace_or_skip()
pytestmark = [pytest.mark.cpu_only, pytest.mark.usefixtures("simulated")]


def test_most_kernels_have_derivatives():
    assert len(derived_kernels.readable()) > 110


@pytest.fixture
def by_nvrtc():
    from sim import nvrtc

    if reason := nvrtc.unavailable_reason():
        pytest.skip(reason)


@pytest.mark.slow
@pytest.mark.usefixtures("by_nvrtc")
def test_texts_of_derivatives_compile():
    names = {"gelu_forward", "hypot_backward", "label_loss_rows", "logaddexp_backward", "tanh_backward"}
    kernels = [k for k in derived_kernels.readable() if k.name in names]
    assert derived_kernels.compile_all(kernels, 2, "90", ["float32"]) > 20


@pytest.mark.usefixtures("by_nvrtc")
def test_what_is_no_cuda_is_named():
    from cupy.cuda.compiler import CompileException

    (kernel,) = (k for k in derived_kernels.readable() if k.name == "gelu_forward")
    noted = derived_kernels.sources([kernel], "float32")
    wrong = [(name, source.replace("normcdf", "nothing_of_that_name")) for name, source in noted]
    with pytest.raises(CompileException, match="nothing_of_that_name"):
        derived_kernels.compile_texts(wrong, "90")
