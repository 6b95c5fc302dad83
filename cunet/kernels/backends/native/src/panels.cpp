// Products by a kernel of our own, of rows with a matrix that is packed in panels of a few columns; for T.
//
// Each element of a result is one sum over the columns of its row, in their order, so it does not depend on how rows
// are shared out. Only where that was found to be faster than BLAS: with the 32 vector registers of AVX-512.
#ifdef CUNET_PACKS
#include <immintrin.h>
#define CUNET_UNROLL _Pragma("GCC unroll 16")

namespace {

template <class T> struct Vector;
template <> struct Vector<float> {
  typedef __m512 V;
  typedef __mmask16 Mask;
  static V load(Mask m, const float* p) { return _mm512_maskz_loadu_ps(m, p); }
  static void store(float* p, Mask m, V x) { _mm512_mask_storeu_ps(p, m, x); }
  static V splat(float x) { return _mm512_set1_ps(x); }
  static V mad(V x, V y, V z) { return _mm512_fmadd_ps(x, y, z); }
};
template <> struct Vector<double> {
  typedef __m512d V;
  typedef __mmask8 Mask;
  static V load(Mask m, const double* p) { return _mm512_maskz_loadu_pd(m, p); }
  static void store(double* p, Mask m, V x) { _mm512_mask_storeu_pd(p, m, x); }
  static V splat(double x) { return _mm512_set1_pd(x); }
  static V mad(V x, V y, V z) { return _mm512_fmadd_pd(x, y, z); }
};

// R rows of y = x @ panel, N vectors of it; `last` says which lanes of the last one there are. With `more`, sums go on
// from those in y.
template <class T, int R, int N>
void tile(int64_t inner, const T* x, int64_t x_pitch, int64_t x_step, const T* panel, T* y, int64_t y_pitch,
          typename Vector<T>::Mask last, bool more, const After<T>& after) {
  typedef Vector<T> W;
  typename W::V sums[R][N] = {};
  const typename W::Mask all = -1;
  if (more) {
    CUNET_UNROLL for (int r = 0; r < R; r++) {
      CUNET_UNROLL for (int n = 0; n < N; n++)
        sums[r][n] = W::load(n == N - 1 ? last : all, y + r * y_pitch + n * kLanes<T>);
    }
  }
  for (int64_t k = 0; k < inner; k++, panel += kPanel<T>, x += x_step) {
    typename W::V columns[N];
    CUNET_UNROLL for (int n = 0; n < N; n++) columns[n] = W::load(all, panel + n * kLanes<T>);
    CUNET_UNROLL for (int r = 0; r < R; r++) {
      const typename W::V value = W::splat(x[r * x_pitch]);
      CUNET_UNROLL for (int n = 0; n < N; n++) sums[r][n] = W::mad(value, columns[n], sums[r][n]);
    }
  }
  CUNET_UNROLL for (int r = 0; r < R; r++) {
    CUNET_UNROLL for (int n = 0; n < N; n++) {
      const int64_t at = n * kLanes<T>;
      const typename W::Mask m = n == N - 1 ? last : all;
      if (after.mask) sums[r][n] *= W::load(m, after.mask + r * after.mask_pitch + at);
      if (after.extra) sums[r][n] += W::load(m, after.extra + r * after.extra_pitch + at);
      W::store(y + r * y_pitch + at, m, sums[r][n]);
    }
  }
}

// y = x @ panel for `rows` rows and the first `width` columns of a panel, and what follows.
template <class T, int N>
void multiply_panel(int64_t inner, const T* panel, int64_t width, const T* x, int64_t x_pitch, int64_t x_step, T* y,
                    int64_t y_pitch, int64_t rows, bool more, After<T> after) {
  typedef typename Vector<T>::Mask Mask;
  const int64_t rest = width - (N - 1) * kLanes<T>;
  const Mask last = rest >= kLanes<T> ? Mask(-1) : Mask((1 << rest) - 1);
  for (int64_t r = 0, n; r < rows; r += n, x += n * x_pitch, y += n * y_pitch) {
    const int64_t left = rows - r;
    n = left >= kTileRows ? kTileRows : left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
    const auto run = n == kTileRows ? tile<T, kTileRows, N>
                     : n == 8       ? tile<T, 8, N>
                     : n == 4       ? tile<T, 4, N>
                     : n == 2       ? tile<T, 2, N>
                                    : tile<T, 1, N>;
    run(inner, x, x_pitch, x_step, panel, y, y_pitch, last, more, after);
    if (after.mask) after.mask += n * after.mask_pitch;
    if (after.extra) after.extra += n * after.extra_pitch;
  }
}
template <class T>
void multiply_panel(int64_t inner, const T* panel, int64_t width, const T* x, int64_t x_pitch, int64_t x_step, T* y,
                    int64_t y_pitch, int64_t rows, bool more, const After<T>& after) {
  const auto run = width > kLanes<T> ? multiply_panel<T, 2> : multiply_panel<T, 1>;
  run(inner, panel, width, x, x_pitch, x_step, y, y_pitch, rows, more, after);
}

// Four pieces of 16 bytes.
inline __m512 pieces(const void* a, const void* b, const void* c, const void* d) {
  const __m512 first = _mm512_castps128_ps512(_mm_loadu_ps((const float*)a));
  const __m512 two = _mm512_insertf32x4(first, _mm_loadu_ps((const float*)b), 1);
  const __m512 three = _mm512_insertf32x4(two, _mm_loadu_ps((const float*)c), 2);
  return _mm512_insertf32x4(three, _mm_loadu_ps((const float*)d), 3);
}
// Writes columns of 16 bytes of rows that are in `row` as rows of a panel.
inline void turn(const float* const* row, int64_t k, float* to) {
  __m512 v[4];
  for (int r = 0; r < 4; r++) v[r] = pieces(row[r] + k, row[4 + r] + k, row[8 + r] + k, row[12 + r] + k);
  const __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(v[0], v[1]));
  const __m512d b = _mm512_castps_pd(_mm512_unpackhi_ps(v[0], v[1]));
  const __m512d c = _mm512_castps_pd(_mm512_unpacklo_ps(v[2], v[3]));
  const __m512d d = _mm512_castps_pd(_mm512_unpackhi_ps(v[2], v[3]));
  _mm512_storeu_pd(to, _mm512_unpacklo_pd(a, c));
  _mm512_storeu_pd(to + kPanel<float>, _mm512_unpackhi_pd(a, c));
  _mm512_storeu_pd(to + 2 * kPanel<float>, _mm512_unpacklo_pd(b, d));
  _mm512_storeu_pd(to + 3 * kPanel<float>, _mm512_unpackhi_pd(b, d));
}
inline void turn(const double* const* row, int64_t k, double* to) {
  __m512d v[2];
  for (int r = 0; r < 2; r++)
    v[r] = _mm512_castps_pd(pieces(row[r] + k, row[2 + r] + k, row[4 + r] + k, row[6 + r] + k));
  _mm512_storeu_pd(to, _mm512_unpacklo_pd(v[0], v[1]));
  _mm512_storeu_pd(to + kPanel<double>, _mm512_unpackhi_pd(v[0], v[1]));
}

// Packs `width` rows of `inner` elements as the columns of a panel. What lies beside them there may be anything.
template <class T> void pack_rows(const T* rows, int64_t pitch, int64_t inner, int64_t width, T* panel) {
  const int64_t step = 16 / sizeof(T);
  for (int64_t j = 0; j < width; j += kLanes<T>) {
    const T* row[kLanes<T>];
    for (int64_t n = 0; n < kLanes<T>; n++) row[n] = rows + (j + n < width ? j + n : width - 1) * pitch;
    int64_t k = 0;
    for (; k + step <= inner; k += step) turn(row, k, panel + k * kPanel<T> + j);
    for (; k < inner; k++)
      for (int64_t n = 0; n < kLanes<T>; n++) panel[k * kPanel<T> + j + n] = row[n][k];
  }
}

}  // namespace
#endif

// Puts out what multiplies and what packs, or nothing.
extern "C" void cunet_panels(void** found) {
#ifdef CUNET_PACKS
  const MultiplyPanel<T> multiply = multiply_panel<T>;
  const PackRows<T> pack = pack_rows<T>;
  found[0] = (void*)multiply, found[1] = (void*)pack;
#endif
}
