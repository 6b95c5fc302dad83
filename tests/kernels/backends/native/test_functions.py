"""What hand-written C++ is given: arrays that it can read, and no others."""

import numpy as np
import pytest

from cunet import F
from cunet.autograd.tensor import Tensor
from cunet.kernels.backends.native import convolution, native
from cunet.kernels.backends.native.functions import admit
from cunet.ops.windows import Windows

pytestmark = pytest.mark.cpu_only
needs_compiler = pytest.mark.skipif(native.runtime() is None, reason="no C++ compiler that works")


def unaligned(a):
    moved = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    moved[...] = a
    return moved


def test_what_lies_well_is_taken_as_it_is():
    a = np.arange(12.0).reshape(3, 4)
    for b in (a, a.T, a[::-1, ::2], a[:0], np.broadcast_to(a[0], (5, 4))):
        found = admit(b, None, b)
        assert found[0] is found[2] is b
        assert found[1] is None


def test_what_lies_between_elements_is_copied():
    a = np.arange(12.0).reshape(3, 4)
    packed = np.zeros(5, [("skip", "i4"), ("value", "f8")])
    packed["value"] = range(5)
    for b in (unaligned(a), packed["value"]):
        (found,) = admit(b)
        assert found is not b
        assert found.flags.aligned
        assert not any(s % 8 for s in found.strides)
        np.testing.assert_array_equal(found, b)


@pytest.mark.parametrize(
    "make",
    [
        lambda a: a.astype(">f8"),
        lambda a: a.astype("f4"),
        lambda a: np.ma.masked_array(a),
        lambda a: a.tolist(),
    ],
    ids=["other byte order", "other dtype", "other class", "no array"],
)
def test_the_rest_is_numpys(make):
    a = np.arange(12.0)
    assert admit(a, make(a)) is None
    if not isinstance(made := make(a), np.ndarray) or made.dtype != np.float32:
        assert admit(made, made) is None


def test_what_is_written_must_be_apart():
    a, out = np.arange(12.0), np.zeros(4)
    frozen = out.copy()
    frozen.flags.writeable = False
    assert admit(a, written=out)[0] is a
    for bad in (a[2:6], np.zeros(8)[::2], unaligned(out), out.astype("f4"), frozen):
        assert admit(a, written=bad) is None


@needs_compiler
def test_convolution_reads_any_array(rng, monkeypatch):
    monkeypatch.setattr(native, "active", True)
    x, w, b = (rng.standard_normal(s).astype("f") for s in [(2, 3, 9, 9), (4, 3, 3, 3), (4,)])

    def run(*arrays):
        tensors = [Tensor(a, requires_grad=True) for a in arrays]
        y = F.conv2d(*tensors, padding=1)
        y.sum().backward()
        return [y.data, *[t.grad for t in tensors]]

    expected = run(x, w, b)
    for change in (unaligned, lambda a: a.astype(">f4"), lambda a: a[::-1].copy()[::-1]):
        for k in range(3):
            arrays = [x, w, b]
            arrays[k] = change(arrays[k])
            for a, e in zip(run(*arrays), expected, strict=True):
                np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-5)


@needs_compiler
def test_sums_that_would_be_written_over_the_input_are_not_taken(monkeypatch):
    monkeypatch.setattr(native, "active", True)
    windows = Windows((1, 4, 4), (1, 4, 4), (1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1))
    x = gy = np.ones((1, 2, 1, 4, 4), "f")
    assert convolution.weight_gradient(x, gy, windows, 1, gy.reshape(-1)[:2]) is NotImplemented
    sums = np.zeros(2, "f")
    assert convolution.weight_gradient(x, gy, windows, 1, sums) is not NotImplemented
    assert sums.tolist() == [16, 16]
