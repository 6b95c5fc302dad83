// Runs compiled kernels over NumPy arrays: reads where the arrays lie, broadcasts, cuts the work into units and
// shares them with other threads. Which thread computes a unit changes nothing in its result.
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace {

// Works on `rows` rows of `n` elements; `steps` are the bytes from a row of an operand to its next; `at` numbers the
// first element.
typedef void (*Piece)(void* const* pointers, const long* steps, long rows, long n, long at);

const int kOperands = 32, kAxes = 16;
const long kUnit = 1024;           // elements of a buffer
const long kLong = 8192;           // elements of a unit that needs no buffer
const long kRow = 32;              // shorter rows are copied next to each other first
const long kBlock = 32768;         // elements of a block that several kernels work on while it is in the cache
const long kWorth = 1500000;       // tenths of nanoseconds: less work is not worth waking a thread
const long kShort = 128;           // rows that are folded next to each other, not each in lanes
const int kPatience = 2000;        // microseconds that a thread looks for more work: it takes long to wake one that sleeps
enum Result { kDone = 0, kOtherType = 1, kOtherShape = 2, kOtherLayout = 3 };
enum Loose { kData = 0, kSingle = 1, kAlong = 2 };  // kAlong: an array along a row where others are one number a row

// ---- threads

class Pool {
 public:
  // Calls work(context, k) for k = 0 ... count - 1 in `threads` threads; in this one alone if the pool is busy.
  void run(void (*work)(void*, long), void* context, long count, int threads) {
    std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
    if (threads > count) threads = int(count);
    if (threads < 2 || !turn.owns_lock()) {
      for (long k = 0; k < count; k++) work(context, k);
      return;
    }
    bool asleep;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      while (helpers_ < threads - 1) {
        try {
          std::thread(&Pool::help, this, helpers_, generation_.load()).detach();
        } catch (...) {
          break;
        }
        helpers_++;
      }
      work_ = work, context_ = context, count_ = count, next_ = 0;
      wanted_ = threads - 1 < helpers_ ? threads - 1 : helpers_;
      generation_++;
      asleep = sleepers_ > 0;
    }
    if (asleep) wake_.notify_all();
    drain();
    std::unique_lock<std::mutex> lock(mutex_);
    wanted_ = 0;  // who has not woken up by now is not waited for
    lock.unlock();
    watch([this] { return active_ == 0; });
    lock.lock();
    done_.wait(lock, [this] { return active_ == 0; });
  }

 private:
  void drain() {
    for (long k; (k = next_.fetch_add(1)) < count_;) work_(context_, k);
  }
  // Looks again and again for a little while: to sleep and to be woken takes longer than what a small net leaves free.
  template <class Test> static void watch(Test there) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(kPatience);
    for (int k = 1; !there(); k++) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
      if (k % 64 == 0 && std::chrono::steady_clock::now() > end) return;
    }
  }
  void help(int number, long seen) {
    sigset_t all;  // signals are for threads that know Python
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    for (;;) {
      watch([&] { return generation_ != seen; });
      {
        std::unique_lock<std::mutex> lock(mutex_);
        sleepers_++;
        wake_.wait(lock, [&] { return generation_ != seen; });
        sleepers_--;
        seen = generation_;
        if (number >= wanted_) continue;
        active_++;
      }
      drain();
      std::lock_guard<std::mutex> lock(mutex_);
      if (--active_ == 0) done_.notify_one();
    }
  }
  std::mutex turn_, mutex_;
  std::condition_variable wake_, done_;
  void (*work_)(void*, long) = nullptr;
  void* context_ = nullptr;
  long count_ = 0;
  std::atomic<long> generation_{0}, next_{0};
  std::atomic<int> active_{0};
  int helpers_ = 0, wanted_ = 0, sleepers_ = 0;
};

Pool* pool = nullptr;          // never deleted: helpers sleep in it when the process ends

void fresh_pool() { pool = new Pool; }  // in a forked child, where no helper lives on

// ---- arrays

