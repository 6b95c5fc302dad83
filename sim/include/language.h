// The part of the CUDA language that kernels here use, for g++: qualifiers, vector types, intrinsics, atomics.
// What NVRTC does not know must not compile here either, so libc's macros are taken away.
#pragma once
#include <math.h>
#include "runtime.h"

#undef INFINITY
#undef NAN
#undef HUGE_VAL
#undef M_E
#undef M_LOG2E
#undef M_LOG10E
#undef M_LN2
#undef M_LN10
#undef M_PI_2
#undef M_PI_4
#undef M_1_PI
#undef M_2_PI
#undef M_2_SQRTPI
#undef M_SQRT2
#undef M_SQRT1_2
#ifndef M_PI
#define M_PI 3.1415926535897932384626433832795
#endif
#define CUDART_INF_F __builtin_inff()
#define CUDART_NAN_F __builtin_nanf("")
#define CUDART_INF __builtin_inf()
#define CUDART_NAN __builtin_nan("")

#define __device__
#define __host__
#define __global__
#define __constant__ static
// One block runs at a time, so one copy is enough. Its own section lets the runtime poison it per block.
#define __shared__ static __attribute__((section("sim_shared")))
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __restrict__ __restrict

template <class T> struct alignas(2 * sizeof(T)) sim_vector2 { T x, y; };
template <class T> struct alignas(sizeof(T) < 4 ? 4 * sizeof(T) : 16) sim_vector4 { T x, y, z, w; };
typedef sim_vector2<float> float2;
typedef sim_vector4<float> float4;
typedef sim_vector2<double> double2;
typedef sim_vector2<int> int2;
typedef sim_vector4<int> int4;
typedef sim_vector2<unsigned> uint2;
typedef sim_vector4<unsigned> uint4;
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __umulhi(unsigned x, unsigned y) { return unsigned((unsigned long long)x * y >> 32); }
inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
  return (unsigned long long)((unsigned __int128)x * y >> 64);
}
template <class To, class From> To sim_bits(From from) {
  static_assert(sizeof(To) == sizeof(From), "a cast of bits keeps the size");
  To to;
  memcpy(&to, &from, sizeof(To));
  return to;
}
inline int __float_as_int(float x) { return sim_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return sim_bits<unsigned>(x); }
inline float __int_as_float(int x) { return sim_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return sim_bits<float>(x); }
inline long long __double_as_longlong(double x) { return sim_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return sim_bits<double>(x); }
template <class T> const T& __ldg(const T* address) { return *address; }

// The fast functions of a GPU are less exact than these; that difference is not simulated.
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline double __dadd_rn(double x, double y) { return x + y; }
inline double __dmul_rn(double x, double y) { return x * y; }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float rsqrt(float x) { return rsqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float normcdff(float x) { return 0.5f * erfcf(-x * 0.70710678118654752f); }
inline float normcdf(float x) { return normcdff(x); }
inline double normcdf(double x) { return 0.5 * erfc(-x * 0.70710678118654752); }

// min and max of two numbers, with NVRTC's rules: the common type, and a NaN loses to a number.
template <class X, class Y>
using sim_common = typename std::enable_if<std::is_arithmetic<X>::value && std::is_arithmetic<Y>::value,
                                           typename std::common_type<X, Y>::type>::type;
template <class X, class Y> sim_common<X, Y> max(X x, Y y) {
  typedef sim_common<X, Y> T;
  if (std::is_floating_point<T>::value) return T(fmax(T(x), T(y)));
  return T(x) < T(y) ? T(y) : T(x);
}
template <class X, class Y> sim_common<X, Y> min(X x, Y y) {
  typedef sim_common<X, Y> T;
  if (std::is_floating_point<T>::value) return T(fmin(T(x), T(y)));
  return T(y) < T(x) ? T(y) : T(x);
}

// Only one thread runs at a time, so plain code is atomic. A non-atomic update is therefore not caught here.
template <class T> struct sim_same { typedef T type; };
#define SIM_ATOMIC(name, result)                                     \
  template <class T> T name(T* address, typename sim_same<T>::type value) { \
    T old = *address;                                                \
    *address = T(result);                                            \
    return old;                                                      \
  }
SIM_ATOMIC(atomicAdd, old + value)
SIM_ATOMIC(atomicSub, old - value)
SIM_ATOMIC(atomicExch, value)
SIM_ATOMIC(atomicMax, old < value ? value : old)
SIM_ATOMIC(atomicMin, value < old ? value : old)
SIM_ATOMIC(atomicAnd, old & value)
SIM_ATOMIC(atomicOr, old | value)
SIM_ATOMIC(atomicXor, old ^ value)
#undef SIM_ATOMIC
template <class T>
T atomicCAS(T* address, typename sim_same<T>::type expected, typename sim_same<T>::type value) {
  T old = *address;
  if (old == expected) *address = value;
  return old;
}
