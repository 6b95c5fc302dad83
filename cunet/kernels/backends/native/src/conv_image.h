// A convolution as Python says it, the vectors of its results, and the padded images that it reads.
#ifndef __clang__
#pragma GCC optimize("O1")  // two thirds of the time to compile; the inner loops stand before this
#endif
#include <algorithm>
#include <atomic>
#include <new>
#include <vector>

namespace {

typedef std::vector<int64_t> Longs;
typedef std::vector<Longs> Phases;
typedef void (*Parallel)(void (*work)(void*, int64_t), void* context, int64_t count, int threads);

}  // namespace

// What Python says of a convolution; see cunet.native.convolution. Strides count elements.
struct Convolution {
  int64_t what;  // 0: forward, 1: gradient of the input, 2: of the weight
  const T* read;  // x, or the gradient of the output for that of the input: what windows are taken of
  const T *gy, *weight, *bias;
  T *result, *sums;  // sums: the gradient of the bias, with that of the weight; or null
  Parallel parallel;
  int64_t strides[5];  // of what is read; all else is contiguous
  int64_t samples, groups, channels, outputs;  // the latter two of a group
  int64_t sizes[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
  int64_t threads;
};

namespace {

// One kind of tap along an axis: which, in which remainder of the stride its elements lie, and where they begin there.
struct Tap {
  int64_t tap, phase, shift;
};
// The results along an axis that see the same taps.
struct Axis {
  int64_t count, base, step;
  std::vector<Tap> taps;
};

// Vectors of results: where each begins in the image, and which lanes go where.
struct Run {
  int lane, count;
  int64_t to;
};
struct Grid {
  Longs at, first;  // first run of each vector
  std::vector<Run> runs;
  std::vector<Mask> masks;  // of the lanes that go anywhere

  // Covers `n` results along each axis with as few vectors as there can be; pitch: of the image, step: of the results.
  void cover(const int64_t* n, const int64_t* pitch, const int64_t* step, int64_t lanes) {
    const int64_t last = (n[0] - 1) * pitch[0] + (n[1] - 1) * pitch[1] + n[2] - 1;
    auto row = [&](int64_t r) { return r / n[1] * pitch[0] + r % n[1] * pitch[1]; };
    for (int64_t r = 0, c = 0; r < n[0] * n[1];) {
      int64_t start = row(r) + c;
      start = std::max(int64_t(0), std::min(start, last + 1 - lanes));  // the last one does not pass the end
      at.push_back(start), first.push_back(int64_t(runs.size()));
      masks.resize(masks.size() + lanes / kLanes);
      Mask* const mask = &masks[masks.size() - lanes / kLanes];
      while (r < n[0] * n[1] && row(r) + c < start + lanes) {
        const int64_t count = std::min(n[2] - c, start + lanes - row(r) - c);
        const int64_t to = r / n[1] * step[0] + r % n[1] * step[1] + c * step[2];
        runs.push_back({int(row(r) + c - start), int(count), to});
        for (int64_t k = row(r) + c - start, end = k + count; k < end; k++) mask[k / kLanes][k % kLanes] = -1;
        c += count;
        if (c == n[2]) r++, c = 0;
      }
    }
    first.push_back(int64_t(runs.size()));
  }
  int64_t count() const { return int64_t(at.size()); }
};

// Results that see the same taps: all of a convolution's, and a gradient's of one remainder of the stride.
struct Pass {
  int64_t count[3], base, step[3];
  Longs taps, offsets;      // taps in the kernel; where each row begins, for each (channel, tap)
  std::vector<T> weight;    // in blocks of output channels: (group, block, channel, tap, output)
  Grid whole, rest;         // of a full strip and of the last one
};

// The images that are read: in phases of the stride, padded, in strips along the axis `cut`.
struct Source {
  const T* data;
  const int64_t* strides;
  int64_t channels, sizes[3], pad[3], split[3];
  Phases phases;
  int cut;
  int64_t rows, strips;          // results of a strip along the axis `cut`
  int64_t length[3], pitch[3], area, shared;
  bool in_place;
  int64_t lanes;  // of a vector of results

  int64_t size() const { return channels * int64_t(phases.size()) * area + shared + lanes; }

  const T* at(int64_t sample, int64_t group) const {
    return data + sample * strides[0] + group * channels * strides[1];
  }

  void copy(int64_t sample, int64_t group, int64_t row, T* to) const {
    memset(to, 0, size() * sizeof(T));
    const T* from = at(sample, group);
    const int64_t step = split[2], stride = step * strides[4];
    for (const auto& phase : phases) {
      int64_t shift[3];
      for (int axis = 0; axis < 3; axis++) shift[axis] = phase[axis] - pad[axis];
      shift[cut] += row * split[cut];
      const int64_t begin = shift[2] < 0 ? (step - 1 - shift[2]) / step : 0;
      const int64_t end = sizes[2] > shift[2] ? std::min(length[2], (sizes[2] - shift[2] + step - 1) / step) : 0;
      const T* const line = from + (begin * step + shift[2]) * strides[4];
      T* into = to + begin;
      to += area;
      for (int64_t c = 0; c < channels; c++, into += int64_t(phases.size()) * area)
        for (int64_t i = 0; i < length[0]; i++)
          for (int64_t j = 0; j < length[1]; j++) {
            const int64_t d = i * split[0] + shift[0], h = j * split[1] + shift[1];
            if (d < 0 || d >= sizes[0] || h < 0 || h >= sizes[1]) continue;
            const T* const found = line + c * strides[1] + d * strides[2] + h * strides[3];
            T* const put = into + i * pitch[0] + j * pitch[1];
            if (stride == 1 && end > begin) copy_row(put, found, end - begin);
            else
              for (int64_t k = 0; k < end - begin; k++) put[k] = found[k * stride];
          }
    }
  }
};

}  // namespace
