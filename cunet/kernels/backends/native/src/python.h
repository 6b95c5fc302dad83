// Objects of CPython, as far as builtins know them: plain numbers and arrays among arguments, and results.
//
// No header of Python's is read: what is used of objects is that their type follows their count of references.

namespace {

struct Object {
  int64_t references;
  const void* type;
};
struct Method {  // PyMethodDef
  const char* name;
  Object* (*function)(Object* self, Object* const* args, int64_t count, Object* names);
  int flags;
  const char* doc;
};
const int kFastWithKeywords = 0x80 | 0x02;  // METH_FASTCALL | METH_KEYWORDS
const int kWriteable = 0x400;

// Objects and functions of CPython and of NumPy, in the order of builtin.py.
struct Python {
  const void *array, *number, *integer, *boolean, *float32, *float64, *tuple;  // types
  Object *none, *yes, *no, *axis, *keepdims;
  const int64_t* threads;
  Object* (*make_array)(const void* type, int ndim, const int64_t* shape, int dtype, const int64_t* strides, void* data,
                        int size, int flags, Object* like);
  Object* (*make_method)(Method*, Object* self, Object* module);
  Object* (*call)(Object*, Object* const* args, size_t count, Object* names);
  Object* (*make_tuple)(int64_t);
  int64_t (*length)(Object* tuple);
  Object* (*item)(Object* tuple, int64_t);
  int (*set_item)(Object* tuple, int64_t, Object*);
  void (*keep)(Object*);
  void (*drop)(Object*);
  double (*float_of)(Object*);
  double (*float_of_integer)(Object*);
  long long (*signed_of)(Object*);
  unsigned long long (*unsigned_of)(Object*);
  void* (*pointer_of)(Object*);
  Object* (*problem)();
  void (*forget_problem)();
  void* (*release)();
  void (*acquire)(void*);
} python;

struct Shape {
  int ndim = 0;
  int64_t lengths[kAxes];
};

inline bool is_array(const Object* o) { return o->type == python.array; }
inline const Array& array_of(const Object* o) { return array_at(uint64_t(o)); }

// Fits a shape to that of one more array; tells whether they broadcast.
bool broadcast(Shape& to, const Array& a) {
  if (a.ndim > kAxes) return false;
  const int more = a.ndim - to.ndim;
  if (more > 0) {
    memmove(to.lengths + more, to.lengths, to.ndim * sizeof(int64_t));
    for (int axis = 0; axis < more; axis++) to.lengths[axis] = 1;
    to.ndim = a.ndim;
  }
  for (int axis = 0; axis < a.ndim; axis++) {
    int64_t& length = to.lengths[to.ndim - a.ndim + axis];
    if (length == 1) length = a.shape[axis];
    else if (a.shape[axis] != length && a.shape[axis] != 1) return false;
  }
  return true;
}

// Puts a number as a parameter of type `letter` wants it; tells whether it is a plain one that fits: one of Python's,
// or NumPy's own of that very type.
bool put_plain(Object* o, char letter, uint64_t& to) {
  const bool whole = o->type == python.integer || o->type == python.boolean;
  if (letter == 'f' || letter == 'd') {
    const void* own = letter == 'f' ? python.float32 : python.float64;
    if (!whole && o->type != python.number && o->type != own) return false;
    const double x = whole ? python.float_of_integer(o) : python.float_of(o);
    memcpy(&to, &x, sizeof x);
  } else if (!whole) {
    return false;
  } else {
    to = letter == 'L' || letter == '?' ? python.unsigned_of(o) : uint64_t(python.signed_of(o));
  }
  if (!python.problem()) return true;
  python.forget_problem();
  return false;
}

// Puts the inputs of a kernel into a call; tells whether all of them are plain.
bool put_inputs(Object* const* args, int count, const char* letters, Call& call) {
  for (int k = 0; k < count; k++) {
    if (is_array(args[k])) call.slots[k] = uint64_t(args[k]), call.arrays |= uint64_t(1) << k;
    else if (!put_plain(args[k], letters[k], call.slots[k])) return false;
  }
  return true;
}

int number_of_dtype(char letter) {  // NPY_TYPES
  switch (letter) {
    case 'f': return 11;
    case 'd': return 12;
    case 'i': return 5;
    case 'I': return 6;
    case 'l': return 7;
    case 'L': return 8;
    default: return 0;
  }
}

// Results that are being made.
class Outputs {
 public:
  // Makes arrays of these types behind the `inputs` of a call; tells whether there was memory.
  bool make(const char* letters, int inputs, int count, const Shape& shape, Call& call) {
    for (; count_ < count; count_++) {
      const int k = inputs + count_, dtype = number_of_dtype(letters[k]);
      Object* o = python.make_array(python.array, shape.ndim, shape.lengths, dtype, nullptr, nullptr, 0, 0, nullptr);
      if (!o) return python.forget_problem(), false;
      made_[count_] = o, call.slots[k] = uint64_t(o), call.arrays |= uint64_t(1) << k;
    }
    return true;
  }
  // Hands them over: one, or a tuple of them.
  Object* take() {
    const int count = count_;
    if (count == 1) return count_ = 0, made_[0];
    Object* all = python.make_tuple(count);
    if (!all) return nullptr;
    count_ = 0;
    for (int k = 0; k < count; k++) python.set_item(all, k, made_[k]);
    return all;
  }
  ~Outputs() {
    for (int k = 0; k < count_; k++) python.drop(made_[k]);
  }

 private:
  Object* made_[kOperands];
  int count_ = 0;
};

// Does work of this cost, without the interpreter's lock where others could use it meanwhile.
template <class Work> int unlocked(double cost, const Work& work) {
  if (cost < tuning::kWorthUnlocking) return work();
  void* state = python.release();
  const int code = work();
  python.acquire(state);
  return code;
}

template <class Described> const Described& kernel_of(Object* self) {
  return *(const Described*)python.pointer_of(python.item(self, 0));
}

// What a builtin leaves to its launcher.
Object* launcher(Object* self, Object* const* args, int64_t count, Object* names) {
  return python.call(python.item(self, 1), args, count, names);
}

}  // namespace
