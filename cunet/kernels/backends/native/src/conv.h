// The inner loops of convolution, for one dtype T: products of rows that are shifted runs of an image.
//
// Sums run over the taps (or windows) in one order, whatever their place in a vector or a tile.
#include <stdint.h>
#include <string.h>

// A product and its sum may be fused here: every result passes through the same instructions.
#ifdef __clang__
#pragma clang fp contract(fast)
#else
#pragma GCC optimize("fp-contract=fast")
#endif

namespace {

#if defined(CUNET_VECTOR_BYTES)  // for tests: as on another processor
const int kBytes = CUNET_VECTOR_BYTES;
#elif defined(__AVX512F__)
const int kBytes = 64;
#elif defined(__AVX__)
const int kBytes = 32;
#else
const int kBytes = 16;
#endif
const int kLanes = kBytes / sizeof(T);
// Sums over windows that lie in lanes are of this many vectors, so that their order is that of any processor.
const int kWideBytes = 64, kWideLanes = kWideBytes / sizeof(T), kWide = kWideBytes / kBytes;
typedef T Vec __attribute__((vector_size(kBytes)));
typedef T Unaligned __attribute__((vector_size(kBytes), aligned(sizeof(T)), may_alias));  // anywhere in memory
typedef decltype(Vec() < Vec()) Mask;
#define CUNET_ALWAYS inline __attribute__((always_inline))

CUNET_ALWAYS Vec load(const T* from) { return *(const Unaligned*)from; }
CUNET_ALWAYS Vec splat(T value) { return value - Vec(); }  // x - 0 is x, for -0 too
CUNET_ALWAYS T total(const T* wide) {
  T lanes[kWideLanes];
  memcpy(lanes, wide, sizeof lanes);
  for (int n = kWideLanes / 2; n; n /= 2)
    for (int k = 0; k < n; k++) lanes[k] += lanes[k + n];
  return lanes[0];
}

// out[o][v] = bias[o] + sum over k of weight[k][o] * image[offsets[k] + at[v]], for M channels o and N vectors v.
template <int M, int N>
void multiply(const T* image, const int64_t* offsets, int64_t count, const T* weight, const T* bias, const int64_t* at,
              Vec* out) {
  Vec sums[M][N];
  for (int o = 0; o < M; o++)
    for (int v = 0; v < N; v++) sums[o][v] = bias ? splat(bias[o]) : Vec();
  const T* from[N];
  for (int v = 0; v < N; v++) from[v] = image + at[v];
  for (int64_t k = 0; k < count; k++, weight += M) {
    Vec x[N];
    for (int v = 0; v < N; v++) x[v] = load(from[v] + offsets[k]);
    for (int o = 0; o < M; o++) {
      const Vec w = splat(weight[o]);
      for (int v = 0; v < N; v++) sums[o][v] += w * x[v];
    }
  }
  for (int o = 0; o < M; o++)
    for (int v = 0; v < N; v++) out[o * N + v] = sums[o][v];
}

// to[k][o] += sum over rows r and windows l in them of image[offsets[k] + starts[r] + l] * gy[r, l][o], for K taps k
// and N vectors of channels o; `pitch` is the distance between taps in `to`.
template <int K, int N>
void accumulate(const T* image, const int64_t* offsets, const int64_t* starts, int64_t rows, int64_t width,
                const T* gy, T* to, int64_t pitch, int wanted) {
  Vec sums[K][N] = {};
  for (int k = 0; k < wanted; k++)
    for (int v = 0; v < N; v++) __builtin_prefetch(to + k * pitch + v * kLanes, 1);
  const T* from[K];
  for (int k = 0; k < K; k++) from[k] = image + offsets[k];
  for (int64_t r = 0; r < rows; r++)
    for (int64_t l = starts[r], end = l + width; l < end; l++, gy += N * kLanes) {
      Vec g[N];
      for (int v = 0; v < N; v++) g[v] = load(gy + v * kLanes);
      for (int k = 0; k < K; k++) {
        const Vec x = splat(from[k][l]);
        for (int v = 0; v < N; v++) sums[k][v] += x * g[v];
      }
    }
  for (int k = 0; k < wanted; k++)
    for (int v = 0; v < N; v++) *(Unaligned*)(to + k * pitch + v * kLanes) += sums[k][v];
}

// to[o] += sum over windows of gy[window][o].
template <int N> void add_up(const T* gy, int64_t count, T* to) {
  Vec sums[N] = {};
  for (int64_t l = 0; l < count; l++)
    for (int v = 0; v < N; v++) sums[v] += load(gy + (l * N + v) * kLanes);
  for (int v = 0; v < N; v++) *(Unaligned*)(to + v * kLanes) += sums[v];
}

// to[k] += products of image[offsets[k] + at[v]] with gy[v], lane by lane, where the masks say that there is a window;
// each v stands for kWide vectors.
template <int K>
void correlate(const T* image, const int64_t* offsets, const int64_t* at, int64_t count, const Mask* masks,
               const Vec* gy, T* to, int wanted) {
  Vec sums[K][kWide] = {};
  for (int64_t v = 0; v < count; v++, masks += kWide, gy += kWide)
    for (int k = 0; k < K; k++)
      for (int w = 0; w < kWide; w++)
        sums[k][w] += gy[w] * (Vec)(masks[w] & (Mask)load(image + at[v] + offsets[k] + w * kLanes));
  for (int k = 0; k < wanted; k++)
    for (int w = 0; w < kWide; w++) *(Unaligned*)(to + k * kWideLanes + w * kLanes) += sums[k][w];
}

// Lays the gradient of `wide` channels out next to each other for each of `n` windows from `begin` on.
void turn(const T* from, int64_t plane, int64_t wide, const int64_t* begin, const int64_t* n, const int64_t* out,
          int64_t pitch, T* to) {
  for (int64_t i = begin[0]; i < begin[0] + n[0]; i++)
    for (int64_t j = begin[1]; j < begin[1] + n[1]; j++)
      for (int64_t l = 0; l < n[2]; l += kLanes) {
        const int64_t few = n[2] - l < kLanes ? n[2] - l : kLanes;
        const T* line = from + (i * out[1] + j) * out[2] + begin[2] + l;
        for (int64_t o = 0; o < wide; o++, line += plane)
          for (int64_t k = 0; k < few; k++) to[k * pitch + o] = line[k];
        for (int64_t o = wide; o < pitch; o++)
          for (int64_t k = 0; k < few; k++) to[k * pitch + o] = 0;
        to += few * pitch;
      }
}

// Copies `count` elements, fewer than a vector has; no calls, few branches.
template <int Bytes> CUNET_ALWAYS void both_ends(char* to, const char* from, int64_t bytes) {
  char head[Bytes], tail[Bytes];
  memcpy(head, from, Bytes), memcpy(tail, from + bytes - Bytes, Bytes);
  memcpy(to, head, Bytes), memcpy(to + bytes - Bytes, tail, Bytes);
}
CUNET_ALWAYS void copy_few(T* to, const T* from, int64_t count) {
  const int64_t bytes = count * sizeof(T);
  char* const t = (char*)to;
  const char* const f = (const char*)from;
  if (bytes >= 32) both_ends<32>(t, f, bytes);
  else if (bytes >= 16) both_ends<16>(t, f, bytes);
  else if (bytes >= 8) both_ends<8>(t, f, bytes);
  else if (bytes) memcpy(t, f, 4);
}
CUNET_ALWAYS void copy_row(T* to, const T* from, int64_t count) {
  if (count < kLanes) return copy_few(to, from, count);
  for (int64_t k = 0; k < count - kLanes; k += kLanes) *(Unaligned*)(to + k) = load(from + k);
  *(Unaligned*)(to + count - kLanes) = load(from + count - kLanes);
}

}  // namespace
