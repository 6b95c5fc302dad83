// A matrix that is packed in panels, and the functions that work on panels: Python loads them when they are asked for.

namespace {

struct Panels {
  bool asked;  // Python was asked for them; what it did not find is null
  void *multiply, *pack;
} found_panels[2] = {};  // for float32 and float64

Panels& panels_of(char letter) { return found_panels[letter == 'd']; }

#ifdef CUNET_PACKS
template <class T> MultiplyPanel<T> by_panel() { return (MultiplyPanel<T>)found_panels[sizeof(T) == 8].multiply; }
template <class T> PackRows<T> packer() { return (PackRows<T>)found_panels[sizeof(T) == 8].pack; }

// A matrix that is packed once, for many products.
template <class T> class Packed {
 public:
  Packed(const T* matrix, int64_t inner, int64_t outer) : inner_(inner), outer_(outer) {
    const int64_t panels = (outer + kPanel<T> - 1) / kPanel<T>, size = panels * inner * kPanel<T>;
    memory_.reset(new T[size + kLanes<T>]);
    first_ = (T*)((uint64_t(memory_.get()) + 63) / 64 * 64);
    T* to = first_;
    for (int64_t j = 0; j < outer; j += kPanel<T>) {
      const int64_t width = outer - j < kPanel<T> ? outer - j : kPanel<T>;
      for (int64_t k = 0; k < inner; k++, to += kPanel<T>) {
        memcpy(to, matrix + k * outer + j, width * sizeof(T));
        memset(to + width, 0, (kPanel<T> - width) * sizeof(T));
      }
    }
  }
  // y = x @ matrix for `rows` rows, and what follows.
  void multiply(const T* x, int64_t x_pitch, T* y, int64_t y_pitch, int64_t rows, After<T> after) const {
    for (int64_t j = 0; j < outer_; j += kPanel<T>) {
      const int64_t width = outer_ - j < kPanel<T> ? outer_ - j : kPanel<T>;
      by_panel<T>()(inner_, first_ + j * inner_, width, x, x_pitch, 1, y + j, y_pitch, rows, false, after);
      if (after.mask) after.mask += kPanel<T>;
      if (after.extra) after.extra += kPanel<T>;
    }
  }

 private:
  int64_t inner_, outer_;
  std::unique_ptr<T[]> memory_;
  T* first_;
};
#else
template <class T> class Packed {};
#endif

}  // namespace

// Says where the functions of panels.cpp are, or that they cannot be had: BLAS does their work then.
extern "C" void cunet_have_panels(int letter, void* multiply, void* pack) {
  panels_of(char(letter)) = {true, multiply, pack};
}