// The beginning of NumPy's array and dtype objects, as its C interface fixes them; checked by `cunet_probe`.
struct Dtype {
  void* type;
  char kind, letter, byteorder, flags;
};
struct Array {
  char* data;
  int ndim;
  long *shape, *strides;
  void* base;
  char* dtype;
  int flags;
};
long object_header = 16;

inline const Array& array_at(uint64_t object) { return *(const Array*)(object + object_header); }
inline char letter_of(const Array& a) {
  const Dtype& d = *(const Dtype*)(a.dtype + object_header);
  if (d.byteorder != '=' && d.byteorder != '|') return 0;
  return d.letter == 'q' && sizeof(long) == 8 ? 'l' : d.letter == 'Q' && sizeof(long) == 8 ? 'L' : d.letter;
}
inline int size_of(char letter) { return letter == 'f' || letter == 'i' || letter == 'I' ? 4 : letter == '?' ? 1 : 8; }
const int kContiguous = 1, kAligned = 0x100;

// A number as its parameter wants it: floats come as double, all others as 64 bits.
inline void put_number(uint64_t from, char letter, char* to) {
  double x;
  memcpy(&x, &from, 8);
  float f = float(x);
  bool b = from != 0;
  switch (letter) {
    case 'f': memcpy(to, &f, 4); break;
    case 'd': memcpy(to, &x, 8); break;
    case '?': memcpy(to, &b, 1); break;
    default: memcpy(to, &from, size_of(letter));  // the lower half of little-endian numbers
  }
}

struct Operand {
  char* data;
  long strides[kAxes];
  int size;
  char loose;
  bool raw;
  bool one;       // the compiled piece wants one number
  bool everywhere;  // one number where the compiled piece wants an array
  bool buffered;    // not as the compiled piece wants it: copied before
  char number[8];
};

struct Job {
  Piece pieces[3];  // loose operands are arrays in all, single numbers in a row, or of both kinds
  Piece piece;
  int count, ndim;
  long shape[kAxes];
  Operand operands[kOperands];
  long total, base, weight;
  // One row, or the rows of one step of the outer axes, are cut: `across` rows and `along` elements are a unit.
  long inner, middle, across, along, bands, parts, units;
  bool flat;  // rows are short: all operands are copied, and the unit is one row
};

// Takes the axes of length 1 out, and joins those that every operand walks in one stride.
void merge_axes(Job& job) {
  int kept = 0;
  for (int axis = 0; axis < job.ndim; axis++) {
    const long n = job.shape[axis];
    if (n == 1) continue;
    bool join = kept > 0;
    for (int k = 0; k < job.count && join; k++)
      join = job.operands[k].strides[kept - 1] == n * job.operands[k].strides[axis];
    if (join) {
      job.shape[kept - 1] *= n;
    } else {
      job.shape[kept++] = n;
    }
    for (int k = 0; k < job.count; k++) job.operands[k].strides[kept - 1] = job.operands[k].strides[axis];
  }
  if (kept == 0) {
    job.shape[0] = 1;
    for (int k = 0; k < job.count; k++) job.operands[k].strides[0] = 0;
    kept = 1;
  }
  job.ndim = kept;
}

int place(Operand& o, const Array& a, const Job& job) {
  if (a.ndim > job.ndim) return kOtherShape;
  const int lead = job.ndim - a.ndim;
  for (int axis = 0; axis < lead; axis++) o.strides[axis] = 0;
  for (int axis = 0; axis < a.ndim; axis++) {
    if (a.shape[axis] != job.shape[lead + axis] && a.shape[axis] != 1) return kOtherShape;
    o.strides[lead + axis] = a.shape[axis] == 1 ? 0 : a.strides[axis];
  }
  return kDone;
}

// Copies `rows` times `n` elements that lie `along` and `stride` bytes apart, one after the other.
template <class T> void spread_as(T* to, const char* from, long rows, long n, long along, long stride) {
  for (long t = 0; t < rows; t++, to += n, from += along) {
    if (stride == 0) {
      const T value = *(const T*)from;
      for (long c = 0; c < n; c++) to[c] = value;
    } else if (stride == long(sizeof(T))) {
      memcpy(to, from, n * sizeof(T));
    } else {
      for (long c = 0; c < n; c++) to[c] = *(const T*)(from + c * stride);
    }
  }
}
void spread(char* to, const char* from, int size, long rows, long n, long along, long stride) {
  if (size == 4) spread_as((uint32_t*)to, from, rows, n, along, stride);
  else if (size == 8) spread_as((uint64_t*)to, from, rows, n, along, stride);
  else spread_as((uint8_t*)to, from, rows, n, along, stride);
}

