// Matrix products by NumPy's own BLAS, or by panels of ours, each part of a large one in a thread of ours.
//
// BLAS threads wait for each other inside a product, and spin for long after it; ours share out what is independent.
// How BLAS's products are cut depends on their shape alone, and in ours each element is one sum in one order, so that
// no bit depends on the number of threads.

namespace {

enum { kRowMajor = 101, kPlain = 111, kTransposed = 112 };
template <class T>
using Gemm = void (*)(int, int, int, int64_t, int64_t, int64_t, T, const T*, int64_t, const T*, int64_t, T, T*,
                      int64_t);
typedef Gemm<float> Gemm32;
typedef Gemm<double> Gemm64;

struct Blas {
  Gemm32 gemm32;
  Gemm64 gemm64;
  int (*get)();
  void (*set)(int);
} blas;

struct Held {
  std::mutex mutex;
  int users = 0, before = 1;
};
Held* held = nullptr;

// Holds BLAS at one thread while an object lives, in whatever order threads come and go.
class OneBlasThread {
 public:
  OneBlasThread() {
    std::lock_guard<std::mutex> lock(held->mutex);
    if (held->users++ == 0 && (held->before = blas.get()) > 1) blas.set(1);
  }
  ~OneBlasThread() {
    std::lock_guard<std::mutex> lock(held->mutex);
    if (--held->users == 0 && held->before > 1) blas.set(held->before);
  }
};

// A fork waits until no thread is between counting users and telling BLAS.
void before_fork() { held->mutex.lock(); }
void after_fork() { held->mutex.unlock(); }

// In a forked child, where no other thread lives on that would give BLAS its threads back.
void nobody_holds() {
  if (held->users && held->before > 1) blas.set(held->before);
  held = new Held;
}

struct Matrix {
  char* data;
  int64_t rows, columns, pitch;  // from row to row, or of a transposed one from column to column, in elements
  int kind;
};

void gemm(char letter, const Matrix& x, const Matrix& y, const Matrix& z) {
  if (letter == 'f')
    blas.gemm32(kRowMajor, x.kind, y.kind, z.rows, z.columns, x.columns, 1, (float*)x.data, x.pitch, (float*)y.data,
                y.pitch, 0, (float*)z.data, z.pitch);
  else
    blas.gemm64(kRowMajor, x.kind, y.kind, z.rows, z.columns, x.columns, 1, (double*)x.data, x.pitch, (double*)y.data,
                y.pitch, 0, (double*)z.data, z.pitch);
}

#ifdef CUNET_PACKS
// x @ y for a transposed y, whose rows are packed in panels: of as many columns of x as stay in a cache with many rows.
template <class T> void by_panels(const Matrix& x, const Matrix& y, const Matrix& z) {
  const int64_t inner = tuning::kPanelInner, rows = tuning::kPanelBytes / int64_t(inner * sizeof(T));
  const T *xs = (const T*)x.data, *ys = (const T*)y.data;
  T *panel = (T*)scratch(0, inner * kPanel<T> * sizeof(T)), *zs = (T*)z.data;
  for (int64_t i = 0, m; i < z.rows; i += m) {
    m = z.rows - i < 2 * rows ? z.rows - i : rows;
    for (int64_t k = 0, length; k < x.columns; k += length) {
      length = x.columns - k < inner ? x.columns - k : inner;
      for (int64_t j = 0; j < z.columns; j += kPanel<T>) {
        const int64_t width = z.columns - j < kPanel<T> ? z.columns - j : kPanel<T>;
        packer<T>()(ys + j * y.pitch + k, y.pitch, length, width, panel);
        by_panel<T>()(length, panel, width, xs + i * x.pitch + k, x.pitch, 1, zs + i * z.pitch + j, z.pitch, m, k > 0,
                      After<T>());
      }
    }
  }
}

// Copies pieces of kPiece elements of `inner` rows, `width` in all, so that a piece's rows follow each other.
template <int64_t kPiece, class T> void pack_pieces(const T* from, int64_t pitch, int64_t inner, int64_t width, T* to) {
  const int64_t whole = width / kPiece * kPiece;
  for (int64_t k = 0; k < inner; k++, from += pitch, to += kPiece) {
    for (int64_t j = 0; j < whole; j += kPiece) memcpy(to + j * inner, from + j, kPiece * sizeof(T));
    memcpy(to + whole * inner, from + whole, (width - whole) * sizeof(T));
  }
}

// x @ y for a y that lies well, which is packed in panels; a transposed x is packed in tiles of rows.
template <class T> void by_tiles(const Matrix& x, const Matrix& y, const Matrix& z) {
  const bool packs = x.kind == kTransposed;
  const int64_t inner = tuning::kTilesInner, rows = tuning::kTilesRows, group = tuning::kTilesPanels * kPanel<T>;
  const T *xs = (const T*)x.data, *ys = (const T*)y.data;
  T* panels = (T*)scratch(0, inner * group * sizeof(T));
  T* tiles = packs ? (T*)scratch(1, inner * rows * sizeof(T)) : nullptr;
  for (int64_t i = 0; i < z.rows; i += rows)
    for (int64_t k = 0; k < x.columns; k += inner) {
      const int64_t m = z.rows - i < rows ? z.rows - i : rows, length = x.columns - k < inner ? x.columns - k : inner;
      if (packs) pack_pieces<kTileRows>(xs + k * x.pitch + i, x.pitch, length, m, tiles);
      for (int64_t from = 0; from < z.columns; from += group) {
        const int64_t end = z.columns - from < group ? z.columns : from + group;
        pack_pieces<kPanel<T>>(ys + k * y.pitch + from, y.pitch, length, end - from, panels);
        for (int64_t r = 0; r < m; r += kTileRows)
          for (int64_t j = from; j < end; j += kPanel<T>) {
            const T* tile = packs ? tiles + r * length : xs + (i + r) * x.pitch + k;
            by_panel<T>()(length, panels + (j - from) * length, end - j < kPanel<T> ? end - j : kPanel<T>, tile,
                          packs ? 1 : x.pitch, packs ? kTileRows : 1, (T*)z.data + (i + r) * z.pitch + j, z.pitch,
                          m - r < kTileRows ? m - r : kTileRows, k > 0, After<T>());
          }
      }
    }
}
#endif

// Whether BLAS is slower than `by_panels`, or `by_tiles`. Small products are always BLAS's, which NumPy does with the
// same bits.
bool suits_panels(const Matrix& x, const Matrix& y, const Matrix& z, double flops, int size) {
#ifdef CUNET_PACKS
  if (z.rows < tuning::kPanelRows) return false;
  if (y.kind == kPlain) return flops >= tuning::kTilesFlops && z.columns >= tuning::kTilesColumns;
  return x.kind == kPlain && flops > tuning::kPanelFlops && z.columns * size >= 64;
#else
  return false;
#endif
}

// Rows [from, from + count) of a matrix, or columns.
Matrix rows_of(Matrix m, int64_t from, int64_t count, int size) {
  m.data += from * (m.kind == kPlain ? m.pitch : 1) * size;
  m.rows = count;
  return m;
}
Matrix columns_of(Matrix m, int64_t from, int64_t count, int size) {
  m.data += from * (m.kind == kPlain ? 1 : m.pitch) * size;
  m.columns = count;
  return m;
}

// Reads the first of the matrices that the last two axes of an array are.
bool read(const Array& a, Matrix& m) {
  const int size = size_of(letter_of(a));
  if (a.ndim < 2 || a.ndim > kAxes || !(a.flags & kAligned)) return false;
  const int64_t *shape = a.shape + a.ndim - 2, *strides = a.strides + a.ndim - 2;
  m.data = a.data, m.rows = shape[0], m.columns = shape[1];
  const bool plain = strides[1] == size && strides[0] % size == 0 && strides[0] >= m.columns * size;
  const bool turned = strides[0] == size && strides[1] % size == 0 && strides[1] >= m.rows * size;
  if (!plain && !turned) return false;
  m.kind = plain ? kPlain : kTransposed;
  m.pitch = strides[plain ? 0 : 1] / size;
  return true;
}

// The matrices of three arrays along all axes but the last two, which broadcast to those of the last array.
struct Stack : Layout {
  int64_t length = 1;

