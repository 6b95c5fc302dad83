"""The simulated cuBLAS refuses what the real one refuses, and what that would silently do wrongly."""

import ctypes as c

import numpy as np
import pytest

import sim

xp = sim.namespace_or_skip()

from sim.cublas import INVALID_VALUE, NOT_SUPPORTED, SUCCESS, Library  # noqa: E402

INT, WIDE, POINTER = c.c_int, c.c_longlong, c.c_void_p
HEAD = [POINTER, INT, INT, INT, INT, INT, POINTER]


class Caller:
    """Calls the library as a C program would, unless told otherwise."""

    def __init__(self):
        self.library = library = Library()
        for name, types in {
            "cublasCreate_v2": [POINTER],
            "cublasSetStream_v2": [POINTER, POINTER],
            "cublasSetWorkspace_v2": [POINTER, POINTER, c.c_size_t],
            "cublasGemmStridedBatchedEx": [
                *HEAD, *(POINTER, INT, INT, WIDE) * 2, POINTER, *(POINTER, INT, INT, WIDE), INT, INT, INT
            ],
        }.items():  # fmt: skip
            function = getattr(library, name)
            function.argtypes, function.restype = types, INT
        self.handle, self.room = c.c_void_p(), xp.cuda.alloc(1 << 25)
        assert library.cublasCreate_v2(c.byref(self.handle)) == SUCCESS
        assert library.cublasSetStream_v2(self.handle, 0) == SUCCESS
        assert library.cublasSetWorkspace_v2(self.handle, self.room.ptr, 1 << 25) == SUCCESS
        self.a, self.b = (xp.asarray(np.arange(24, dtype="f").reshape(2, 3, 4) + k) for k in range(2))
        self.out = xp.empty((2, 4, 4), "f")

    def __call__(self, ta=0, tb=1, m=4, n=4, k=3, lda=4, ldb=4, ldc=4, sa=12, sb=12, sc=16, kinds=(0, 0, 0), **kw):
        one, beta = c.c_float(1), c.c_float(kw.get("beta", 0))
        a, b, out = ((x.data.ptr + kw.get("shift", 0), kind) for x, kind in zip((self.a, self.b, self.out), kinds))  # noqa: B905
        return self.library.cublasGemmStridedBatchedEx(
            self.handle, ta, tb, m, n, k, c.byref(one), *a, lda, sa, *b, ldb, sb, c.byref(beta), *out, ldc, sc,
            kw.get("batch", 2), kw.get("compute", 68), -1,
        )  # fmt: skip


@pytest.fixture
def call():
    return Caller()


def test_it_computes_in_columns(call):
    a, b = call.a.get(), call.b.get()
    assert call() == SUCCESS
    np.testing.assert_array_equal(call.out.get().swapaxes(1, 2), a.swapaxes(1, 2) @ b)
    assert call(beta=1) == SUCCESS
    np.testing.assert_array_equal(call.out.get().swapaxes(1, 2), 2 * a.swapaxes(1, 2) @ b)
    assert call(ta=1, tb=0, m=3, n=3, k=4, ldc=4, sc=16) == SUCCESS
    np.testing.assert_array_equal(call.out.get()[:, :3, :3].swapaxes(1, 2), a @ b.swapaxes(1, 2))


def test_nothing_is_read_of_a_result_that_is_not_kept(call):
    assert np.isnan(call.out.get()).all()
    assert call() == SUCCESS
    assert np.isfinite(call.out.get()).all()


@pytest.mark.parametrize(
    "wrong", [{"lda": 3}, {"ldb": 3}, {"ldc": 3}, {"m": -1}, {"ta": 2}, {"ta": 1, "lda": 2}, {"batch": -1}], ids=str
)
def test_leading_dimensions_and_sizes_are_checked(call, wrong):
    assert call(**wrong) == INVALID_VALUE


@pytest.mark.parametrize("wrong", [{"kinds": (0, 2, 0)}, {"kinds": (0, 0, 2)}, {"compute": 70}, {"kinds": (2, 2, 14)}])
def test_types_are_checked(call, wrong):
    assert call(**wrong) == NOT_SUPPORTED


@pytest.mark.parametrize(
    ("wrong", "message"), [({"sc": 12}, "written over each other"), ({"shift": 2}, "no address for float32")]
)
def test_what_cublas_would_do_wrongly_raises(call, wrong, message):
    with pytest.raises(RuntimeError, match=message):
        call(**wrong)


def test_the_stream_must_be_the_current_one_and_have_a_workspace(call):
    with xp.cuda.Stream(non_blocking=True) as stream, pytest.raises(RuntimeError, match="another stream"):
        call()
    call.library.cublasSetStream_v2(call.handle, stream.ptr)
    with stream, pytest.raises(RuntimeError, match="workspace, which a capture forbids"):
        call()


def test_the_declared_types_must_be_those_of_the_header(call):
    function = call.library.cublasGemmStridedBatchedEx
    function.argtypes = [INT if kind is WIDE else kind for kind in function.argtypes]
    with pytest.raises(TypeError, match="not those of the header"):
        call()


def test_a_number_that_ctypes_would_cut_off_raises(call):
    with pytest.raises(OverflowError, match="does not fit into c_int"):
        call(m=1 << 32)


def test_the_wrong_number_of_arguments_raises(call):
    with pytest.raises(TypeError, match="takes 23 arguments, got 1"):
        call.library.cublasGemmStridedBatchedEx(call.handle)


def test_tf32_rounds_factors_to_11_bits(call):
    call.a.fill(1 + 2.0**-20)
    assert call(compute=77) == SUCCESS
    np.testing.assert_array_equal(call.out.get().swapaxes(1, 2), np.ones((2, 4, 3)) @ call.b.get())


def test_products_of_batches_by_cupy_itself_have_its_rules():
    import ml_dtypes

    half, brain = (xp.asarray(np.ones((2, 3, 3), t)) for t in (np.float16, ml_dtypes.bfloat16))
    with pytest.raises(TypeError, match="data type 'E' not understood"):
        brain @ brain
    assert (brain[0] @ brain[0]).dtype == brain.dtype
    for x, y, launches in ((half, half, 4), (half[0], half[0], 1)):
        with xp._stats.counting() as counted:
            assert (x @ y).dtype == np.float16
        assert counted["ops"] == launches
    wide = half.astype("f")
    with xp._stats.counting() as counted:
        wide @ wide.swapaxes(1, 2)
    assert counted["ops"] == 2
