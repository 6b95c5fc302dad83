// Runs compiled kernels over NumPy arrays: reads where the arrays lie, broadcasts, cuts the work into units and
// shares them with other threads. Which thread computes a unit changes nothing in its result.
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

namespace {

typedef void (*Piece)(void* const* pointers, long count, long at);

const int kOperands = 32, kAxes = 16;
const long kUnit = 1024;           // elements of a buffer
const long kLong = 8192;           // elements of a unit that needs no buffer
const long kRow = 256;             // from this length on a unit does not pass the end of a row
const long kWorth = 1500000;       // tenths of nanoseconds: less work is not worth waking a thread
const int kLanes = 128;            // running values of a row that is folded
const long kShort = 128;           // rows that are folded next to each other, not each in lanes
enum Result { kDone = 0, kOtherType = 1, kOtherShape = 2, kOtherLayout = 3 };

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
    {
      std::lock_guard<std::mutex> lock(mutex_);
      while (helpers_ < threads - 1) {
        try {
          std::thread(&Pool::help, this, helpers_, generation_).detach();
        } catch (...) {
          break;
        }
        helpers_++;
      }
      work_ = work, context_ = context, count_ = count, next_ = 0;
      wanted_ = threads - 1 < helpers_ ? threads - 1 : helpers_;
      generation_++;
    }
    wake_.notify_all();
    drain();
    std::unique_lock<std::mutex> lock(mutex_);
    wanted_ = 0;  // who has not woken up by now is not waited for
    done_.wait(lock, [this] { return active_ == 0; });
  }

 private:
  void drain() {
    for (long k; (k = next_.fetch_add(1)) < count_;) work_(context_, k);
  }
  void help(int number, long seen) {
    sigset_t all;  // signals are for threads that know Python
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    for (;;) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return generation_ != seen; });
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
  long count_ = 0, generation_ = 0;
  std::atomic<long> next_{0};
  int helpers_ = 0, wanted_ = 0, active_ = 0;
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
  bool raw, loose;
  bool whole;  // its elements follow each other in the order of the result: all outputs' do
  char number[8];
};

