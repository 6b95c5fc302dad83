// Convolution without columns: the padded image of a sample lies in a buffer, and the row of the columns' matrix that
// belongs to a tap is a run of that image, shifted. Three products are made of such rows: forward, the gradient of
// the input (a convolution of the output's gradient for each remainder of the stride), and that of the weight.
//
// What surrounds this text: the type T, conv.h, and the threads of runtime.cpp. The cut into units depends on shapes
// alone, so that which thread computes a unit changes nothing.
#include <algorithm>
#include <new>
#include <vector>

namespace {

typedef std::vector<long> Longs;
typedef void (*Parallel)(void (*work)(void*, long), void* context, long count, int threads);

const long kStrip = 1 << 19;      // bytes of the part of an image that is worked on at a time
const long kUnits = 8;            // units that there should be for threads to share
const long kGradients = 1 << 24;  // bytes of partial sums of a weight's gradient
const long kBig = kSums / 3;      // channels of a full tile

}  // namespace

// What Python says of a convolution; see cunet.native.convolution. Strides count elements.
struct Convolution {
  int64_t what;  // 0: forward, 1: gradient of the input, 2: of the weight
  const T* read;  // x, or the gradient of the output for that of the input: what windows are taken of
  const T *gy, *weight, *bias;
  T* result;
  Parallel parallel;
  int64_t strides[5];  // of what is read; all else is contiguous
  int64_t samples, groups, channels, outputs;  // the latter two of a group
  int64_t sizes[3], out[3], kernel[3], stride[3], padding[3], dilation[3];
  int64_t threads;
};

namespace {

template <class Work> void spread(const Convolution& call, long count, long threads, const Work& work) {
  call.parallel([](void* context, long k) { (*(const Work*)context)(k); }, (void*)&work, count, int(threads));
}

// One kind of tap along an axis: which, in which remainder of the stride its elements lie, and where they begin there.
struct Tap {
  long tap, phase, shift;
};
// The results along an axis that see the same taps.
struct Axis {
  long count, base, step;
  std::vector<Tap> taps;
};

// Vectors of results: where each begins in the image, and which lanes go where.
struct Run {
  int lane, count;
  long to;
};
struct Grid {
  Longs at, first;  // first run of each vector
  std::vector<Run> runs;
  std::vector<Mask> masks;  // of the lanes that go anywhere

  // Covers `n` results along each axis with as few vectors as there can be; pitch: of the image, step: of the results.
  void cover(const long* n, const long* pitch, const long* step) {
    const long last = (n[0] - 1) * pitch[0] + (n[1] - 1) * pitch[1] + n[2] - 1;
    auto row = [&](long r) { return r / n[1] * pitch[0] + r % n[1] * pitch[1]; };
    for (long r = 0, c = 0; r < n[0] * n[1];) {
      long start = row(r) + c;
      start = std::max(0l, std::min(start, last + 1 - kLanes));  // the last one does not pass the end
      at.push_back(start), first.push_back(long(runs.size())), masks.emplace_back();
      while (r < n[0] * n[1] && row(r) + c < start + kLanes) {
        const long count = std::min(n[2] - c, start + kLanes - row(r) - c);
        const long to = r / n[1] * step[0] + r % n[1] * step[1] + c * step[2];
        runs.push_back({int(row(r) + c - start), int(count), to});
        for (int k = 0; k < count; k++) masks.back()[row(r) + c - start + k] = -1;
        c += count;
        if (c == n[2]) r++, c = 0;
      }
    }
    first.push_back(long(runs.size()));
  }
  long count() const { return long(at.size()); }
};

// Results that see the same taps: all of a convolution's, and a gradient's of one remainder of the stride.
struct Pass {
  long count[3], base, step[3];
  Longs taps, offsets;      // taps in the kernel; where each row begins, for each (channel, tap)
  std::vector<T> weight;    // in blocks of output channels: (group, block, channel, tap, output)
  Grid whole, rest;         // of a full strip and of the last one
};

// The images that are read: in phases of the stride, padded, in strips along the axis `cut`.
struct Source {
  const T* data;
  const int64_t* strides;
  long channels, sizes[3], pad[3], split[3];
  std::vector<std::vector<long>> phases;
  int cut;
  long rows, strips;          // results of a strip along the axis `cut`
  long length[3], pitch[3], area, shared;
  bool in_place;