// Copies `rows` times `n` elements, from row `row` on and place `from` in it, one after the other.
template <class T> void gather_as(const Operand& o, const Job& job, long row, long rows, long from, long n, T* to) {
  const int last = job.ndim - 1;
  const long stride = o.strides[last];
  for (long r = row; r < row + rows; r++) {
    const char* at = o.data + from * stride;
    for (long rest = r, axis = last - 1; axis >= 0; axis--) {
      at += rest % job.shape[axis] * o.strides[axis];
      rest /= job.shape[axis];
    }
    spread_as(to, at, 1, n, 0, stride);
    to += n;
  }
}
void gather(const Operand& o, const Job& job, long row, long rows, long from, long n, char* to) {
  if (o.size == 4) gather_as(o, job, row, rows, from, n, (uint32_t*)to);
  else if (o.size == 8) gather_as(o, job, row, rows, from, n, (uint64_t*)to);
  else gather_as(o, job, row, rows, from, n, (uint8_t*)to);
}

// Bytes from the beginning of an operand to row `row` of all rows.
long offset_of(const Operand& o, const Job& job, long row) {
  long offset = 0;
  for (long axis = job.ndim - 2; axis >= 0; axis--) {
    offset += row % job.shape[axis] * o.strides[axis];
    row /= job.shape[axis];
  }
  return offset;
}

char* buffer(int operand) {
  thread_local std::unique_ptr<char[]> memory;
  if (!memory) memory.reset(new char[kOperands * kUnit * 8 + 64]);
  return (char*)(((uintptr_t)memory.get() + 63) / 64 * 64) + operand * kUnit * 8;
}

// Memory of this thread for one job at a time, as long as is asked for.
char* scratch(int operand, long bytes) {
  thread_local std::vector<char> memory[kOperands];
  if (long(memory[operand].size()) < bytes + 64) memory[operand].resize(bytes + 64);
  return (char*)(((uintptr_t)memory[operand].data() + 63) / 64 * 64);
}

void run_unit(const Job& job, long unit) {
  void* pointers[kOperands];
  long steps[kOperands];
  const int last = job.ndim - 1;
  const long part = unit % job.parts, band = unit / job.parts % job.bands, outer = unit / job.parts / job.bands;
  const long first = band * job.across, from = part * job.along;
  const long rows = job.middle - first < job.across ? job.middle - first : job.across;
  const long n = job.inner - from < job.along ? job.inner - from : job.along;
  const long row = outer * job.middle + first;
  for (int k = 0; k < job.count; k++) {
    const Operand& o = job.operands[k];
    if (o.raw) {
      pointers[k] = o.data, steps[k] = 0;
    } else if (job.flat) {
      steps[k] = 0;
      pointers[k] = o.buffered ? buffer(k) : o.data + (o.one ? 0 : row * n * o.size);
      if (o.buffered) gather(o, job, row, rows, 0, n, buffer(k));
    } else {
      steps[k] = last ? o.strides[last - 1] : 0;
      char* start = o.data + first * steps[k] + from * o.strides[last];
      if (last > 1) start += offset_of(o, job, row - first);
      pointers[k] = start;
      if (!o.buffered) continue;
      spread(buffer(k), start, o.size, rows, n, steps[k], o.strides[last]);
      pointers[k] = buffer(k), steps[k] = n * o.size;
    }
  }
  if (job.flat) job.piece(pointers, steps, 1, rows * n, job.base + row * job.inner);
  else job.piece(pointers, steps, rows, n, job.base + row * job.inner + from);
}

