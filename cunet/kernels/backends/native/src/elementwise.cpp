// Elementwise kernels over arrays of any layout: how the work is cut into units, and how one is run.

namespace {

struct Job : Layout {
  Body bodies[3];  // factors are arrays in all, single numbers in a row, or of both kinds
  Body body;
  int64_t total, base, weight;
  // One row, or the rows of one step of the outer axes, are cut: `across` rows and `along` elements are a unit.
  int64_t inner, middle, across, along, bands, parts, units;
  bool short_rows;  // all operands are packed, and the unit is one row
};

// Where the operands of a unit lie; copies those that the body cannot read.
void point(const Job& job, int64_t row, int64_t first, int64_t rows, int64_t from, int64_t n, void** pointers,
           int64_t* steps) {
  const int last = job.ndim - 1;
  for (int k = 0; k < job.count; k++) {
    const Operand& o = job.operands[k];
    if (o.raw) {
      pointers[k] = o.data, steps[k] = 0;
    } else if (job.short_rows) {
      steps[k] = 0;
      pointers[k] = o.buffered ? buffer(k) : o.data + (o.single ? 0 : row * n * o.size);
      if (o.buffered) gather(o, job, row, rows, buffer(k));
    } else {
      steps[k] = last ? o.strides[last - 1] : 0;
      char* start = o.data + first * steps[k] + from * o.strides[last];
      if (last > 1) start += offset_of(o, job, row - first, last);
      pointers[k] = start;
      if (!o.buffered) continue;
      copy(buffer(k), start, o.size, rows, n, steps[k], o.strides[last]);
      pointers[k] = buffer(k), steps[k] = n * o.size;
    }
  }
}

void run_unit(const Job& job, int64_t unit) {
  void* pointers[kOperands];
  int64_t steps[kOperands];
  const int64_t part = unit % job.parts, band = unit / job.parts % job.bands, outer = unit / job.parts / job.bands;
  const int64_t first = band * job.across, from = part * job.along;
  const int64_t rows = job.middle - first < job.across ? job.middle - first : job.across;
  const int64_t n = job.inner - from < job.along ? job.inner - from : job.along;
  const int64_t row = outer * job.middle + first;
  point(job, row, first, rows, from, n, pointers, steps);
  if (job.short_rows) job.body(pointers, steps, 1, rows * n, job.base + row * job.inner);
  else job.body(pointers, steps, rows, n, job.base + row * job.inner + from);
}

// Chooses among the bodies by how the factors lie; returns whether some operand must be copied.
bool choose_body(Job& job) {
  const int last = job.ndim - 1;
  bool single = true, mixed = job.bodies[2];
  for (int k = 0; k < job.count; k++) {
    const Operand& o = job.operands[k];
    if (!o.factor) continue;
    bool one = o.strides[last] == 0;
    for (int axis = 0; axis < last && job.short_rows; axis++) one &= o.strides[axis] == 0;
    single &= one;
    mixed &= one || o.factor == kOneEachColumn;
  }
  if (!job.bodies[1]) single = false;
  job.body = job.bodies[single ? 1 : mixed ? 2 : 0];
  bool buffered = false;
  for (int k = 0; k < job.count; k++) {
    Operand& o = job.operands[k];
    bool packed = true;
    o.repeated = o.factor && !job.short_rows;
    for (int axis = 0; axis <= last; axis++) o.repeated &= o.strides[axis] == 0;
    for (int64_t axis = last, expected = o.size; axis >= 0 && job.short_rows; expected *= job.shape[axis--])
      packed &= o.strides[axis] == expected;
    o.single = o.factor && (single || (mixed && o.factor == kOneEachRow));
    o.repeated &= !o.single;
    const bool readable = job.short_rows ? packed : o.strides[last] == o.size || job.inner == 1;
    o.buffered = !o.raw && !o.single && !o.repeated && !readable;
    buffered |= o.buffered;
  }
  return buffered;
}

void plan(Job& job) {
  merge_axes(job);
  const int last = job.ndim - 1;
  job.inner = job.shape[last];
  job.middle = last ? job.shape[last - 1] : 1;
  job.short_rows = last && job.inner < tuning::kShortRow;
  const bool buffered = choose_body(job);
  if (buffered) buffer(0);  // now, when nothing is changed yet
  int64_t limit = buffered || job.short_rows ? tuning::kBufferElements : tuning::kUnitElements;
  if (limit * job.weight > tuning::kWorthSharing) limit = tuning::kWorthSharing / job.weight + 1;
  if (job.short_rows) {  // over all rows
    job.middle = job.total / job.inner;
    if (limit < job.inner) limit = job.inner;
  }
  job.along = job.inner < limit ? job.inner : limit;
  job.across = job.inner < limit ? limit / job.inner : 1;
  job.parts = (job.inner + job.along - 1) / job.along;
  job.bands = (job.middle + job.across - 1) / job.across;
  job.units = job.total / job.inner / job.middle * job.bands * job.parts;
  for (int k = 0; k < job.count; k++) {  // a number where the body wants an array: as long as a unit's row
    Operand& o = job.operands[k];
    if (!o.repeated) continue;
    char* to = scratch(k, job.along * o.size);
    copy(to, o.data, o.size, 1, job.along, 0, 0);
    o.data = to;
  }
}

}  // namespace
