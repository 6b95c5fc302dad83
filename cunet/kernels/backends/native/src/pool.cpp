// Pooling on the CPU, forward and backward, row by row: what cunet/ops/pool_kernels.py says, for windows of one stride.
//
// What surrounds this text: the type T. Each plane is one thread's, and the order of its sums depends on nothing else.
#include <stdint.h>
#include <string.h>
#include <algorithm>
#include <new>
#include <vector>

// What Python says of a pool; see cunet.native.pooling.
struct Pool {
  long what;  // 0: largest, 1: its gradient, 2: where it is, 3: mean, 4: its gradient
  const T *x, *y, *gy;
  void* result;
  void (*parallel)(void (*work)(void*, long), void* context, long count, int threads);
  long planes;
  long sizes[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
  long padded;  // padding counts in a mean
  double divisor;  // instead of a count, unless 0
  long threads;
};

namespace {

const long kUnit = 1 << 15;         // elements that are worth a unit of work
const int kRow = 64 / sizeof(T);    // rows of windows are lengthened to a multiple of this: loops without a rest

// The windows [first, last] of a row that meet an element at a tap, and where that of window 0 would be.
struct Column {
  long shift, first, last;
  std::vector<T> meets;  // 1 for these windows, 0 for others
};

struct Shape : Pool {
  long area, total, whole;
  std::vector<Column> columns;
  std::vector<T> counts;  // of elements, along each axis in turn
  bool quarters = true;   // two by two, next to each other

  explicit Shape(const Pool& pool) : Pool(pool) {
    area = sizes[0] * sizes[1] * sizes[2], total = out[0] * out[1] * out[2];
    whole = (out[2] + kRow - 1) / kRow * kRow;
    const long s = stride[2];
    for (long c = 0; c < kernel[2]; c++) {
      const long shift = c * dilation[2] - padding[2];
      const long first = shift < 0 ? (s - 1 - shift) / s : 0;
      const long end = sizes[2] > shift ? (sizes[2] - shift + s - 1) / s : 0;
      columns.push_back({shift, first, std::min(end, out[2]) - 1, std::vector<T>(whole)});
      for (long k = first; k <= columns.back().last; k++) columns.back().meets[k] = 1;
    }
    for (int axis = 0; axis < 3; axis++) {
      quarters &= kernel[axis] == (axis ? 2 : 1) && stride[axis] == kernel[axis] && !padding[axis] &&
                  out[axis] * stride[axis] <= sizes[axis];
      for (long o = 0; o < out[axis]; o++) {
        const long start = o * stride[axis] - padding[axis], stop = start + (kernel[axis] - 1) * dilation[axis] + 1;
        const long top = sizes[axis] + (padded ? padding[axis] : 0);
        counts.push_back(T(std::min(stop, top) - (padded ? start : std::max(start, 0l))));
      }
    }
  }

