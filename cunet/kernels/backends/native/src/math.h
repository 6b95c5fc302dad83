// What the CUDA text of kernels calls, for the CPU: no branches and no tables, so that compilers vectorise it.
//
// Everything is built from IEEE operations, in the same order in vectors and one by one: a result depends on the
// argument alone, not on its place in an array. Errors, in units in the last place: exp 0.6, expm1 1.3, log 0.9,
// log1p 1.5, tanh 2.2, normcdf and erfc 3, erf 3. NaN, infinities, -0 and denormal numbers are what they should be.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <type_traits>
#undef _GLIBCXX_USE_STD_SPEC_FUNCS  // Bessel functions and the like: half of the time that it takes to read math.h
#include <math.h>

#undef INFINITY
#undef NAN
#define __device__ __attribute__((always_inline))
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(n) alignas(n)
#define __restrict__ __restrict
#define CUNET_MEMBER inline __attribute__((always_inline))
#define CUNET_INLINE static CUNET_MEMBER
#ifdef __clang__
#define CUNET_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define CUNET_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace cunet {

typedef int8_t int8;
typedef uint8_t uint8;
typedef int16_t int16;
typedef uint16_t uint16;
typedef int32_t int32;
typedef uint32_t uint32;
typedef int64_t int64;
typedef uint64_t uint64;
typedef float float32;
typedef double float64;

template <class To, class From> CUNET_INLINE To bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "");
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}

// a * b + c, fused where the processor does it; the exact remainder of a product is `fma`'s, everywhere. Not what
// __FP_FAST_FMA says: clang++ defines it for no processor.
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__FP_FAST_FMAF)
#define CUNET_FUSES
#endif
CUNET_INLINE float mad(float a, float b, float c) {
#ifdef CUNET_FUSES
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}
CUNET_INLINE double mad(double a, double b, double c) {
#ifdef CUNET_FUSES
  return __builtin_fma(a, b, c);
#else
  return a * b + c;
#endif
}
CUNET_INLINE float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
CUNET_INLINE double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
CUNET_INLINE float fabs(float x) { return __builtin_fabsf(x); }
CUNET_INLINE double fabs(double x) { return __builtin_fabs(x); }
CUNET_INLINE float abs(float x) { return __builtin_fabsf(x); }
CUNET_INLINE double abs(double x) { return __builtin_fabs(x); }
CUNET_INLINE int abs(int x) { return x < 0 ? -x : x; }
CUNET_INLINE long long abs(long long x) { return x < 0 ? -x : x; }
CUNET_INLINE float sqrt(float x) { return __builtin_sqrtf(x); }
CUNET_INLINE double sqrt(double x) { return __builtin_sqrt(x); }
CUNET_INLINE float rsqrt(float x) { return 1 / __builtin_sqrtf(x); }
CUNET_INLINE double rsqrt(double x) { return 1 / __builtin_sqrt(x); }
CUNET_INLINE float copysign(float x, float y) { return __builtin_copysignf(x, y); }
CUNET_INLINE double copysign(double x, double y) { return __builtin_copysign(x, y); }
template <class T> CUNET_INLINE bool isnan(T x) { return x != x; }
CUNET_INLINE bool isinf(float x) { return fabs(x) > 3.4028234663852886e38f; }
CUNET_INLINE bool isinf(double x) { return fabs(x) > 1.7976931348623157e308; }
template <class T> CUNET_INLINE bool isfinite(T x) { return x - x == 0; }
CUNET_INLINE unsigned __umulhi(unsigned x, unsigned y) { return unsigned((unsigned long long)x * y >> 32); }
CUNET_INLINE unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
  return (unsigned long long)((unsigned __int128)x * y >> 64);
}

// CUDA's rule: a NaN loses to a number.
template <class X, class Y> CUNET_INLINE typename std::common_type<X, Y>::type max(X x, Y y) {
  typedef typename std::common_type<X, Y>::type T;
  return T(y) != T(y) || T(x) > T(y) ? T(x) : T(y);
}
template <class X, class Y> CUNET_INLINE typename std::common_type<X, Y>::type min(X x, Y y) {
  typedef typename std::common_type<X, Y>::type T;
  return T(y) != T(y) || T(x) < T(y) ? T(x) : T(y);
}

