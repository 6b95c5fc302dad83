// Copies of operands, and memory of a thread for them.

namespace {

// Copies `rows` times `n` elements that lie `along` and `stride` bytes apart, one after the other.
template <class T>
void copy_as(T* to, const char* from, int64_t rows, int64_t n, int64_t along, int64_t stride) {
  for (int64_t t = 0; t < rows; t++, to += n, from += along) {
    if (stride == 0) {
      const T value = *(const T*)from;
      for (int64_t c = 0; c < n; c++) to[c] = value;
    } else if (stride == int64_t(sizeof(T))) {
      memcpy(to, from, n * sizeof(T));
    } else {
      for (int64_t c = 0; c < n; c++) to[c] = *(const T*)(from + c * stride);
    }
  }
}
void copy(char* to, const char* from, int size, int64_t rows, int64_t n, int64_t along, int64_t stride) {
  if (size == 4) copy_as((uint32_t*)to, from, rows, n, along, stride);
  else if (size == 8) copy_as((uint64_t*)to, from, rows, n, along, stride);
  else copy_as((uint8_t*)to, from, rows, n, along, stride);
}

// Copies `rows` rows of all axes, from row `row` on, one after the other.
template <class T> void gather_as(const Operand& o, const Layout& a, int64_t row, int64_t rows, T* to) {
  const int last = a.ndim - 1;
  const int64_t n = a.shape[last];
  for (int64_t r = row; r < row + rows; r++, to += n)
    copy_as(to, o.data + offset_of(o, a, r, last), 1, n, 0, o.strides[last]);
}
void gather(const Operand& o, const Layout& a, int64_t row, int64_t rows, char* to) {
  if (o.size == 4) gather_as(o, a, row, rows, (uint32_t*)to);
  else if (o.size == 8) gather_as(o, a, row, rows, (uint64_t*)to);
  else gather_as(o, a, row, rows, (uint8_t*)to);
}

char* buffer(int operand) {
  const int64_t bytes = tuning::kBufferElements * 8;
  thread_local std::unique_ptr<char[]> memory;
  if (!memory) memory.reset(new char[kOperands * bytes + 64]);
  return (char*)(((uintptr_t)memory.get() + 63) / 64 * 64) + operand * bytes;
}

// Memory of this thread for one job at a time, as long as is asked for.
char* scratch(int operand, int64_t bytes) {
  thread_local std::vector<char> memory[kOperands];
  if (int64_t(memory[operand].size()) < bytes + 64) memory[operand].resize(bytes + 64);
  return (char*)(((uintptr_t)memory[operand].data() + 63) / 64 * 64);
}

}  // namespace
