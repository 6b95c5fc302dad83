// What the runtime has of the products by panels, which are a library of their own: panels.cpp.
#include <stdint.h>
#if defined(__AVX512F__)
#define CUNET_PACKS
#endif

namespace {

// What follows a product, along its rows: y = y * mask + extra, of what there is; rows are `pitch` elements apart.
template <class T> struct After {
  const T *mask, *extra;
  int64_t mask_pitch, extra_pitch;
};

template <class T> const int64_t kLanes = 64 / sizeof(T);
template <class T> const int64_t kPanel = 2 * kLanes<T>;  // columns of a panel

const int64_t kTileRows = 12;  // rows that are multiplied at a time

// y = x @ panel for `rows` rows and the first `width` columns of a panel, and what follows; `more`: sums go on from y.
// Elements of a row of x are `x_step` apart.
template <class T>
using MultiplyPanel = void (*)(int64_t inner, const T* panel, int64_t width, const T* x, int64_t x_pitch,
                               int64_t x_step, T* y, int64_t y_pitch, int64_t rows, bool more, const After<T>& after);
// Packs `width` rows of `inner` elements as the columns of a panel. What lies beside them there may be anything.
template <class T> using PackRows = void (*)(const T* rows, int64_t pitch, int64_t inner, int64_t width, T* panel);

}  // namespace
