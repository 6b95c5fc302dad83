// What a kernel sees of the machine that runs it: coordinates, barriers, shuffles, errors.
// The machine itself is runtime.cpp, compiled once and shared by all kernels.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

struct uint3 { unsigned x, y, z; };
typedef uint3 dim3;
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
static const int warpSize = 32;

namespace sim {
typedef void (*Kernel)(void** arguments);

extern char dynamic_shared[];          // what `extern __shared__ T x[]` points to
void report(const char* problem);      // count an error; the launch fails when the kernel has ended
void block_barrier();
void warp_barrier(unsigned mask);
char* lane_slot(int lane);             // 16 bytes per lane of this warp, for shuffles
int lane();

// Runs all blocks, one after the other. geometry: grid x y z, block x y z, bytes of dynamic shared
// memory, reversed order, fibers, subnormal numbers are 0. [shared, shared_end) holds the static __shared__ variables.
long run(Kernel kernel, void** arguments, const unsigned* geometry, char* shared, char* shared_end,
         const char** problem);

// Calls a __global__ function with arguments given by address, as cuLaunchKernel takes them.
template <class... A, size_t... I>
void call_at(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
  kernel(*(typename std::remove_const<A>::type*)arguments[I]...);
}
template <class... A> void call(void (*kernel)(A...), void** arguments) {
  call_at(kernel, arguments, std::index_sequence_for<A...>());
}
template <class... A> int sizes(void (*)(A...), int* out) {
  int each[] = {int(sizeof(A))..., 0}, count = sizeof...(A);
  for (int i = 0; i < count; i++) out[i] = each[i];
  return count;
}

// A lane puts its value down, waits for the others, and picks the value of lane `source`.
template <class T> T exchange(unsigned mask, T value, int source) {
  static_assert(sizeof(T) <= 16, "shuffled values are at most 16 bytes here");
  memcpy(lane_slot(lane()), &value, sizeof(T));
  warp_barrier(mask);
  T got;
  memcpy(&got, lane_slot(source & 31), sizeof(T));
  warp_barrier(mask);
  return got;
}
}  // namespace sim

inline void __syncthreads() { sim::block_barrier(); }
inline void __syncwarp(unsigned mask = ~0u) { sim::warp_barrier(mask); }
inline void __threadfence() {}
inline void __threadfence_block() {}

// Lanes are in groups of `width`; a source outside the own group means the own value.
template <class T> T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  return sim::exchange(mask, value, (sim::lane() & ~(width - 1)) | (source & (width - 1)));
}
template <class T> T __shfl_xor_sync(unsigned mask, T value, int flip, int width = 32) {
  int me = sim::lane(), source = me ^ flip;
  return sim::exchange(mask, value, (source | (width - 1)) <= (me | (width - 1)) ? source : me);
}
template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  int me = sim::lane();
  return sim::exchange(mask, value, (me & (width - 1)) + int(delta) < width ? me + int(delta) : me);
}
template <class T> T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  int me = sim::lane();
  return sim::exchange(mask, value, (me & (width - 1)) >= int(delta) ? me - int(delta) : me);
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  memset(sim::lane_slot(sim::lane()), predicate != 0, 1);
  sim::warp_barrier(mask);
  unsigned votes = 0;
  for (int i = 0; i < 32; i++) votes |= (mask >> i & 1u & unsigned(*sim::lane_slot(i) == 1)) << i;
  sim::warp_barrier(mask);
  return votes;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, !predicate) == 0; }
