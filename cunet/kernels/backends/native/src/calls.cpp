// What Python calls: one kernel, or several on a block of the first axis at a time.

namespace {

void no_array(Operand& o, uint64_t number, char letter, int ndim) {
  put_number(number, letter, o.number);
  o.data = o.number;
  for (int axis = 0; axis < ndim; axis++) o.strides[axis] = 0;
}

// The shape of a kernel's elements is that of its last output that is not raw.
int read_shape(const Call* call, Job& job) {
  const Kernel* kernel = (const Kernel*)call->kernel;
  job.ndim = 1, job.shape[0] = call->total;
  for (int k = job.count - 1; k >= kernel->inputs; k--)
    if (!kernel->raw[k]) {
      const Array& a = array_at(call->slots[k]);
      if (a.ndim > kAxes) return kOtherShape;
      job.ndim = a.ndim;
      for (int axis = 0; axis < a.ndim; axis++) job.shape[axis] = a.shape[axis];
      break;
    }
  return kDone;
}

int read_job(const Call* call, Job& job) {
  const Kernel* kernel = (const Kernel*)call->kernel;
  memcpy(job.bodies, kernel->bodies, sizeof job.bodies);
  job.count = kernel->inputs + kernel->outputs;
  job.total = call->total, job.base = 0, job.weight = kernel->weight;
  if (int problem = read_shape(call, job)) return problem;
  for (int k = 0; k < job.count; k++) {
    Operand& o = job.operands[k];
    const char letter = kernel->letters[k];
    o.size = size_of(letter), o.raw = kernel->raw[k], o.factor = kernel->factors[k];
    if (!(call->arrays >> k & 1)) {
      no_array(o, call->slots[k], letter, job.ndim);
      continue;
    }
    const Array& a = array_at(call->slots[k]);
    if (letter_of(a) != letter) return kOtherType;
    if (!(a.flags & kAligned) || (o.raw && !(a.flags & kContiguous))) return kOtherLayout;
    if (k >= kernel->inputs && !(a.flags & kContiguous)) return kOtherLayout;
    o.data = a.data;
    if (o.raw) {
      for (int axis = 0; axis < job.ndim; axis++) o.strides[axis] = 0;
    } else if (int problem = broadcast(o, a, job)) {
      return problem;
    }
  }
  return kDone;
}

int read_job(const Call* call, const int64_t* shape, ReductionJob& r) {
  const Reduction* kernel = (const Reduction*)call->kernel;
  if (call->total > kAxes) return kOtherShape;
  r.body = &kernel->body, r.weight = kernel->weight;
  r.inputs = kernel->inputs, r.count = kernel->inputs + kernel->outputs;
  r.ndim = r.kept.ndim = int(call->total);
  for (int axis = 0; axis < r.ndim; axis++) r.shape[axis] = r.kept.shape[axis] = shape[axis];
  for (int k = 0; k < r.count; k++) {
    Operand& o = r.kept.operands[k];
    const char letter = kernel->letters[k];
    o.size = size_of(letter), o.raw = o.buffered = false;
    o.factor = kernel->factors[k], r.post_only[k] = kernel->post_only[k];
    if (!(call->arrays >> k & 1)) {
      no_array(o, call->slots[k], letter, r.ndim);
      continue;
    }
    const Array& a = array_at(call->slots[k]);
    if (r.post_only[k] && a.ndim) return kOtherShape;
    if (letter_of(a) != letter) return kOtherType;
    if (!(a.flags & kAligned) || (k >= r.inputs && !(a.flags & kContiguous))) return kOtherLayout;
    o.data = a.data;
    if (k < r.inputs)
      if (int problem = broadcast(o, a, r.kept)) return problem;
  }
  return kDone;
}

int read_step(const TiledCall& step, int64_t length, Job& job, ReductionJob& fold) {
  if (!step.shape) {
    const int problem = read_job(step.call, job);
    return problem ? problem : job.ndim < 2 || job.shape[0] != length ? kOtherShape : kDone;
  }
  if (int problem = read_job(step.call, step.shape, fold)) return problem;
  if (step.first < 1 || step.shape[0] != length) return kOtherShape;
  ReductionJob trial = fold;  // whether the axes can be folded depends on the other ones
  return plan(trial, int(step.first), int(step.end));
}

// Leaves of a call the part [from, end) of the first axis, and runs it.
void run_part(const TiledCall& step, const Job& whole, const ReductionJob& all, int64_t from, int64_t end) {
  if (!step.shape) {
    Job job = whole;
    const int64_t each = job.total / job.shape[0];
    for (int k = 0; k < job.count; k++)
      if (!job.operands[k].raw) job.operands[k].data += from * job.operands[k].strides[0];
    job.shape[0] = end - from, job.total = each * (end - from), job.base = each * from;
    if (job.total == 0) return;
    plan(job);
    for (int64_t unit = 0; unit < job.units; unit++) run_unit(job, unit);
    return;
  }
  ReductionJob fold = all;
  int64_t each = 1;
  for (int axis = 1; axis < fold.ndim; axis++) each *= axis >= step.first && axis < step.end ? 1 : fold.shape[axis];
  for (int k = 0; k < fold.count; k++) {
    Operand& o = fold.kept.operands[k];
    o.data += k < fold.inputs ? from * o.strides[0] : from * each * o.size;
  }
  fold.shape[0] = end - from;
  plan(fold, int(step.first), int(step.end));
  for (int64_t unit = 0; unit < fold.units; unit++) fold_unit(fold, unit);
}

// Nothing is thrown through C: what is missing is memory, which Python says.
template <class Work> int guarded(const Work& work) {
  try {
    return work();
  } catch (...) {
    return kNoMemory;
  }
}

// Who is told of the calls of a thread, before each (code -1) and after it.
typedef void (*Listener)(int what, const int64_t* call, int code);
thread_local Listener listener = nullptr;

// Does the work of a call, and tells who listens.
template <class Work> int told(What what, const int64_t (&call)[4], const Work& work) {
  if (!listener) return guarded(work);
  listener(what, call, -1);
  const int code = guarded(work);
  listener(what, call, code);
  return code;
}

int run(const Call* call) {
  Job job;
  if (int problem = read_job(call, job)) return problem;
  if (job.total == 0) return kDone;
  plan(job);
  in_shares([&](int64_t unit) { run_unit(job, unit); }, job.units, double(job.total) * job.weight, int(call->threads));
  return kDone;
}

int reduce(const Call* call, const int64_t* shape, int first, int end) {
  ReductionJob r;
  if (int problem = read_job(call, shape, r)) return problem;
  if (int problem = plan(r, first, end)) return problem;
  double cost = r.weight;
  for (int axis = 0; axis < r.ndim; axis++) cost *= shape[axis];
  in_shares([&](int64_t unit) { fold_unit(r, unit); }, r.units, cost, int(call->threads));
  return kDone;
}

int together(const TiledCall* steps, int64_t count, int64_t length, int64_t size) {
  if (length < 1 || size < 1) return kOtherShape;
  std::vector<Job> jobs(count);
  std::vector<ReductionJob> folds(count);
  double cost = 0;
  for (int64_t k = 0; k < count; k++) {
    if (int problem = read_step(steps[k], length, jobs[k], folds[k])) return problem;
    cost += double(size) * (steps[k].shape ? folds[k].weight : jobs[k].weight);
  }
  const int64_t block = tuning::kBlockElements;
  const int64_t each = size / length < block ? block / (size / length) : 1;
  in_shares(
      [&](int64_t at) {
        const int64_t end = (at + 1) * each < length ? (at + 1) * each : length;
        for (int64_t k = 0; k < count; k++) run_part(steps[k], jobs[k], folds[k], at * each, end);
      },
      (length + each - 1) / each, cost, int(steps[0].call->threads));
  return kDone;
}

}  // namespace