void plan(Job& job) {
  merge_axes(job);
  const int last = job.ndim - 1;
  job.inner = job.shape[last];
  job.middle = last ? job.shape[last - 1] : 1;
  job.flat = last && job.inner < kRow;
  bool single = true, mixed = job.pieces[2];
  for (int k = 0; k < job.count; k++) {
    const Operand& o = job.operands[k];
    if (!o.loose) continue;
    bool one = o.strides[last] == 0;
    for (int axis = 0; axis < last && job.flat; axis++) one &= o.strides[axis] == 0;
    single &= one;
    mixed &= one || o.loose == kAlong;
  }
  if (!job.pieces[1]) single = false;
  job.piece = job.pieces[single ? 1 : mixed ? 2 : 0];
  bool buffered = false;
  for (int k = 0; k < job.count; k++) {
    Operand& o = job.operands[k];
    bool whole = true;
    o.everywhere = o.loose && !job.flat;
    for (int axis = 0; axis <= last; axis++) o.everywhere &= o.strides[axis] == 0;
    for (long axis = last, expected = o.size; axis >= 0 && job.flat; expected *= job.shape[axis--])
      whole &= o.strides[axis] == expected;
    o.one = o.loose && (single || (mixed && o.loose == kSingle));
    o.everywhere &= !o.one;
    o.buffered = !o.raw && !o.one && !o.everywhere && !(job.flat ? whole : o.strides[last] == o.size || job.inner == 1);
    buffered |= o.buffered;
  }
  long limit = buffered || job.flat ? kUnit : kLong;
  if (limit * job.weight > kWorth) limit = kWorth / job.weight + 1;
  if (job.flat) {  // over all rows
    job.middle = job.total / job.inner;
    if (limit < job.inner) limit = job.inner;
  }
  job.along = job.inner < limit ? job.inner : limit;
  job.across = job.inner < limit ? limit / job.inner : 1;
  job.parts = (job.inner + job.along - 1) / job.along;
  job.bands = (job.middle + job.across - 1) / job.across;
  job.units = job.total / job.inner / job.middle * job.bands * job.parts;
  for (int k = 0; k < job.count; k++) {  // a number where the piece wants an array: as long as a unit's row
    Operand& o = job.operands[k];
    if (!o.everywhere) continue;
    char* to = scratch(k, job.along * o.size);
    spread(to, o.data, o.size, 1, job.along, 0, 0);
    o.data = to;
  }
}

// Calls work(k) for all k in shares of neighbours, by this thread alone if `cost` is too little to wake others.
template <class Work> void in_shares(const Work& work, long count, double cost, int threads) {
  if (threads < 2 || cost < kWorth || count < 2) {
    for (long k = 0; k < count; k++) work(k);
    return;
  }
  struct Share {
    const Work* work;
    long each, count;
  } share = {&work, count / (threads * 8) < 1 ? 1 : count / (threads * 8), count};
  pool->run(
      [](void* context, long n) {
        const Share& s = *(const Share*)context;
        for (long k = n * s.each; k < (n + 1) * s.each && k < s.count; k++) (*s.work)(k);
      },
      &share, (count + share.each - 1) / share.each, threads);
}

// ---- reductions

typedef void (*Start)(void* state, long pitch, long columns);
typedef void (*Fold)(void* const* pointers, const long* steps, long count, long columns, void* state, long pitch,
                     const void* found);
typedef void (*Found)(const void* state, long pitch, long columns, long folded, void* found);
typedef void (*Finish)(const void* state, long pitch, long columns, long folded, const void* found,
                       void* const* pointers);
typedef void (*Rows)(void* const* pointers, const long* steps, long rows, long n);

// What a kernel folds twice has `first` functions; what they find is known to the second time.
struct Folding {
  Start first_start, start;
  Fold first_fold[2], fold[2];  // loose operands are arrays along the columns, or one number for all of them
  Found found;
  Finish finish;
  Rows rows[3];  // as the pieces of an elementwise kernel
};

struct ReduceJob {
  const Folding* f;
  int inputs, count, ndim;
  long shape[kAxes];
  Job job;            // the axes that stay, outer ones first; `operands` hold strides along them
  bool late[kOperands];   // a number that is used after the fold only
  long folded;        // length of the axis that is folded
  long along[kOperands];  // stride along it
  long width;         // length of the last axis that stays, in which columns lie next to each other
  long block, blocks;  // columns of a unit, and how many units are in a row of columns
  bool in_rows;       // each row is folded in lanes
  Rows rows;
  int still;          // which `fold`
  long units, weight;
};

