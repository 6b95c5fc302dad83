// The calls of a recorded step, with copies of all that they read but the elements of arrays.

namespace {

const int kHost = kOther + 1;
typedef int (*Opaque)(const char* call);

// The functions of the runtime, in this order.
struct Runtime {
  void (*listen)(void (*)(int, const int64_t*, int));
  int (*run)(const Call*);
  int (*reduce)(const Call*, const int64_t*, int, int);
  int (*together)(const TiledCall*, int64_t, int64_t, int64_t);
  int (*product)(uint64_t, uint64_t, uint64_t, int);
  int (*assign)(uint64_t, uint64_t, int);
  int (*tasks)(const Graph*, int (*)(void*, int64_t), void*, int);
} runtime;

// An array as calls see one, without an array of Python's: `at()` is what they take for the object.
struct Header {
  Dtype dtype;
  Array array;
  int64_t shape[kAxes], strides[kAxes];
  uint64_t at() const { return uint64_t(&array) - object_header; }
};

struct Place {
  int64_t record;
  char** place;  // where the address of the elements stands in the copies
  char* data;    // what stood there
  int64_t low, high;
  bool written;
  const Header* header;
};

struct Number {
  int64_t record, position;
  uint64_t* place;
  char letter;
};

struct Record {
  int what;
  const void* kernel;  // what tells calls of one sort from others
  int64_t call[4];
  uint64_t hash;  // of what else the call was given
};

// An operand whose array is another one in each replay.
struct Moving {
  char** place;
  int64_t array, offset;
};

// Bytes from `low` on, before `high`: at these addresses, or so far from where an array's first element is.
struct Span {
  int64_t low, high;
};

// Calls that may be made side by side: those from `first` on, in the order `records`, as the tasks of a graph.
struct Stretch {
  int64_t first;
  const int32_t* records;
  Graph graph;
};

struct Plan {
  std::vector<Record> records;
  std::vector<Place> operands;
  std::vector<Number> numbers;
  std::vector<std::unique_ptr<char[]>> memory;
  std::vector<Moving> moving;
  std::vector<const Header*> expected;  // of each moving array
  std::vector<Span> reaches;            // the same: where its elements are
  std::vector<Span> kept;               // written, and there before: what moves may lie in it
  std::vector<Stretch> stretches;
  bool apart = true;  // no moving array lies in `kept`
  std::vector<uint64_t*> varying;
  bool whole = true;  // nothing came that cannot be replayed

