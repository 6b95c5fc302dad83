// The gradient of the weight, and what Python calls. The text follows conv.cpp.
//
// Sums run over windows. Their order, and with it the last bits, depends on shapes alone: not on how long the
// processor's vectors are, nor on the number of threads.
namespace {

const int64_t kFewOutputs = tuning::kFewOutputBytes / sizeof(T);
const int64_t kTapsInLanes = std::min(9, tuning::kTileVectors / kWide);  // at a time

// Sums of a share of the samples for a part of the channels of a group.
struct Sums {
  const Convolution* call;
  const Blocking* plan;
  bool by_lanes;   // few channels: windows lie in the lanes of a vector, not channels
  int64_t shares, parts, taps, width;  // width: channels with padding, or lanes for each channel
  int64_t rows;  // of sums: one for each tap, then one for the bias
  std::vector<T> memory;

  T* at(int64_t share, int64_t group) { return memory.data() + (share * call->groups + group) * rows * width; }
  void put(int64_t output, int64_t row, T value) const {
    if (row < taps) call->result[output * taps + row] = value;
    else if (call->sums) call->sums[output] = value;
  }
};

int64_t blocks_of(int64_t outputs) { return (outputs + 2 * kLanes - 1) / (2 * kLanes); }

template <int K, int N>
void accumulate_all(const Longs& offsets, const T* image, const Longs& starts, int64_t width, const T* gy, T* to) {
  const int64_t count = int64_t(offsets.size()), pitch = N * kLanes;
  for (int64_t k = 0; k < count; k += K) {
    int64_t few[K];
    for (int64_t j = 0; j < K; j++) few[j] = offsets[std::min(k + j, count - 1)];
    accumulate<K, N>(image, few, starts.data(), int64_t(starts.size()), width, gy, to + k * pitch, pitch,
                     int(std::min(int64_t(K), count - k)));
  }
}

// As many taps at a time as there are registers for (addresses too), and few in vain.
template <int N>
void accumulate_any(const Longs& offsets, const T* image, const Longs& starts, int64_t width, const T* gy, T* to) {
  const int64_t count = int64_t(offsets.size());
  const bool nine = (count + 8) / 9 * 9 <= (count + 7) / 8 * 8;
  if constexpr (9 * N > tuning::kTileVectors) accumulate_all<6, N>(offsets, image, starts, width, gy, to);
  else if (nine) accumulate_all<9, N>(offsets, image, starts, width, gy, to);
  else accumulate_all<8, N>(offsets, image, starts, width, gy, to);
}

void sum_in_channels(Sums& s, int64_t sample, int64_t group, int64_t strip, int64_t part, T* to) {
  const Convolution& c = *s.call;
  const Source& source = s.plan->source;
  const Pass& pass = s.plan->passes[0];
  int64_t begin[3] = {0, 0, 0}, n[3] = {pass.count[0], pass.count[1], pass.count[2]};
  begin[source.cut] = strip * source.rows;
  n[source.cut] = std::min(source.rows, n[source.cut] - begin[source.cut]);
  const T* image = image_of(source, sample, group, strip);
  Longs starts;
  for (int64_t i = 0; i < n[0]; i++)
    for (int64_t j = 0; j < n[1]; j++) starts.push_back(i * source.pitch[0] + j * source.pitch[1]);
  T* gy = scratch(1, n[0] * n[1] * n[2] * 2 * kLanes);
  for (int64_t block = part; block < blocks_of(c.outputs); block += s.parts) {
    const int64_t first = block * 2 * kLanes, wide = std::min(int64_t(2 * kLanes), c.outputs - first);
    const int64_t pitch = wide > kLanes ? 2 * kLanes : kLanes;
    const T* from = c.gy + ((sample * c.groups + group) * c.outputs + first) * s.plan->plane;
    turn(from, s.plan->plane, wide, begin, n, c.out, pitch, gy);
    T* sums = to + first * s.rows;
    if (wide > kLanes) accumulate_any<2>(pass.offsets, image, starts, n[2], gy, sums);
    else accumulate_any<1>(pass.offsets, image, starts, n[2], gy, sums);
    if (wide > kLanes) add_up<2>(gy, n[0] * n[1] * n[2], sums + s.taps * pitch);
    else add_up<1>(gy, n[0] * n[1] * n[2], sums + s.taps * pitch);
  }
}

void sum_in_lanes(Sums& s, int64_t sample, int64_t group, int64_t strip, T* to) {
  const Convolution& c = *s.call;
  const Source& source = s.plan->source;
  const Pass& pass = s.plan->passes[0];
  const Grid& grid = strip == source.strips - 1 ? pass.rest : pass.whole;
  const T* image = image_of(source, sample, group, strip);
  const int64_t count = grid.count();
  T* const rows = scratch(1, count * kWideLanes);
  for (int64_t o = 0; o < c.outputs; o++, to += s.rows * kWideLanes) {
    const T* plane = c.gy + ((sample * c.groups + group) * c.outputs + o) * s.plan->plane +
                     strip * source.rows * pass.step[source.cut];
    memset(rows, 0, count * kWideBytes);
    for (int64_t v = 0; v < count; v++) {
      T* const lanes = rows + v * kWideLanes;
      for (int64_t r = grid.first[v]; r < grid.first[v + 1]; r++) {
        const Run& run = grid.runs[r];
        copy_row(lanes + run.lane, plane + run.to, run.count);
      }
    }
    for (int64_t k = 0; k < s.taps; k += kTapsInLanes) {
      const int64_t left = std::min(kTapsInLanes, s.taps - k);
      int64_t few[kTapsInLanes];
      for (int64_t j = 0; j < kTapsInLanes; j++) few[j] = pass.offsets[std::min(k + j, s.taps - 1)];
      const auto sum = left <= 3 ? correlate<3> : correlate<kTapsInLanes>;
      sum(image, few, grid.at.data(), count, grid.masks.data(), (const Vec*)rows, to + k * kWideLanes, int(left));
    }
    add_up<kWide>(rows, count, to + s.taps * kWideLanes);
  }
}

// Adds the shares up, always in the same order.
void finish(Sums& s, int64_t group, int64_t block) {
  const Convolution& c = *s.call;
  if (s.by_lanes) {
    for (int64_t o = group * c.outputs, k = 0; k < c.outputs * s.rows; k++) {
      T sum = 0;
      for (int64_t share = 0; share < s.shares; share++) sum += total(s.at(share, group) + k * kWideLanes);
      s.put(o + k / s.rows, k % s.rows, sum);
    }
    return;
  }
  const int64_t first = block * 2 * kLanes, wide = std::min(int64_t(2 * kLanes), c.outputs - first);
  const int64_t pitch = wide > kLanes ? 2 * kLanes : kLanes;
  for (int64_t k = 0; k < s.rows; k++) {
    T sums[2 * kLanes] = {};
    for (int64_t share = 0; share < s.shares; share++) {
      const T* from = s.at(share, group) + first * s.rows + k * pitch;
      for (int64_t o = 0; o < pitch; o++) sums[o] += from[o];
    }
    for (int64_t o = 0; o < wide; o++) s.put(group * c.outputs + first + o, k, sums[o]);
  }
}

void weight_gradient(const Convolution& c) {
  const bool by_lanes = c.outputs <= kFewOutputs;
  const Blocking plan(c, false, by_lanes ? kWideLanes : kLanes);
  Sums s = {&c, &plan, by_lanes};
  s.taps = int64_t(plan.passes[0].offsets.size());
  s.rows = s.taps + 1;
  s.width = by_lanes ? c.outputs * kWideLanes : (c.outputs + kLanes - 1) / kLanes * kLanes;
  const int64_t width = by_lanes ? s.width : (c.outputs + kWideLanes - 1) / kWideLanes * kWideLanes;
  const int64_t bytes = c.groups * s.rows * width * int64_t(sizeof(T));
  const int64_t shares = std::min(c.samples, tuning::kConvolutionUnits / c.groups + 1);
  s.shares = std::max(int64_t(1), std::min(shares, tuning::kGradientBytes / bytes));
  const int64_t units = s.shares * c.groups;
  s.parts = s.by_lanes ? 1 : std::min(blocks_of(c.outputs), (tuning::kConvolutionUnits + units - 1) / units);
  s.memory.resize(s.shares * c.groups * s.rows * s.width);
  spread(c, s.shares * c.groups * s.parts, [&](int64_t k) {
    const int64_t part = k % s.parts, group = k / s.parts % c.groups, share = k / s.parts / c.groups;
    for (int64_t sample = share * c.samples / s.shares; sample < (share + 1) * c.samples / s.shares; sample++)
      for (int64_t strip = 0; strip < plan.source.strips; strip++) {
        if (s.by_lanes) sum_in_lanes(s, sample, group, strip, s.at(share, group));
        else sum_in_channels(s, sample, group, strip, part, s.at(share, group));
      }
  });
  const int64_t blocks = s.by_lanes ? 1 : blocks_of(c.outputs);
  spread(c, c.groups * blocks, [&](int64_t k) { finish(s, k / blocks, k % blocks); });
}

}  // namespace

// Returns 0, or 4 if there is not enough memory: as the runtime does.
extern "C" int cunet_convolve(const Convolution* call) {
  try {
    if (call->what == 2) weight_gradient(*call);
    else convolve(*call, call->what == 1);
  } catch (...) {
    return 4;
  }
  return 0;
}
