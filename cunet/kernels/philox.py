"""Philox4x64-10 as CUDA text: what `np.random.Philox` does, inside a kernel.

Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 4.3 and table 2.
"""

#: Preamble for a kernel. ``philox4x64(k0, k1, c0, c1, c2, c3, block)`` returns the four 64-bit words
#: ``word[0..3]`` that stand at ``4 * block ... 4 * block + 3`` in the stream of
#: ``np.random.Philox(key=k0 | k1 << 64, counter=c0 | c1 << 64 | c2 << 128 | c3 << 192)``.
PHILOX_CUDA = """
struct philox_words {
  unsigned long long word[4];
};

__device__ inline philox_words philox4x64(
    unsigned long long k0, unsigned long long k1, unsigned long long c0, unsigned long long c1,
    unsigned long long c2, unsigned long long c3, unsigned long long block) {
  // NumPy counts up before it makes a block, so its block 0 is the one of counter + 1.
  c0 += block + 1;
  if (c0 <= block && ++c1 == 0 && ++c2 == 0) ++c3;
  #pragma unroll
  for (int round = 0; round < 10; ++round) {
    const unsigned long long high0 = __umul64hi(0xD2E7470EE14C6C93ULL, c0);
    const unsigned long long high2 = __umul64hi(0xCA5A826395121157ULL, c2);
    const unsigned long long low0 = 0xD2E7470EE14C6C93ULL * c0;
    const unsigned long long low2 = 0xCA5A826395121157ULL * c2;
    c0 = high2 ^ c1 ^ k0;
    c1 = low2;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9E3779B97F4A7C15ULL;
    k1 += 0xBB67AE8584CAA73BULL;
  }
  return {{c0, c1, c2, c3}};
}
"""
