"""Memory of a GPU, shared by DLPack and by CUDA's interface of arrays."""

import numpy as np
import pytest
from helpers import host

import cunet


@pytest.fixture
def array(dev):
    x = dev(np.arange(4, dtype=np.float32))
    if type(x) is np.ndarray:
        pytest.skip("of arrays on a GPU")
    if not hasattr(x, "__dlpack__"):
        pytest.skip("the simulated device has no memory that others could read")
    return x


def test_cupy_shares_memory_both_ways(array):
    import cupy

    x = cunet.from_dlpack(array)
    assert x.data.data.ptr == array.data.ptr == cupy.from_dlpack(x).data.ptr == cupy.asarray(x).data.ptr
    x.data[0] = 5
    assert host(array)[0] == 5
    with pytest.raises(ValueError, match="copy must not be False"):
        cunet.from_dlpack(array, device="cpu", copy=False)


def test_pytorch_shares_memory_both_ways(array):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")
    theirs = torch.arange(4.0, device="cuda")
    x = cunet.from_dlpack(theirs)
    assert x.data.data.ptr == theirs.data_ptr() == torch.from_dlpack(x).data_ptr()
    assert torch.as_tensor(x, device="cuda").data_ptr() == theirs.data_ptr()
