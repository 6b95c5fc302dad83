// Pooling on the CPU, forward and backward, row by row: what cunet/ops/pool_kernels.py says, for windows of one stride.
//
// What stands before this text: the type T and tuning.h. Each plane is one thread's, and the order of its sums depends
// on nothing else.
#include <stdint.h>
#include <string.h>
#include <algorithm>
#include <new>
#include <vector>

// What Python says of a pool; see cunet.native.pooling.
struct Pool {
  int64_t what;  // 0: largest, 1: its gradient, 2: where it is, 3: mean, 4: its gradient
  const T *x, *y, *gy;
  void* result;
  void (*parallel)(void (*work)(void*, int64_t), void* context, int64_t count, int threads);
  int64_t planes;
  int64_t sizes[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
  int64_t padded;  // padding counts in a mean
  double divisor;  // instead of a count, unless 0
  int64_t threads;
};

namespace {

const int64_t kRow = tuning::kPoolRowBytes / sizeof(T);  // what rows of windows are lengthened to a multiple of

// The windows [first, last] of a row that meet an element at a tap, and where that of window 0 would be.
struct Column {
  int64_t shift, first, last;
  std::vector<T> meets;  // 1 for these windows, 0 for others
};

struct Shape : Pool {
  int64_t area, total, whole;
  std::vector<Column> columns;
  std::vector<T> counts;  // of elements, along each axis in turn
  bool quarters = true;   // two by two, next to each other

  explicit Shape(const Pool& pool) : Pool(pool) {
    area = sizes[0] * sizes[1] * sizes[2], total = out[0] * out[1] * out[2];
    whole = (out[2] + kRow - 1) / kRow * kRow;
    const int64_t s = stride[2];
    for (int64_t c = 0; c < kernel[2]; c++) {
      const int64_t shift = c * dilation[2] - padding[2];
      const int64_t first = shift < 0 ? (s - 1 - shift) / s : 0;
      const int64_t end = sizes[2] > shift ? (sizes[2] - shift + s - 1) / s : 0;
      columns.push_back({shift, first, std::min(end, out[2]) - 1, std::vector<T>(whole)});
      for (int64_t k = first; k <= columns.back().last; k++) columns.back().meets[k] = 1;
    }
    for (int axis = 0; axis < 3; axis++) {
      quarters &= kernel[axis] == (axis ? 2 : 1) && stride[axis] == kernel[axis] && !padding[axis] &&
                  (kernel[axis] == 1 || dilation[axis] == 1) && out[axis] * stride[axis] <= sizes[axis];
      for (int64_t o = 0; o < out[axis]; o++) {
        const int64_t start = o * stride[axis] - padding[axis], stop = start + (kernel[axis] - 1) * dilation[axis] + 1;
        const int64_t top = sizes[axis] + (padded ? padding[axis] : 0);
        counts.push_back(T(std::min(stop, top) - (padded ? start : std::max(start, int64_t(0)))));
      }
    }
  }