  long size() const { return channels * long(phases.size()) * area + shared + kLanes; }

  const T* at(long sample, long group) const { return data + sample * strides[0] + group * channels * strides[1]; }

  void copy(long sample, long group, long row, T* to) const {
    memset(to, 0, size() * sizeof(T));
    const T* from = at(sample, group);
    const long step = split[2], stride = step * strides[4];
    for (const auto& phase : phases) {
      long shift[3];
      for (int axis = 0; axis < 3; axis++) shift[axis] = phase[axis] - pad[axis] + (axis == cut ? row * split[axis] : 0);
      const long begin = shift[2] < 0 ? (step - 1 - shift[2]) / step : 0;
      const long end = sizes[2] > shift[2] ? std::min(length[2], (sizes[2] - shift[2] + step - 1) / step) : 0;
      const T* const line = from + (begin * step + shift[2]) * strides[4];
      T* into = to + begin;
      to += area;
      for (long c = 0; c < channels; c++, into += long(phases.size()) * area)
        for (long i = 0; i < length[0]; i++)
          for (long j = 0; j < length[1]; j++) {
            const long d = i * split[0] + shift[0], h = j * split[1] + shift[1];
            if (d < 0 || d >= sizes[0] || h < 0 || h >= sizes[1]) continue;
            const T* const found = line + c * strides[1] + d * strides[2] + h * strides[3];
            T* const put = into + i * pitch[0] + j * pitch[1];
            if (stride == 1 && end > begin) copy_row(put, found, end - begin);
            else
              for (long k = 0; k < end - begin; k++) put[k] = found[k * stride];
          }
    }
  }
};

std::vector<Axis> forward_axis(const Convolution& c, int axis, Source& source) {
  Axis all = {c.out[axis], 0, 1, {}};
  for (long t = 0; t < c.kernel[axis]; t++) {
    const long place = t * c.dilation[axis];
    all.taps.push_back({t, place % c.stride[axis], place / c.stride[axis]});
  }
  source.sizes[axis] = c.sizes[axis], source.pad[axis] = c.padding[axis], source.split[axis] = c.stride[axis];
  return {all};
}

// Element i of the input, of remainder r = (i + padding) % stride, sees the windows (i + padding - place) / stride of
// the taps whose place in the kernel has that remainder too.
std::vector<Axis> gradient_axis(const Convolution& c, int axis, Source& source) {
  const long stride = c.stride[axis], padding = c.padding[axis];
  std::vector<Axis> axes;
  long pad = 0;
  for (long r = 0; r < stride; r++) {
    const long low = (padding - r + stride - 1) / stride, top = padding + c.sizes[axis] - 1 - r;
    Axis one = {top < 0 ? 0 : top / stride - low + 1, stride * low + r - padding, stride, {}};
    for (long t = 0; t < c.kernel[axis]; t++)
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
  long outputs;  // channels of the results, of a group
  long plane;    // elements of one

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
          const long lines[3] = {to[1] * to[2], to[2], 1};
          passes.emplace_back();
          fill(passes.back(), three, lines, c.kernel);
        }
  }

