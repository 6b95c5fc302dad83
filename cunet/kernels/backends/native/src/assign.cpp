// Copies into arrays of any layout, in threads.

namespace {

// Elements of one axis.
template <class T> void assign_row(char* to, const char* from, int64_t n, int64_t to_stride, int64_t stride) {
  if (to_stride == int64_t(sizeof(T))) return copy_as((T*)to, from, 1, n, 0, stride);
  for (int64_t k = 0; k < n; k++) *(T*)(to + k * to_stride) = *(const T*)(from + k * stride);
}

// Rows [first, first + count) of an array's last axis.
void assign_rows(const Layout& a, int64_t first, int64_t count) {
  const Operand &from = a.operands[0], &to = a.operands[1];
  const int last = a.ndim - 1;
  const auto row = to.size == 4 ? assign_row<uint32_t> : to.size == 8 ? assign_row<uint64_t> : assign_row<uint8_t>;
  for (int64_t r = first; r < first + count; r++)
    row(to.data + offset_of(to, a, r, last), from.data + offset_of(from, a, r, last), a.shape[last], to.strides[last],
        from.strides[last]);
}

// Puts the axes in the order in which the array that is written lies, the one of neighbours last.
void sort_axes(Layout& a) {
  const int64_t* strides = a.operands[1].strides;
  for (int end = 1; end < a.ndim; end++)
    for (int axis = end; axis > 0 && llabs(strides[axis - 1]) < llabs(strides[axis]); axis--) {
      std::swap(a.shape[axis - 1], a.shape[axis]);
      for (int k = 0; k < 2; k++) std::swap(a.operands[k].strides[axis - 1], a.operands[k].strides[axis]);
    }
}

int assign(uint64_t x, uint64_t z, int threads) {
  const Array &from = array_at(x), &to = array_at(z);
  const char letter = letter_of(to);
  if (!letter || !strchr("fdiIlL?", letter) || letter_of(from) != letter) return kOtherType;
  if (to.ndim > kAxes || !(from.flags & to.flags & kAligned)) return kOtherLayout;
  Layout a;
  a.count = 2, a.ndim = to.ndim;
  int64_t total = 1;
  for (int axis = 0; axis < to.ndim; axis++) total *= a.shape[axis] = to.shape[axis];
  const Array* arrays[2] = {&from, &to};
  for (int k = 0; k < 2; k++) {
    a.operands[k].data = arrays[k]->data, a.operands[k].size = size_of(letter);
    if (int problem = broadcast(a.operands[k], *arrays[k], a)) return problem;
  }
  if (total == 0) return kDone;
  sort_axes(a);
  merge_axes(a);
  const int64_t n = a.shape[a.ndim - 1], rows = total / n, bytes = total * a.operands[1].size;
  if (rows == 1) {  // neighbours all: in pieces
    const int64_t each = tuning::kUnitElements, pieces = (n + each - 1) / each;
    const auto piece = [&](int64_t k) {
      Layout part = a;
      for (Operand* o = part.operands; o < part.operands + 2; o++) o->data += k * each * o->strides[0];
      part.shape[0] = n - k * each < each ? n - k * each : each;
      assign_rows(part, 0, 1);
    };
    in_shares(piece, pieces, double(bytes), threads);
    return kDone;
  }
  const int64_t each = n < tuning::kUnitElements ? tuning::kUnitElements / n : 1;
  in_shares([&](int64_t k) { assign_rows(a, k * each, rows - k * each < each ? rows - k * each : each); },
            (rows + each - 1) / each, double(bytes), threads);
  return kDone;
}

}  // namespace

// z[...] = x for arrays of one dtype that have no memory in common; x broadcasts.
extern "C" int cunet_assign(uint64_t x, uint64_t z, int threads) {
  return told(kAssign, {int64_t(x), int64_t(z), threads}, [=] { return assign(x, z, threads); });
}
