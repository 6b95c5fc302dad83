"""Convolution as products: the same bits with any number of threads of BLAS."""

import numpy as np
import pytest

from cunet import F, Tensor
from cunet.kernels.backends.native import native
from cunet.system import cpu

pytestmark = [pytest.mark.cpu_only, pytest.mark.skipif(cpu.openblas() is None, reason="NumPy's BLAS is no OpenBLAS")]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", [(4, 8, 16, 16), (1, 16, 64, 64), (64, 16, 14, 14)], ids=str)
def test_no_result_depends_on_the_number_of_threads(shape, stride, rng, monkeypatch):
    monkeypatch.setattr(native, "active", False)
    arrays = [rng.standard_normal(s).astype(np.float32) for s in (shape, (32, shape[1], 3, 3))]
    functions, found = cpu.openblas(), set()
    before = functions["get"]()
    try:
        for threads in (1, 2, 4):
            functions["set"](threads)
            x, w = (Tensor(a, requires_grad=True) for a in arrays)
            y = F.conv2d(x, w, stride=stride)
            (y * y).sum().backward()
            found.add(y.data.tobytes() + x.grad.tobytes() + w.grad.tobytes())
    finally:
        functions["set"](before)
    assert len(found) == 1
