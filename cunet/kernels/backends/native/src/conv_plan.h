// How a convolution is cut and laid out: which runs of the padded images are the rows of its products, and where the
// results go. Everything follows from shapes alone, so that which thread computes a unit changes nothing.
#pragma once
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
  void cover(const int64_t* n, const int64_t* pitch, const int64_t* step) {
    const int64_t last = (n[0] - 1) * pitch[0] + (n[1] - 1) * pitch[1] + n[2] - 1;
    auto row = [&](int64_t r) { return r / n[1] * pitch[0] + r % n[1] * pitch[1]; };
    for (int64_t r = 0, c = 0; r < n[0] * n[1];) {
      int64_t start = row(r) + c;
      start = std::max(int64_t(0), std::min(start, last + 1 - kLanes));  // the last one does not pass the end
      at.push_back(start), first.push_back(int64_t(runs.size())), masks.emplace_back();
      while (r < n[0] * n[1] && row(r) + c < start + kLanes) {
        const int64_t count = std::min(n[2] - c, start + kLanes - row(r) - c);
        const int64_t to = r / n[1] * step[0] + r % n[1] * step[1] + c * step[2];
        runs.push_back({int(row(r) + c - start), int(count), to});
        for (int k = 0; k < count; k++) masks.back()[row(r) + c - start + k] = -1;
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

  int64_t size() const { return channels * int64_t(phases.size()) * area + shared + kLanes; }

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

std::vector<Axis> forward_axis(const Convolution& c, int axis, Source& source) {
  Axis all = {c.out[axis], 0, 1, {}};
  for (int64_t t = 0; t < c.kernel[axis]; t++) {
    const int64_t place = t * c.dilation[axis];
    all.taps.push_back({t, place % c.stride[axis], place / c.stride[axis]});
  }
  source.sizes[axis] = c.sizes[axis], source.pad[axis] = c.padding[axis], source.split[axis] = c.stride[axis];
  return {all};
}

// Element i of the input, of remainder r = (i + padding) % stride, sees the windows (i + padding - place) / stride of
// the taps whose place in the kernel has that remainder too.
std::vector<Axis> gradient_axis(const Convolution& c, int axis, Source& source) {
  const int64_t stride = c.stride[axis], padding = c.padding[axis];
  std::vector<Axis> axes;
  int64_t pad = 0;
  for (int64_t r = 0; r < stride; r++) {
    const int64_t low = (padding - r + stride - 1) / stride, top = padding + c.sizes[axis] - 1 - r;
    Axis one = {top < 0 ? 0 : top / stride - low + 1, stride * low + r - padding, stride, {}};
    for (int64_t t = 0; t < c.kernel[axis]; t++)
      if (t * c.dilation[axis] % stride == r) {
        one.taps.push_back({t, 0, low - t * c.dilation[axis] / stride});
        pad = std::max(pad, -one.taps.back().shift);
      }
    if (one.count > 0) axes.push_back(one);
  }
  for (Axis& one : axes)
    for (Tap& tap : one.taps) tap.shift += pad;
  source.sizes[axis] = c.out[axis], source.pad[axis] = pad, source.split[axis] = 1;
  return axes;
}

struct Plan {
  Source source;
  std::vector<Pass> passes;
  int64_t outputs;  // channels of the results, of a group
  int64_t plane;    // elements of one

  Plan(const Convolution& c, bool gradient) {
    source.data = c.read, source.strides = c.strides;
    source.channels = gradient ? c.outputs : c.channels;
    outputs = gradient ? c.channels : c.outputs;
    const int64_t* to = gradient ? c.sizes : c.out;
    plane = to[0] * to[1] * to[2];
    std::vector<Axis> axes[3];
    for (int axis = 0; axis < 3; axis++)
      axes[axis] = gradient ? gradient_axis(c, axis, source) : forward_axis(c, axis, source);
    lay_out(c, axes);
    for (const Axis& d : axes[0])
      for (const Axis& h : axes[1])
        for (const Axis& w : axes[2]) {
          const Axis* three[3] = {&d, &h, &w};
          const int64_t lines[3] = {to[1] * to[2], to[2], 1};
          passes.emplace_back();
          fill(passes.back(), three, lines, c.kernel);
        }
  }

 private:
  void lay_out(const Convolution& c, const std::vector<Axis>* axes) {
    int64_t most[3] = {0, 0, 0}, reach[3] = {0, 0, 0};
    for (int axis = 0; axis < 3; axis++)
      for (const Axis& a : axes[axis]) {
        most[axis] = std::max(most[axis], a.count);
        for (const Tap& tap : a.taps) reach[axis] = std::max(reach[axis], tap.shift);
      }
    find_phases(axes);
    Source& s = source;
    s.cut = most[0] > 1 ? 0 : most[1] > 1 ? 1 : 2;
    for (int axis = 0; axis < 3; axis++) s.length[axis] = most[axis] + reach[axis];
    s.in_place = can_be_read(c);
    cut_into_strips(c, most, reach);
    if (s.in_place) {  // but a vector of a short strip would read past the end
      most[s.cut] -= (s.strips - 1) * s.rows;
      s.in_place = (most[0] - 1) * s.strides[2] + (most[1] - 1) * s.strides[3] + most[2] >= kLanes;
    }
    if (s.in_place) std::copy(s.sizes, s.sizes + 3, s.length);
    else s.length[s.cut] = s.rows + reach[s.cut];
    // The zeros behind a row can be those before the next (in a strip along the row there are never that many).
    s.shared = std::min(std::min(s.pad[2], s.length[2] - s.sizes[2] - s.pad[2]), reach[2]);
    if (s.split[2] > 1 || s.shared < 0) s.shared = 0;
    s.length[2] -= s.shared;
    s.pitch[2] = 1, s.pitch[1] = s.length[2], s.pitch[0] = s.length[1] * s.length[2];
    s.area = s.length[0] * s.pitch[0];
  }

  void find_phases(const std::vector<Axis>* axes) {
    Phases& phases = source.phases;
    for (const Axis& d : axes[0])
      for (const Axis& h : axes[1])
        for (const Axis& w : axes[2])
          for (const Tap& i : d.taps)
            for (const Tap& j : h.taps)
              for (const Tap& k : w.taps) {
                Longs phase = {i.phase, j.phase, k.phase};
                if (std::find(phases.begin(), phases.end(), phase) == phases.end()) phases.push_back(phase);
              }
  }

  // Whether the windows can be taken of the images as they lie.
  bool can_be_read(const Convolution& c) const {
    const Source& s = source;
    const int64_t* steps = s.strides;
    bool whole = true;
    for (int axis = 0; axis < 3; axis++)
      whole &= s.pad[axis] == 0 && c.stride[axis] == 1 && s.length[axis] <= s.sizes[axis];
    return whole && steps[4] == 1 && steps[3] == s.sizes[2] && steps[2] == steps[3] * s.sizes[1] &&
           steps[1] == steps[2] * s.sizes[0];
  }

  void cut_into_strips(const Convolution& c, const int64_t* most, const int64_t* reach) {
    Source& s = source;
    const int64_t strip = tuning::kStripBytes;
    int64_t line = s.channels * int64_t(s.phases.size()) * int64_t(sizeof(T));
    for (int axis = 0; axis < 3; axis++)
      if (axis != s.cut) line *= s.length[axis];
    const int64_t results = most[0] * most[1] * most[2] / most[s.cut] * kBytes;  // of a row, laid out anew
    s.rows = std::min(strip / std::max(int64_t(1), line) - reach[s.cut], strip / results);
    s.rows = std::max(int64_t(1), std::min(most[s.cut], s.rows));
    const auto strips = [&] { return (most[s.cut] + s.rows - 1) / s.rows; };
    while (s.rows > 8 && c.samples * c.groups * strips() < tuning::kConvolutionUnits) s.rows = (s.rows + 1) / 2;
    s.strips = strips();
  }

  void fill(Pass& pass, const Axis* const* axes, const int64_t* lines, const int64_t* kernel) {
    const Source& s = source;
    pass.base = 0;
    Longs shifts;
    for (int axis = 0; axis < 3; axis++) {
      pass.count[axis] = axes[axis]->count;
      pass.base += axes[axis]->base * lines[axis];
      pass.step[axis] = axes[axis]->step * lines[axis];
    }
    for (const Tap& i : axes[0]->taps)
      for (const Tap& j : axes[1]->taps)
        for (const Tap& k : axes[2]->taps) {
          const Longs phase = {i.phase, j.phase, k.phase};
          const int64_t slot = std::find(s.phases.begin(), s.phases.end(), phase) - s.phases.begin();
          pass.taps.push_back((i.tap * kernel[1] + j.tap) * kernel[2] + k.tap);
          shifts.push_back(slot * s.area + i.shift * s.pitch[0] + j.shift * s.pitch[1] + k.shift);
        }
    for (int64_t c = 0; c < s.channels; c++)
      for (int64_t shift : shifts) pass.offsets.push_back(c * int64_t(s.phases.size()) * s.area + shift);
    int64_t n[3] = {pass.count[0], pass.count[1], pass.count[2]};
    const int64_t rest = n[s.cut] - (s.strips - 1) * s.rows;  // may be none: passes differ by one in length
    n[s.cut] = s.rows;
    if (s.strips > 1) pass.whole.cover(n, s.pitch, pass.step);
    n[s.cut] = rest;
    if (rest > 0) pass.rest.cover(n, s.pitch, pass.step);
  }
};

// Memory of a thread, kept for the next unit.
T* scratch(int which, int64_t count) {
  thread_local std::vector<T> memory[2];
  std::vector<T>& m = memory[which];
  if (int64_t(m.size()) < count + kLanes) m = std::vector<T>(count + kLanes);
  return (T*)(((uintptr_t)m.data() + kBytes - 1) / kBytes * kBytes);
}

const T* image_of(const Source& s, int64_t sample, int64_t group, int64_t strip) {
  if (s.in_place) return s.at(sample, group) + strip * s.rows * s.pitch[s.cut];
  T* image = scratch(0, s.size());
  s.copy(sample, group, strip * s.rows, image);
  return image;
}

}  // namespace
