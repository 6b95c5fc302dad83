// Stands before every kernel instead of CuPy's own headers: same names, same layouts, plus checks.
#pragma once
#include "language.h"

// float16 and bfloat16 convert to and from float by themselves and to anything else only by a cast, as CuPy's do.
template <class Format> struct sim_half {
  typename Format::Bits bits;
  sim_half() {}
  sim_half(float value) : bits(Format::pack(value)) {}
  template <class T, class = typename std::enable_if<std::is_arithmetic<T>::value && !std::is_same<T, float>::value>::type>
  explicit sim_half(T value) : bits(Format::pack(float(value))) {}
  sim_half(const sim_half&) = default;
  sim_half& operator=(const sim_half&) = default;
  operator float() const { return Format::unpack(bits); }
  template <class T> sim_half& operator=(const T& value) { return *this = sim_half(float(value)); }
  template <class T> sim_half& operator+=(const T& value) { return *this = *this + value; }
  template <class T> sim_half& operator-=(const T& value) { return *this = *this - value; }
  template <class T> sim_half& operator*=(const T& value) { return *this = *this * value; }
  template <class T> sim_half& operator/=(const T& value) { return *this = *this / value; }
};
struct sim_format16 {
  typedef _Float16 Bits;
  static Bits pack(float value) { return Bits(value); }
  static float unpack(Bits bits) { return float(bits); }
};
struct sim_format_b16 {  // the upper half of a float, rounded to even
  typedef uint16_t Bits;
  static Bits pack(float value) {
    uint32_t wide = sim_bits<uint32_t>(value);
    if (value != value) return 0x7FC0;
    return Bits((wide + 0x7FFF + (wide >> 16 & 1)) >> 16);
  }
  static float unpack(Bits bits) { return sim_bits<float>(uint32_t(bits) << 16); }
};
typedef sim_half<sim_format16> float16;
typedef sim_half<sim_format_b16> bfloat16;
inline float16 min(float16 x, float16 y) { return float16(fminf(x, y)); }
inline float16 max(float16 x, float16 y) { return float16(fmaxf(x, y)); }
inline bfloat16 min(bfloat16 x, bfloat16 y) { return bfloat16(fminf(x, y)); }
inline bfloat16 max(bfloat16 x, bfloat16 y) { return bfloat16(fmaxf(x, y)); }

#define CUPY_FOR(i, n)                                                                \
  for (ptrdiff_t i = ptrdiff_t(blockIdx.x) * blockDim.x + threadIdx.x; i < ptrdiff_t(n); \
       i += ptrdiff_t(blockDim.x) * gridDim.x)

// An array argument, laid out as CuPy passes it. An index outside the array fails the launch.
template <class T, int Dims, bool Contiguous = false, bool Index32 = false> struct CArray {
  static const int ndim = Dims;
  T* data_;
  ptrdiff_t size_, shape_[Dims ? Dims : 1], strides_[Dims ? Dims : 1];

  ptrdiff_t size() const { return size_; }
  const ptrdiff_t* shape() const { return shape_; }
  const ptrdiff_t* strides() const { return strides_; }
  static T* outside() {
    static char nowhere[sizeof(T)];
    sim::report("array index out of range");
    return (T*)nowhere;
  }
  T* flat(ptrdiff_t i) const {
    if (i < 0 || i >= size_) return outside();
    if (Contiguous || Dims == 0) return data_ + i;
    ptrdiff_t offset = 0;
    for (int k = Dims - 1; k > 0; k--) {
      offset += strides_[k] * (i % shape_[k]);
      i /= shape_[k];
    }
    return (T*)((char*)data_ + offset + strides_[0] * i);
  }
  template <class Index> T* at(const Index* index) const {
    ptrdiff_t offset = 0;
    for (int k = 0; k < Dims; k++) {
      if (index[k] < 0 || index[k] >= shape_[k]) return outside();
      offset += strides_[k] * ptrdiff_t(index[k]);
    }
    return (T*)((char*)data_ + offset);
  }
  T& operator[](ptrdiff_t i) { return *flat(i); }
  const T& operator[](ptrdiff_t i) const { return *flat(i); }
  template <class Index, int N> T& operator[](const Index (&index)[N]) { return *at(index); }
  template <class Index, int N> const T& operator[](const Index (&index)[N]) const { return *at(index); }
};

// The loop index of a kernel: a number, or one index per axis.
template <int Dims, bool Index32 = false> struct CIndexer {
  static const int ndim = Dims;
  ptrdiff_t size_, shape_[Dims ? Dims : 1], index_[Dims ? Dims : 1];

  ptrdiff_t size() const { return size_; }
  const ptrdiff_t* shape() const { return shape_; }
  const ptrdiff_t (&get() const)[Dims ? Dims : 1] { return index_; }
  void set(ptrdiff_t i) {
    if (Dims == 0) return;
    for (int k = Dims - 1; k > 0; k--) {
      index_[k] = i % shape_[k];
      i /= shape_[k];
    }
    index_[0] = i;
  }
};
