// What Python asks of plans: to record one, to say where its arrays are, to replay it.

namespace {

bool as_expected(const Header& h, const Array& a) {
  if (a.ndim != h.array.ndim || letter_of(a) != letter_of(h.array) || !(a.flags & kAligned)) return false;
  for (int k = 0; k < a.ndim; k++)
    if (a.shape[k] != h.shape[k] || (a.shape[k] != 1 && a.strides[k] != h.strides[k])) return false;
  return true;
}

int replay(const Record& r) {
  const int64_t* c = r.call;
  switch (r.what) {
    case kRun: return runtime.run((const Call*)c[0]);
    case kReduce: return runtime.reduce((const Call*)c[0], (const int64_t*)c[1], int(c[2]), int(c[3]));
    case kTogether: return runtime.together((const TiledCall*)c[0], c[1], c[2], c[3]);
    case kProduct: return runtime.product(c[0], c[1], c[2], int(c[3]));
    case kAssign: return runtime.assign(c[0], c[1], int(c[2]));
    default: return ((Opaque)r.kernel)((const char*)c[0]);
  }
}

bool lies_apart(const Plan& p, const uint64_t* objects) {
  for (size_t k = 0; k < p.expected.size(); k++) {
    const int64_t at = int64_t(array_at(objects[k]).data), low = at + p.reaches[k].low, high = at + p.reaches[k].high;
    for (const Span& s : p.kept)
      if (low < s.high && s.low < high) return false;
  }
  return true;
}

}  // namespace

