// The loop over time of recurrent layers: in every step a product with the same matrix, and a kernel. Sequences of a
// batch know nothing of each other, so each thread goes through all steps with rows of its own; how rows are shared out
// does not depend on the number of threads.

namespace {

const int kStepOperands = 16;

// Where rows lie: `step` bytes from one step to the next, `row` bytes from one row to the next; 0 if it is the same.
struct Place {
  char* data;
  int64_t step, row;
  char* at(int64_t s, int64_t r) const { return data + s * step + r * row; }
};

struct Recurrence {
  Body kernel;
  int32_t letter, operands;
  int32_t product_first, threads;
  int64_t steps, batch, width;    // elements of a kernel's row
  const int64_t* running;      // for each step how many rows there are
  Place from, to, mask, extra;  // to = from @ weight; (from, or to, * mask) if there is one; to += extra if there is
  Place masked;                // room for from * mask
  const char* weight;
  int64_t inner, outer;           // of the weight's shape
  Place operand[kStepOperands];
};

// Rows that a thread goes through all steps with, and the weight, packed if that is worth it.
struct RowShare {
  const Recurrence* recurrence;
  int64_t each;
  const Packed<float>* packed32;
  const Packed<double>* packed64;
};
const Packed<float>* packed_of(const RowShare& rows, float) { return rows.packed32; }
const Packed<double>* packed_of(const RowShare& rows, double) { return rows.packed64; }

template <class T> void product_of(const RowShare& rows, int64_t s, int64_t first, int64_t n) {
  const Recurrence& r = *rows.recurrence;
  Place from = r.from;
  if (r.mask.data && r.product_first) {
    for (int64_t row = first; row < first + n; row++) {
      const T *x = (const T*)from.at(s, row), *m = (const T*)r.mask.at(s, row);
      T* y = (T*)r.masked.at(s, row);
      for (int64_t k = 0; k < r.inner; k++) y[k] = x[k] * m[k];
    }
    from = r.masked;
  }
#ifdef CUNET_PACKS
  if (const Packed<T>* packed = packed_of(rows, T())) {
    const int64_t size = sizeof(T);
    const char* mask = r.mask.data && !r.product_first ? r.mask.at(s, first) : nullptr;
    const char* extra = r.extra.data ? r.extra.at(s, first) : nullptr;
    const After<T> after = {(const T*)mask, (const T*)extra, r.mask.row / size, r.extra.row / size};
    return packed->multiply((const T*)from.at(s, first), from.row / size, (T*)r.to.at(s, first), r.to.row / size, n,
                            after);
  }
#endif
  const Matrix x = {from.at(s, first), n, r.inner, from.row / int64_t(sizeof(T)), kPlain};
  const Matrix y = {(char*)r.weight, r.inner, r.outer, r.outer, kPlain};
  const Matrix z = {r.to.at(s, first), n, r.outer, r.to.row / int64_t(sizeof(T)), kPlain};
  gemm(char(r.letter), x, y, z);
  for (int64_t row = first; row < first + n; row++) {
    T* out = (T*)r.to.at(s, row);
    if (r.mask.data && !r.product_first) {
      const T* m = (const T*)r.mask.at(s, row);
      for (int64_t k = 0; k < r.outer; k++) out[k] *= m[k];
    }
    if (r.extra.data) {
      const T* e = (const T*)r.extra.at(s, row);
      for (int64_t k = 0; k < r.outer; k++) out[k] += e[k];
    }
  }
}

void kernel_of(const Recurrence& r, int64_t s, int64_t first, int64_t n) {
  for (int64_t row = first; row < first + n; row++) {
    void* pointers[kStepOperands];
    const int64_t steps[kStepOperands] = {};
    for (int k = 0; k < r.operands; k++) pointers[k] = r.operand[k].at(s, row);
    r.kernel(pointers, steps, 1, r.width, 0);
  }
}

void run_rows(void* context, int64_t k) {
  const RowShare& rows = *(const RowShare*)context;
  const Recurrence& r = *rows.recurrence;
  const int64_t first = k * rows.each;
  for (int64_t s = 0; s < r.steps; s++) {
    const int64_t n = r.running[s] - first < rows.each ? r.running[s] - first : rows.each;
    if (n <= 0) continue;
    if (!r.product_first) kernel_of(r, s, first, n);
    (r.letter == 'f' ? product_of<float> : product_of<double>)(rows, s, first, n);
    if (r.product_first) kernel_of(r, s, first, n);
  }
}

// Whether it is worth packing the weight. Bits follow from the shape, by which it is decided who multiplies.
bool suits_panels(const Recurrence& r) {
#ifdef CUNET_PACKS
  int64_t rows = 0;
  for (int64_t s = 0; s < r.steps; s++) rows += r.running[s];
  return rows >= tuning::kPackedRows;
#else
  return false;
#endif
}

template <class T> std::unique_ptr<Packed<T>> pack(const Recurrence& r) {
#ifdef CUNET_PACKS
  return std::unique_ptr<Packed<T>>(new Packed<T>((const T*)r.weight, r.inner, r.outer));
#else
  return nullptr;
#endif
}

int recur(const Recurrence* r) {
  const Panels& panels = panels_of(char(r->letter));
  const bool suits = suits_panels(*r);
  if (suits && !panels.asked) return kNeedsPanels;
  const OneBlasThread alone;
  const bool packs = suits && panels.multiply, single = r->letter == 'f';
  const auto packed32 = packs && single ? pack<float>(*r) : nullptr;
  const auto packed64 = packs && !single ? pack<double>(*r) : nullptr;
  const int64_t halves = (r->batch + 1) / 2, most = tuning::kSequences;
  const int64_t each = halves >= most ? most : halves >= tuning::kFewestSequences ? halves : r->batch;
  RowShare rows = {r, each, packed32.get(), packed64.get()};
  share(run_rows, &rows, (r->batch + each - 1) / each, r->threads);
  return kDone;
}

}  // namespace

extern "C" int cunet_recur(const Recurrence* r) {
  return told(kOther, {}, [=] { return recur(r); });
}
