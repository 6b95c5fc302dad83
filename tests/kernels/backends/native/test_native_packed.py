"""Products by a matrix that is packed once: every number of rows and columns, and what follows."""

import ctypes
import functools

import numpy as np
import pytest
from helpers import run_script
from native_helpers import once, wrapper

from cunet.kernels.backends.native import compiler
from cunet.kernels.backends.native.text import single, source

CHECK = """
#ifdef CUNET_PACKS
template <class U> int have(char letter) {
  const MultiplyPanel<U> multiply = multiply_panel<U>;
  const PackRows<U> pack = pack_rows<U>;
  cunet_have_panels(letter, (void*)multiply, (void*)pack);
  return 0;
}
const int had = have<float>('f') + have<double>('d');
template <class T> int run(const T* x, const T* w, T* y, const T* mask, const T* extra, const int64_t* n) {
  Packed<T>(w, n[1], n[2]).multiply(x, n[3], y, n[4], n[0], {mask, extra, n[5], n[6]});
  return 0;
}
template <class T> int rows(const T* x, const T* w, T* y, const int64_t* n) {  // in pieces of the columns of x
  std::vector<T> panel(n[1] * kPanel<T> + 1);
  for (int64_t k = 0; k < n[1]; k += n[5])
    for (int64_t j = 0; j < n[2]; j += kPanel<T>) {
      const int64_t length = n[1] - k < n[5] ? n[1] - k : n[5], width = n[2] - j < kPanel<T> ? n[2] - j : kPanel<T>;
      pack_rows(w + j * n[6] + k, n[6], length, width, panel.data());
      multiply_panel(length, panel.data(), width, x + k, n[3], 1, y + j, n[4], n[0], k > 0, After<T>());
    }
  return 0;
}
#else
template <class T> int rows(const T*, const T*, T*, const int64_t*) { return -1; }
template <class T> int run(const T*, const T*, T*, const T*, const T*, const int64_t*) { return -1; }
#endif
extern "C" int run_f(const float* x, const float* w, float* y, const float* mask, const float* extra,
                     const int64_t* n) {
  return run(x, w, y, mask, extra, n);
}
extern "C" int run_d(const double* x, const double* w, double* y, const double* mask, const double* extra,
                     const int64_t* n) {
  return run(x, w, y, mask, extra, n);
}
extern "C" int rows_f(const float* x, const float* w, float* y, const int64_t* n) { return rows(x, w, y, n); }
extern "C" int rows_d(const double* x, const double* w, double* y, const int64_t* n) { return rows(x, w, y, n); }
"""
HEADS = "#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n#include <memory>\n#include <vector>\n"


@functools.cache
def library():
    text = HEADS + source("panels.h") + "typedef float T;\n" + source("panels.cpp", "packed.cpp") + CHECK
    assert compiler.compile_all([single("packed", text)]) == [None]
    return compiler.load(text)


pytestmark = pytest.mark.cpu_only


@pytest.fixture(autouse=True)
def needs_a_processor_that_packs():
    if compiler.compiler() is None or library().run_f(*[None] * 5, (ctypes.c_int64 * 7)()):
        pytest.skip("no compiler, or no processor with AVX-512")


