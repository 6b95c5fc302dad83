"""Matrix products of operands as they lie. On the simulated device, whose cuBLAS looks at what it is given."""

import itertools

import ml_dtypes
import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F
from cunet.device import is_half
from cunet.kernels.backends.cuda import cublas
from cunet.kernels.backends.cuda.products import product

DTYPES = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda t: np.dtype(t).name)
SHAPES = [
    ((3, 4), (4, 5)), ((1, 4), (4, 5)), ((3, 4), (4, 1)), ((3, 1), (1, 5)), ((1, 1), (1, 1)), ((4,), (4, 5)),
    ((3, 4), (4,)), ((4,), (4,)), ((2, 3, 4), (4, 5)), ((3, 4), (2, 4, 5)), ((2, 3, 4), (2, 4, 5)), ((4,), (2, 4, 5)),
    ((2, 3, 4), (4,)), ((2, 7, 3, 4), (2, 7, 4, 5)), ((2, 7, 3, 4), (7, 4, 5)), ((2, 1, 3, 4), (1, 7, 4, 5)),
    ((2, 7, 3, 4), (2, 1, 4, 5)), ((2, 1, 3, 4), (4, 5)), ((0, 4), (4, 5)), ((3, 0), (0, 5)), ((0, 3, 4), (4, 5)),
    ((2, 3, 0), (0, 5)), ((1, 3, 4), (1, 4, 5)),
]  # fmt: skip


def turned(a):
    return a.swapaxes(-1, -2).copy().swapaxes(-1, -2)


def spaced(a):
    wide = a.repeat(2, axis=-2)
    return wide[..., ::2, :]


LAYOUTS = {
    "as they are": lambda a: a,
    "transposed": lambda a: turned(a) if a.ndim > 1 else a,
    "gaps between rows": lambda a: spaced(a) if a.ndim > 1 else a,
    "gaps between columns": lambda a: turned(spaced(a.swapaxes(-1, -2)).swapaxes(-1, -2)) if a.ndim > 1 else a[...],
    "every second number": lambda a: a.repeat(2, axis=-1)[..., ::2],
    "backwards": lambda a: a[..., ::-1].copy()[..., ::-1],
    "batches from behind": lambda a: a[::-1].copy()[::-1] if a.ndim > 2 else a,
    "batch behind": lambda a: a.transpose(1, 0, 2).copy().transpose(1, 0, 2) if a.ndim == 3 else a,
    "one for all": lambda a: a[..., :1, :].repeat(a.shape[-2], axis=-2) if a.ndim > 1 else a,
}


def made(rng, shape, dtype):
    return rng.integers(-3, 4, shape).astype(dtype)  # sums of such numbers are exact


@every_dtype
@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_is_numpys_matmul(dtype, layout, rng, cp):
    for (of_x, of_y), second in itertools.product(SHAPES, (layout, "as they are")):
        x, y = made(rng, of_x, dtype), made(rng, of_y, dtype)
        given = LAYOUTS[layout](cp.asarray(x)), LAYOUTS[second](cp.asarray(y))
        z = product(*given)
        expected = given[0].get().astype("d") @ given[1].get().astype("d")
        assert (z.shape, z.dtype) == (expected.shape, np.dtype(dtype))
        np.testing.assert_array_equal(z.get().astype("d"), expected)


