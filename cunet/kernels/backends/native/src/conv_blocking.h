// How a convolution is cut and laid out: which runs of the padded images are the rows of its products, and where the
// results go. Everything follows from shapes alone, so that which thread computes a unit changes nothing.

namespace {

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

struct Blocking {
  Source source;
  std::vector<Pass> passes;
  int64_t outputs;  // channels of the results, of a group
  int64_t plane;    // elements of one

  Blocking(const Convolution& c, bool gradient, int64_t lanes = kLanes) {
    source.lanes = lanes;
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
      s.in_place = (most[0] - 1) * s.strides[2] + (most[1] - 1) * s.strides[3] + most[2] >= s.lanes;
    }
    if (s.in_place) std::copy(s.sizes, s.sizes + 3, s.length);
    else s.length[s.cut] = s.rows + reach[s.cut];
    // The zeros behind a row can be those before the next; but a strip along the row may begin with data.
    s.shared = std::min(std::min(s.pad[2], s.length[2] - s.sizes[2] - s.pad[2]), reach[2]);
    if (s.split[2] > 1 || s.shared < 0 || (s.cut == 2 && s.strips > 1)) s.shared = 0;
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
    const int64_t results = most[0] * most[1] * most[2] / most[s.cut] * kWideBytes;  // of a row, laid out anew
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
    if (s.strips > 1) pass.whole.cover(n, s.pitch, pass.step, s.lanes);
    n[s.cut] = rest;
    if (rest > 0) pass.rest.cover(n, s.pitch, pass.step, s.lanes);
  }
};

// Memory of a thread, kept for the next unit.
T* scratch(int which, int64_t count) {
  thread_local std::vector<T> memory[2];
  std::vector<T>& m = memory[which];
  if (int64_t(m.size()) < count + kWideLanes) m = std::vector<T>(count + kWideLanes);
  return (T*)(((uintptr_t)m.data() + kWideBytes - 1) / kWideBytes * kWideBytes);
}

const T* image_of(const Source& s, int64_t sample, int64_t group, int64_t strip) {
  if (s.in_place) return s.at(sample, group) + strip * s.rows * s.pitch[s.cut];
  T* image = scratch(0, s.size());
  s.copy(sample, group, strip * s.rows, image);
  return image;
}

}  // namespace