  // Calls row(d, h) for each row of windows of a plane.
  template <class Row> void rows(Row row) const {
    for (int64_t d = 0; d < out[0]; d++)
      for (int64_t h = 0; h < out[1]; h++) row(d, h);
  }
  // Calls tap(at, column) in the order of the windows' elements: window k meets element at + k * stride of a plane.
  template <class Tap> void taps(int64_t d, int64_t h, Tap tap) const {
    for (int64_t a = 0; a < kernel[0]; a++) {
      const int64_t i = d * stride[0] - padding[0] + a * dilation[0];
      if (i < 0 || i >= sizes[0]) continue;
      for (int64_t b = 0; b < kernel[1]; b++) {
        const int64_t j = h * stride[1] - padding[1] + b * dilation[1];
        if (j < 0 || j >= sizes[1]) continue;
        for (const Column& c : columns)
          if (c.first <= c.last) tap((i * sizes[1] + j) * sizes[2] + c.shift, c);
      }
    }
  }
  // Fills what the sums of a row are divided by.
  void divisors(int64_t d, int64_t h, T* to) const {
    for (int64_t k = 0; k < out[2]; k++)
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
const T* line(const Shape& p, const T* x, int64_t at, const Column& c, T* buffer) {
  const int64_t s = p.stride[2];
  x += at;
  if (s == 1) std::copy(x + c.first, x + c.last + 1, buffer + c.first);
  else if (s == 2) for (int64_t k = c.first; k <= c.last; k++) buffer[k] = x[2 * k];
  else for (int64_t k = c.first; k <= c.last; k++) buffer[k] = x[k * s];
  return buffer;
}
void add_line(const Shape& p, const T* values, int64_t at, const Column& c, T* x) {
  const int64_t s = p.stride[2];
  x += at;
  if (s == 1) for (int64_t k = c.first; k <= c.last; k++) x[k] += values[k];
  else if (s == 2) for (int64_t k = c.first; k <= c.last; k++) x[2 * k] += values[k];
  else for (int64_t k = c.first; k <= c.last; k++) x[k * s] += values[k];
}

void largest(const Shape& p, const T* x, T* __restrict y) {
  std::vector<T> memory(p.whole);
  T* __restrict buffer = memory.data();
  std::fill(y, y + p.total, -T(1) / T(0));
  p.rows([&](int64_t d, int64_t h) {
    p.taps(d, h, [&](int64_t at, const Column& c) {
      const T* from = p.stride[2] == 1 ? x + at : line(p, x, at, c, buffer);
      for (int64_t k = c.first; k <= c.last; k++) y[k] = larger(from[k], y[k]);
    });
    y += p.out[2];
  });
}

void largest_gradient(const Shape& p, const T* x, const T* y, const T* gy, T* gx) {
  const int64_t n = p.out[2], whole = p.whole;
  std::vector<T> memory(4 * whole);
  T *__restrict best = memory.data(), *__restrict left = best + whole;
  T *__restrict given = left + whole, *__restrict buffer = given + whole;
  memset(gx, 0, p.area * sizeof(T));
  p.rows([&](int64_t d, int64_t h) {
    std::copy(y, y + n, best), std::copy(gy, gy + n, left);  // left: what is not given to an element yet
    p.taps(d, h, [&](int64_t at, const Column& c) {
      const T* from = line(p, x, at, c, buffer);
      const T* meets = c.meets.data();
      for (int64_t k = 0; k < whole; k++) {
        const T g = left[k], zero = 0, usable = meets[k] != zero ? g : zero;
        const T gift = same(from[k], best[k]) ? usable : zero;
        given[k] = gift, left[k] = gift != zero ? zero : g;
      }
      add_line(p, given, at, c, gx);
    });
    y += n, gy += n;
  });
}

void positions(const Shape& p, const T* x, int64_t* where) {
  std::vector<T> all(p.total);
  largest(p, x, all.data());
  std::fill(where, where + p.total, -1);
  const T* y = all.data();
  p.rows([&](int64_t d, int64_t h) {
    p.taps(d, h, [&](int64_t at, const Column& c) {
      for (int64_t k = c.first; k <= c.last; k++)
        if (where[k] < 0 && same(x[at + k * p.stride[2]], y[k])) where[k] = at + k * p.stride[2];
    });
    y += p.out[2], where += p.out[2];
  });
}

void mean(const Shape& p, const T* x, T* __restrict y) {
  const int64_t n = p.out[2];
  std::vector<T> buffer(n);
  memset(y, 0, p.total * sizeof(T));
  p.rows([&](int64_t d, int64_t h) {
    p.taps(d, h, [&](int64_t at, const Column& c) {
      const T* from = line(p, x, at, c, buffer.data());
      for (int64_t k = c.first; k <= c.last; k++) y[k] += from[k];
    });
    p.divisors(d, h, buffer.data());
    for (int64_t k = 0; k < n; k++) y[k] /= buffer[k];
    y += n;
  });
}

void mean_gradient(const Shape& p, const T* gy, T* gx) {
  const int64_t n = p.out[2];
  std::vector<T> share(n);
  memset(gx, 0, p.area * sizeof(T));
  p.rows([&](int64_t d, int64_t h) {
    p.divisors(d, h, share.data());
    for (int64_t k = 0; k < n; k++) share[k] = gy[k] / share[k];
    p.taps(d, h, [&](int64_t at, const Column& c) { add_line(p, share.data(), at, c, gx); });
    gy += n;
  });
}

// Windows of two by two next to each other, the usual ones: the upper and the lower rows of a plane, each without gaps,
// so that loops are long whatever the width.
struct Halves {
  const Shape& p;
  int64_t n, count;            // windows of a row, and of all rows of a depth
  std::vector<T> memory;
  T *upper, *lower;

  explicit Halves(const Shape& shape) : p(shape), n(p.out[2]), count(p.out[1] * n), memory(4 * count) {
    upper = memory.data(), lower = upper + 2 * count;
  }
  template <class Move> void rows(int64_t d, Move move) {
    for (int64_t h = 0; h < p.out[1]; h++) {
      const int64_t at = (d * p.sizes[1] + 2 * h) * p.sizes[2];
      move(at, upper + 2 * h * n), move(at + p.sizes[2], lower + 2 * h * n);
    }
  }
};

void quarter(const Shape& p, const T* x, T* __restrict y) {
  Halves rows(p);
  const T* __restrict above = rows.upper, * __restrict below = rows.lower;
  const int64_t count = rows.count, bytes = 2 * rows.n * sizeof(T);
  for (int64_t d = 0; d < p.out[0]; d++, y += count) {
    rows.rows(d, [&](int64_t at, T* to) { memcpy(to, x + at, bytes); });
    for (int64_t k = 0; k < count; k++) {
      const T a = above[2 * k], b = above[2 * k + 1], c = below[2 * k], e = below[2 * k + 1];
      y[k] = larger(e, larger(c, larger(b, a)));
    }
  }
}

void quarter_gradient(const Shape& p, const T* x, const T* __restrict y, const T* __restrict gy, T* __restrict gx) {
  Halves rows(p);
  T* __restrict above = rows.upper, * __restrict below = rows.lower;
  const int64_t count = rows.count, bytes = 2 * rows.n * sizeof(T);
  const bool all = p.out[1] * 2 == p.sizes[1] && p.out[2] * 2 == p.sizes[2];
  if (!all) memset(gx, 0, p.area * sizeof(T));  // some elements are in no window
  for (int64_t d = 0; d < p.out[0]; d++, y += count, gy += count) {
    rows.rows(d, [&](int64_t at, T* to) { memcpy(to, x + at, bytes); });
    for (int64_t k = 0; k < count; k++) {
      const T best = y[k], g = gy[k], zero = 0;
      const T a = above[2 * k], b = above[2 * k + 1], c = below[2 * k];
      const T left = same(a, best) ? zero : g, more = same(b, best) ? zero : left;  // what is not given away yet
      const T most = same(c, best) ? zero : more;
      above[2 * k] = same(a, best) ? g : zero, above[2 * k + 1] = same(b, best) ? left : zero;
      below[2 * k] = same(c, best) ? more : zero, below[2 * k + 1] = most;
    }
    rows.rows(d, [&](int64_t at, T* from) { memcpy(gx + at, from, bytes); });
  }
}

void plane(const Shape& p, int64_t k) {
  const T *x = p.x + k * p.area, *y = p.y + k * p.total, *gy = p.gy + k * p.total;
  T* const to = (T*)p.result + k * (p.what == 1 || p.what == 4 ? p.area : p.total);
  switch (p.what) {
    case 0: return p.quarters ? quarter(p, x, to) : largest(p, x, to);
    case 1: return p.quarters ? quarter_gradient(p, x, y, gy, to) : largest_gradient(p, x, y, gy, to);
    case 2: return positions(p, x, (int64_t*)p.result + k * p.total);
    case 3: return mean(p, x, to);
    default: return mean_gradient(p, gy, to);
  }
}

}  // namespace

// Returns 0, or 4 if there is not enough memory: as the runtime does.
extern "C" int cunet_pool(const Pool* call) {
  try {
    const Shape shape(*call);
    const int64_t each = std::max(int64_t(1), tuning::kPoolElements / std::max(int64_t(1), shape.area));
    struct Job {
      const Shape* shape;
      int64_t each;
    } job = {&shape, each};
    call->parallel(
        [](void* context, int64_t unit) {
          const Job& j = *(const Job*)context;
          const int64_t end = std::min(j.shape->planes, (unit + 1) * j.each);
          for (int64_t k = unit * j.each; k < end; k++) plane(*j.shape, k);
        },
        &job, (call->planes + each - 1) / each, int(call->threads));
  } catch (...) {
    return 4;
  }
  return 0;
}
