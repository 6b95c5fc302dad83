// Calls of kernels and products as builtin functions of CPython: see builtin.py.
//
// A builtin takes what lies plainly: NumPy's own arrays, and exact numbers. It makes the outputs and runs the kernel.
// Whatever else comes, or goes wrong, is left to the launcher in Python, which does the same and more.

namespace {

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

// Tells whether NumPy too gives these to one function of BLAS: it has others for vectors, and for a matrix by itself.
bool multiply_alike(const Array& x, const Array& y) {
  const char letter = letter_of(x);
  if ((letter != 'f' && letter != 'd') || letter_of(y) != letter || x.ndim < 2 || y.ndim < 2) return false;
  const int64_t *of_x = x.shape + x.ndim - 2, *of_y = y.shape + y.ndim - 2;
  return of_x[1] == of_y[0] && of_x[0] > 1 && of_x[1] > 1 && of_y[1] > 1 && x.data != y.data;
}

// Finds the shape of a product, whose first axes are those of both; tells whether they broadcast.
bool shape_of_product(Array x, Array y, Shape& to) {
  const int64_t rows = x.shape[x.ndim - 2], columns = y.shape[y.ndim - 1];
  x.ndim -= 2, y.ndim -= 2;
  if (!broadcast(to, x) || !broadcast(to, y) || to.ndim + 2 > kAxes) return false;
  to.lengths[to.ndim] = rows, to.lengths[to.ndim + 1] = columns, to.ndim += 2;
  return true;
}

Object* product(Object* self, Object* const* args, int64_t count, Object* names) {
  Shape shape;
  const bool plain = held && !names && count == 2 && is_array(args[0]) && is_array(args[1]) &&
                     multiply_alike(array_of(args[0]), array_of(args[1])) &&
                     shape_of_product(array_of(args[0]), array_of(args[1]), shape);
  if (!plain) return launcher(self, args, count, names);
  const Array& x = array_of(args[0]);
  const char letter = letter_of(x);
  Call call = {};
  Outputs outputs;
  if (!outputs.make(&letter, 0, 1, shape, call)) return launcher(self, args, count, names);
  double flops = 2.0 * x.shape[x.ndim - 1];
  for (int axis = 0; axis < shape.ndim; axis++) flops *= shape.lengths[axis];
  const uint64_t of_x = uint64_t(args[0]), of_y = uint64_t(args[1]);
  const int code = unlocked(flops * tuning::kFlopCost,
                            [&] { return cunet_product(of_x, of_y, call.slots[0], int(*python.threads)); });
  return code ? launcher(self, args, count, names) : outputs.take();
}

Method methods[] = {
    {"elementwise", elementwise, kFastWithKeywords, nullptr},
    {"inplace", inplace, kFastWithKeywords, nullptr},
    {"reduction", reduction, kFastWithKeywords, nullptr},
    {"product", product, kFastWithKeywords, nullptr},
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
