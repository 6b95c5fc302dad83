"""Elementwise kernels whose arguments are broadcast along rows or across them, and those in rows of a block."""

import numpy as np
import pytest
from rowwise_helpers import agree, every_dtype, on, results, wide

from cunet.device import is_gpu_array
from cunet.kernels import KERNELS
from cunet.kernels.backends.cuda import broadcast, tuning
from cunet.kernels.backends.cuda.tuning import Tuning
from cunet.ops.norm import kernels as norm_kernels

BROADCAST = {
    "values for channels of images": ((6, 5, 48), (1, 5, 1), "row"),
    "values for samples": ((6, 5, 48), (6, 1, 1), "row"),
    "values for samples and channels": ((6, 5, 48), (6, 5, 1), "row"),
    "values for columns": ((30, 48), (48,), "col"),
    "values for pixels": ((6, 4, 4, 12), (4, 12), "col"),
    "values for the inner channels": ((2, 3, 5, 48), (1, 3, 1, 1), "row"),
    "odd rows": ((6, 5, 31), (1, 5, 1), "row"),
}


@pytest.fixture
def short(monkeypatch):
    """Broadcast arrays of any size are worth a kernel over rows."""
    monkeypatch.setattr(tuning, "tuning", Tuning(broadcast=0))


@every_dtype
@pytest.mark.parametrize("name", BROADCAST)
def test_broadcast_arguments(name, dtype, rng, dev, short):
    shape, part, place = BROADCAST[name]
    x, gy = (rng.uniform(-2, 2, shape).astype(dtype) for _ in range(2))
    mean, rstd, weight, bias, total = (rng.uniform(0.5, 2, part).astype(wide(dtype)) for _ in range(5))
    for kernel, args in (
        (norm_kernels.normalize, (x, mean, rstd, weight, bias)),
        (norm_kernels.normalize, (x, 0.5, rstd, 1.0, 0.0)),
        (norm_kernels.normalize, (x, mean.mean(keepdims=True), rstd, weight.reshape(-1)[0].reshape(()), 0.0)),
        (norm_kernels.normalize_backward, (gy, x, mean, rstd, weight, total, bias, 0.125)),
        (KERNELS["leaky_relu_backward"], (gy, x, weight)),
        (KERNELS["drop_channels"], (x, (weight > 1).astype(wide(dtype)), 2.0, 0.25, -0.5)),
    ):
        plan = broadcast.plan(kernel, on(dev, args)) if is_gpu_array(dev(x)) else None
        if plan:
            assert place in [p.place for p in plan.text.ins]
        assert plan or not is_gpu_array(dev(x))
        agree(results(kernel, on(dev, args)), args, kernel, dtype)


@pytest.mark.parametrize(
    ("shape", "parts"),
    [
        ((64, 64), [(64, 64)]),  # nothing is broadcast, and there are few elements
        ((64, 64), [()]),
        ((64, 8), [(8,)]),  # rows of a few elements
        ((8, 6, 64), [(8, 1, 64)]),  # neither along rows nor across them
        ((8, 6, 64), [(1, 6, 1), (8, 1, 64)]),
        ((2, 100000), [(2, 1)]),  # fewer rows than a GPU has processors
    ],
)
def test_what_gives_no_good_rows_is_left_to_cupy(shape, parts, rng, dev, short):
    x = dev(rng.standard_normal(shape).astype(np.float32))
    others = [dev(rng.standard_normal(p).astype(np.float32)) for p in (parts * 2)[:2]]
    assert broadcast.plan(norm_kernels.normalize, (x, others[0], others[1], 1.0, 0.0)) is None


@every_dtype
@pytest.mark.parametrize("size", [1, 31, 2048, 4096, 5000, 8192 + 16, 20001])
def test_many_elements_in_rows_of_a_block(size, dtype, rng, dev, monkeypatch):
    monkeypatch.setattr(tuning, "tuning", Tuning(broadcast=0, flat=0))
    x, gy = (rng.uniform(-3, 3, size).astype(dtype) for _ in range(2))
    g = rng.uniform(1, 2, ()).astype(wide(dtype))
    for name, args in (
        ("elu_forward", (x, 0.5)),
        ("elu_backward", (gy, x, 0.5)),
        ("gelu_backward", (gy, x)),
        ("mse_forward", (x, gy)),
        ("mse_backward", (g, x, gy)),
        ("mse_backward", (rng.uniform(1, 2, size).astype(wide(dtype)), x, gy)),
    ):
        kernel = KERNELS[name]
        if size > 1 and is_gpu_array(dev(x)):
            assert broadcast.plan(kernel, on(dev, args)).shape.total == size
        agree(results(kernel, on(dev, args)), args, kernel, dtype)
        if size > 4096:
            agree(results(kernel, [a[1:] if getattr(a, "ndim", 0) else a for a in on(dev, args)]),
                  [a[1:] if getattr(a, "ndim", 0) else a for a in args], kernel, dtype)  # fmt: skip


def test_strided_data_is_left_to_cupy(rng, dev, short):
    x, mean = dev(rng.standard_normal((64, 32)).astype(np.float32)), dev(np.ones(64, np.float32))
    assert broadcast.plan(norm_kernels.normalize, (x.T, mean, 1.0, 1.0, 0.0)) is None
    assert broadcast.plan(norm_kernels.normalize, (x.reshape(32, 64), mean, 1.0, 1.0, 0.0))


def test_a_few_elements_are_left_to_cupy(dev):
    x, mean = dev(np.ones((64, 64), np.float32)), dev(np.ones(64, np.float32))
    assert broadcast.plan(norm_kernels.normalize, (x, mean, 1.0, 1.0, 0.0)) is None


IN_ROWS = sorted(n for n, k in KERNELS.items() if k.spec.kind == "elementwise" and broadcast.fits(k.spec))


@pytest.mark.parametrize("name", IN_ROWS)
def test_every_elementwise_kernel_gives_the_same_in_rows(name, rng, cp, monkeypatch):
    kernel = KERNELS[name]
    monkeypatch.setattr(tuning, "tuning", Tuning(broadcast=0))
    args = [
        cp.asarray(rng.uniform(0.1, 0.9, (3, 64)).astype(np.float16)) if p.type == "T"
        else cp.asarray(rng.uniform(0.1, 0.9, (3, 1)).astype(np.float32)) if p.type == "A" else 1
        for p in kernel.spec.ins
    ]  # fmt: skip
    monkeypatch.setattr(tuning, "tuning", Tuning(broadcast=0, flat=0))
    assert broadcast.plan(kernel, args)
    found = results(kernel, args)
    monkeypatch.setattr(tuning, "tuning", Tuning(broadcast=1 << 20, flat=0))
    assert broadcast.plan(kernel, args) is None
    for y, e in zip(found, results(kernel, args), strict=True):
        assert y.dtype == e.dtype
        np.testing.assert_array_equal(y, e)
