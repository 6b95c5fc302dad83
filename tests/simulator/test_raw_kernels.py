"""Raw kernels on the simulated device: barriers, shuffles, shared memory, and mistakes in their use."""

import numpy as np
import pytest

import sim
from sim.state import block

cp = sim.namespace_or_skip()

ROW_SOFTMAX = r"""
extern "C" __global__ void sim_softmax(const float* x, float* y, int n) {
  extern __shared__ float part[];
  const float* row = x + (long long)blockIdx.x * n;
  float top = __int_as_float(0xff800000), sum = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) top = fmaxf(top, row[i]);
  for (int step = 16; step; step >>= 1) top = fmaxf(top, __shfl_xor_sync(0xffffffff, top, step));
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = top;
  __syncthreads();
  for (unsigned w = 0; w < blockDim.x / 32; w++) top = fmaxf(top, part[w]);
  for (int i = threadIdx.x; i < n; i += blockDim.x) sum += __expf(row[i] - top);
  for (int step = 16; step; step >>= 1) sum += __shfl_down_sync(0xffffffff, sum, step);
  __syncthreads();
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = sum;
  __syncthreads();
  sum = 0;
  for (unsigned w = 0; w < blockDim.x / 32; w++) sum += part[w];
  for (int i = threadIdx.x; i < n; i += blockDim.x) y[(long long)blockIdx.x * n + i] = __expf(row[i] - top) / sum;
}"""


def row_softmax(text, rng, threads=128):
    host = (rng.standard_normal((5, 300)) * 5).astype(np.float32)
    x, y = cp.asarray(host), cp.empty((5, 300), np.float32)
    cp.RawKernel(text, "sim_softmax")((5,), (threads,), (x, y, np.int32(300)), shared_mem=4 * threads // 32)
    e = np.exp(host.astype(np.float64) - host.max(1, keepdims=True))
    return np.abs(y.get() - e / e.sum(1, keepdims=True)).max()


@pytest.mark.parametrize("threads", [1, 32])
def test_a_raw_kernel_with_barriers_and_shuffles_runs(rng, threads):
    with block(threads):  # only reverses the order: the program chose its blocks itself
        assert row_softmax(ROW_SOFTMAX, rng) < 1e-6


@pytest.mark.parametrize("which", range(3))
def test_a_removed_barrier_is_caught_in_one_order_at_least(rng, which):
    parts = ROW_SOFTMAX.split("__syncthreads();")
    text = "__syncthreads();".join(parts[: which + 1]) + "__syncthreads();".join(parts[which + 1 :])
    errors = []
    for order in (1, 32):
        with block(order):
            errors.append(row_softmax(text, rng))
    assert not max(errors) < 1e-3  # nan counts as caught


def test_a_wrong_shuffle_is_caught(rng):
    assert not row_softmax(ROW_SOFTMAX.replace("int step = 16", "int step = 8"), rng) < 1e-3


def test_shared_memory_that_was_never_written_is_nan():
    text = """extern "C" __global__ void sim_unwritten(float* y) {
      __shared__ float own[2]; extern __shared__ float given[];
      y[2 * blockIdx.x] = own[0]; y[2 * blockIdx.x + 1] = given[0]; own[0] = given[0] = 1; }"""
    y = cp.zeros(4, np.float32)
    cp.RawKernel(text, "sim_unwritten")((2,), (1,), (y,), shared_mem=4)
    assert np.isnan(y.get()).all()


def test_a_write_past_shared_memory_is_caught():
    text = 'extern "C" __global__ void sim_past() { extern __shared__ float given[]; given[threadIdx.x] = 0; }'
    kernel = cp.RawKernel(text, "sim_past")
    kernel((1,), (8,), (), shared_mem=32)
    with pytest.raises(IndexError, match="past the end of dynamic shared memory"):
        kernel((1,), (8,), (), shared_mem=28)


def test_threads_at_different_barriers_are_caught():
    text = """extern "C" __global__ void sim_stuck() {
      if (threadIdx.x < 16) __syncthreads(); else __syncwarp(); }"""
    with pytest.raises(IndexError, match="deadlock"):
        cp.RawKernel(text, "sim_stuck")((1,), (32,), ())


@pytest.mark.parametrize("argument", [2, 2.0, np.int64(2), np.float16(2)])
def test_a_raw_argument_of_the_wrong_size_is_caught(argument):
    text = 'extern "C" __global__ void sim_size(float* y, int n) { y[0] = n; }'
    y = cp.zeros(1, np.float32)
    with pytest.raises(TypeError, match=r"parameters of \[8, 4\] bytes, but got arguments of \[8, [28]\]"):
        cp.RawKernel(text, "sim_size")((1,), (1,), (y, argument))
    cp.RawKernel(text, "sim_size")((1,), (1,), (y, np.int32(2)))
    assert float(y[0]) == 2


def test_atomics_add_up(rng):
    where, x = rng.integers(0, 10, 1000).astype(np.int32), rng.standard_normal(1000)
    kernel = cp.ElementwiseKernel("raw int32 w, raw T x", "raw T y", "atomicAdd(&y[w[i]], x[i])", "sim_scatter")
    y = cp.zeros(10)
    kernel(cp.asarray(where), cp.asarray(x), y, size=1000)
    np.testing.assert_allclose(y.get(), np.bincount(where, x, 10), rtol=1e-12)


def test_a_kernel_may_have_the_name_of_a_function_of_the_c_library():
    text = 'extern "C" __global__ void step(float* y) { y[threadIdx.x] = 3; }'
    y = cp.zeros(2, np.float32)
    cp.RawKernel(text, "step")((1,), (2,), (y,))
    assert y.get().tolist() == [3, 3]
