"""Kernels that work row by row (`cunet.rowwise`): any rows, however they are cut."""

import math

import numpy as np
import pytest
from helpers import host
from rowwise_helpers import ROWWISE, agree, arguments, every_dtype, on, results, wide

from cunet.kernels import KERNELS
from cunet.kernels.backends.cuda import lanes, tuning
from cunet.kernels.backends.cuda.tuning import Tuning
from cunet.ops import softmax
from cunet.ops.loss import label_kernels
from cunet.ops.norm import kernels as norm_kernels

SHAPES = [(1, 1), (37, 1), (5, 2), (5, 7), (3, 31), (2, 33), (9, 128), (3, 1000), (1, 1003), (2, 5000)]


@every_dtype
@pytest.mark.parametrize("name", ROWWISE)
def test_rows_of_any_length(name, dtype, rng, dev):
    kernel = KERNELS[name]
    for shape in SHAPES:
        args = arguments(name, rng, shape, dtype)
        agree(results(kernel, on(dev, args)), args, kernel, dtype)


@pytest.mark.parametrize("name", ROWWISE)
def test_rows_of_nothing_and_no_rows(name, rng, dev):
    kernel = KERNELS[name]
    for shape in ((0, 5), (2, 0, 3)):
        args = arguments(name, rng, shape, np.float32)
        for param, y in zip(kernel.spec.outs, results(kernel, on(dev, args)), strict=True):
            assert y.shape == (shape if param.place == "" else (*shape[:-1], 1))


@pytest.mark.parametrize("name", ROWWISE)
def test_rows_with_nan_and_infinities_are_those_of_numpy(name, rng, dev):
    kernel = KERNELS[name]
    args = arguments(name, rng, (8, 37), np.float32)
    x = args[1 if name == "norm_rows_backward" else 0]
    x[0, 3], x[1, 0], x[2, 36], x[3, 5] = math.nan, math.inf, -math.inf, math.inf
    x[3, 6], x[4, :], x[5, :] = -math.inf, -math.inf, math.nan
    if name == "label_rows_backward":  # as the forward pass leaves them
        _, _, args[2][...], args[3][...] = label_kernels.label_loss_rows(x, args[1], args[4], -100)
    pairs = zip(results(kernel, on(dev, args)), results(kernel, args), strict=True)
    for y, e in [next(pairs)] if name == "norm_rows" else pairs:  # a mean of infinities depends on the order
        np.testing.assert_allclose(y, e, rtol=1e-5, atol=1e-5)


def test_statistics_keep_what_rounding_takes_from_the_mean(rng, dev):
    """Numbers of four neighbouring floats: the mean of their sum is off by as much as they differ."""
    x = (4096 + rng.integers(0, 4, (5, 3000)) * 2.0**-11).astype(np.float32)
    _, mean, var, rstd = (host(a) for a in norm_kernels.norm_rows(dev(x), 1.0, 0.0, 0.0))
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean[:, 0], exact.mean(axis=1), rtol=6e-8)
    np.testing.assert_allclose(var[:, 0], exact.var(axis=1), rtol=1e-5)
    np.testing.assert_allclose(rstd[:, 0], exact.std(axis=1) ** -1, rtol=1e-5)


def test_a_variance_is_never_negative(rng, dev, monkeypatch):
    """Rounding leaves less than nothing of equal numbers, where few threads add them up."""
    monkeypatch.setattr(tuning, "tuning", Tuning(row_lanes=1))
    x = np.tile(rng.uniform(0.1, 10, (60, 1)).astype(np.float32), 3001)
    _, _, var, rstd = (host(a) for a in norm_kernels.norm_rows(dev(x), 1.0, 0.0, 0.0))
    assert (var >= 0).all()
    assert (var <= 1e-10).all()
    assert (rstd > 0).all()


@every_dtype
def test_numbers_and_single_values_for_rows_and_places(dtype, rng, dev):
    kernel, (gy, x, mean, rstd, weight, _) = (
        KERNELS["norm_rows_backward"],
        arguments("norm_rows_backward", rng, (6, 40), dtype),
    )
    for args in (
        (gy, x, 0.5, rstd, 2.0, 1.0),
        (gy, x, 0.0, rstd, weight, 0.0),
        (gy, x, mean, rstd[:1], weight[:, :1].reshape(()), 1.0),
    ):
        agree(results(kernel, on(dev, args)), args, kernel, dtype)