 private:
  void lay_out(const Convolution& c, const std::vector<Axis>* axes) {
    long most[3] = {0, 0, 0}, reach[3] = {0, 0, 0};
    for (int axis = 0; axis < 3; axis++)
      for (const Axis& a : axes[axis]) {
        most[axis] = std::max(most[axis], a.count);
        for (const Tap& tap : a.taps) reach[axis] = std::max(reach[axis], tap.shift);
      }
    for (const Axis& d : axes[0])
      for (const Axis& h : axes[1])
        for (const Axis& w : axes[2])
          for (const Tap& i : d.taps)
            for (const Tap& j : h.taps)
              for (const Tap& k : w.taps) {
                Longs phase = {i.phase, j.phase, k.phase};
                if (std::find(source.phases.begin(), source.phases.end(), phase) == source.phases.end())
                  source.phases.push_back(phase);
              }
    Source& s = source;
    s.cut = most[0] > 1 ? 0 : most[1] > 1 ? 1 : 2;
    s.in_place = true;
    long line = s.channels * long(s.phases.size()) * long(sizeof(T));
    for (int axis = 0; axis < 3; axis++) {
      s.length[axis] = most[axis] + reach[axis];
      if (axis != s.cut) line *= s.length[axis];
      s.in_place &= s.pad[axis] == 0 && c.stride[axis] == 1 && s.length[axis] <= s.sizes[axis];
    }
    const int64_t* steps = s.strides;
    s.in_place &= steps[4] == 1 && steps[3] == s.sizes[2] && steps[2] == steps[3] * s.sizes[1] &&
                  steps[1] == steps[2] * s.sizes[0];
    s.rows = std::max(1l, std::min(most[s.cut], kStrip / std::max(1l, line) - reach[s.cut]));
    while (s.rows > 8 && c.samples * c.groups * ((most[s.cut] + s.rows - 1) / s.rows) < kUnits) s.rows = (s.rows + 1) / 2;
    s.strips = (most[s.cut] + s.rows - 1) / s.rows;
    if (s.in_place) {  // but a vector of a short strip would read past the end
      most[s.cut] -= (s.strips - 1) * s.rows;
      s.in_place = (most[0] - 1) * steps[2] + (most[1] - 1) * steps[3] + most[2] >= kLanes;
    }
    if (s.in_place) std::copy(s.sizes, s.sizes + 3, s.length);
    else s.length[s.cut] = s.rows + reach[s.cut];
    // The zeros behind a row can be those before the next.
    s.shared = std::min(std::min(s.pad[2], s.length[2] - s.sizes[2] - s.pad[2]), reach[2]);
    if (s.split[2] > 1 || s.cut == 2 || s.shared < 0) s.shared = 0;
    s.length[2] -= s.shared;
    s.pitch[2] = 1, s.pitch[1] = s.length[2], s.pitch[0] = s.length[1] * s.length[2];
    s.area = s.length[0] * s.pitch[0];
  }

  void fill(Pass& pass, const Axis* const* axes, const long* lines, const int64_t* kernel) {
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
          const long slot = std::find(s.phases.begin(), s.phases.end(), phase) - s.phases.begin();
          pass.taps.push_back((i.tap * kernel[1] + j.tap) * kernel[2] + k.tap);
          shifts.push_back(slot * s.area + i.shift * s.pitch[0] + j.shift * s.pitch[1] + k.shift);
        }
    for (long c = 0; c < s.channels; c++)
      for (long shift : shifts) pass.offsets.push_back(c * long(s.phases.size()) * s.area + shift);
    long n[3] = {pass.count[0], pass.count[1], pass.count[2]};
    const long rest = n[s.cut] - (s.strips - 1) * s.rows;  // may be none: passes differ by one in length
    n[s.cut] = s.rows;
    if (s.strips > 1) pass.whole.cover(n, s.pitch, pass.step);
    n[s.cut] = rest;
    if (rest > 0) pass.rest.cover(n, s.pitch, pass.step);
  }
};

// Memory of a thread, kept for the next unit.
T* scratch(int which, long count) {
  thread_local std::vector<T> memory[2];
  std::vector<T>& m = memory[which];
  if (long(m.size()) < count + kLanes) m = std::vector<T>(count + kLanes);
  return (T*)(((uintptr_t)m.data() + kBytes - 1) / kBytes * kBytes);
}

const T* image_of(const Source& s, long sample, long group, long strip) {
  if (s.in_place) return s.at(sample, group) + strip * s.rows * s.pitch[s.cut];
  T* image = scratch(0, s.size());
  s.copy(sample, group, strip * s.rows, image);
  return image;
}

long block_of(long left) { return left >= kBig ? kBig : left >= 4 ? 4 : left >= 2 ? 2 : 1; }

// weight (outputs of all groups, channels, taps) as the tiles read it; for a gradient outputs and channels change places.
void pack(const Convolution& c, const Plan& plan, Pass& pass, bool gradient) {
  const long taps = c.kernel[0] * c.kernel[1] * c.kernel[2];
  const long inner = plan.source.channels, per_output = gradient ? taps : c.channels * taps;
  const long per_inner = gradient ? c.channels * taps : taps;
  pass.weight.resize(c.groups * plan.outputs * long(pass.offsets.size()));
  T* to = pass.weight.data();
  for (long g = 0; g < c.groups; g++)
    for (long o = 0, block; o < plan.outputs; o += block) {
      block = block_of(plan.outputs - o);
      const T* from = c.weight + g * c.outputs * c.channels * taps + o * per_output;
      for (long k = 0; k < inner; k++)
        for (long tap : pass.taps)
          for (long b = 0; b < block; b++) *to++ = from[b * per_output + k * per_inner + tap];
    }
}

