// Calls of kernels as builtin functions of CPython: see builtin.py.
//
// A builtin takes what lies plainly: NumPy's own arrays, and exact floats, ints and bools. It makes the outputs and
// runs the kernel. Whatever else comes, or goes wrong, is left to the launcher in Python, which does the same and more.
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

// Puts a number as a parameter of type `letter` wants it; tells whether it is a plain one that fits: one of Python's, or
// NumPy's own of that very type.
bool put_plain(Object* o, char letter, uint64_t& to) {
  const bool whole = o->type == python.integer || o->type == python.boolean;
  if (letter == 'f' || letter == 'd') {
    if (!whole && o->type != python.number && o->type != (letter == 'f' ? python.float32 : python.float64)) return false;
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

Object* elementwise(Object* self, Object* const* args, int64_t count, Object* names) {
  const Kernel& kernel = kernel_of<Kernel>(self);
  Call call = {&kernel, 0, 1, *python.threads};
  Shape shape;
  Outputs outputs;
  bool plain = !names && count == kernel.inputs && put_inputs(args, kernel.inputs, kernel.letters, call);
  for (int k = 0; k < kernel.inputs && plain; k++)
    if (is_array(args[k]) && !kernel.raw[k]) plain = broadcast(shape, array_of(args[k]));
  if (!plain) return launcher(self, args, count, names);
  plain = outputs.make(kernel.letters, kernel.inputs, kernel.outputs, shape, call);
  if (!plain) return launcher(self, args, count, names);
  for (int axis = 0; axis < shape.ndim; axis++) call.total *= shape.lengths[axis];
  const int code = unlocked(double(call.total) * kernel.weight, [&] { return cunet_run(&call); });
  return code ? launcher(self, args, count, names) : outputs.take();
}

Object* inplace(Object* self, Object* const* args, int64_t count, Object* names) {
  const Kernel& kernel = kernel_of<Kernel>(self);
  const int operands = kernel.inputs + kernel.outputs;
  Call call = {&kernel, 0, 1, *python.threads};
  bool plain = !names && count == operands && put_inputs(args, operands, kernel.letters, call);
  for (int k = 0; k < operands && plain; k++) {
    const bool writes = k >= kernel.inputs;
    if (is_array(args[k])) plain = array_of(args[k]).ndim > 0 && (!writes || array_of(args[k]).flags & kWriteable);
    else plain = !writes;
  }
  if (!plain) return launcher(self, args, count, names);
  const Array& last = array_of(args[operands - 1]);
  for (int axis = 0; axis < last.ndim; axis++) call.total *= last.shape[axis];
  const int code = unlocked(double(call.total) * kernel.weight, [&] { return cunet_run(&call); });
  if (code) return launcher(self, args, count, names);
  python.keep(python.none);
  return python.none;
}

// Adds an axis to a set, as a bit; tells whether it is one of `ndim`.
bool add_axis(Object* o, int ndim, unsigned& axes) {
  if (o->type != python.integer) return false;
  const long long axis = python.signed_of(o);
  if (axis == -1 && python.problem()) return python.forget_problem(), false;
  if (axis < -ndim || axis >= ndim) return false;
  axes |= 1u << (axis < 0 ? axis + ndim : axis);
  return true;
}

// The axes that a reduction folds, [first, end), and whether they are kept with length 1.
struct Folded {
  int first = 0, end = 0;
  bool kept = false;

  // Reads the keywords; tells whether the axes are plain, and neighbours.
  bool read(Object* const* values, Object* names, int ndim) {
    Object* axis = python.none;
    for (int64_t k = 0, count = names ? python.length(names) : 0; k < count; k++) {
      const Object* name = python.item(names, k);
      if (name == python.axis) axis = values[k];
      else if (name == python.keepdims && (values[k] == python.yes || values[k] == python.no))
        kept = values[k] == python.yes;
      else return false;
    }
    unsigned axes = axis == python.none ? (1u << ndim) - 1 : 0;
    if (axis->type == python.tuple) {
      for (int64_t k = 0, count = python.length(axis); k < count; k++)
        if (!add_axis(python.item(axis, k), ndim, axes)) return false;
    } else if (axis != python.none && !add_axis(axis, ndim, axes)) {
      return false;
    }
    while (first < ndim && !(axes >> first & 1)) first++;
    for (end = first; end < ndim && axes >> end & 1;) end++;
    return end > first && !(axes >> end);
  }
};

Object* reduction(Object* self, Object* const* args, int64_t count, Object* names) {
  const Reduction& kernel = kernel_of<Reduction>(self);
  Call call = {&kernel, 0, 0, *python.threads};
  Folded folded;
  Shape shape;
  Outputs outputs;
  bool plain = count == kernel.inputs && put_inputs(args, kernel.inputs, kernel.letters, call);
  plain = plain && is_array(args[kernel.lead]) && array_of(args[kernel.lead]).ndim <= kAxes &&
          folded.read(args + count, names, array_of(args[kernel.lead]).ndim);
  if (!plain) return launcher(self, args, count, names);
  const Array& lead = array_of(args[kernel.lead]);
  double cost = kernel.weight;
  for (int axis = 0; axis < lead.ndim; axis++) {
    const bool goes = axis >= folded.first && axis < folded.end;
    cost *= lead.shape[axis];
    if (!goes || folded.kept) shape.lengths[shape.ndim++] = goes ? 1 : lead.shape[axis];
  }
  call.total = lead.ndim;
  plain = outputs.make(kernel.letters, kernel.inputs, kernel.outputs, shape, call);
  if (!plain) return launcher(self, args, count, names);
  const int code =
      unlocked(cost, [&] { return cunet_reduce(&call, lead.shape, folded.first, folded.end); });
  return code ? launcher(self, args, count, names) : outputs.take();
}

Method methods[] = {
    {"elementwise", elementwise, kFastWithKeywords, nullptr},
    {"inplace", inplace, kFastWithKeywords, nullptr},
    {"reduction", reduction, kFastWithKeywords, nullptr},
};

}  // namespace

extern "C" {

// Takes what builtins need. Tells whether objects lie in memory as is expected, by an array, a float and a tuple.
bool cunet_python(const Python* found, const Object* array, const Object* number, const Object* tuple) {
  python = *found;
  return array->type == python.array && number->type == python.number && tuple->type == python.tuple;
}

// Returns a new builtin function that calls a kernel; `self` is a tuple of its description's address and its launcher.
Object* cunet_builtin(int which, Object* self) { return python.make_method(&methods[which], self, nullptr); }
}
