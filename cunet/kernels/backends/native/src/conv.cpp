// Convolution without columns: the padded image of a sample lies in a buffer, and the row of the columns' matrix that
// belongs to a tap is a run of that image, shifted. Three products are made of such rows: forward, the gradient of
// the input (a convolution of the output's gradient for each remainder of the stride), and that of the weight
// (conv_weight.cpp).
//
// What stands before this text: the type T, tuning.h, conv.h, conv_image.h and conv_blocking.h. Threads are those of
// the runtime.
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
void pack(const Convolution& c, const Blocking& plan, Pass& pass, bool gradient) {
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
      if (run.to + kLanes <= a.dense) *(Unaligned*)at = load(lanes + run.lane);
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

void unit(const Convolution& c, const Blocking& plan, int64_t sample, int64_t group, int64_t strip, int64_t first,
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

void convolve(const Convolution& c, bool gradient) {
  Blocking plan(c, gradient);
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