// What tiles of a unit have in common.
struct Area {
  const Pass& pass;
  const Grid& grid;
  const T *image, *weight, *bias;  // from the first channel on
  T* to;
  long plane, dense;  // dense: elements of `to` that follow each other and may be written more than once
};

// Stores N vectors from v on of a channel. What is written behind a run belongs to the next, which comes later.
template <int N> CUNET_ALWAYS void store(const Area& a, long v, long end, const Vec* sums, T* to) {
  const T* lanes = (const T*)sums;
  for (long j = 0; j < N && v + j < end; j++, lanes += kLanes)
    for (long r = a.grid.first[v + j]; r < a.grid.first[v + j + 1]; r++) {
      const Run& run = a.grid.runs[r];
      T* const at = to + run.to;
      if (run.to + kLanes <= a.dense) *(Loose*)at = load(lanes + run.lane);
      else if (a.pass.step[2] == 1) copy_row(at, lanes + run.lane, run.count);
      else
        for (int k = 0; k < run.count; k++) at[k * a.pass.step[2]] = lanes[run.lane + k];
    }
}

// M channels from o on, N vectors from v on but none beyond `end`.
template <int M, int N> void tile(const Area& a, long o, long v, long end) {
  const long taps = long(a.pass.offsets.size());
  Vec sums[M * N + 1];  // a run of the last one may be read past its end
  long at[N];
  for (long j = 0; j < N; j++) {
    const long vector = std::min(v + j, end - 1);
    at[j] = a.grid.at[vector];
    const T* soon = a.to + o * a.plane + a.grid.runs[a.grid.first[vector]].to;
    for (int m = 0; m < M; m++) __builtin_prefetch(soon + m * a.plane, 1);
  }
  multiply<M, N>(a.image, a.pass.offsets.data(), taps, a.weight + o * taps, a.bias ? a.bias + o : nullptr, at, sums);
  for (int m = 0; m < M; m++) store<N>(a, v, end, sums + m * N, a.to + (o + m) * a.plane);
}

// N vectors from v on, for all channels [first, end).
template <int N> void column(const Area& a, long first, long end, long v, long stop) {
  for (long o = first, block; o < end; o += block) {
    block = block_of(end - o);
    if (block == kBig) tile<kBig, N>(a, o, v, stop);
    else if (block == 4) tile<4, N>(a, o, v, stop);
    else if (block == 2) tile<2, N>(a, o, v, stop);
    else tile<1, N>(a, o, v, stop);
  }
}

void unit(const Convolution& c, const Plan& plan, long sample, long group, long strip, long first, long end) {
  const Source& s = plan.source;
  const T* image = image_of(s, sample, group, strip);
  const long channel = group * plan.outputs;
  for (const Pass& pass : plan.passes) {
    const Grid& grid = strip == s.strips - 1 ? pass.rest : pass.whole;
    const long count = grid.count();
    if (!count) continue;
    T* to = c.result + (sample * c.groups * plan.outputs + channel) * plan.plane + pass.base +
            strip * s.rows * pass.step[s.cut];
    const Run& last = grid.runs.back();
    const bool dense = pass.step[2] == 1 && pass.step[1] == pass.count[2] && pass.step[0] == pass.step[1] * pass.count[1];
    const Area area = {pass, grid, image, pass.weight.data() + channel * long(pass.offsets.size()),
                       c.bias ? c.bias + channel : nullptr, to, plan.plane, dense ? last.to + last.count : 0};
    long v = 0;
    if (plan.outputs < 4)
      for (; v < count; v += 8) column<8>(area, first, end, v, count);
    for (; count - v > 4 || count - v == 3; v += 3) column<3>(area, first, end, v, count);
    for (; v < count; v += 2) column<2>(area, first, end, v, count);
  }
}

// ---- the gradient of the weight

// Sums of a share of the samples for a part of the channels of a group.
struct Sums {
  const Convolution* call;
  const Plan* plan;
  bool by_lanes;   // few channels: windows lie in the lanes of a vector, not channels
  long shares, parts, taps, width;  // width: channels with padding, or lanes for each channel
  std::vector<T> memory;