  // Calls row(d, h) for each row of windows of a plane.
  template <class Row> void rows(Row row) const {
    for (long d = 0; d < out[0]; d++)
      for (long h = 0; h < out[1]; h++) row(d, h);
  }
  // Calls tap(at, column) in the order of the windows' elements: window k meets element at + k * stride of a plane.
  template <class Tap> void taps(long d, long h, Tap tap) const {
    for (long a = 0; a < kernel[0]; a++) {
      const long i = d * stride[0] - padding[0] + a * dilation[0];
      if (i < 0 || i >= sizes[0]) continue;
      for (long b = 0; b < kernel[1]; b++) {
        const long j = h * stride[1] - padding[1] + b * dilation[1];
        if (j < 0 || j >= sizes[1]) continue;
        for (const Column& c : columns)
          if (c.first <= c.last) tap((i * sizes[1] + j) * sizes[2] + c.shift, c);
      }
    }
  }
  // Fills what the sums of a row are divided by.
  void divisors(long d, long h, T* to) const {
    for (long k = 0; k < out[2]; k++)
      to[k] = divisor ? T(divisor) : counts[d] * counts[out[0] + h] * counts[out[0] + out[1] + k];
  }
};

// `best` unless `v` is larger, or the first NaN; written so that compilers vectorise it.
inline T larger(T v, T best) {
  const T more = v <= best ? best : v;
  return best == best ? more : best;
}
inline bool same(T v, T best) { return (v == best) | ((v != v) & (best != best)); }

// The elements that windows of a column meet, next to each other in `buffer`; nothing is written for other windows.
const T* line(const Shape& p, const T* x, long at, const Column& c, T* buffer) {
  const long s = p.stride[2];
  x += at;
  if (s == 1) std::copy(x + c.first, x + c.last + 1, buffer + c.first);
  else if (s == 2) for (long k = c.first; k <= c.last; k++) buffer[k] = x[2 * k];
  else for (long k = c.first; k <= c.last; k++) buffer[k] = x[k * s];
  return buffer;
}
void add_line(const Shape& p, const T* values, long at, const Column& c, T* x) {
  const long s = p.stride[2];
  x += at;
  if (s == 1) for (long k = c.first; k <= c.last; k++) x[k] += values[k];
  else if (s == 2) for (long k = c.first; k <= c.last; k++) x[2 * k] += values[k];
  else for (long k = c.first; k <= c.last; k++) x[k * s] += values[k];
}

void largest(const Shape& p, const T* x, T* __restrict y) {
  std::vector<T> memory(p.whole);
  T* __restrict buffer = memory.data();
  std::fill(y, y + p.total, -T(1) / T(0));
  p.rows([&](long d, long h) {
    p.taps(d, h, [&](long at, const Column& c) {
      const T* from = p.stride[2] == 1 ? x + at : line(p, x, at, c, buffer);
      for (long k = c.first; k <= c.last; k++) y[k] = larger(from[k], y[k]);
    });
    y += p.out[2];
  });
}

void largest_gradient(const Shape& p, const T* x, const T* y, const T* gy, T* gx) {
  const long n = p.out[2], whole = p.whole;
  std::vector<T> memory(4 * whole);
  T *__restrict best = memory.data(), *__restrict left = best + whole;
  T *__restrict given = left + whole, *__restrict buffer = given + whole;
  memset(gx, 0, p.area * sizeof(T));
  p.rows([&](long d, long h) {
    std::copy(y, y + n, best), std::copy(gy, gy + n, left);  // left: what is not given to an element yet
    p.taps(d, h, [&](long at, const Column& c) {
      const T* from = line(p, x, at, c, buffer);
      const T* meets = c.meets.data();
      for (long k = 0; k < whole; k++) {
        const T g = left[k], zero = 0, usable = meets[k] != zero ? g : zero;
        const T gift = same(from[k], best[k]) ? usable : zero;
        given[k] = gift, left[k] = gift != zero ? zero : g;
      }
      add_line(p, given, at, c, gx);
    });
    y += n, gy += n;
  });
}

void positions(const Shape& p, const T* x, long* where) {
  std::vector<T> all(p.total);
  largest(p, x, all.data());
  std::fill(where, where + p.total, -1);
  const T* y = all.data();
  p.rows([&](long d, long h) {
    p.taps(d, h, [&](long at, const Column& c) {
      for (long k = c.first; k <= c.last; k++)
        if (where[k] < 0 && same(x[at + k * p.stride[2]], y[k])) where[k] = at + k * p.stride[2];
    });
    y += p.out[2], where += p.out[2];
  });
}

void mean(const Shape& p, const T* x, T* __restrict y) {
  const long n = p.out[2];
  std::vector<T> buffer(n);
  memset(y, 0, p.total * sizeof(T));
  p.rows([&](long d, long h) {
    p.taps(d, h, [&](long at, const Column& c) {
      const T* from = line(p, x, at, c, buffer.data());
      for (long k = c.first; k <= c.last; k++) y[k] += from[k];
    });
    p.divisors(d, h, buffer.data());
    for (long k = 0; k < n; k++) y[k] /= buffer[k];
    y += n;
  });
}

void mean_gradient(const Shape& p, const T* gy, T* gx) {
  const long n = p.out[2];
  std::vector<T> share(n);
  memset(gx, 0, p.area * sizeof(T));
  p.rows([&](long d, long h) {
    p.divisors(d, h, share.data());
    for (long k = 0; k < n; k++) share[k] = gy[k] / share[k];
    p.taps(d, h, [&](long at, const Column& c) { add_line(p, share.data(), at, c, gx); });
    gy += n;
  });
}

// Windows of two by two next to each other, the usual ones: the upper and the lower rows of a plane, each without gaps,
// so that loops are long whatever the width.
struct Halves {
  const Shape& p;
  long n, count;            // windows of a row, and of all rows of a depth
  std::vector<T> memory;
  T *upper, *lower;

