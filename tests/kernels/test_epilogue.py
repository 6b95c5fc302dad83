"""Hooks in a kernel's text: what stands there without an epilogue, and with one."""

import numpy as np
import pytest
from helpers import host

from cunet.kernels import KERNELS, elementwise
from cunet.kernels.epilogue import epilogue_of, fused, plain, starts_from_result


@elementwise("T x, A slope", "T y", "y = x > 0 ? T(x) : T(slope * x)")
def leaky(x, slope):
    return np.where(x > 0, x, slope * x)


@elementwise("T gy, T y, A slope", "T gx", "gx = y > 0 ? T(gy) : T(slope * gy)")
def leaky_back(gy, y, slope):
    return np.where(y > 0, gy, slope * gy)


@elementwise("T x, A shift", "T y", "y = epilogue(x + shift)")
def moved(x, shift):
    return x + shift


@elementwise("T gy, T x, A shift", "T gx", "gx = epilogue_backward(gy, x + shift)")
def moved_back(gy, x, shift):
    return gy + 0 * x


def test_without_an_epilogue_hooks_stand_for_what_they_are_given():
    assert moved.spec.texts()[0] == "y = x + shift"
    assert moved_back.spec.texts()[0] == "gx = gy"
    assert plain(leaky.spec) is leaky.spec


def test_the_way_back_may_start_from_the_result():
    assert starts_from_result(leaky_back.spec)
    assert not starts_from_result(moved_back.spec)
    assert "const A y = activation(x, f0, f1);" in epilogue_of(leaky.spec, leaky_back.spec).backward


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_kernel_with_an_epilogue_does_what_two_do(dtype, rng, dev):
    epilogue = epilogue_of(leaky.spec, leaky_back.spec)

    def moved_leaky(x, shift, f0, f1):
        return leaky(moved(x, shift), f0)

    def moved_leaky_back(gy, x, shift, f0, f1):
        return leaky_back(gy, moved(x, shift), f0)

    forward = fused(moved.template, epilogue, moved_leaky)
    backward = fused(moved_back.template, epilogue, moved_leaky_back)
    assert not {"moved_leaky", "moved_leaky_back"} & KERNELS.keys()  # a user's
    x, gy = (rng.normal(size=(5, 7)).astype(dtype) for _ in range(2))
    wide, eps = x.astype(np.float64) + 0.5, np.finfo(dtype).eps
    y = host(forward(dev(x, dtype), 0.5, 0.25, 0.0))
    gx = host(backward(dev(gy, dtype), dev(x, dtype), 0.5, 0.25, 0.0))
    assert y.dtype == gx.dtype == dtype
    np.testing.assert_allclose(y, np.where(wide > 0, wide, wide / 4), rtol=2 * eps, atol=eps)
    np.testing.assert_allclose(gx, np.where(wide > 0, gy, gy / 4), rtol=eps)