@pytest.mark.parametrize("layout", ["transposed", "gaps between rows", "gaps between columns", "batch behind"])
def test_no_operand_is_copied(layout, rng, cp):
    for of_x, of_y in (((3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((2, 3, 4), (1, 4, 5)), ((6, 3, 4), (4, 5))):
        x, y = (LAYOUTS[layout](cp.asarray(made(rng, s, "f"))) for s in (of_x, of_y))
        with cp._stats.counting() as counted:
            product(x, y)
        assert counted["ops"] == 1


def test_heads_of_attention_are_one_call(rng, cp):
    """Queries (L, N, heads * E) seen as (N, heads, L, E): the batch has one step, rows lie far apart."""
    query, key = (cp.asarray(made(rng, (6, 2, 3 * 5), "f")) for _ in range(2))
    q, k = (a.reshape(6, 2, 3, 5).transpose(1, 2, 0, 3) for a in (query, key))
    with cp._stats.counting() as counted:
        z = product(q, k.swapaxes(-1, -2))
    assert counted["ops"] == 1
    np.testing.assert_array_equal(z.get(), q.get() @ k.get().swapaxes(-1, -2))


def test_one_matrix_for_a_batch_is_one_product_of_all_rows(rng, cp):
    cublas.library(cp).calls.clear()
    product(cp.asarray(made(rng, (7, 3, 4), "f")), cp.asarray(made(rng, (4, 5), "f")))
    assert [call[:7] for call in cublas.library(cp).calls] == [("GemmEx", 0, 0, 5, 21, 4, 1)]


@every_dtype
@pytest.mark.parametrize("add", [False, True])
def test_it_writes_into_an_array_or_adds_to_it(dtype, add, rng, cp):
    for of_x, of_y in SHAPES:
        x, y = made(rng, of_x, dtype), made(rng, of_y, dtype)
        expected = x.astype("d") @ y.astype("d")
        before = made(rng, expected.shape, dtype)
        for wide in {np.dtype(dtype), np.dtype(np.float32 if is_half(np.dtype(dtype)) else dtype)}:
            for place in (lambda a: a, lambda a: turned(a) if a.ndim > 1 else a):
                out = place(cp.asarray(before.astype(wide)))
                assert product(cp.asarray(x), cp.asarray(y), out, add) is out
                np.testing.assert_array_equal(out.get().astype("d"), expected + add * before.astype("d"))


@pytest.mark.parametrize("dtype", DTYPES[:2], ids=["float16", "bfloat16"])
def test_sums_of_half_types_are_kept_in_float32(dtype, cp):
    x = cp.asarray(np.full((1, 4096), 4.0, dtype))
    assert product(x, x.T).item() == 65536 if dtype is not np.float16 else np.isinf(product(x, x.T).item())
    total = cp.zeros((1, 1), np.float32)
    assert product(x, x.T, out=total).item() == 65536  # beyond the range of float16
    ones = cp.asarray(np.ones((1, 4097), dtype))
    assert product(ones, ones.T, out=total).item() == 4097


def test_two_dtypes_go_through_that_of_both(rng, cp):
    for first, second in itertools.product([np.float16, np.float32, np.float64, np.int32], repeat=2):
        x, y = made(rng, (3, 4), first), made(rng, (4, 5), second)
        common = np.promote_types(first, second)
        z = product(cp.asarray(x), cp.asarray(y))
        if common.kind == "i":
            assert z is NotImplemented
        else:
            assert z.dtype == common
            np.testing.assert_array_equal(z.get().astype("d"), x.astype("d") @ y.astype("d"))
    brain = cp.asarray(made(rng, (4, 5), ml_dtypes.bfloat16))
    assert product(cp.ones((3, 4), np.float32), brain).dtype == np.float32


def test_lengths_that_do_not_meet_are_left_to_others(cp):
    assert product(cp.ones((2, 3)), cp.ones((4, 5))) is NotImplemented
    assert product(cp.ones((2, 3)), np.ones((3, 5))) is NotImplemented


@every_dtype
def test_without_the_library_cupy_does_it(dtype, rng, cp, monkeypatch):
    monkeypatch.setattr(cublas, "_library", None)
    for of_x, of_y in SHAPES:
        x, y = made(rng, of_x, dtype), made(rng, of_y, dtype)
        z = product(cp.asarray(x), cp.asarray(y))
        assert z.dtype == dtype
        np.testing.assert_array_equal(z.get().astype("d"), x.astype("d") @ y.astype("d"))


def test_what_cublas_has_no_kernel_for_cupy_does(rng, cp):
    x, y = made(rng, (2, 3, 4), "e"), made(rng, (2, 4, 5), "e")
    cublas.library(cp).refusing.append(15)
    np.testing.assert_array_equal(product(cp.asarray(x), cp.asarray(y)).get(), x @ y)
    cublas.library(cp).refusing.append(13)
    with pytest.raises(RuntimeError, match="cublasGemmStridedBatchedEx: cuBLAS answers with status 13"):
        product(cp.asarray(x), cp.asarray(y))


def test_float32_is_exact_unless_tf32_is_asked_for(cp):
    x = cunet.Tensor(cp.asarray(np.float32([[1 + 2.0**-20]])), requires_grad=True)
    one = cp.ones((1, 1), np.float32)
    assert F.linear(x, one).item() == 1 + 2.0**-20
    with cunet.precision("tf32"):
        assert F.linear(x, one).item() == 1
        with cunet.precision("ieee"):
            assert F.linear(x, one).item() == 1 + 2.0**-20
        (x @ x).sum().backward()
    assert host(x.grad).item() == 2
    (x @ x).sum().backward()
    assert host(x.grad).item() == 2 + np.float32(2 * (1 + 2.0**-20))


def test_tf32_leaves_other_dtypes_and_the_cpu_alone(cp):
    x = np.float64([[1 + 2.0**-40]])
    with cunet.precision("tf32"):
        assert product(cp.asarray(x), cp.ones((1, 1))).item() == x[0, 0]
        assert cunet.matmul(x.astype("f"), np.ones((1, 1), "f")).item() == np.float32(x[0, 0])


@pytest.mark.parametrize("mode", ["TF32", "high", None, True])
def test_other_precisions_are_refused(mode):
    with pytest.raises(ValueError, match=r'precision: mode must be "ieee" or "tf32", got'), cunet.precision(mode):
        pass