// Fills pointers and steps for the columns [from, from + n) of row `row`, folded from `at` on; returns for how many.
long point(const ReduceJob& r, long row, long from, long n, long at, void** pointers, long* steps) {
  const Job& job = r.job;
  const int last = job.ndim - 1;
  long count = r.folded - at;
  for (int pass = 0; pass < 2; pass++) {
    for (int k = 0; k < r.inputs; k++) {
      const Operand& o = job.operands[k];
      const long stride = o.strides[last];
      char* start = o.data + offset_of(o, job, row) + from * stride + at * r.along[k];
      const bool direct = r.late[k] || (o.loose && r.still) || stride == o.size || n == 1;
      if (direct && r.along[k] % o.size == 0) {
        pointers[k] = start, steps[k] = r.along[k] / o.size;
        continue;
      }
      const bool once = r.along[k] == 0;
      if (pass == 0) {
        if (!once && count > kUnit / n) count = kUnit / n;
        continue;
      }
      char* to = buffer(k);
      pointers[k] = to, steps[k] = once ? 0 : n;
      spread(to, start, o.size, once ? 1 : count, n, r.along[k], stride);
    }
  }
  return count;
}

void fold_columns(const ReduceJob& r, long unit) {
  const long row = unit / r.blocks, from = unit % r.blocks * r.block;
  const long n = r.width - from < r.block ? r.width - from : r.block;
  char *state = scratch(0, kUnit * 8 * 8), *found = scratch(1, kUnit * 8);
  void* pointers[kOperands];
  long steps[kOperands];
  for (int pass = r.f->found ? 0 : 1; pass < 2; pass++) {
    (pass ? r.f->start : r.f->first_start)(state, kUnit, n);
    for (long at = 0; at < r.folded;) {
      const long count = point(r, row, from, n, at, pointers, steps);
      (pass ? r.f->fold : r.f->first_fold)[r.still](pointers, steps, count, n, state, kUnit, found);
      at += count;
    }
    if (!pass) r.f->found(state, kUnit, n, r.folded, found);
  }
  for (int k = 0; k < r.count; k++) {
    const Operand& o = r.job.operands[k];
    pointers[k] = k < r.inputs ? o.data : o.data + (row * r.width + from) * o.size;
  }
  r.f->finish(state, kUnit, n, r.folded, found, pointers);
}

void fold_rows(const ReduceJob& r, long unit) {
  const Job& job = r.job;
  const long first = unit * r.block, end = first + r.block < r.width ? first + r.block : r.width;
  void* pointers[kOperands];
  long steps[kOperands];
  for (int k = 0; k < r.count; k++) steps[k] = job.operands[k].size;
  for (long row = first, rows; row < end; row += rows) {
    rows = job.shape[job.ndim - 1] - row % job.shape[job.ndim - 1];  // to the end of the last axis that stays
    if (rows > end - row) rows = end - row;
    for (int k = 0; k < r.count; k++) if (job.operands[k].buffered) rows = 1;
    for (int k = 0; k < r.count; k++) {
      const Operand& o = job.operands[k];
      if (k >= r.inputs) {
        pointers[k] = o.data + row * o.size;
        continue;
      }
      long offset = 0;
      for (long axis = job.ndim - 1, rest = row; axis >= 0; rest /= job.shape[axis--])
        offset += rest % job.shape[axis] * o.strides[axis];
      pointers[k] = o.data + offset, steps[k] = o.strides[job.ndim - 1];
      if (!o.buffered) continue;
      char* to = scratch(k, r.folded * o.size);
      spread(to, o.data + offset, o.size, 1, r.folded, 0, r.along[k]);
      pointers[k] = to;
    }
    r.rows(pointers, steps, rows, r.folded);
  }
}

void fold_unit(const ReduceJob& r, long unit) { r.in_rows ? fold_rows(r, unit) : fold_columns(r, unit); }