  T* at(long share, long group) { return memory.data() + (share * call->groups + group) * taps * width; }
};

long blocks_of(long outputs) { return (outputs + 2 * kLanes - 1) / (2 * kLanes); }

// Lays the gradient of `wide` channels out next to each other for each of `n` windows from `begin` on.
void turn(const T* from, long plane, long wide, const long* begin, const long* n, const int64_t* out, long pitch, T* to) {
  for (long i = begin[0]; i < begin[0] + n[0]; i++)
    for (long j = begin[1]; j < begin[1] + n[1]; j++)
      for (long l = 0; l < n[2]; l += kLanes) {
        const long few = std::min(long(kLanes), n[2] - l);
        const T* line = from + (i * out[1] + j) * out[2] + begin[2] + l;
        for (long o = 0; o < wide; o++, line += plane)
          for (long k = 0; k < few; k++) to[k * pitch + o] = line[k];
        for (long o = wide; o < pitch; o++)
          for (long k = 0; k < few; k++) to[k * pitch + o] = 0;
        to += few * pitch;
      }
}

template <int K, int N>
void accumulate_all(const Longs& offsets, const T* image, const Longs& starts, long width, const T* gy, T* to, long pitch) {
  const long count = long(offsets.size());
  for (long k = 0; k < count; k += K) {
    long few[K];
    for (long j = 0; j < K; j++) few[j] = offsets[std::min(k + j, count - 1)];
    accumulate<K, N>(image, few, starts.data(), long(starts.size()), width, gy, to + k * pitch, pitch,
                     int(std::min(long(K), count - k)));
  }
}

// As many taps at a time as there are registers for (addresses too), and few in vain.
template <int N>
void accumulate_any(const Longs& offsets, const T* image, const Longs& starts, long width, const T* gy, T* to, long pitch) {
  const long count = long(offsets.size());
  if constexpr (9 * N > kSums) accumulate_all<6, N>(offsets, image, starts, width, gy, to, pitch);
  else if ((count + 8) / 9 * 9 <= (count + 7) / 8 * 8) accumulate_all<9, N>(offsets, image, starts, width, gy, to, pitch);
  else accumulate_all<8, N>(offsets, image, starts, width, gy, to, pitch);
}

void sum_in_channels(Sums& s, long sample, long group, long strip, long part, T* to) {
  const Convolution& c = *s.call;
  const Source& source = s.plan->source;
  const Pass& pass = s.plan->passes[0];
  long begin[3] = {0, 0, 0}, n[3] = {pass.count[0], pass.count[1], pass.count[2]};
  begin[source.cut] = strip * source.rows;
  n[source.cut] = std::min(source.rows, n[source.cut] - begin[source.cut]);
  const T* image = image_of(source, sample, group, strip);
  Longs starts;
  for (long i = 0; i < n[0]; i++)
    for (long j = 0; j < n[1]; j++) starts.push_back(i * source.pitch[0] + j * source.pitch[1]);
  T* gy = scratch(1, n[0] * n[1] * n[2] * 2 * kLanes);
  for (long block = part; block < blocks_of(c.outputs); block += s.parts) {
    const long first = block * 2 * kLanes, wide = std::min(long(2 * kLanes), c.outputs - first);
    const long pitch = wide > kLanes ? 2 * kLanes : kLanes;
    const T* from = c.gy + ((sample * c.groups + group) * c.outputs + first) * s.plan->plane;
    turn(from, s.plan->plane, wide, begin, n, c.out, pitch, gy);
    T* sums = to + first * s.taps;
    if (wide > kLanes) accumulate_any<2>(pass.offsets, image, starts, n[2], gy, sums, pitch);
    else accumulate_any<1>(pass.offsets, image, starts, n[2], gy, sums, pitch);
  }
}