  int read(const Array* const (&arrays)[3]) {
    count = 3, ndim = arrays[2]->ndim - 2;
    for (int axis = 0; axis < ndim; axis++) length *= shape[axis] = arrays[2]->shape[axis];
    for (int k = 0; k < 3; k++) {
      Array lead = *arrays[k];
      lead.ndim -= 2;
      for (int axis = 0; axis < lead.ndim; axis++)
        if (lead.strides[axis] % size_of(letter_of(lead))) return kOtherLayout;
      if (int problem = broadcast(operands[k], lead, *this)) return problem;
    }
    return kDone;
  }
  Matrix at(Matrix m, int operand, int64_t k) const {
    m.data += offset_of(operands[operand], *this, k, ndim);
    return m;
  }
};

struct Product {
  Matrix x, y, z;
  char letter;
  int64_t each;
  bool panels;
};

void multiply(const Product& p, const Matrix& x, const Matrix& y, const Matrix& z) {
#ifdef CUNET_PACKS
  const auto run = y.kind == kPlain ? (p.letter == 'f' ? by_tiles<float> : by_tiles<double>)
                                    : (p.letter == 'f' ? by_panels<float> : by_panels<double>);
  if (p.panels) return run(x, y, z);
#endif
  gemm(p.letter, x, y, z);
}

// Into how many parts, `most` at most, a product is cut whose result has `length` rows, or columns.
int64_t parts_of(double flops, int64_t length, int64_t most) {
  int64_t parts = 1;
  while (2 * parts <= most && length / (2 * parts) >= tuning::kProductLeast &&
         flops / (2 * parts) >= (parts == 1 ? tuning::kProductPart : tuning::kProductManyParts))
    parts *= 2;
  return parts;
}

void run_product(void* context, int64_t k) {
  const Product& p = *(const Product*)context;
  const int size = size_of(p.letter);
  if (p.z.rows >= p.z.columns) {
    const int64_t from = k * p.each, count = p.z.rows - from < p.each ? p.z.rows - from : p.each;
    multiply(p, rows_of(p.x, from, count, size), p.y, rows_of(p.z, from, count, size));
  } else {
    const int64_t from = k * p.each, count = p.z.columns - from < p.each ? p.z.columns - from : p.each;
    multiply(p, p.x, columns_of(p.y, from, count, size), columns_of(p.z, from, count, size));
  }
}

// One product, in parts that are worth a thread each.
void multiply_in_parts(Product p, double flops, int threads) {
  const int64_t length = p.z.rows >= p.z.columns ? p.z.rows : p.z.columns;
  const int64_t most = p.panels ? threads : tuning::kProductParts, parts = parts_of(flops, length, most);
  if (parts == 1) return multiply(p, p.x, p.y, p.z);
  const int64_t grain = tuning::kProductGrain;
  p.each = ((length + parts - 1) / parts + grain - 1) / grain * grain;
  share(run_product, &p, (length + p.each - 1) / p.each, threads);
}

// Many products whole, each by one thread; few long ones each in parts.
void multiply_stack(const Product& p, const Stack& stack, double flops, int threads) {
  const auto nth = [&](int64_t k) {
    Product one = p;
    one.x = stack.at(p.x, 0, k), one.y = stack.at(p.y, 1, k), one.z = stack.at(p.z, 2, k);
    return one;
  };
  if (stack.length < tuning::kStackLength && flops >= 2 * tuning::kProductManyParts) {
    for (int64_t k = 0; k < stack.length; k++) multiply_in_parts(nth(k), flops, threads);
    return;
  }
  in_shares(
      [&](int64_t k) {
        const Product one = nth(k);
        multiply(one, one.x, one.y, one.z);
      },
      stack.length, flops * stack.length * tuning::kFlopCost, threads);
}

int multiply(uint64_t x, uint64_t y, uint64_t z, int threads) {
  const Array* const arrays[3] = {&array_at(x), &array_at(y), &array_at(z)};
  Product p;
  Stack stack;
  p.letter = letter_of(*arrays[2]);
  if ((p.letter != 'f' && p.letter != 'd') || letter_of(*arrays[0]) != p.letter || letter_of(*arrays[1]) != p.letter)
    return kOtherType;
  if (!read(*arrays[0], p.x) || !read(*arrays[1], p.y) || !read(*arrays[2], p.z) || p.z.kind != kPlain)
    return kOtherLayout;
  if (p.x.columns != p.y.rows || p.z.rows != p.x.rows || p.z.columns != p.y.columns) return kOtherShape;
  if (int problem = stack.read(arrays)) return problem;
  if (!p.x.rows || !p.x.columns || !p.y.columns || !stack.length) return kOtherShape;
  const double flops = 2.0 * p.x.rows * p.x.columns * p.y.columns;
  const bool small = flops <= 2 * tuning::kProductAlone;
  if (small && stack.length == 1) return gemm(p.letter, p.x, p.y, p.z), kDone;
  p.panels = !small && suits_panels(p.x, p.y, p.z, flops, size_of(p.letter));
  if (p.panels && !panels_of(p.letter).asked) return kNeedsPanels;
  p.panels = p.panels && panels_of(p.letter).multiply;
  const OneBlasThread alone;
  if (stack.length == 1) multiply_in_parts(p, flops, threads);
  else multiply_stack(p, stack, flops, threads);
  return kDone;
}

}  // namespace

extern "C" {

int cunet_blas(void* gemm32, void* gemm64, void* get, void* set) {
  blas = {(Gemm32)gemm32, (Gemm64)gemm64, (int (*)())get, (void (*)(int))set};
  return guarded([] {
    held = new Held;
    return pthread_atfork(before_fork, after_fork, nobody_holds);
  });
}

// z = x @ y for matrices of one dtype, float32 or float64, or for stacks of them.
int cunet_product(uint64_t x, uint64_t y, uint64_t z, int threads) {
  return told(kProduct, {int64_t(x), int64_t(y), int64_t(z), threads}, [=] { return multiply(x, y, z, threads); });
}
}