extern "C" {

void cunet_plan_start(int64_t header, const Runtime* functions) { object_header = header, runtime = *functions; }

// Records what this thread calls from here on to `cunet_plan_end`, which returns the plan.
int cunet_plan_begin(Region* region) {
  if (!(recorded = new (std::nothrow) Plan())) return kNoMemory;
  listen_to_faults(*region);
  shut(*region);
  runtime.listen(on_call);
  return kDone;
}

Plan* cunet_plan_end() {
  runtime.listen(nullptr);
  open(*watched);
  ignore_faults();
  Plan* p = recorded;
  recorded = nullptr;
  return p;
}

// How often something else has touched the region, as far as that was not forgiven.
int64_t cunet_plan_faults() { return watched->faults; }

// Puts a call of Python's in place of the records from `first` on: each of `count` rows of `what` is an object, and
// whether its elements are written. What was touched belongs to it.
void cunet_plan_host(int64_t first, int64_t count, const int64_t* what) {
  Plan& p = *recorded;
  p.records.resize(first);
  while (!p.operands.empty() && p.operands.back().record >= first) p.operands.pop_back();
  while (!p.numbers.empty() && p.numbers.back().record >= first) p.numbers.pop_back();
  for (int64_t k = 0; k < count; k++) array(p, what[2 * k], what[2 * k + 1]);
  p.records.push_back({kHost, nullptr, {}, 0});
  forgive(*watched);
}

int64_t cunet_plan_count() { return int64_t(recorded->records.size()); }

// Lets who calls it touch the region, or ends that.
void cunet_plan_window(int opened) { opened ? (void)open(*watched) : shut(*watched); }

// Calls a function of one string of bytes, and records it. The bytes hold addresses: each of `count` rows of `what`
// says where one is, of which array, and whether its elements are written; or, with a size, of which other bytes.
int cunet_plan_opaque(Opaque function, const char* call, int64_t size, int64_t count, const int64_t* what) {
  Plan& p = *recorded;
  if (open(*watched)) p.whole = false;
  runtime.listen(nullptr);
  const int code = function(call);
  runtime.listen(on_call);
  shut(*watched);
  if (code) return code;
  char* copy = p.keep(call, size);
  uint64_t hash = 0;
  for (const int64_t* row = what; row < what + 4 * count; row += 4) memset(copy + row[0], 0, sizeof(char*));
  for (const int64_t* row = what; row < what + 4 * count; row += 4) {
    if (row[3]) hash = hash_of((const char*)row[1], row[3], hash);
    if (!row[3]) add_operand(p, header_of(p, row[1]), (char**)(copy + row[0]), row[2]);
  }
  hash = hash_of(copy, size, hash);
  for (const int64_t* row = what; row < what + 4 * count; row += 4)
    if (row[3]) *(char**)(copy + row[0]) = p.keep((const char*)row[1], row[3]);
  p.records.push_back({kOther, (const void*)function, {int64_t(copy), size}, hash});
  return code;
}

// Gives memory that was freed back to the system, as far as the C library keeps it.
void cunet_trim() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

// Writes for each of `count` spans of bytes, which are pairs of addresses, a hash of what is there.
void cunet_hashes(const int64_t* spans, int64_t count, uint64_t* out) {
  for (int64_t k = 0; k < count; k++) out[k] = hash_of_much((const char*)spans[2 * k], spans[2 * k + 1] - spans[2 * k]);
}

// How many records, operands and numbers there are, and whether all was recorded.
void cunet_plan_sizes(const Plan* p, int64_t* out) {
  out[0] = p->records.size(), out[1] = p->operands.size(), out[2] = p->numbers.size(), out[3] = p->whole;
}

void cunet_plan_records(const Plan* p, int64_t* out) {
  for (const Record& r : p->records) *out++ = r.what, *out++ = int64_t(r.kernel), *out++ = int64_t(r.hash);
}

void cunet_plan_operands(const Plan* p, int64_t* out) {
  for (const Place& o : p->operands) {
    const Array& a = o.header->array;
    const int64_t row[8] = {o.record, int64_t(o.data), o.low, o.high, o.written, letter_of(a), a.ndim, 0};
    memcpy(out, row, sizeof row);
    for (int k = 0; k < kAxes; k++) {
      out[8 + k] = k < a.ndim ? a.shape[k] : 0;
      out[8 + kAxes + k] = k < a.ndim ? a.strides[k] : 0;
    }
    out += 8 + 2 * kAxes;
  }
}

void cunet_plan_numbers(const Plan* p, int64_t* out) {
  for (const Number& n : p->numbers) *out++ = n.record, *out++ = n.position, *out++ = n.letter, *out++ = *n.place;
}

// Says where the elements of an operand are from now on.
void cunet_plan_place(Plan* p, int64_t operand, int64_t address) { *p->operands[operand].place = (char*)address; }

// Says that they are `offset` bytes from those of the moving array `array`.
void cunet_plan_move(Plan* p, int64_t operand, int64_t array, int64_t offset) {
  p->moving.push_back({p->operands[operand].place, array, offset});
}

// Adds a moving array, which must have the layout of this one.
void cunet_plan_expect(Plan* p, uint64_t object) {
  p->expected.push_back(header_of(*p, object));
  p->reaches.push_back(reach_of(array_at(object)));
}

// Says that these bytes are written, and were there before.
void cunet_plan_keep(Plan* p, int64_t low, int64_t high) { p->kept.push_back({low, high}); }

// Says what of the records [first, first + count) waits for what; see `Stretch`.
void cunet_plan_order(Plan* p, int64_t first, int64_t count, const int32_t* records, const int32_t* waits,
                      const int32_t* begins, const int32_t* followers) {
  const auto kept = [p](const int32_t* from, int64_t n) { return (const int32_t*)p->keep(from, n * sizeof(int32_t)); };
  const Graph graph = {count, kept(waits, count), kept(begins, count + 1), kept(followers, begins[count])};
  p->stretches.push_back({first, kept(records, count), graph});
}

// Adds a number to those that are given in each replay.
void cunet_plan_vary(Plan* p, int64_t number) { p->varying.push_back(p->numbers[number].place); }

// Sets these moving arrays and numbers. Returns -1 if an array is not laid out as it was recorded, and has then done
// nothing; else 0.
int cunet_plan_set(Plan* p, const uint64_t* objects, const uint64_t* numbers) {
  for (size_t k = 0; k < p->expected.size(); k++)
    if (!as_expected(*p->expected[k], array_at(objects[k]))) return -1;
  p->apart = p->stretches.empty() || lies_apart(*p, objects);
  for (const Moving& m : p->moving) *m.place = array_at(objects[m.array]).data + m.offset;
  for (size_t k = 0; k < p->varying.size(); k++) *p->varying[k] = numbers[k];
  return kDone;
}

// Runs the calls [first, end), in `threads` threads where `cunet_plan_order` told how. Returns 0, or what the call
// returned that failed.
int cunet_plan_run(const Plan* p, int64_t first, int64_t end, int threads) {
  for (const Stretch& s : p->stretches) {
    if (s.first != first || !p->apart) continue;
    const std::pair<const Plan*, const Stretch*> work = {p, &s};
    return runtime.tasks(&s.graph, [](void* context, int64_t k) {
      const auto& [plan, stretch] = *(const std::pair<const Plan*, const Stretch*>*)context;
      return replay(plan->records[stretch->records[k]]);
    }, (void*)&work, threads);
  }
  for (int64_t k = first; k < end; k++)
    if (int problem = replay(p->records[k])) return problem;
  return kDone;
}

// Runs them one by one, and notes for each how many nanoseconds it took, if it never took less.
int cunet_plan_time(const Plan* p, int64_t first, int64_t end, int64_t* least) {
  for (int64_t k = first; k < end; k++) {
    const auto began = std::chrono::steady_clock::now();
    if (int problem = replay(p->records[k])) return problem;
    const int64_t spent = std::chrono::nanoseconds(std::chrono::steady_clock::now() - began).count();
    if (least[k] == 0 || spent < least[k]) least[k] = spent;
  }
  return kDone;
}

void cunet_plan_free(Plan* p) { delete p; }
}