// Horner's scheme, highest power first.
template <class T> CUNET_INLINE T horner(T, T c) { return c; }
template <class T, class... C> CUNET_INLINE T horner(T x, T first, T second, C... rest) {
  return horner(x, mad(first, x, second), rest...);
}

template <class T> struct Format;
template <> struct Format<float> {
  typedef uint32_t Bits;
  typedef int32_t Int;
  static constexpr int mantissa = 23;
  static constexpr float log2e = 1.44269504088896341f, ln2_high = 0x1.62ep-1f, ln2_low = 3.1946184945309417232e-5f;
  static constexpr float round = 12582912.0f;         // 1.5 * 2^23: adding it rounds to an integer
  static constexpr float low = -103.9721f, high = 89.0f;  // where exp is 0 and infinite
  static constexpr float minus_one = -20.0f;           // where expm1 is -1
  static constexpr float tiny = 1e-5f;                 // below, expm1 and log1p are x to first order
  static constexpr float tanh_one = 10.0f;
  static constexpr float least = 1.17549435e-38f, largest = 3.4028234663852886e38f;
  // p with expm1(r) = r + r * r * p(r) for |r| <= log(2) / 2, to 1.7e-10
  static CUNET_MEMBER float p(float r) {
    return horner(r, 0.000198910171843020296f, 0.00139336737329318517f, 0.00833331090172596997f,
                  0.041666464711379083f, 0.166666666816470155f, 0.500000001348722526f);
  }
};
template <> struct Format<double> {
  typedef uint64_t Bits;
  typedef int64_t Int;
  static constexpr int mantissa = 52;
  static constexpr double log2e = 1.44269504088896340736;
  static constexpr double ln2_high = 0x1.62e42fefap-1, ln2_low = 1.6465949582897081281e-12;
  static constexpr double round = 6755399441055744.0;
  static constexpr double low = -745.14, high = 710.0;
  static constexpr double minus_one = -40.0;
  static constexpr double tiny = 1e-9;
  static constexpr double tanh_one = 20.0;
  static constexpr double least = 2.2250738585072014e-308, largest = 1.7976931348623157e308;
  // to 1.3e-17
  static CUNET_MEMBER double p(double r) {
    return horner(r, 2.51004110820149011e-8, 2.76201217173819352e-7, 2.7557268406190795e-6, 0.0000248015212259864325,
                  0.000198412698630882544, 0.00138888889172587583, 0.0083333333333300549, 0.0416666666666240377,
                  0.166666666666666675, 0.500000000000000102);
  }
};

// x = n * log(2) + r, as n in two's complement and r.
template <class T> struct Reduced { typename Format<T>::Bits n; T r; };
template <class T> CUNET_INLINE Reduced<T> reduce(T x) {
  typedef Format<T> F;
  const T shifted = mad(x, F::log2e, F::round);
  const T n = shifted - F::round;
  const T r = mad(n, -F::ln2_low, mad(n, -F::ln2_high, x));
  return {bits<typename F::Bits>(shifted) - bits<typename F::Bits>(F::round), r};
}
template <class T> CUNET_INLINE T power_of_two(typename Format<T>::Bits n) {
  typedef Format<T> F;
  return bits<T>((n + ((typename F::Bits(1) << (sizeof(T) * 8 - 2 - F::mantissa)) - 1)) << F::mantissa);
}
template <class T> CUNET_INLINE T exp_of(T x) {
  typedef Format<T> F;
  // Below, exp(0) is computed and masked: numbers that underflow are slow, and a select becomes a branch.
  const typename F::Bits kept = typename F::Bits(0) - typename F::Bits(!(x < F::low));
  T c = bits<T>(bits<typename F::Bits>(x) & kept);
  c = c > F::high ? F::high : c;
  const Reduced<T> e = reduce(c);
  const T y = 1 + mad(e.r * e.r, F::p(e.r), e.r);
  // In two steps: 2^n itself may be no normal number.
  const typename F::Bits half = typename F::Bits(typename F::Int(e.n) >> 1);
  return bits<T>(bits<typename F::Bits>(y * power_of_two<T>(half) * power_of_two<T>(e.n - half)) & kept);
}
template <class T> CUNET_INLINE T expm1_of(T x) {
  typedef Format<T> F;
  T c = x > F::high ? F::high : x;
  c = c < F::minus_one ? F::minus_one : c;
  const Reduced<T> e = reduce(c);
  const T m = mad(e.r * e.r, F::p(e.r), e.r), s = power_of_two<T>(e.n - 1);
  const T y = 2 * mad(s, m, s - T(0.5));
  return fabs(x) < F::tiny ? x * mad(x, T(0.5), T(1)) : y;
}