def multiply(x, w, mask=None, extra=None, room=3):
    """Return ``x @ w * mask + extra``, and what lies around it."""
    rows, columns = len(x), w.shape[1]
    out = np.full((rows + 2, columns + room), 7, x.dtype)
    pitches = [0 if a is None or a.ndim == 1 else a.strides[0] // a.itemsize for a in (mask, extra)]
    numbers = (ctypes.c_int64 * 7)(rows, *w.shape, x.strides[0] // x.itemsize, columns + room, *pitches)
    pointers = [None if a is None else ctypes.c_void_p(a.ctypes.data) for a in (x, w, out[1:], mask, extra)]
    run = library().run_f if x.dtype == np.float32 else library().run_d
    assert run(*pointers, numbers) == 0
    around = np.concatenate([out[0], out[-1], out[1:-1, columns:].ravel()])
    return out[1:-1, :columns], around


def matrices(rng, dtype, rows, inner, columns):
    x = rng.standard_normal((rows, inner + 5)).astype(dtype)[:, 2 : inner + 2]
    return x, rng.standard_normal((inner, columns)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8, 11, 12, 13, 25, 31])
def test_products_are_right_up_to_the_edges(rng, dtype, rows):
    for columns in (1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 76):
        x, w = matrices(rng, dtype, rows, 19, columns)
        y, around = multiply(x, w)
        expected = x.astype(np.float64) @ w.astype(np.float64)
        np.testing.assert_allclose(y, expected, atol=60 * np.finfo(dtype).eps, rtol=0)
        assert np.all(around == 7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_factor_and_a_term_follow(rng, dtype):
    x, w = matrices(rng, dtype, 15, 9, 37)
    plain, _ = multiply(x, w)
    mask, extra = rng.standard_normal((2, 15, 37)).astype(dtype)
    for terms in (extra, extra[3]):
        y, around = multiply(x, w, mask, terms)
        np.testing.assert_array_equal(y, plain * mask + terms)
        y, _ = multiply(x, w, None, terms)
        np.testing.assert_array_equal(y, plain + terms)
        assert np.all(around == 7)


def test_no_bit_depends_on_the_other_rows(rng):
    x, w = matrices(rng, np.float32, 29, 100, 50)
    whole, _ = multiply(x, w)
    for first, end in ((0, 1), (3, 20), (17, 29)):
        part, _ = multiply(x[first:end], w)
        assert part.tobytes() == np.ascontiguousarray(whole[first:end]).tobytes()


def test_what_is_not_finite_stays_in_its_row(rng):
    x, w = matrices(rng, np.float32, 14, 6, 20)
    x[4, 2], x[9, 3] = np.nan, np.inf
    y, _ = multiply(x, w)
    assert np.all(np.isnan(y[4])) and not np.any(np.isfinite(y[9]))
    assert np.all(np.isfinite(np.delete(y, (4, 9), axis=0)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("inner", [1, 2, 3, 4, 7, 16, 33])
@pytest.mark.parametrize("piece", [40, 5, 1])
def test_rows_are_packed_as_columns(rng, dtype, inner, piece):
    run = library().rows_f if dtype == np.float32 else library().rows_d
    for columns in (1, 3, 8, 15, 16, 17, 33, 70):
        x = rng.standard_normal((14, inner + 2)).astype(dtype)[:, 1 : inner + 1]
        w = rng.standard_normal((columns, inner + 3)).astype(dtype)[:, 2 : inner + 2]
        out = np.full((14, columns + 1), 7, dtype)
        pitches = [a.strides[0] // a.itemsize for a in (x, out)]
        numbers = (ctypes.c_int64 * 7)(14, inner, columns, *pitches, piece, w.strides[0] // w.itemsize)
        assert run(*[ctypes.c_void_p(a.ctypes.data) for a in (x, w, out)], numbers) == 0
        whole, _ = multiply(x, np.ascontiguousarray(w.T))
        assert out[:, :columns].tobytes() == whole.tobytes() and np.all(out[:, columns] == 7)


@pytest.mark.slow
@once
@pytest.mark.parametrize("broken", [False, True])
def test_panels_are_loaded_when_a_product_asks_for_them(tmp_path, broken):
    """Where they cannot be had BLAS multiplies, after one warning."""
    before = 'if grep -q "cunet_panels(void" "$src"; then exit 1; fi' if broken else ""
    env = {"CXX": wrapper(tmp_path / "g++", before), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    code = """
    import numpy as np
    from cunet import F
    x, w = np.random.default_rng(0).standard_normal((2, 90, 300)).astype(np.float32)
    first, second = (F.linear(x, w).data for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert abs(first - x.astype(float) @ w.T.astype(float)).max() < 1e-4
    """
    done = run_script(code, env)
    assert done.stderr.count("function 'cunet_panels' runs on NumPy") == broken
    log = (tmp_path / "cache" / "cunet" / "native.log").read_text()
    assert ("refused" if broken else "compiled") in next(line for line in log.splitlines() if "cunet_panels_f" in line)