// Makes one axis of the axes [first, end), and decides on how they are folded.
int plan_fold(ReduceJob& r, int first, int end) {
  Job& job = r.job;
  const int ndim = r.ndim;
  // The folded axes become one: each operand must walk them in one stride.
  r.folded = 1;
  for (int k = 0; k < r.inputs; k++) r.along[k] = 0;
  for (int axis = end - 1; axis >= first; axis--) {
    if (r.shape[axis] == 1) continue;
    for (int k = 0; k < r.inputs; k++) {
      const long stride = job.operands[k].strides[axis];
      if (r.folded == 1) r.along[k] = stride;
      else if (stride != r.along[k] * r.folded) return kOtherLayout;
    }
    r.folded *= r.shape[axis];
  }
  // The others: outer ones, then a last one of columns, of length 1 where the folded axis was the last.
  long inner = 1, outer = 1;
  for (int axis = end; axis < ndim; axis++) inner *= r.shape[axis];
  for (int axis = 0; axis < first; axis++) outer *= r.shape[axis];
  r.units = 0;
  if (outer * inner == 0) return kDone;
  int kept = 0;
  for (int axis = 0; axis < ndim; axis++) {
    if ((axis >= first && axis < end) || (r.shape[axis] == 1 && axis >= end)) continue;
    for (int k = 0; k < r.inputs; k++) job.operands[k].strides[kept] = job.operands[k].strides[axis];
    job.shape[kept++] = r.shape[axis];
  }
  job.ndim = kept;
  job.count = r.inputs;
  r.in_rows = inner == 1 && r.folded > 1 && !(r.folded < kShort && outer > 1);
  if (inner > 1) {  // columns: the inner axes must be one too
    for (int axis = first; axis + 1 < kept; axis++)
      for (int k = 0; k < r.inputs; k++)
        if (job.operands[k].strides[axis] != job.shape[axis + 1] * job.operands[k].strides[axis + 1]) return kOtherLayout;
    for (int k = 0; k < r.inputs; k++) job.operands[k].strides[first] = job.operands[k].strides[kept - 1];
    job.shape[first] = inner;
    job.ndim = first + 1;
  } else {
    merge_axes(job);
  }
  bool single = true, mixed = r.f->rows[2];
  r.still = r.f->fold[1] != nullptr;
  for (int k = 0; k < r.inputs; k++) {
    const Operand& o = job.operands[k];
    if (!o.loose || r.late[k]) continue;
    single &= r.along[k] == 0;
    mixed &= r.along[k] == 0 || o.loose == kAlong;
    r.still &= o.strides[job.ndim - 1] == 0;
  }
  if (!r.f->rows[1]) single = false;
  r.rows = r.f->rows[single ? 1 : mixed ? 2 : 0];
  if (r.in_rows && !r.rows) return kOtherLayout;
  for (int k = 0; k < r.inputs; k++) {
    Operand& o = job.operands[k];
    o.one = r.late[k] || (o.loose && (single || (mixed && o.loose == kSingle)));
    o.buffered = r.in_rows && !o.one && r.along[k] != o.size;
  }
  if (r.in_rows) {
    r.width = outer;
    r.block = r.folded < kLong ? kLong / r.folded : 1;
    r.units = (outer + r.block - 1) / r.block;
    return kDone;
  }
  r.width = job.shape[job.ndim - 1];
  r.block = r.width < kUnit ? r.width : kUnit;
  r.blocks = (r.width + r.block - 1) / r.block;
  r.units = outer * inner / r.width * r.blocks;
  return kDone;
}

}  // namespace

// What Python says of a kernel; see `cunet.native.call`.
struct Kernel {
  Piece pieces[3];
  int32_t inputs, outputs;
  int32_t weight;  // rough cost of an element, in tenths of nanoseconds
  char letters[kOperands];
  char raw[kOperands];    // a pointer to all of the array
  char loose[kOperands];  // see `Loose`
};

struct Reduction {
  Folding folding;
  int32_t inputs, outputs, weight;
  char letters[kOperands];
  char late[kOperands];  // must be a number: it is used after the fold
  char loose[kOperands];
};