void sum_in_lanes(Sums& s, long sample, long group, long strip, T* to) {
  const Convolution& c = *s.call;
  const Source& source = s.plan->source;
  const Pass& pass = s.plan->passes[0];
  const Grid& grid = strip == source.strips - 1 ? pass.rest : pass.whole;
  const T* image = image_of(source, sample, group, strip);
  const long count = grid.count();
  Vec* rows = (Vec*)scratch(1, count * kLanes);
  for (long o = 0; o < c.outputs; o++, to += s.taps * kLanes) {
    const T* plane = c.gy + ((sample * c.groups + group) * c.outputs + o) * s.plan->plane +
                     strip * source.rows * pass.step[source.cut];
    for (long v = 0; v < count; v++) {
      T* const lanes = (T*)&rows[v];
      *(Loose*)lanes = Vec();
      for (long r = grid.first[v]; r < grid.first[v + 1]; r++) {
        const Run& run = grid.runs[r];
        copy_row(lanes + run.lane, plane + run.to, run.count);
      }
    }
    for (long k = 0; k < s.taps; k += 9) {
      long few[9];
      for (long j = 0; j < 9; j++) few[j] = pass.offsets[std::min(k + j, s.taps - 1)];
      if (s.taps - k <= 3) correlate<3>(image, few, grid.at.data(), count, grid.masks.data(), rows, to + k * kLanes, int(s.taps - k));
      else correlate<9>(image, few, grid.at.data(), count, grid.masks.data(), rows, to + k * kLanes, int(std::min(9l, s.taps - k)));
    }
  }
}

void finish(Sums& s, long group) {
  const Convolution& c = *s.call;
  T* to = c.result + group * c.outputs * s.taps;
  for (long o = 0; o < c.outputs; o++)
    for (long k = 0; k < s.taps; k++) {
      T sum = 0;
      for (long share = 0; share < s.shares; share++) {
        const T* from = s.at(share, group);
        if (s.by_lanes) {
          sum += total(load(from + (o * s.taps + k) * kLanes));
        } else {
          const long first = o / (2 * kLanes) * 2 * kLanes;
          const long pitch = c.outputs - first > kLanes ? 2 * kLanes : kLanes;
          sum += from[first * s.taps + k * pitch + o - first];
        }
      }
      *to++ = sum;
    }
}

void weight_gradient(const Convolution& c) {
  const Plan plan(c, false);
  Sums s = {&c, &plan};
  s.taps = long(plan.passes[0].offsets.size());
  s.by_lanes = c.outputs <= kLanes / 2;
  s.width = s.by_lanes ? c.outputs * kLanes : (c.outputs + kLanes - 1) / kLanes * kLanes;
  const long bytes = c.groups * s.taps * s.width * long(sizeof(T));
  s.shares = std::max(1l, std::min(std::min(c.samples, kUnits / c.groups + 1), kGradients / bytes));
  s.parts = s.by_lanes ? 1 : std::min(blocks_of(c.outputs), (kUnits + s.shares * c.groups - 1) / (s.shares * c.groups));
  s.memory.resize(s.shares * c.groups * s.taps * s.width);
  spread(c, s.shares * c.groups * s.parts, c.threads, [&](long k) {
    const long part = k % s.parts, group = k / s.parts % c.groups, share = k / s.parts / c.groups;
    for (long sample = share * c.samples / s.shares; sample < (share + 1) * c.samples / s.shares; sample++)
      for (long strip = 0; strip < plan.source.strips; strip++) {
        if (s.by_lanes) sum_in_lanes(s, sample, group, strip, s.at(share, group));
        else sum_in_channels(s, sample, group, strip, part, s.at(share, group));
      }
  });
  spread(c, c.groups, c.threads, [&](long group) { finish(s, group); });
}

void convolve(const Convolution& c, bool gradient) {
  Plan plan(c, gradient);
  for (Pass& pass : plan.passes) pack(c, plan, pass, gradient);
  const long units = c.samples * c.groups * plan.source.strips;
  const long blocks = (plan.outputs + kBig - 1) / kBig;
  const long parts = std::min(blocks, (kUnits + units - 1) / units);
  spread(c, units * parts, c.threads, [&](long k) {
    const long part = k % parts, strip = k / parts % plan.source.strips, image = k / parts / plan.source.strips;
    const long first = part * blocks / parts * kBig, end = std::min(plan.outputs, (part + 1) * blocks / parts * kBig);
    unit(c, plan, image / c.groups, image % c.groups, strip, first, end);
  });
}

}  // namespace

// Returns 0, or 1 if there is not enough memory.
extern "C" int cunet_convolve(const Convolution* call) {
  try {
    if (call->what == 2) weight_gradient(*call);
    else convolve(*call, call->what == 1);
  } catch (const std::bad_alloc&) {
    return 1;
  }
  return 0;
}
