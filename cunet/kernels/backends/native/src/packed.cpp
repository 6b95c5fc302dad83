// Products of a few rows with one matrix, again and again: it is packed once, for a kernel of our own.
//
// Each element of a result is one sum over the columns of its row, in their order, so it does not depend on how rows
// are shared out. Only where that was found to be faster than BLAS: with the 32 vector registers of AVX-512.
#if defined(__AVX512F__)
#include <immintrin.h>
#define CUNET_PACKS
#define CUNET_UNROLL _Pragma("GCC unroll 16")
#endif

namespace {

// What follows a product, along its rows: y = y * mask + extra, of what there is; rows are `pitch` elements apart.
template <class T> struct After {
  const T *mask, *extra;
  int64_t mask_pitch, extra_pitch;
};

#ifdef CUNET_PACKS
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

template <class T> const int64_t kLanes = 64 / sizeof(T);
template <class T> const int64_t kPanel = 2 * kLanes<T>;  // columns of a panel

// R rows of y = x @ panel, N vectors of it; `last` says which lanes of the last one there are.
template <class T, int R, int N>
void tile(int64_t inner, const T* x, int64_t x_pitch, const T* panel, T* y, int64_t y_pitch,
          typename Vector<T>::Mask last, const After<T>& after) {
  typedef Vector<T> W;
  typename W::V sums[R][N] = {};
  const typename W::Mask all = -1;
  for (int64_t k = 0; k < inner; k++, panel += kPanel<T>) {
    typename W::V columns[N];
    CUNET_UNROLL for (int n = 0; n < N; n++) columns[n] = W::load(all, panel + n * kLanes<T>);
    CUNET_UNROLL for (int r = 0; r < R; r++) {
      const typename W::V value = W::splat(x[r * x_pitch + k]);
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

template <class T> class Packed {
 public:
  Packed(const T* matrix, int64_t inner, int64_t outer) : inner_(inner), outer_(outer) {
    const int64_t panels = (outer + kPanel<T> - 1) / kPanel<T>, size = panels * inner * kPanel<T>;
    memory_.reset(new T[size + kLanes<T>]);
    first_ = (T*)((uint64_t(memory_.get()) + 63) / 64 * 64);
    T* to = first_;
    for (int64_t j = 0; j < outer; j += kPanel<T>) {
      const int64_t width = outer - j < kPanel<T> ? outer - j : kPanel<T>;
      for (int64_t k = 0; k < inner; k++, to += kPanel<T>) {
        memcpy(to, matrix + k * outer + j, width * sizeof(T));
        memset(to + width, 0, (kPanel<T> - width) * sizeof(T));
      }
    }
  }
  // y = x @ matrix for `rows` rows, and what follows.
  void multiply(const T* x, int64_t x_pitch, T* y, int64_t y_pitch, int64_t rows, const After<T>& after) const {
    for (int64_t j = 0; j < outer_; j += kPanel<T>) {
      const int64_t width = outer_ - j;
      const T* panel = first_ + j * inner_;
      After<T> here = after;
      if (here.mask) here.mask += j;
      if (here.extra) here.extra += j;
      width > kLanes<T> ? panel_of<2>(panel, x, x_pitch, y + j, y_pitch, rows, width - kLanes<T>, here)
                        : panel_of<1>(panel, x, x_pitch, y + j, y_pitch, rows, width, here);
    }
  }

 private:
  template <int N>
  void panel_of(const T* panel, const T* x, int64_t x_pitch, T* y, int64_t y_pitch, int64_t rows, int64_t rest,
                After<T> after) const {
    typedef typename Vector<T>::Mask Mask;
    const Mask last = rest >= kLanes<T> ? Mask(-1) : Mask((1 << rest) - 1);
    for (int64_t r = 0, n; r < rows; r += n, x += n * x_pitch, y += n * y_pitch) {
      const int64_t left = rows - r;
      n = left >= 12 ? 12 : left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
      const auto run = n == 12  ? tile<T, 12, N>
                       : n == 8 ? tile<T, 8, N>
                       : n == 4 ? tile<T, 4, N>
                       : n == 2 ? tile<T, 2, N>
                                : tile<T, 1, N>;
      run(inner_, x, x_pitch, panel, y, y_pitch, last, after);
      if (after.mask) after.mask += n * after.mask_pitch;
      if (after.extra) after.extra += n * after.extra_pitch;
    }
  }
  int64_t inner_, outer_;
  std::unique_ptr<T[]> memory_;
  T* first_;
};
#else
template <class T> class Packed {};
#endif

}  // namespace
