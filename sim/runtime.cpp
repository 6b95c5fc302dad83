// Runs the blocks of a kernel on one CPU thread: the part of a GPU that kernels with barriers need.
//
// A CUDA thread is a fiber (its own stack, switched by hand). A fiber runs until it meets a barrier, then
// the next one of its warp runs; a warp goes as far as it can before the next warp starts. So warps are as
// far apart as barriers allow, and a missing __syncthreads shows. Kernels without barriers need no fibers.
#include "runtime.h"
#include <csetjmp>
#include <cstdlib>
#include <ucontext.h>

uint3 threadIdx, blockIdx;
dim3 blockDim = {1, 1, 1}, gridDim = {1, 1, 1};

namespace sim {
const int kThreads = 1024, kWarps = kThreads / 32, kStack = 1 << 17;
const size_t kShared = 227 << 10, kGuard = 256;  // 227 KiB is what a block may have on sm_90
const int kPoison = 0xFF, kGuardByte = 0xA5;
char dynamic_shared[kShared + kGuard] __attribute__((aligned(128)));

struct Fiber {
  jmp_buf resume;
  ucontext_t start;
  char* stack;
  bool started, finished;
};
struct Barrier {
  int waiting, generation, members;
};

static Fiber fibers[kThreads];
static Barrier block, warps[kWarps];
static char slots[kWarps][32][16];
static jmp_buf scheduler;
static int current, thread_count;
static long progress, errors;  // progress: counts everything that lets some fiber go on
static bool use_fibers;
static const char* first_problem;
static Kernel kernel;
static void** kernel_arguments;

void report(const char* problem) {
  if (!errors++) first_problem = problem;
}
int lane() { return current % 32; }
char* lane_slot(int lane) { return slots[current / 32][lane]; }

static void become(int thread) {
  current = thread;
  unsigned x = blockDim.x, y = blockDim.y;
  threadIdx = {thread % x, thread / x % y, thread / (x * y)};
}

static void open_if_full(Barrier& barrier) {
  if (barrier.members == 0 || barrier.waiting < barrier.members) return;
  barrier.waiting = 0;
  barrier.generation++;
  progress++;
}

static void wait(Barrier& barrier) {
  if (!use_fibers) {
    if (thread_count > 1) report("barrier in a kernel that runs without fibers");
    return;
  }
  int me = current, generation = barrier.generation;
  barrier.waiting++;
  open_if_full(barrier);
  while (barrier.generation == generation) {
    if (!_setjmp(fibers[me].resume)) _longjmp(scheduler, 1);
    become(me);
  }
}
void block_barrier() { wait(block); }
void warp_barrier(unsigned mask) {
  int first = current / 32 * 32, lanes = thread_count - first < 32 ? thread_count - first : 32;
  unsigned all = lanes == 32 ? ~0u : (1u << lanes) - 1;
  if ((mask & all) != all) report("warp operation with a partial mask: not simulated");
  wait(warps[current / 32]);
}

static void fiber_main() {
  kernel(kernel_arguments);
  int me = current;
  fibers[me].finished = true;
  progress++;
  block.members--;  // a thread that has left no longer counts, as on sm_70 and later
  open_if_full(block);
  warps[me / 32].members--;
  open_if_full(warps[me / 32]);
  _longjmp(scheduler, 1);
}

static void __attribute__((noinline)) resume(int thread) {
  if (_setjmp(scheduler)) return;
  become(thread);
  Fiber& fiber = fibers[thread];
  if (fiber.started) _longjmp(fiber.resume, 1);
  fiber.started = true;
  getcontext(&fiber.start);
  if (!fiber.stack) fiber.stack = (char*)malloc(kStack);
  fiber.start.uc_stack.ss_sp = fiber.stack;
  fiber.start.uc_stack.ss_size = kStack;
  fiber.start.uc_link = nullptr;
  makecontext(&fiber.start, fiber_main, 0);
  setcontext(&fiber.start);
}

// Runs one warp as far as it gets; returns how many of its threads are not finished.
static int run_warp(int first, int last, bool reversed) {
  for (long before = -1; before != progress;) {
    before = progress;
    for (int k = first; k < last; k++) {
      int thread = reversed ? last - 1 - (k - first) : k;
      if (!fibers[thread].finished) resume(thread);
    }
  }
  int left = 0;
  for (int thread = first; thread < last; thread++) left += !fibers[thread].finished;
  return left;
}

static void run_fibers(bool reversed) {
  int warp_count = (thread_count + 31) / 32;
  block = {0, 0, thread_count};
  for (int w = 0; w < warp_count; w++) {
    int size = thread_count - 32 * w;
    warps[w] = {0, 0, size < 32 ? size : 32};
  }
  for (int thread = 0; thread < thread_count; thread++) fibers[thread].started = fibers[thread].finished = false;
  for (int left = thread_count; left;) {
    long before = progress;
    left = 0;
    for (int k = 0; k < warp_count; k++) {
      int w = reversed ? warp_count - 1 - k : k, last = 32 * w + 32;
      left += run_warp(32 * w, last < thread_count ? last : thread_count, reversed);
    }
    if (left && before == progress) return report("deadlock: threads wait at different barriers");
  }
}

// While it lives, and if asked to, subnormal numbers are 0, read and written. That is a state of the processor.
struct FlushedSubnormals {
#ifdef __x86_64__
  unsigned before;
  FlushedSubnormals(bool wanted) : before(__builtin_ia32_stmxcsr()) {
    if (wanted) __builtin_ia32_ldmxcsr(before | 0x8040);
  }
  ~FlushedSubnormals() { __builtin_ia32_ldmxcsr(before); }
#else
  FlushedSubnormals(bool wanted) {
    if (wanted) report("CUNET_SIM_FLOATS=gpu needs an x86-64 processor");
  }
#endif
};

static void run_block(bool reversed) {
  if (use_fibers) return run_fibers(reversed);
  for (int k = 0; k < thread_count; k++) {
    become(reversed ? thread_count - 1 - k : k);
    kernel(kernel_arguments);
  }
}

long run(Kernel entry, void** arguments, const unsigned* g, char* shared, char* shared_end, const char** problem) {
  gridDim = {g[0], g[1], g[2]};
  blockDim = {g[3], g[4], g[5]};
  size_t shared_bytes = g[6];
  bool reversed = g[7];
  kernel = entry;
  kernel_arguments = arguments;
  errors = 0;
  thread_count = int(blockDim.x * blockDim.y * blockDim.z);
  use_fibers = g[8] && thread_count > 1;
  FlushedSubnormals flushed(g[9]);
  long blocks = long(gridDim.x) * gridDim.y * gridDim.z;
  for (long k = 0; k < blocks; k++) {
    long b = reversed ? blocks - 1 - k : k;
    blockIdx = {unsigned(b % gridDim.x), unsigned(b / gridDim.x % gridDim.y), unsigned(b / gridDim.x / gridDim.y)};
    // Shared memory starts with garbage on a GPU; here the garbage is NaN.
    if (shared) memset(shared, kPoison, size_t(shared_end - shared));
    memset(dynamic_shared, kPoison, shared_bytes);
    memset(dynamic_shared + shared_bytes, kGuardByte, kGuard);
    run_block(reversed);
    for (size_t i = 0; i < kGuard; i++)
      if ((unsigned char)dynamic_shared[shared_bytes + i] != kGuardByte) {
        report("write past the end of dynamic shared memory");
        break;
      }
  }
  *problem = first_problem;
  return errors;
}
}  // namespace sim
