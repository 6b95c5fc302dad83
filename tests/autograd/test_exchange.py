"""Memory shared with other libraries by DLPack, both ways."""

import numpy as np
import pytest

import cunet
from cunet import nn

pytestmark = pytest.mark.cpu_only

ARRAYS = {
    "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
    "float16": np.arange(3, dtype=np.float16),
    "integers": np.arange(4),
    "flags": np.array([True, False]),
    "strided": np.arange(12.0).reshape(3, 4)[::2, ::-1],
    "no axis": np.array(2.5),
    "no elements": np.zeros((0, 3)),
    "one element": np.ones((1, 1), np.float32),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_numpy_shares_memory_both_ways(name):
    a = ARRAYS[name].copy() if name != "strided" else ARRAYS[name]
    x = cunet.from_dlpack(a)
    back = np.from_dlpack(x)
    for found in (x.data, back):
        assert (found.shape, found.dtype) == (a.shape, a.dtype)
        assert np.shares_memory(found, a) or not a.size
        np.testing.assert_array_equal(found, a)
    assert x.__dlpack_device__() == (1, 0) and not x.requires_grad


def test_pytorch_shares_memory_both_ways():
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    theirs = torch.arange(6.0).reshape(2, 3).T
    x = cunet.from_dlpack(theirs)
    theirs[0, 0] = 9
    assert x.shape == (3, 2) and x.data[0, 0] == 9
    x.data[2, 1] = -1
    assert theirs[2, 1] == -1
    again = torch.from_dlpack(x)
    assert again.data_ptr() == theirs.data_ptr() and again.stride() == theirs.stride()
    weight = nn.Linear(2, 3).weight
    assert torch.from_dlpack(weight.detach()).data_ptr() == weight.data.ctypes.data
    with pytest.raises(BufferError):
        cunet.from_dlpack(torch.ones(2, requires_grad=True))
    with pytest.raises(ValueError, match="convert it to float32 first"):
        cunet.from_dlpack(torch.ones(2, dtype=torch.bfloat16))


def test_gradients_go_through_shared_memory():
    a = np.array([1.0, 2.0])
    x = cunet.from_dlpack(a)
    x.requires_grad = True
    (x * x).sum().backward()
    assert x.grad.tolist() == [2, 4] and a.tolist() == [1, 2]


def test_a_gradient_is_not_lost_silently():
    x = cunet.tensor([1.0], requires_grad=True)
    for y in (x, x * 2):
        with pytest.raises(BufferError, match="give its detach"):
            np.from_dlpack(y)
        assert np.from_dlpack(y.detach()).tolist() == y.data.tolist()
    assert not hasattr(x.detach(), "__cuda_array_interface__") and not hasattr(x, "__cuda_array_interface__")


def test_copies():
    a = np.arange(3.0)
    assert np.shares_memory(cunet.from_dlpack(a, copy=False).data, a)
    assert np.shares_memory(cunet.from_dlpack(a, device="cpu").data, a)
    copied = cunet.from_dlpack(a, copy=True).data
    assert not np.shares_memory(copied, a) and copied.tolist() == a.tolist()


class Elsewhere:
    def __init__(self, kind):
        self.kind = kind

    def __dlpack__(self, **options):
        raise AssertionError("nobody may ask")

    def __dlpack_device__(self):
        return self.kind, 0


def test_what_cannot_be_read_is_refused():
    with pytest.raises(TypeError, match="an object with __dlpack__ is needed, got list"):
        cunet.from_dlpack([1, 2])
    with pytest.raises(ValueError, match="lies on a device of kind 4"):
        cunet.from_dlpack(Elsewhere(4))
    with pytest.raises(BufferError, match="byte order"):
        cunet.from_dlpack(np.arange(3, dtype=">f4"))
    if cunet.device_info().get("gpu") is None:
        with pytest.raises(ValueError, match="where CuPy is needed"):
            cunet.from_dlpack(Elsewhere(2))
