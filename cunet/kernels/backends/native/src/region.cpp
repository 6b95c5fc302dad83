// Memory of the arrays that are made while a step is recorded, and who touches it.
//
// The arrays that NumPy makes meanwhile lie in a region that nothing may read or write but the calls that are recorded:
// its pages are shut between them. Whatever else touches it, an expression of NumPy's or a number that Python takes
// from an array, meets a shut page; it is opened, and marked: such a step cannot be replayed from its calls alone.
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __GLIBC__  // which one of the headers before has told
#include <malloc.h>
#endif
#include <atomic>
#include <chrono>
#include <memory>
#include <new>
#include <vector>

namespace {

const int64_t kColour = 832, kColours = 4;   // blocks begin at different places in a page, lest they share cache sets

// As NumPy's C interface fixes it (NEP 49).
struct Allocator {
  void* context;
  void* (*allocate)(void*, size_t);
  void* (*zeroed)(void*, size_t, size_t);
  void* (*resize)(void*, void*, size_t);
  void (*release)(void*, void*, size_t);
};
struct Handler {
  char name[127];
  uint8_t version;
  Allocator allocator;
};

struct Block {
  int64_t at, size;
  bool zeroed;
};

struct Region {
  Handler handler;
  char* base;
  unsigned char* touched;  // one for each page
  int64_t page, reserved, used, live, held, peak, faults;  // `held`: bytes of what is `live`, at most `peak`
  bool recording, full;
  std::vector<Block> blocks;
};

Region* watched = nullptr;  // one at a time: `record` holds a lock
struct sigaction before[2];
const int kSignals[2] = {SIGSEGV, SIGBUS};

int64_t pages(const Region& r, int64_t bytes) { return (bytes + r.page - 1) / r.page; }

bool holds(const Region& r, const void* at) { return (char*)at >= r.base && (char*)at < r.base + r.reserved; }

void give_back(Region& r) {
  munmap(r.base, r.reserved);
  munmap(r.touched, r.reserved / r.page);
  r.blocks = std::vector<Block>();
}

void* allocate(void* context, size_t size) {
  Region& r = *(Region*)context;
  const int64_t colour = int64_t(r.blocks.size()) % kColours * kColour;
  const int64_t bytes = pages(r, colour + int64_t(size ? size : 1)) * r.page;
  if (!r.recording || bytes > r.reserved - r.used) return r.full = true, calloc(1, size ? size : 1);
  char* at = r.base + r.used + colour;
  r.blocks.push_back({int64_t(at), int64_t(size), false});
  r.used += bytes, r.live++, r.held += bytes;
  if (r.held > r.peak) r.peak = r.held;
  return at;
}

// Fresh pages are 0.
void* zeroed(void* context, size_t count, size_t size) {
  Region& r = *(Region*)context;
  const size_t before = r.blocks.size();
  void* at = allocate(context, count * size);
  if (r.blocks.size() > before) r.blocks.back().zeroed = true;
  return at;
}

// Its addresses are not used again, so that a block is one array; its memory is.
void release(void* context, void* at, size_t size) {
  Region& r = *(Region*)context;
  if (!at || !holds(r, at)) return free(at);
  char* start = r.base + ((char*)at - r.base) / r.page * r.page;
  const int64_t bytes = pages(r, (char*)at - start + int64_t(size ? size : 1)) * r.page;
  madvise(start, bytes, MADV_DONTNEED);
  r.held -= bytes;
  if (--r.live == 0 && !r.recording) give_back(r);
}

void* resize(void* context, void* old, size_t size) {
  Region& r = *(Region*)context;
  if (old && !holds(r, old)) return realloc(old, size);
  void* fresh = allocate(context, size);
  if (!fresh || !old) return fresh;
  for (const Block& b : r.blocks)
    if (b.at == int64_t(old)) {
      memcpy(fresh, old, size_t(b.size) < size ? size_t(b.size) : size);
      release(context, old, size_t(b.size));
    }
  return fresh;
}

void shut(Region& r) { mprotect(r.base, r.used, PROT_NONE); }
int open(Region& r) { return r.used ? mprotect(r.base, r.used, PROT_READ | PROT_WRITE) : 0; }

void hand_on(int signal, siginfo_t* info, void* context) {
  const struct sigaction& old = before[signal == kSignals[1]];
  if (old.sa_flags & SA_SIGINFO) return old.sa_sigaction(signal, info, context);
  if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN) return old.sa_handler(signal);
  sigaction(signal, &old, nullptr);  // it comes again, and ends the process
}

