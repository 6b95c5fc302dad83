// NumPy's arrays as they lie in memory, and what a kernel wants of them.

namespace {

const int kOperands = 32, kAxes = 16;  // of a kernel, and of an array: more are NumPy's
enum Result { kDone = 0, kOtherType = 1, kOtherShape = 2, kOtherLayout = 3, kNoMemory = 4, kNeedsPanels = 5 };

// The beginning of NumPy's array and dtype objects, as its C interface fixes them; checked by `cunet_probe`.
struct Dtype {
  void* type;
  char kind, letter, byteorder, flags;
};
struct Array {
  char* data;
  int ndim;
  int64_t *shape, *strides;
  void* base;
  char* dtype;
  int flags;
};
int64_t object_header = 16;

inline const Array& array_at(uint64_t object) { return *(const Array*)(object + object_header); }
inline char letter_of(const Array& a) {
  const Dtype& d = *(const Dtype*)(a.dtype + object_header);
  if (d.byteorder != '=' && d.byteorder != '|') return 0;
  return d.letter == 'q' ? 'l' : d.letter == 'Q' ? 'L' : d.letter;  // long and long long are one: `SUPPORTED`
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

// What a parameter is beside the data: a factor is one number a row, or one for each place in a row, as it usually is.
enum Factor { kData = 0, kOneEachRow = 1, kOneEachColumn = 2 };

struct Operand {
  char* data;
  int64_t strides[kAxes];
  int size;
  char factor;
  bool raw;
  bool single;    // the body wants one number a row
  bool repeated;  // one number where the body wants an array
  bool buffered;  // not as the body wants it: copied before
  alignas(8) char number[8];
};

// Elements in the order of C, and how each operand walks along them.
struct Layout {
  int count, ndim;
  int64_t shape[kAxes];
  Operand operands[kOperands];
};

// Takes the axes of length 1 out, and joins those that every operand walks in one stride.
void merge_axes(Layout& a) {
  int kept = 0;
  for (int axis = 0; axis < a.ndim; axis++) {
    const int64_t n = a.shape[axis];
    if (n == 1) continue;
    bool join = kept > 0;
    for (int k = 0; k < a.count && join; k++)
      join = a.operands[k].strides[kept - 1] == n * a.operands[k].strides[axis];
    if (join) {
      a.shape[kept - 1] *= n;
    } else {
      a.shape[kept++] = n;
    }
    for (int k = 0; k < a.count; k++) a.operands[k].strides[kept - 1] = a.operands[k].strides[axis];
  }
  if (kept == 0) {
    a.shape[0] = 1;
    for (int k = 0; k < a.count; k++) a.operands[k].strides[0] = 0;
    kept = 1;
  }
  a.ndim = kept;
}

int broadcast(Operand& o, const Array& a, const Layout& to) {
  if (a.ndim > to.ndim) return kOtherShape;
  const int lead = to.ndim - a.ndim;
  for (int axis = 0; axis < lead; axis++) o.strides[axis] = 0;
  for (int axis = 0; axis < a.ndim; axis++) {
    if (a.shape[axis] != to.shape[lead + axis] && a.shape[axis] != 1) return kOtherShape;
    o.strides[lead + axis] = a.shape[axis] == 1 ? 0 : a.strides[axis];
  }
  return kDone;
}

// Bytes from the beginning of an operand to row `row` of all rows, which the first `axes` axes number.
int64_t offset_of(const Operand& o, const Layout& a, int64_t row, int axes) {
  int64_t offset = 0;
  for (int axis = axes - 1; axis >= 0; axis--) {
    offset += row % a.shape[axis] * o.strides[axis];
    row /= a.shape[axis];
  }
  return offset;
}

}  // namespace