  explicit Halves(const Shape& shape) : p(shape), n(p.out[2]), count(p.out[1] * n), memory(4 * count) {
    upper = memory.data(), lower = upper + 2 * count;
  }
  template <class Move> void rows(long d, Move move) {
    for (long h = 0; h < p.out[1]; h++) {
      const long at = (d * p.sizes[1] + 2 * h) * p.sizes[2];
      move(at, upper + 2 * h * n), move(at + p.sizes[2], lower + 2 * h * n);
    }
  }
};

void quarter(const Shape& p, const T* x, T* __restrict y) {
  Halves rows(p);
  const T* __restrict above = rows.upper, * __restrict below = rows.lower;
  const long count = rows.count, bytes = 2 * rows.n * sizeof(T);
  for (long d = 0; d < p.out[0]; d++, y += count) {
    rows.rows(d, [&](long at, T* to) { memcpy(to, x + at, bytes); });
    for (long k = 0; k < count; k++) {
      const T a = above[2 * k], b = above[2 * k + 1], c = below[2 * k], e = below[2 * k + 1];
      y[k] = larger(e, larger(c, larger(b, a)));
    }
  }
}

void quarter_gradient(const Shape& p, const T* x, const T* __restrict y, const T* __restrict gy, T* __restrict gx) {
  Halves rows(p);
  T* __restrict above = rows.upper, * __restrict below = rows.lower;
  const long count = rows.count, bytes = 2 * rows.n * sizeof(T);
  const bool all = p.out[1] * 2 == p.sizes[1] && p.out[2] * 2 == p.sizes[2];
  if (!all) memset(gx, 0, p.area * sizeof(T));  // some elements are in no window
  for (long d = 0; d < p.out[0]; d++, y += count, gy += count) {
    rows.rows(d, [&](long at, T* to) { memcpy(to, x + at, bytes); });
    for (long k = 0; k < count; k++) {
      const T best = y[k], g = gy[k], zero = 0;
      const T a = above[2 * k], b = above[2 * k + 1], c = below[2 * k];
      const T left = same(a, best) ? zero : g, more = same(b, best) ? zero : left;  // what is not given away yet
      const T most = same(c, best) ? zero : more;
      above[2 * k] = same(a, best) ? g : zero, above[2 * k + 1] = same(b, best) ? left : zero;
      below[2 * k] = same(c, best) ? more : zero, below[2 * k + 1] = most;
    }
    rows.rows(d, [&](long at, T* from) { memcpy(gx + at, from, bytes); });
  }
}

void plane(const Shape& p, long k) {
  const T *x = p.x + k * p.area, *y = p.y + k * p.total, *gy = p.gy + k * p.total;
  T* const to = (T*)p.result + k * (p.what == 1 || p.what == 4 ? p.area : p.total);
  switch (p.what) {
    case 0: return p.quarters ? quarter(p, x, to) : largest(p, x, to);
    case 1: return p.quarters ? quarter_gradient(p, x, y, gy, to) : largest_gradient(p, x, y, gy, to);
    case 2: return positions(p, x, (long*)p.result + k * p.total);
    case 3: return mean(p, x, to);
    default: return mean_gradient(p, gy, to);
  }
}

}  // namespace

// Returns 0, or 1 if there is not enough memory.
extern "C" int cunet_pool(const Pool* call) {
  try {
    const Shape shape(*call);
    const long each = std::max(1l, kUnit / std::max(1l, shape.area));
    struct Job {
      const Shape* shape;
      long each;
    } job = {&shape, each};
    call->parallel(
        [](void* context, long unit) {
          const Job& j = *(const Job*)context;
          const long end = std::min(j.shape->planes, (unit + 1) * j.each);
          for (long k = unit * j.each; k < end; k++) plane(*j.shape, k);
        },
        &job, (call->planes + each - 1) / each, int(call->threads));
  } catch (const std::bad_alloc&) {
    return 1;
  }
  return 0;
}