  char* keep(const void* from, size_t size) {
    memory.emplace_back(new char[size]);
    memcpy(memory.back().get(), from, size);
    return memory.back().get();
  }
};

Plan* recorded = nullptr;

// Fowler, Noll and Vo's hash.
uint64_t hash_of(const void* from, size_t size, uint64_t hash = 0xcbf29ce484222325) {
  for (size_t k = 0; k < size; k++) hash = (hash ^ ((const unsigned char*)from)[k]) * 0x100000001b3;
  return hash;
}

// The same of eight words at a time, each by a hash of its own: these do not wait for each other.
uint64_t hash_of_much(const char* from, size_t size) {
  const size_t lanes = 8, step = lanes * sizeof(uint64_t);
  uint64_t hashes[lanes];
  for (size_t k = 0; k < lanes; k++) hashes[k] = 0xcbf29ce484222325 + k;
  for (; size >= step; from += step, size -= step) {
    uint64_t words[lanes];
    memcpy(words, from, step);
    for (size_t k = 0; k < lanes; k++) hashes[k] = ((hashes[k] ^ words[k]) * 0x9e3779b97f4a7c15) ^ hashes[k] >> 29;
  }
  return hash_of(from, size, hash_of(hashes, sizeof hashes));
}

Header* header_of(Plan& p, uint64_t object) {
  const Array& a = array_at(object);
  const Header empty = {};
  Header* h = (Header*)p.keep(&empty, sizeof empty);
  h->array = a;
  h->dtype = *(const Dtype*)(a.dtype + object_header);
  h->array.dtype = (char*)&h->dtype - object_header;
  for (int k = 0; k < a.ndim; k++) h->shape[k] = a.shape[k], h->strides[k] = a.strides[k];
  h->array.shape = h->shape, h->array.strides = h->strides, h->array.base = nullptr;
  return h;
}

Span reach_of(const Array& a) {
  Span s = {0, size_of(letter_of(a))};
  for (int k = 0; k < a.ndim; k++) {
    const int64_t reach = (a.shape[k] - 1) * a.strides[k];
    if (a.shape[k] == 0) s = {0, 0};
    if (s.high) (reach < 0 ? s.low : s.high) += reach;
  }
  return s;
}

void add_operand(Plan& p, const Header* h, char** place, bool written) {
  const Span s = reach_of(h->array);
  const int64_t at = int64_t(h->array.data);
  p.operands.push_back({int64_t(p.records.size()), place, h->array.data, at + s.low, at + s.high, written, h});
}

uint64_t array(Plan& p, uint64_t object, bool written) {
  if (array_at(object).ndim > kAxes) return p.whole = false, object;
  Header* h = header_of(p, object);
  add_operand(p, h, &h->array.data, written);
  return h->at();
}

Call* copy_of(Plan& p, const Call* call, int inputs, int count, const char* letters, size_t kernel_size, int64_t nth) {
  const size_t size = offsetof(Call, slots) + count * sizeof(uint64_t);
  Call* c = (Call*)p.keep(call, size);
  c->kernel = p.keep(call->kernel, kernel_size);
  for (int k = 0; k < count; k++) {
    if (c->arrays >> k & 1)
      c->slots[k] = array(p, c->slots[k], k >= inputs);
    else
      p.numbers.push_back({int64_t(p.records.size()), nth * kOperands + k, &c->slots[k], letters[k]});
  }
  return c;
}

Call* copy_of(Plan& p, const Call* call, bool folds, int64_t nth = 0) {
  if (folds) {
    const Reduction& r = *(const Reduction*)call->kernel;
    return copy_of(p, call, r.inputs, r.inputs + r.outputs, r.letters, sizeof r, nth);
  }
  const Kernel& k = *(const Kernel*)call->kernel;
  return copy_of(p, call, k.inputs, k.inputs + k.outputs, k.letters, sizeof k, nth);
}

void add_together(Plan& p, const int64_t* call) {
  const int64_t count = call[1];
  TiledCall* steps = (TiledCall*)p.keep((const TiledCall*)call[0], count * sizeof(TiledCall));
  Record r = {kTogether, steps[0].call->kernel, {int64_t(steps), count, call[2], call[3]}, hash_of(call + 1, 24)};
  for (int64_t k = 0; k < count; k++) {
    const bool folds = steps[k].shape;
    if (folds) r.hash = hash_of(steps[k].shape, steps[k].call->total * sizeof(int64_t), r.hash);
    r.hash = hash_of(&steps[k].first, 16, hash_of(&steps[k].call->kernel, sizeof(void*), r.hash));
    if (folds) steps[k].shape = (const int64_t*)p.keep(steps[k].shape, steps[k].call->total * sizeof(int64_t));
    steps[k].call = copy_of(p, steps[k].call, folds, k);
  }
  p.records.push_back(r);
}

void add(Plan& p, int what, const int64_t* call) {
  if (what == kTogether) return add_together(p, call);
  const Call* c = (const Call*)call[0];
  Record r = {what, nullptr, {}, 0};
  if (what == kRun) {
    r.kernel = c->kernel, r.call[0] = int64_t(copy_of(p, c, false));
  } else if (what == kReduce) {
    r.kernel = c->kernel, r.call[0] = int64_t(copy_of(p, c, true));
    r.call[1] = int64_t(p.keep((const void*)call[1], c->total * sizeof(int64_t)));
    r.call[2] = call[2], r.call[3] = call[3];
    r.hash = hash_of(call + 2, 16, hash_of((const void*)call[1], c->total * sizeof(int64_t)));
  } else if (what == kProduct) {
    for (int k = 0; k < 3; k++) r.call[k] = int64_t(array(p, call[k], k == 2));
    r.call[3] = r.hash = call[3];
  } else if (what == kAssign) {
    for (int k = 0; k < 2; k++) r.call[k] = int64_t(array(p, call[k], k == 1));
    r.call[2] = r.hash = call[2];
  } else {
    p.whole = false;
  }
  p.records.push_back(r);
}

// Told by the runtime of each call of this thread: code -1 before it, its result after it.
void on_call(int what, const int64_t* call, int code) {
  if (code < 0) {
    if (open(*watched)) recorded->whole = false;
    return;
  }
  try {
    if (code == kDone) add(*recorded, what, call);
  } catch (...) {
    recorded->whole = false;
  }
  shut(*watched);
}

}  // namespace
