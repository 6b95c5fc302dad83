// Convolution without columns: the padded image of a sample lies in a buffer, and the row of the columns' matrix that
// belongs to a tap is a run of that image, shifted. Three products are made of such rows: forward, the gradient of
// the input (a convolution of the output's gradient for each remainder of the stride), and that of the weight.
//
// What stands before this text: the type T, tuning.h, conv.h and conv_plan.h. Threads are the runtime's.
namespace {

const int64_t kBig = tuning::kTileVectors / 3;  // channels of a full tile

// A unit that found no memory must not be run again: it may have added to its sums.
template <class Work> void spread(const Convolution& call, int64_t count, const Work& work) {
  struct Context {
    const Work& work;
    std::atomic<bool> failed;
  } context = {work, {false}};
  const auto run = [](void* p, int64_t k) {
    Context& c = *(Context*)p;
    try {
      if (!c.failed) c.work(k);
    } catch (...) {
      c.failed = true;
    }
  };
  call.parallel(run, &context, count, int(call.threads));
  if (context.failed) throw std::bad_alloc();
}

int64_t block_of(int64_t left) { return left >= kBig ? kBig : left >= 4 ? 4 : left >= 2 ? 2 : 1; }

// weight (outputs of all groups, channels, taps) as the tiles read it; for a gradient outputs and channels change
// places.
void pack(const Convolution& c, const Plan& plan, Pass& pass, bool gradient) {
  const int64_t taps = c.kernel[0] * c.kernel[1] * c.kernel[2];
  const int64_t inner = plan.source.channels, per_output = gradient ? taps : c.channels * taps;
  const int64_t per_inner = gradient ? c.channels * taps : taps;
  pass.weight.resize(c.groups * plan.outputs * int64_t(pass.offsets.size()));
  T* to = pass.weight.data();
  for (int64_t g = 0; g < c.groups; g++)
    for (int64_t o = 0, block; o < plan.outputs; o += block) {
      block = block_of(plan.outputs - o);
      const T* from = c.weight + g * c.outputs * c.channels * taps + o * per_output;
      for (int64_t k = 0; k < inner; k++)
        for (int64_t tap : pass.taps)
          for (int64_t b = 0; b < block; b++) *to++ = from[b * per_output + k * per_inner + tap];
    }
}

// What tiles of a unit have in common.
struct Area {
  const Pass& pass;
  const Grid& grid;
  const T *image, *weight, *bias;  // from the first channel on
  T* to;
  int64_t plane, dense;  // dense: elements of `to` that follow each other and may be written more than once
};

// Stores N vectors from v on of a channel. What is written behind a run belongs to the next, which comes later.
template <int N> CUNET_ALWAYS void store(const Area& a, int64_t v, int64_t end, const Vec* sums, T* to) {
  const T* lanes = (const T*)sums;
  for (int64_t j = 0; j < N && v + j < end; j++, lanes += kLanes)
    for (int64_t r = a.grid.first[v + j]; r < a.grid.first[v + j + 1]; r++) {
      const Run& run = a.grid.runs[r];
      T* const at = to + run.to;
      if (run.to + kLanes <= a.dense) *(Loose*)at = load(lanes + run.lane);
      else if (a.pass.step[2] == 1) copy_row(at, lanes + run.lane, run.count);
      else
        for (int k = 0; k < run.count; k++) at[k * a.pass.step[2]] = lanes[run.lane + k];
    }
}

// M channels from o on, N vectors from v on but none beyond `end`.
template <int M, int N> void tile(const Area& a, int64_t o, int64_t v, int64_t end) {
  const int64_t taps = int64_t(a.pass.offsets.size());
  Vec sums[M * N + 1];  // a run of the last one may be read past its end
  int64_t at[N];
  for (int64_t j = 0; j < N; j++) {
    const int64_t vector = std::min(v + j, end - 1);
    at[j] = a.grid.at[vector];
    const T* soon = a.to + o * a.plane + a.grid.runs[a.grid.first[vector]].to;
    for (int m = 0; m < M; m++) __builtin_prefetch(soon + m * a.plane, 1);
  }
  multiply<M, N>(a.image, a.pass.offsets.data(), taps, a.weight + o * taps, a.bias ? a.bias + o : nullptr, at, sums);
  for (int m = 0; m < M; m++) store<N>(a, v, end, sums + m * N, a.to + (o + m) * a.plane);
}

// N vectors from v on, for all channels [first, end).
template <int N> void column(const Area& a, int64_t first, int64_t end, int64_t v, int64_t stop) {
  const int wide = N == 2 ? 3 : N;  // where channels are few, a vector in vain costs little
  for (int64_t o = first, block; o < end; o += block) {
    block = block_of(end - o);
    if constexpr (N < 8) {
      if (block == kBig) tile<kBig, N>(a, o, v, stop);
      else if (block == 4) tile<4, wide>(a, o, v, stop);
    }
    if (block == 2) tile<2, wide>(a, o, v, stop);
    else if (block == 1) tile<1, wide>(a, o, v, stop);
  }
}

void unit(const Convolution& c, const Plan& plan, int64_t sample, int64_t group, int64_t strip, int64_t first,
          int64_t end) {
  const Source& s = plan.source;
  const T* image = image_of(s, sample, group, strip);
  const int64_t channel = group * plan.outputs;
  for (const Pass& pass : plan.passes) {
    const Grid& grid = strip == s.strips - 1 ? pass.rest : pass.whole;
    const int64_t count = grid.count();
    if (!count) continue;
    T* to = c.result + (sample * c.groups * plan.outputs + channel) * plan.plane + pass.base +
            strip * s.rows * pass.step[s.cut];
    const Run& last = grid.runs.back();
    const int64_t *step = pass.step, *n = pass.count;
    const bool dense = step[2] == 1 && step[1] == n[2] && step[0] == n[1] * n[2];
    const Area area = {pass, grid, image, pass.weight.data() + channel * int64_t(pass.offsets.size()),
                       c.bias ? c.bias + channel : nullptr, to, plan.plane, dense ? last.to + last.count : 0};
    int64_t v = 0;
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
  Vec* rows = (Vec*)scratch(1, count * kLanes);
  for (int64_t o = 0; o < c.outputs; o++, to += s.rows * kLanes) {
    const T* plane = c.gy + ((sample * c.groups + group) * c.outputs + o) * s.plan->plane +
                     strip * source.rows * pass.step[source.cut];
    for (int64_t v = 0; v < count; v++) {
      T* const lanes = (T*)&rows[v];
      *(Loose*)lanes = Vec();
      for (int64_t r = grid.first[v]; r < grid.first[v + 1]; r++) {
        const Run& run = grid.runs[r];
        copy_row(lanes + run.lane, plane + run.to, run.count);
      }
    }
    for (int64_t k = 0; k < s.taps; k += 9) {
      const int64_t left = s.taps - k;
      int64_t few[9];
      for (int64_t j = 0; j < 9; j++) few[j] = pass.offsets[std::min(k + j, s.taps - 1)];
      const auto sum = left <= 3 ? correlate<3> : correlate<9>;
      sum(image, few, grid.at.data(), count, grid.masks.data(), rows, to + k * kLanes, int(std::min(int64_t(9), left)));
    }
    add_up<1>((const T*)rows, count, to + s.taps * kLanes);
  }
}

// Adds the shares up, always in the same order.
void finish(Sums& s, int64_t group, int64_t block) {
  const Convolution& c = *s.call;
  if (s.by_lanes) {
    for (int64_t o = group * c.outputs, k = 0; k < c.outputs * s.rows; k++) {
      T sum = 0;
      for (int64_t share = 0; share < s.shares; share++) sum += total(load(s.at(share, group) + k * kLanes));
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
  const Plan plan(c, false);
  Sums s = {&c, &plan};
  s.taps = int64_t(plan.passes[0].offsets.size());
  s.rows = s.taps + 1;
  s.by_lanes = c.outputs <= kLanes / 2;
  s.width = s.by_lanes ? c.outputs * kLanes : (c.outputs + kLanes - 1) / kLanes * kLanes;
  const int64_t bytes = c.groups * s.rows * s.width * int64_t(sizeof(T));
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

void convolve(const Convolution& c, bool gradient) {
  Plan plan(c, gradient);
  for (Pass& pass : plan.passes) pack(c, plan, pass, gradient);
  const int64_t units = c.samples * c.groups * plan.source.strips;
  const int64_t blocks = (plan.outputs + kBig - 1) / kBig;
  // Weights beyond what stays close are gone through part by part.
  const int64_t taps = c.kernel[0] * c.kernel[1] * c.kernel[2];
  const int64_t bytes = c.outputs * c.channels * taps * int64_t(sizeof(T));  // of a group
  const int64_t wanted = (tuning::kConvolutionUnits + units - 1) / units;
  const int64_t parts = std::min(blocks, std::max(wanted, bytes / (2 * tuning::kStripBytes)));
  spread(c, units * parts, [&](int64_t k) {
    const int64_t part = k / units, strip = k % units % plan.source.strips, image = k % units / plan.source.strips;
    const int64_t first = part * blocks / parts * kBig;
    const int64_t end = std::min(plan.outputs, (part + 1) * blocks / parts * kBig);
    unit(c, plan, image / c.groups, image % c.groups, strip, first, end);
  });
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
