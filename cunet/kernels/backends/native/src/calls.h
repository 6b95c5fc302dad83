// What crosses from Python: bodies of kernels, what is said of a kernel, and calls.

namespace {

// Works on `rows` rows of `n` elements; `steps` are the bytes from a row of an operand to its next; `at` numbers the
// first element.
typedef void (*Body)(void* const* pointers, const int64_t* steps, int64_t rows, int64_t n, int64_t at);

typedef void (*Start)(void* state, int64_t pitch, int64_t columns);
typedef void (*Fold)(void* const* pointers, const int64_t* steps, int64_t count, int64_t columns, void* state,
                     int64_t pitch, const void* before);
typedef void (*Between)(const void* state, int64_t pitch, int64_t columns, int64_t length, void* before);
typedef void (*Post)(const void* state, int64_t pitch, int64_t columns, int64_t length, const void* before,
                     void* const* pointers);
typedef void (*FoldRows)(void* const* pointers, const int64_t* steps, int64_t rows, int64_t n);

// The functions of a kernel. What is folded in two passes has `first` functions, and `between`, whose result the second
// pass knows.
struct ReductionBody {
  Start first_start, start;
  Fold first_fold[2], fold[2];  // factors are arrays along the columns, or one number for all of them
  Between between;
  Post post;
  FoldRows rows[3];  // as the bodies of an elementwise kernel
};

// What Python says of a kernel; see launch.py. The layouts of these structs are those of its ctypes.
struct Kernel {
  Body bodies[3];
  int32_t inputs, outputs;
  int32_t weight;  // rough cost of an element, in tenths of nanoseconds
  char letters[kOperands];
  char raw[kOperands];      // a pointer to all of the array
  char factors[kOperands];  // see `Factor`
};

struct Reduction {
  ReductionBody body;
  int32_t inputs, outputs, weight, lead;  // lead: the input whose axes are folded
  char letters[kOperands];
  char post_only[kOperands];  // must be a number: it is used after the fold
  char factors[kOperands];
};

// One call, packed by Python. slots: an object for each array of `arrays` (bits), a number for all others; the
// outputs come last.
struct Call {
  const void* kernel;
  uint64_t arrays;
  int64_t total, threads;  // of a reduction: the number of axes
  uint64_t slots[kOperands];
};

// One of several calls that follow each other.
struct TiledCall {
  const Call* call;
  const int64_t* shape;  // of a reduction, with the axes that it folds; null: elementwise
  int64_t first, end;
};

// What a listener is told of; `kOther` has addresses of elements in it that nobody knows of.
enum What { kRun, kReduce, kTogether, kProduct, kAssign, kOther };

}  // namespace