struct Job {
  Piece many, few;
  int count, ndim;
  long shape[kAxes];
  Operand operands[kOperands];
  long inner, rows, total;
  bool plain;   // one axis, all operands consecutive or single: no buffers
  bool single;  // all loose operands are single numbers within a row
  long unit, units, pieces;
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

void run_unit(void* context, long unit) {
  const Job& job = *(const Job*)context;
  void* pointers[kOperands];
  long row, rows, from, n;
  if (job.plain) {
    row = 0, rows = 1, from = unit * job.unit;
    n = job.inner - from < job.unit ? job.inner - from : job.unit;
  } else if (job.pieces) {
    row = unit / job.pieces, rows = 1, from = unit % job.pieces * job.unit;
    n = job.inner - from < job.unit ? job.inner - from : job.unit;
  } else {
    row = unit * job.unit, from = 0, n = job.inner;
    rows = job.rows - row < job.unit ? job.rows - row : job.unit;
  }
  const int last = job.ndim - 1;
  for (int k = 0; k < job.count; k++) {
    const Operand& o = job.operands[k];
    if (o.raw) {
      pointers[k] = o.data;
      continue;
    }
    if (o.whole) {
      pointers[k] = o.data + (row * job.inner + from) * o.size;
      continue;
    }
    const long stride = o.strides[last];
    const bool consecutive = stride == o.size || (n == 1 && rows == 1);
    if (rows == 1 && (consecutive || (stride == 0 && o.loose && job.single))) {
      pointers[k] = o.data + offset_of(o, job, row) + from * stride;
    } else if (rows > 1 && consecutive && last > 0 && o.strides[last - 1] == n * o.size &&
               row % job.shape[last - 1] + rows <= job.shape[last - 1]) {
      pointers[k] = o.data + offset_of(o, job, row);
    } else if (rows > 1 && o.loose && job.single) {
      pointers[k] = o.data;  // the same for all rows
    } else {
      gather(o, job, row, rows, from, n, buffer(k));
      pointers[k] = buffer(k);
    }
  }
  (job.single && job.few ? job.few : job.many)(pointers, n * rows, row * job.inner + from);
}

void plan(Job& job, long unit_limit) {
  merge_axes(job);
  const int last = job.ndim - 1;
  job.inner = job.shape[last];
  job.rows = job.total / job.inner;
  bool constant = true, in_row = true;
  job.plain = job.ndim == 1;
  for (int k = 0; k < job.count; k++) {
    Operand& o = job.operands[k];
    if (o.raw) continue;
    o.whole = true;
    for (long axis = last, expected = o.size; axis >= 0; expected *= job.shape[axis--])
      o.whole &= o.strides[axis] == expected;
    if (o.loose) {
      in_row &= o.strides[last] == 0;
      for (int axis = 0; axis < job.ndim; axis++) constant &= o.strides[axis] == 0;
    } else {
      job.plain &= o.strides[last] == o.size || job.inner == 1;
    }
  }
  const bool by_rows = job.inner >= kRow || job.ndim == 1;
  job.single = by_rows ? in_row : constant;
  job.plain &= job.single;
  for (int k = 0; k < job.count; k++) {  // what must come from a buffer keeps units short
    const Operand& o = job.operands[k];
    if (!o.raw && o.strides[last] != o.size && !(o.loose && job.single)) unit_limit = kUnit;
  }
  if (!by_rows) unit_limit = kUnit;
  job.pieces = 0;
  if (job.plain) {
    job.unit = unit_limit, job.units = (job.inner + job.unit - 1) / job.unit;
  } else if (by_rows) {
    job.unit = unit_limit;
    job.pieces = (job.inner + job.unit - 1) / job.unit;
    job.units = job.rows * job.pieces;
  } else {
    job.unit = unit_limit / job.inner;
    job.units = (job.rows + job.unit - 1) / job.unit;
  }
}

struct Share {
  Job* job;
  long each;
};
void run_share(void* context, long k) {
  const Share& share = *(const Share*)context;
  const long first = k * share.each, end = first + share.each < share.job->units ? first + share.each : share.job->units;
  for (long unit = first; unit < end; unit++) run_unit(share.job, unit);
}

// ---- reductions

typedef void (*Start)(void* state, long pitch, long columns);
typedef void (*Fold)(void* const* pointers, const long* steps, long count, long columns, void* state, long pitch);
typedef void (*Halve)(void* state, long pitch, long columns);
typedef void (*Finish)(const void* state, long pitch, long columns, void* const* pointers);

struct ReduceJob {
  Start start;
  Fold fold;
  Halve halve;
  Finish finish;
  int inputs, count, fields, wide;
  Job job;            // the axes that stay, outer ones first; `operands` hold strides along them
  long folded;        // length of the axis that is folded
  long along[kOperands];  // stride along it
  long width;         // length of the last axis that stays, in which columns lie next to each other
  long block, blocks;  // columns of a unit, and how many units are in a row of columns
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
      const bool consecutive = stride == o.size || n == 1;
      if (consecutive && r.along[k] % o.size == 0) {
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

void reduce_unit(void* context, long unit) {
  const ReduceJob& r = *(const ReduceJob*)context;
  thread_local std::unique_ptr<char[]> memory;
  if (!memory) memory.reset(new char[(kUnit + 8) * 8 * 8]);
  char* state = (char*)(((uintptr_t)memory.get() + 63) / 64 * 64);
  const long row = unit / r.blocks, from = unit % r.blocks * r.block;
  long n = r.width - from < r.block ? r.width - from : r.block;
  void* pointers[kOperands];
  long steps[kOperands];
  if (r.width == 1 && r.folded > 1) {  // one row in lanes: the order depends on its length only
    const long lanes = r.folded < kLanes ? r.folded : kLanes;
    r.start(state, kLanes, kLanes);
    for (long at = 0; at < r.folded;) {
      long count = (r.folded - at) / lanes, columns = lanes;
      if (count == 0) count = 1, columns = r.folded - at;
      if (count * columns > kUnit) count = kUnit / columns;
      for (int k = 0; k < r.inputs; k++) {
        const Operand& o = r.job.operands[k];
        char* start = o.data + offset_of(o, r.job, row) + at * r.along[k];
        if (r.along[k] == o.size) {
          pointers[k] = start, steps[k] = columns;
          continue;
        }
        pointers[k] = buffer(k), steps[k] = r.along[k] ? columns : 0;
        spread(buffer(k), start, o.size, 1, r.along[k] ? count * columns : columns, 0, r.along[k]);
      }
      r.fold(pointers, steps, count, columns, state, kLanes);
      at += count * columns;
    }
    for (int w = kLanes / 2; w >= 1; w /= 2) r.halve(state, kLanes, w);
  } else {
    r.start(state, kUnit, n);
    for (long at = 0; at < r.folded;) {
      const long count = point(r, row, from, n, at, pointers, steps);
      r.fold(pointers, steps, count, n, state, kUnit);
      at += count;
    }
  }
  for (int k = 0; k < r.count; k++) {
    const Operand& o = r.job.operands[k];
    pointers[k] = k < r.inputs ? o.data : o.data + (row * r.width + from) * o.size;
  }
  r.finish(state, r.width == 1 && r.folded > 1 ? kLanes : kUnit, n, pointers);
}

}  // namespace

// What Python says of a kernel; see `cunet.native.call`.
struct Kernel {
  Piece many, few;
  int32_t inputs, outputs;
  int32_t weight;  // rough cost of an element, in tenths of nanoseconds
  char letters[kOperands];
  char raw[kOperands];    // a pointer to all of the array
  char loose[kOperands];  // single in `few`
};

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

// One call, packed by Python. slots: an object for each array of `arrays` (bits), a number for all others; the
// outputs come last.
struct Call {
  const Kernel* kernel;
  uint64_t arrays;
  int64_t total, threads;
  uint64_t slots[kOperands];
};

int cunet_run(const Call* call) {
  const Kernel* kernel = call->kernel;
  const uint64_t *slots = call->slots, arrays = call->arrays;
  const long total = call->total;
  const int threads = int(call->threads);
  Job job;
  job.many = kernel->many, job.few = kernel->few;
  job.count = kernel->inputs + kernel->outputs;
  job.total = total;
  job.ndim = 1, job.shape[0] = total;
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
      put_number(slots[k], letter, o.number);
      o.data = o.number;
      for (int axis = 0; axis < job.ndim; axis++) o.strides[axis] = 0;
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
  if (total == 0) return kDone;
  plan(job, kLong);
  if (threads < 2 || total * kernel->weight < kWorth || job.units < 2) {
    for (long unit = 0; unit < job.units; unit++) run_unit(&job, unit);
    return kDone;
  }
  long each = job.units / (threads * 8);
  Share share = {&job, each < 1 ? 1 : each};
  pool->run(run_share, &share, (job.units + share.each - 1) / share.each, threads);
  return kDone;
}

struct Reduction {
  Start start;
  Fold fold;
  Halve halve;
  Finish finish;
  int32_t inputs, outputs, fields, weight;
  char letters[kOperands];
  char number[kOperands];  // must be a number: it is used after the fold
};

// Folds the axes [first, end) of `shape`. The outputs are contiguous, of the axes that stay.
int cunet_reduce(const Call* call, const int64_t* shape, int first, int end) {
  const Reduction* kernel = (const Reduction*)call->kernel;
  const uint64_t *slots = call->slots, arrays = call->arrays;
  const int ndim = int(call->total), threads = int(call->threads);
  if (ndim > kAxes) return kOtherShape;
  ReduceJob r;
  Job& job = r.job;
  r.start = kernel->start, r.fold = kernel->fold, r.halve = kernel->halve, r.finish = kernel->finish;
  r.inputs = kernel->inputs, r.count = kernel->inputs + kernel->outputs, r.fields = kernel->fields;
  job.count = r.inputs, job.ndim = ndim;
  for (int axis = 0; axis < ndim; axis++) job.shape[axis] = shape[axis];
  for (int k = 0; k < r.count; k++) {
    Operand& o = job.operands[k];
    const char letter = kernel->letters[k];
    o.size = size_of(letter), o.raw = false, o.loose = false;
    if (!(arrays >> k & 1)) {
      put_number(slots[k], letter, o.number);
      o.data = o.number;
      for (int axis = 0; axis < ndim; axis++) o.strides[axis] = 0;
      continue;
    }
    const Array& a = array_at(slots[k]);
    if (kernel->number[k] && a.ndim) return kOtherShape;
    if (letter_of(a) != letter) return kOtherType;
    if (!(a.flags & kAligned) || (k >= r.inputs && !(a.flags & kContiguous))) return kOtherLayout;
    o.data = a.data;
    if (k < r.inputs)
      if (int problem = place(o, a, job)) return problem;
  }
  // The folded axes become one: each operand must walk them in one stride.
  r.folded = 1;
  for (int k = 0; k < r.inputs; k++) r.along[k] = 0;
  for (int axis = end - 1; axis >= first; axis--) {
    if (job.shape[axis] == 1) continue;
    for (int k = 0; k < r.inputs; k++) {
      const long stride = job.operands[k].strides[axis];
      if (r.folded == 1) r.along[k] = stride;
      else if (stride != r.along[k] * r.folded) return kOtherLayout;
    }
    r.folded *= job.shape[axis];
  }
  // The others: outer ones, then a last one of columns, of length 1 where the folded axis was the last.
  long inner = 1, outer = 1;
  for (int axis = end; axis < ndim; axis++) inner *= job.shape[axis];
  for (int axis = 0; axis < first; axis++) outer *= job.shape[axis];
  if (outer * inner == 0) return kDone;
  int kept = 0;
  for (int axis = 0; axis < ndim; axis++) {
    if (axis >= first && axis < end) continue;
    for (int k = 0; k < r.inputs; k++) job.operands[k].strides[kept] = job.operands[k].strides[axis];
    job.shape[kept++] = job.shape[axis];
  }
  job.ndim = kept;
  const bool last = inner == 1 && !(r.folded < kShort && outer > 1);
  if (inner > 1) {  // columns: the inner axes must be one too
    for (int axis = first; axis + 1 < kept; axis++)
      for (int k = 0; k < r.inputs; k++)
        if (job.operands[k].strides[axis] != job.shape[axis + 1] * job.operands[k].strides[axis + 1]) return kOtherLayout;
    for (int k = 0; k < r.inputs; k++) job.operands[k].strides[first] = job.operands[k].strides[kept - 1];
    job.shape[first] = inner;
    job.ndim = first + 1;
  } else {
    merge_axes(job);
    if (last) {
      for (int k = 0; k < r.inputs; k++) job.operands[k].strides[job.ndim] = 0;
      job.shape[job.ndim++] = 1;
    }
  }
  r.width = job.shape[job.ndim - 1];
  r.block = r.width < 512 ? r.width : 512;
  r.blocks = (r.width + r.block - 1) / r.block;
  const long units = outer * inner / r.width * r.blocks;
  if (threads < 2 || outer * inner * r.folded * kernel->weight < kWorth || units < 2) {
    for (long unit = 0; unit < units; unit++) reduce_unit(&r, unit);
    return kDone;
  }
  struct Batch { ReduceJob* r; long each, units; } batch = {&r, units / (threads * 8), units};
  if (batch.each < 1) batch.each = 1;
  pool->run(
      [](void* context, long k) {
        const Batch& b = *(const Batch*)context;
        for (long unit = k * b.each; unit < (k + 1) * b.each && unit < b.units; unit++) reduce_unit(b.r, unit);
      },
      &batch, (units + batch.each - 1) / batch.each, threads);
  return kDone;
}
}