// Those that return an int return a `Result`.
extern "C" {

int cunet_start(int64_t header) {
  object_header = header;
  return guarded([] { return fresh_pool(), pthread_atfork(nullptr, nullptr, fresh_pool); });
}

// For other libraries: work(context, k) for k = 0 ... count - 1.
void cunet_parallel(void (*work)(void*, int64_t), void* context, int64_t count, int threads) {
  share(work, context, count, threads);
}

// Does the tasks of a graph, which return a `Result`; returns 0, or what one of them returned.
int cunet_tasks(const Graph* graph, int (*task)(void*, int64_t), void* context, int threads) {
  return guarded([=] { return Team(*graph, task, context, threads).run(); });
}

// What is read of an array, for a comparison with what NumPy says.
void cunet_probe(uint64_t object, int64_t* out) {
  const Array& a = array_at(object);
  out[0] = (int64_t)a.data, out[1] = a.ndim, out[2] = letter_of(a), out[3] = a.flags & (kContiguous | kAligned);
  for (int k = 0; k < a.ndim; k++) out[4 + 2 * k] = a.shape[k], out[5 + 2 * k] = a.strides[k];
}

void cunet_listen(Listener function) { listener = function; }

int cunet_run(const Call* call) {
  return told(kRun, {int64_t(call)}, [=] { return run(call); });
}

// Folds the axes [first, end) of `shape`. The outputs are contiguous, of the axes that stay.
int cunet_reduce(const Call* call, const int64_t* shape, int first, int end) {
  return told(kReduce, {int64_t(call), int64_t(shape), first, end}, [=] { return reduce(call, shape, first, end); });
}

// Runs calls over the same first axis, of `length`: all of them on a block of it, then on the next. Blocks depend on
// the shape alone. Nothing is run if one of them has a problem, or if there are no elements.
int cunet_together(const TiledCall* steps, int64_t count, int64_t length, int64_t size) {
  return told(kTogether, {int64_t(steps), count, length, size}, [=] { return together(steps, count, length, size); });
}
}
