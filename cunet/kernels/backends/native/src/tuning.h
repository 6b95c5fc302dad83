// Numbers that were chosen, not given: they change how fast something is. What a sum is cut into follows from some of
// them too, and with it the last bits of a result; so they depend on nothing that differs from run to run.
//
// "measured": alternatives were timed on two cores of an x86-64 server with AVX2; "reckoned": from the sizes of caches.
#include <stdint.h>

namespace tuning {

// ---- elementwise kernels and reductions

// Elements of a copy of an operand that does not lie as a kernel wants it. Reckoned: at 8 bytes each, four operands
// are in a level-1 cache of 32 KiB.
const int64_t kBufferElements = 1024;
// Elements of a unit of work that needs no copies. Reckoned: 64 KiB an operand, all of them in a level-2 cache; larger
// units leave threads nothing to share.
const int64_t kUnitElements = 8192;
// Elements; shorter rows are copied next to each other first. Reckoned: a call of a loop costs as much as some 32
// elements in vectors.
const int64_t kShortRow = 32;
// Rows of a reduction that are shorter, in elements, are folded next to each other, each in one lane. Measured: in the
// 64 lanes of a long row, rows of 64 take 0.14 to 0.5 of that time, rows of 32 0.3 to 1, rows of 16 up to 1.9.
const int64_t kShortFold = 32;
// Elements of a block that several kernels work on, one after the other. Reckoned: 128 KiB of float32, which with its
// result is in a level-2 cache.
const int64_t kBlockElements = 32768;

// ---- threads

// Tenths of nanoseconds; less work is not shared. Measured: to wake a thread takes some 50 us, so 150 us in two threads
// gain a little.
const int64_t kWorthSharing = 1500000;
// The same, where other threads look for work: they wait for the next task of a step. Reckoned: ten times what handing
// it over takes.
const int64_t kWorthHelp = 100000;
// Tenths of nanoseconds; less work is done without giving the interpreter's lock away. Reckoned: to give and to take it
// costs 0.1 us, and 5 ms where another thread of Python's takes it in the meantime.
const int64_t kWorthUnlocking = 200000;
// Shares for each thread, so that one that is late does not hold up the rest. Reckoned.
const int64_t kSharesPerThread = 8;
// Microseconds that a thread looks for more work before it sleeps. Measured: a step of a small net took 5.4 ms at 200,
// 3.2 ms at 2000, because a thread that sleeps is woken too late for the next product.
const int kSpinMicroseconds = 2000;

// ---- matrix products

// FLOPs that are worth a thread. Measured: some 5 us of a core; the other threads are awake for most of a step, and a
// replay of the BN net took 278 us, at 4e6 290.
const double kProductPart = 5e5;
// FLOPs of a part where there are more than two. Measured: BLAS runs smaller ones at a lower rate.
const double kProductManyParts = 2.5e7;
// Parts at most. Reckoned: BLAS packs the smaller factor again for each.
const int kProductParts = 8;
// Rows or columns of a part at least, and what they are a multiple of. Reckoned: a few register tiles of BLAS; whole
// vectors of our panels, but in the last part.
const int64_t kProductLeast = 32, kProductGrain = 16;
// Rows of a product with a transposed matrix for which that is packed by us, with AVX-512. Measured: 60 x 784 @ (100 x
// 784)T takes 0.7 of BLAS's time, 16 rows as long. FLOPs: those of `Tuning.product`, up to which NumPy multiplies.
const int64_t kPanelRows = 16;
const double kPanelFlops = 2 << 18;
// Columns that are packed at a time, and bytes of the rows that are multiplied by them: they are read again for each
// panel. Reckoned: with the panel in a level-2 cache of 1 MiB.
const int64_t kPanelInner = 1024, kPanelBytes = 1 << 19;
// FLOPs, and columns, of a product with a matrix that lies well from which we pack that, with AVX-512. Measured:
// 100 x 60 @ 60 x 100 takes 1.3 of BLAS's time, 64 x 512 @ 512 x 64 0.75; 512 x 1792 @ 1792 x 28 1.15.
const double kTilesFlops = 4e6;
const int64_t kTilesColumns = 64;
// Rows of it that are packed at a time, rows of the first matrix, and panels they are multiplied by. Measured: half as
// many and twice as many take as long.
const int64_t kTilesInner = 256, kTilesRows = 504, kTilesPanels = 8;

// Products of a stack: fewer long ones are done one after the other, each in parts. Reckoned: two for each of eight
// threads.
const int64_t kStackLength = 16;

// Multiplications up to which BLAS itself takes one thread. Given by OpenBLAS; elsewhere a small product costs as much
// as one of NumPy's.
const double kProductAlone = 1 << 18;
// Tenths of nanoseconds that a FLOP takes. Reckoned: 50 in a nanosecond.
const double kFlopCost = 0.2;

// ---- recurrence

// Sequences of a thread, and at least. Measured: with fewer rows products fall to a fraction of BLAS's rate.
const int64_t kSequences = 32, kFewestSequences = 8;
// Rows of all steps for which a weight is packed. Measured with AVX-512: packing takes as long as some 16 rows, and 32
// rows by a packed one 0.7 of BLAS's time.
const int64_t kPackedRows = 64;

// ---- convolution

// Bytes of the part of an image that is worked on at a time. Reckoned: half of a level-2 cache of 1 MiB.
const int64_t kStripBytes = 1 << 19;
// Units of work there should be for threads to share; shapes with fewer are cut further. Reckoned: two for each of
// eight threads. Not the threads there are: bits would depend on them.
const int64_t kConvolutionUnits = 16;
// Bytes of output channels in a group; where there are no more, a weight's gradient is summed with windows in the lanes
// of vectors, not channels. Measured, float32, 8 channels to 1 ... 12: with vectors of 64 bytes lanes are as fast up to
// 6 outputs, with 32 bytes up to 3. One number for all processors, because the order of sums follows from it.
const int64_t kFewOutputBytes = 16;
// Bytes of partial sums of a weight's gradient. Reckoned: what is added up at the end takes little beside the sums.
const int64_t kGradientBytes = 1 << 24;
// Vectors that are summed up in registers. Given by the processor: 32 registers, or 16, less those for factors.
#if defined(__AVX512F__) || defined(__aarch64__)
const int kTileVectors = 24;
#else
const int kTileVectors = 12;
#endif

// ---- pooling

// Elements of planes that are worth a unit of work. Reckoned: some 20 us, against a microsecond for handing it out.
const int64_t kPoolElements = 1 << 15;
// Bytes; rows of windows are lengthened to a multiple, so that loops have no rest. Given: the longest vector there is.
const int64_t kPoolRowBytes = 64;

}  // namespace tuning
