// Reductions over neighbouring axes: columns that are folded side by side, or rows that are folded each in lanes.

namespace {

struct ReductionJob {
  const ReductionBody* body;
  int inputs, count, ndim;
  int64_t shape[kAxes];
  Layout kept;                // the axes that stay, outer ones first; `operands` hold strides along them
  bool post_only[kOperands];  // a number that is used after the fold only
  int64_t length;             // of the axis that is folded
  int64_t along[kOperands];   // stride along it
  int64_t width;              // length of the last axis that stays, in which columns lie next to each other
  int64_t block, blocks;      // columns of a unit, and how many units are in a row of columns
  bool in_rows;               // each row is folded in lanes
  FoldRows rows;
  int still;                  // which `fold`
  int64_t units, weight;
};

// Fills pointers and steps for the columns [from, from + n) of row `row`, folded from `at` on; returns for how many.
int64_t point(const ReductionJob& r, int64_t row, int64_t from, int64_t n, int64_t at, void** pointers,
              int64_t* steps) {
  const Layout& kept = r.kept;
  const int last = kept.ndim - 1;
  int64_t count = r.length - at;
  for (int pass = 0; pass < 2; pass++) {
    for (int k = 0; k < r.inputs; k++) {
      const Operand& o = kept.operands[k];
      const int64_t stride = o.strides[last];
      char* start = o.data + offset_of(o, kept, row, last) + from * stride + at * r.along[k];
      const bool direct = r.post_only[k] || (o.factor && r.still) || stride == o.size || n == 1;
      if (direct && r.along[k] % o.size == 0) {
        pointers[k] = start, steps[k] = r.along[k] / o.size;
        continue;
      }
      const bool once = r.along[k] == 0;
      if (pass == 0) {
        if (!once && count > tuning::kBufferElements / n) count = tuning::kBufferElements / n;
        continue;
      }
      char* to = buffer(k);
      pointers[k] = to, steps[k] = once ? 0 : n;
      copy(to, start, o.size, once ? 1 : count, n, r.along[k], stride);
    }
  }
  return count;
}

void fold_columns(const ReductionJob& r, int64_t unit) {
  const ReductionBody& body = *r.body;
  const int64_t pitch = tuning::kBufferElements;
  const int64_t row = unit / r.blocks, from = unit % r.blocks * r.block;
  const int64_t n = r.width - from < r.block ? r.width - from : r.block;
  char *state = scratch(0, pitch * 8 * 8), *before = scratch(1, pitch * 8);
  void* pointers[kOperands];
  int64_t steps[kOperands];
  for (int pass = body.between ? 0 : 1; pass < 2; pass++) {
    (pass ? body.start : body.first_start)(state, pitch, n);
    for (int64_t at = 0; at < r.length;) {
      const int64_t count = point(r, row, from, n, at, pointers, steps);
      (pass ? body.fold : body.first_fold)[r.still](pointers, steps, count, n, state, pitch, before);
      at += count;
    }
    if (!pass) body.between(state, pitch, n, r.length, before);
  }
  for (int k = 0; k < r.count; k++) {
    const Operand& o = r.kept.operands[k];
    pointers[k] = k < r.inputs ? o.data : o.data + (row * r.width + from) * o.size;
  }
  body.post(state, pitch, n, r.length, before, pointers);
}

void fold_rows(const ReductionJob& r, int64_t unit) {
  const Layout& kept = r.kept;
  const int64_t first = unit * r.block, end = first + r.block < r.width ? first + r.block : r.width;
  void* pointers[kOperands];
  int64_t steps[kOperands];
  for (int k = 0; k < r.count; k++) steps[k] = kept.operands[k].size;
  for (int64_t row = first, rows; row < end; row += rows) {
    rows = kept.shape[kept.ndim - 1] - row % kept.shape[kept.ndim - 1];  // to the end of the last axis that stays
    if (rows > end - row) rows = end - row;
    for (int k = 0; k < r.count; k++) if (kept.operands[k].buffered) rows = 1;
    for (int k = 0; k < r.count; k++) {
      const Operand& o = kept.operands[k];
      if (k >= r.inputs) {
        pointers[k] = o.data + row * o.size;
        continue;
      }
      const int64_t offset = offset_of(o, kept, row, kept.ndim);
      pointers[k] = o.data + offset, steps[k] = o.strides[kept.ndim - 1];
      if (!o.buffered) continue;
      char* to = scratch(k, r.length * o.size);
      copy(to, o.data + offset, o.size, 1, r.length, 0, r.along[k]);
      pointers[k] = to;
    }
    r.rows(pointers, steps, rows, r.length);
  }
}

void fold_unit(const ReductionJob& r, int64_t unit) { r.in_rows ? fold_rows(r, unit) : fold_columns(r, unit); }

// Makes one axis of the axes [first, end); tells whether each operand walks them in one stride.
bool join_folded(ReductionJob& r, int first, int end) {
  r.length = 1;
  for (int k = 0; k < r.inputs; k++) r.along[k] = 0;
  for (int axis = end - 1; axis >= first; axis--) {
    if (r.shape[axis] == 1) continue;
    for (int k = 0; k < r.inputs; k++) {
      const int64_t stride = r.kept.operands[k].strides[axis];
      if (r.length == 1) r.along[k] = stride;
      else if (stride != r.along[k] * r.length) return false;
    }
    r.length *= r.shape[axis];
  }
  return true;
}

// Leaves the other axes: outer ones, then a last one of columns, of length 1 where the folded axis was the last; tells
// whether the inner axes can be joined to columns.
bool keep_others(ReductionJob& r, int first, int end, bool columns, int64_t inner) {
  Layout& kept = r.kept;
  int axes = 0;
  for (int axis = 0; axis < r.ndim; axis++) {
    if ((axis >= first && axis < end) || (r.shape[axis] == 1 && axis >= end)) continue;
    for (int k = 0; k < r.inputs; k++) kept.operands[k].strides[axes] = kept.operands[k].strides[axis];
    kept.shape[axes++] = r.shape[axis];
  }
  kept.ndim = axes;
  kept.count = r.inputs;
  if (!columns) {
    merge_axes(kept);
    return true;
  }
  for (int axis = first; axis + 1 < axes; axis++)
    for (int k = 0; k < r.inputs; k++) {
      const int64_t* strides = kept.operands[k].strides;
      if (strides[axis] != kept.shape[axis + 1] * strides[axis + 1]) return false;
    }
  for (int k = 0; k < r.inputs; k++) kept.operands[k].strides[first] = kept.operands[k].strides[axes - 1];
  kept.shape[first] = inner;
  kept.ndim = first + 1;
  return true;
}

// Chooses among the functions of the kernel by how the factors lie.
void choose_fold(ReductionJob& r) {
  Layout& kept = r.kept;
  bool single = true, mixed = r.body->rows[2];
  r.still = r.body->fold[1] != nullptr;
  for (int k = 0; k < r.inputs; k++) {
    const Operand& o = kept.operands[k];
    if (!o.factor || r.post_only[k]) continue;
    single &= r.along[k] == 0;
    mixed &= r.along[k] == 0 || o.factor == kOneEachColumn;
    r.still &= o.strides[kept.ndim - 1] == 0;
  }
  if (!r.body->rows[1]) single = false;
  r.rows = r.body->rows[single ? 1 : mixed ? 2 : 0];
  for (int k = 0; k < r.inputs; k++) {
    Operand& o = kept.operands[k];
    o.single = r.post_only[k] || (o.factor && (single || (mixed && o.factor == kOneEachRow)));
    o.buffered = r.in_rows && !o.single && r.along[k] != o.size;
  }
}

// Decides on how the axes [first, end) are folded.
int plan(ReductionJob& r, int first, int end) {
  if (!join_folded(r, first, end)) return kOtherLayout;
  int64_t inner = 1, outer = 1;
  for (int axis = end; axis < r.ndim; axis++) inner *= r.shape[axis];
  for (int axis = 0; axis < first; axis++) outer *= r.shape[axis];
  r.units = 0;
  if (outer * inner == 0) return kDone;
  r.in_rows = inner == 1 && r.length > 1 && !(r.length < tuning::kShortFold && outer > 1);
  if (!keep_others(r, first, end, inner > 1, inner)) return kOtherLayout;
  choose_fold(r);
  if (r.in_rows) {
    if (!r.rows) return kOtherLayout;
    r.width = outer;
    r.block = r.length < tuning::kUnitElements ? tuning::kUnitElements / r.length : 1;
    r.units = (outer + r.block - 1) / r.block;
    return kDone;
  }
  r.width = r.kept.shape[r.kept.ndim - 1];
  r.block = r.width < tuning::kBufferElements ? r.width : tuning::kBufferElements;
  r.blocks = (r.width + r.block - 1) / r.block;
  r.units = outer * inner / r.width * r.blocks;
  return kDone;
}

}  // namespace