// One call, packed by Python. slots: an object for each array of `arrays` (bits), a number for all others; the
// outputs come last.
struct Call {
  const void* kernel;
  uint64_t arrays;
  int64_t total, threads;  // of a reduction: the number of axes
  uint64_t slots[kOperands];
};

static void no_array(Operand& o, uint64_t number, char letter, int ndim) {
  put_number(number, letter, o.number);
  o.data = o.number;
  for (int axis = 0; axis < ndim; axis++) o.strides[axis] = 0;
}

static int read_job(const Call* call, Job& job) {
  const Kernel* kernel = (const Kernel*)call->kernel;
  const uint64_t *slots = call->slots, arrays = call->arrays;
  memcpy(job.pieces, kernel->pieces, sizeof job.pieces);
  job.count = kernel->inputs + kernel->outputs;
  job.total = call->total, job.base = 0, job.weight = kernel->weight;
  job.ndim = 1, job.shape[0] = call->total;
  for (int k = job.count - 1; k >= kernel->inputs; k--)
    if (!kernel->raw[k]) {
      const Array& a = array_at(slots[k]);
      if (a.ndim > kAxes) return kOtherShape;
      job.ndim = a.ndim;
      for (int axis = 0; axis < a.ndim; axis++) job.shape[axis] = a.shape[axis];
      break;
    }
  for (int k = 0; k < job.count; k++) {
    Operand& o = job.operands[k];
    const char letter = kernel->letters[k];
    o.size = size_of(letter), o.raw = kernel->raw[k], o.loose = kernel->loose[k];
    if (!(arrays >> k & 1)) {
      no_array(o, slots[k], letter, job.ndim);
      continue;
    }
    const Array& a = array_at(slots[k]);
    if (letter_of(a) != letter) return kOtherType;
    if (!(a.flags & kAligned) || (o.raw && !(a.flags & kContiguous))) return kOtherLayout;
    if (k >= kernel->inputs && !(a.flags & kContiguous)) return kOtherLayout;
    o.data = a.data;
    if (o.raw) {
      for (int axis = 0; axis < job.ndim; axis++) o.strides[axis] = 0;
    } else if (int problem = place(o, a, job)) {
      return problem;
    }
  }
  return kDone;
}

static int read_fold(const Call* call, const int64_t* shape, ReduceJob& r) {
  const Reduction* kernel = (const Reduction*)call->kernel;
  const uint64_t *slots = call->slots, arrays = call->arrays;
  if (call->total > kAxes) return kOtherShape;
  Job& job = r.job;
  r.f = &kernel->folding, r.weight = kernel->weight;
  r.inputs = kernel->inputs, r.count = kernel->inputs + kernel->outputs;
  r.ndim = job.ndim = int(call->total);
  for (int axis = 0; axis < r.ndim; axis++) r.shape[axis] = job.shape[axis] = shape[axis];
  for (int k = 0; k < r.count; k++) {
    Operand& o = job.operands[k];
    const char letter = kernel->letters[k];
    o.size = size_of(letter), o.raw = o.buffered = false, o.loose = kernel->loose[k], r.late[k] = kernel->late[k];
    if (!(arrays >> k & 1)) {
      no_array(o, slots[k], letter, r.ndim);
      continue;
    }
    const Array& a = array_at(slots[k]);
    if (kernel->late[k] && a.ndim) return kOtherShape;
    if (letter_of(a) != letter) return kOtherType;
    if (!(a.flags & kAligned) || (k >= r.inputs && !(a.flags & kContiguous))) return kOtherLayout;
    o.data = a.data;
    if (k < r.inputs)
      if (int problem = place(o, a, job)) return problem;
  }
  return kDone;
}

// One of several calls that follow each other.
struct Step {
  const Call* call;
  const int64_t* shape;  // of a reduction, with the axes that it folds; null: elementwise
  int64_t first, end;
};