@pytest.mark.parametrize("axes", [1, 2])
@pytest.mark.parametrize("groups", [1, 3])
@every_dtype
def test_places_that_share_a_factor(groups, axes, dtype, rng, dev):
    """As in group norm: (N, groups, channels of a group, positions), a weight for each channel."""
    x = rng.uniform(3, 5, (4, groups, 6, 10)[: axes + 2]).astype(dtype)
    shape = (1, groups, 6, 1)[: axes + 2]
    weight, bias = (rng.uniform(-1, 2, shape).astype(wide(dtype)) for _ in range(2))
    args = (x, weight, bias, 1e-3)
    inner = 10 if axes == 2 else 1
    found = norm_kernels.norm_rows(*on(dev, args), axes=axes, cells=(groups, inner))
    agree([host(y) for y in found], args, norm_kernels.norm_rows, dtype, axes=axes)


@every_dtype
def test_rows_that_begin_between_two_loads(dtype, rng, dev):
    flat = rng.uniform(-2, 2, 5 * 64 + 1).astype(dtype)
    x = flat[1:].reshape(5, 64)
    on_device = dev(flat)[1:].reshape(5, 64)
    agree(results(softmax.softmax_rows, [on_device]), (x,), softmax.softmax_rows, dtype)
    transposed = results(softmax.softmax_rows, [dev(np.ascontiguousarray(x.T)).T])
    agree(transposed, (x,), softmax.softmax_rows, dtype)


@every_dtype
def test_factors_that_begin_between_two_loads(dtype, rng, dev):
    x = rng.uniform(3, 5, (5, 64)).astype(dtype)
    flat = rng.uniform(0.5, 2, 130).astype(wide(dtype))
    args = (x, flat[1:65].reshape(1, 64), flat[66:].reshape(1, 64), 1e-3)
    moved = dev(flat)
    found = norm_kernels.norm_rows(dev(x), moved[1:65].reshape(1, 64), moved[66:].reshape(1, 64), 1e-3)
    agree([host(y) for y in found], args, norm_kernels.norm_rows, dtype)


def test_integers_are_refused_in_the_name_of_the_op(dev):
    with pytest.raises(TypeError, match="softmax: "):
        softmax.softmax(dev(np.arange(6).reshape(2, 3)))


# -- how the work is cut; on the simulated device, whatever is tested

FORMS = {"held": {}, "read again": {"held": 0}, "a few lanes": {"row_lanes": 64}, "two loads": {"held": 2}}


@pytest.mark.parametrize("threads", [1, 32])
@pytest.mark.parametrize("form", FORMS)
def test_rows_come_out_the_same_however_they_are_cut(form, threads, rng, cp, monkeypatch):
    from sim.state import block

    monkeypatch.setattr(tuning, "tuning", Tuning(**FORMS[form]))
    for shape in ((3, 31), (5, 64), (2, 1000), (1, 5001)):
        for name in ROWWISE:
            args = arguments(name, rng, shape, np.float32)
            with block(threads):  # 32: warps and threads in reverse
                found = results(KERNELS[name], on(cp.asarray, args))
            agree(found, args, KERNELS[name], np.float32)


# -- mistakes that must be seen

PLANTED_ROWS = {
    "first barrier": ("__syncthreads();  // all", "// all"),
    "second barrier": ("&mine, sizeof(S));\n  __syncthreads();", "&mine, sizeof(S));"),
    "shuffle": ("words[k], step)", "words[k], 1)"),
    "warps": ("lanes >> 5", "lanes >> 6"),
    "last step": ("step < warps", "step < 2"),
}


def errors_of_rows(cp, rng):
    """The largest error of kernels that join one value after another, in both orders of threads."""
    from sim.state import block

    found = []
    for name in ("softmax_rows", "norm_rows", "log_softmax_rows"):
        args = arguments(name, rng, (3, 2048), np.float32)
        KERNELS[name].prepared.clear()
        for threads in (1, 32):
            with block(threads), np.errstate(all="ignore"):
                y = results(KERNELS[name], on(cp.asarray, args))[0]
            found.append(np.abs(y - results(KERNELS[name], args)[0]).max())
        KERNELS[name].prepared.clear()
    return found


def test_rows_are_right_before_anything_is_planted(cp, rng):
    assert max(errors_of_rows(cp, rng)) < 1e-4


@pytest.mark.parametrize("mistake", PLANTED_ROWS)
def test_a_mistake_in_the_joining_of_rows_is_caught(mistake, cp, rng, monkeypatch):
    right, wrong = PLANTED_ROWS[mistake]
    assert lanes._JOIN.count(right) == 1 or mistake == "shuffle"
    monkeypatch.setattr(lanes, "_JOIN", lanes._JOIN.replace(right, wrong))
    assert not max(errors_of_rows(cp, rng)) < 1e-3  # nan counts as caught