void on_fault(int signal, siginfo_t* info, void* context) {
  Region* r = watched;
  const int64_t at = r ? (char*)info->si_addr - r->base : -1;
  if (at < 0 || at >= r->reserved) return hand_on(signal, info, context);
  r->touched[at / r->page] = 1, r->faults++;
  if (mprotect(r->base + at / r->page * r->page, r->page, PROT_READ | PROT_WRITE)) hand_on(signal, info, context);
}

void listen_to_faults(Region& r) {
  watched = &r;
  struct sigaction action = {};
  action.sa_sigaction = on_fault, action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  for (int k = 0; k < 2; k++) sigaction(kSignals[k], &action, &before[k]);
}

void ignore_faults() {
  for (int k = 0; k < 2; k++) sigaction(kSignals[k], &before[k], nullptr);
  watched = nullptr;
}

// Takes what was touched so far as seen, and shuts all pages again.
void forgive(Region& r) {
  memset(r.touched, 0, pages(r, r.used)), r.faults = 0;
  shut(r);
}

bool touched(const Region& r, const Block& b) {
  for (int64_t page = (b.at - int64_t(r.base)) / r.page; page * r.page < b.at + b.size - int64_t(r.base); page++)
    if (r.touched[page]) return true;
  return false;
}

}  // namespace

extern "C" {

// Returns a region of so many bytes of addresses, not of memory, or null where there are none. It lives as long as the
// arrays in it.
Region* cunet_region(int64_t reserved) {
  Region* r = new (std::nothrow) Region();
  if (!r) return nullptr;
  r->page = sysconf(_SC_PAGESIZE);
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* base = mmap(nullptr, reserved, PROT_NONE, flags, -1, 0);
  void* touched = mmap(nullptr, reserved / r->page, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (base == MAP_FAILED || touched == MAP_FAILED) {
    if (base != MAP_FAILED) munmap(base, reserved);
    delete r;
    return nullptr;
  }
  r->reserved = reserved, r->base = (char*)base, r->touched = (unsigned char*)touched, r->recording = true;
  strcpy(r->handler.name, "cunet_recorded");
  r->handler.version = 1;
  r->handler.allocator = {r, allocate, zeroed, resize, release};
  return r;
}

void* cunet_region_handler(Region* r) { return &r->handler; }

// How many blocks there are; with `out`, for each where it is, its size, whether it was touched, and if it was zeros.
int64_t cunet_region_blocks(const Region* r, int64_t* out) {
  for (size_t k = 0; out && k < r->blocks.size(); k++) {
    const Block& b = r->blocks[k];
    *out++ = b.at, *out++ = b.size, *out++ = touched(*r, b), *out++ = b.zeroed;
  }
  return int64_t(r->blocks.size());
}

// What was touched so far is known, and is not told again.
void cunet_region_forgive(Region* r) { forgive(*r); }

// Whether more was asked for than there was room for.
int cunet_region_full(const Region* r) { return r->full; }

// The most bytes that were there at a time.
int64_t cunet_region_peak(const Region* r) { return r->peak; }

// Nothing more is made in it. It is small, and stays: arrays' handlers are in it.
void cunet_region_close(Region* r) {
  r->recording = false;
  if (r->live == 0) give_back(*r);
}
}