static int read_step(const Step& step, long length, Job& job, ReduceJob& fold) {
  if (!step.shape) {
    const int problem = read_job(step.call, job);
    return problem ? problem : job.ndim < 2 || job.shape[0] != length ? kOtherShape : kDone;
  }
  if (int problem = read_fold(step.call, step.shape, fold)) return problem;
  if (step.first < 1 || step.shape[0] != length) return kOtherShape;
  ReduceJob trial = fold;  // whether the axes can be folded depends on the other ones
  return plan_fold(trial, int(step.first), int(step.end));
}

// Leaves of a call the part [from, end) of the first axis, and runs it.
static void run_part(const Step& step, const Job& whole, const ReduceJob& all, long from, long end) {
  if (!step.shape) {
    Job job = whole;
    const long each = job.total / job.shape[0];
    for (int k = 0; k < job.count; k++)
      if (!job.operands[k].raw) job.operands[k].data += from * job.operands[k].strides[0];
    job.shape[0] = end - from, job.total = each * (end - from), job.base = each * from;
    plan(job);
    for (long unit = 0; unit < job.units; unit++) run_unit(job, unit);
    return;
  }
  ReduceJob fold = all;
  long each = 1;
  for (int axis = 1; axis < fold.ndim; axis++) each *= axis >= step.first && axis < step.end ? 1 : fold.shape[axis];
  for (int k = 0; k < fold.count; k++) {
    Operand& o = fold.job.operands[k];
    o.data += k < fold.inputs ? from * o.strides[0] : from * each * o.size;
  }
  fold.shape[0] = end - from;
  plan_fold(fold, int(step.first), int(step.end));
  for (long unit = 0; unit < fold.units; unit++) fold_unit(fold, unit);
}

extern "C" {

int cunet_start(long header) {
  object_header = header;
  fresh_pool();
  return pthread_atfork(nullptr, nullptr, fresh_pool);
}

// For other libraries: work(context, k) for k = 0 ... count - 1.
void cunet_parallel(void (*work)(void*, long), void* context, long count, int threads) {
  pool->run(work, context, count, threads);
}

// What is read of an array, for a comparison with what NumPy says.
void cunet_probe(uint64_t object, long* out) {
  const Array& a = array_at(object);
  out[0] = (long)a.data, out[1] = a.ndim, out[2] = letter_of(a), out[3] = a.flags & (kContiguous | kAligned);
  for (int k = 0; k < a.ndim; k++) out[4 + 2 * k] = a.shape[k], out[5 + 2 * k] = a.strides[k];
}

int cunet_run(const Call* call) {
  Job job;
  if (int problem = read_job(call, job)) return problem;
  if (job.total == 0) return kDone;
  plan(job);
  in_shares([&](long unit) { run_unit(job, unit); }, job.units, double(job.total) * job.weight, int(call->threads));
  return kDone;
}

// Folds the axes [first, end) of `shape`. The outputs are contiguous, of the axes that stay.
int cunet_reduce(const Call* call, const int64_t* shape, int first, int end) {
  ReduceJob r;
  if (int problem = read_fold(call, shape, r)) return problem;
  if (int problem = plan_fold(r, first, end)) return problem;
  double cost = r.weight;
  for (int axis = 0; axis < r.ndim; axis++) cost *= shape[axis];
  in_shares([&](long unit) { fold_unit(r, unit); }, r.units, cost, int(call->threads));
  return kDone;
}

// Runs calls over the same first axis, of `length` > 0: all of them on a block of it, then on the next. Blocks depend
// on the shape alone. Nothing is run if one of them has a problem.
int cunet_together(const Step* steps, long count, long length, long size) {
  std::vector<Job> jobs(count);
  std::vector<ReduceJob> folds(count);
  double cost = 0;
  for (long k = 0; k < count; k++) {
    if (int problem = read_step(steps[k], length, jobs[k], folds[k])) return problem;
    cost += double(size) * (steps[k].shape ? folds[k].weight : jobs[k].weight);
  }
  const long each = size / length < kBlock ? kBlock / (size / length) : 1;
  in_shares(
      [&](long block) {
        const long end = (block + 1) * each < length ? (block + 1) * each : length;
        for (long k = 0; k < count; k++) run_part(steps[k], jobs[k], folds[k], block * each, end);
      },
      (length + each - 1) / each, cost, int(steps[0].call->threads));
  return kDone;
}
}