// log(u) + c for normal u > 0 and small c.
template <class T> CUNET_INLINE T log_of(T u, T c, T shift) {
  typedef Format<T> F;
  typedef typename F::Bits Bits;
  // The exponent such that the rest of u is between sqrt(1/2) and sqrt(2).
  const Bits root = bits<Bits>(T(0.70710678118654752440));
  const Bits e = Bits(typename F::Int(bits<Bits>(u) - root) >> F::mantissa);
  const T m = bits<T>(bits<Bits>(u) - (e << F::mantissa));
  // e as a number: put it into the low bits of `round`.
  const T n = bits<T>(bits<Bits>(F::round) + e) - F::round - shift;
  const T f = m - 1, s = f / (2 + f), z = s * s;
  // log(1 + f) = f - (h - s * (h + R)) with h = f * f / 2 and R = 2/3 z + 2/5 z^2 + ...
  const T tail = sizeof(T) == 4
                     ? horner(z, T(2.0 / 11), T(2.0 / 9), T(2.0 / 7), T(2.0 / 5), T(2.0 / 3))
                     : horner(z, T(2.0 / 23), T(2.0 / 21), T(2.0 / 19), T(2.0 / 17), T(2.0 / 15), T(2.0 / 13),
                              T(2.0 / 11), T(2.0 / 9), T(2.0 / 7), T(2.0 / 5), T(2.0 / 3));
  const T h = T(0.5) * f * f;
  return mad(n, F::ln2_high, f - (h - mad(s, mad(z, tail, h), mad(n, F::ln2_low, c))));
}
template <class T> CUNET_INLINE T log_any(T x) {
  typedef Format<T> F;
  const bool small = x < F::least;
  const T lift = sizeof(T) == 4 ? T(33554432.0) : T(18014398509481984.0);  // 2^25, 2^54
  T y = log_of<T>(small ? x * lift : x, T(0), small ? T(sizeof(T) == 4 ? 25 : 54) : T(0));
  y = x > F::largest ? x : y;
  y = x == 0 ? -(F::largest * 2) : y;
  return x < 0 || x != x ? (x - x) / T(0) : y;
}
template <class T> CUNET_INLINE T log1p_of(T x) {
  typedef Format<T> F;
  const T u = 1 + x;
  const T lost = fabs(x) < 1 ? x - (u - 1) : 1 - (u - x);
  T y = log_of<T>(u, lost / u, T(0));
  y = x > F::largest ? x : y;
  y = u == 0 ? -(F::largest * 2) : y;
  y = fabs(x) < F::tiny ? x * mad(x, T(-0.5), T(1)) : y;
  return u < 0 || x != x ? (x - x) / T(0) : y;
}
template <class T> CUNET_INLINE T tanh_of(T x) {
  T t = fabs(x);
  t = t > Format<T>::tanh_one ? Format<T>::tanh_one : t;
  const T e = expm1_of<T>(2 * t);
  return copysign(e / (e + 2), x);
}

CUNET_INLINE float exp(float x) { return exp_of(x); }
CUNET_INLINE double exp(double x) { return exp_of(x); }
CUNET_INLINE float expm1(float x) { return expm1_of(x); }
CUNET_INLINE double expm1(double x) { return expm1_of(x); }
CUNET_INLINE float log(float x) { return log_any(x); }
CUNET_INLINE double log(double x) { return log_any(x); }
CUNET_INLINE float log1p(float x) { return log1p_of(x); }
CUNET_INLINE double log1p(double x) { return log1p_of(x); }
CUNET_INLINE float tanh(float x) { return tanh_of(x); }
CUNET_INLINE double tanh(double x) { return tanh_of(x); }

// Both zero where t is so large that the tail is; t is cut there, so that infinities do no harm.
template <class T> CUNET_INLINE T gauss_of(T t, T factor) {
  const T square = t * t, lost = fma(t, t, -square);
  return exp_of(factor * square) * mad(factor, lost, T(1));
}
template <class T> CUNET_INLINE T tail_of(T t, T gauss, T offset, T above, T below) {
  return gauss * ((above + below) / (below * mad(T(2), t, offset)));
}
