"""The Philox of the kernels against NumPy's, bit for bit; executed from its CUDA text on the simulated device."""

import numpy as np
import pytest

import sim
from cunet.kernels.philox import PHILOX_CUDA

cp = sim.namespace_or_skip()

TOP = 2**64 - 1
BLOCKS = 16


@pytest.fixture(scope="module")
def words():
    kernel = cp.ElementwiseKernel(
        "uint64 k0, uint64 k1, uint64 c0, uint64 c1, uint64 c2, uint64 c3, uint64 first",
        "raw uint64 out",
        """
        philox_words made = philox4x64(k0, k1, c0, c1, c2, c3, first + i);
        for (int j = 0; j < 4; ++j) out[4 * i + j] = made.word[j];
        """,
        "philox_words_of",
        preamble=PHILOX_CUDA,
    )

    def run(key, counter, first=0):
        out = cp.empty(4 * BLOCKS, np.uint64)
        kernel(*key, *counter, first, out, size=BLOCKS)
        return out.get()

    return run


def numpy_words(key, counter, first=0):
    number = sum(part << 64 * place for place, part in enumerate(counter)) + first
    generator = np.random.Philox(key=key[0] | key[1] << 64, counter=number % 2**256)
    return generator.random_raw(4 * BLOCKS)


@pytest.mark.parametrize(
    ("key", "counter"),
    [
        ((0, 0), (0, 0, 0, 0)),
        ((1, 2), (0, 7, 0, 0)),
        ((TOP, TOP), (5, 6, 7, 8)),
        ((1, 2), (TOP, 0, 0, 0)),  # carries into the second word with the first block
        ((1, 2), (TOP - 3, 0, 0, 0)),  # ... with the fourth
        ((3, 4), (TOP - 3, TOP, 0, 0)),  # ... into the third
        ((3, 4), (TOP - 3, TOP, TOP, 5)),  # ... into the fourth
        ((5, 6), (TOP - 3, TOP, TOP, TOP)),  # ... and around
        ((5, 6), (TOP, TOP - 1, TOP, TOP)),  # stops at the second
    ],
)
def test_words_are_those_of_numpy(words, key, counter):
    np.testing.assert_array_equal(words(key, counter), numpy_words(key, counter))


def test_words_of_random_keys_and_counters_are_those_of_numpy(words, rng):
    for row in rng.integers(0, 2**64, (20, 6), np.uint64).tolist():
        np.testing.assert_array_equal(words(row[:2], row[2:]), numpy_words(row[:2], row[2:]))


@pytest.mark.parametrize("first", [1, 1000, 2**32 + 3, TOP - BLOCKS])
def test_a_block_stands_where_its_number_says(words, first):
    np.testing.assert_array_equal(words((8, 9), (0, 3, 0, 0), first), numpy_words((8, 9), (0, 3, 0, 0), first))


def test_the_last_block_of_all_carries(words):
    made = words((8, 9), (0, 3, 0, 0), TOP - BLOCKS + 1)  # its last block is number 2**64 - 1
    np.testing.assert_array_equal(made, numpy_words((8, 9), (0, 3, 0, 0), TOP - BLOCKS + 1))


def test_words_are_those_of_the_published_reference():
    # Random123, kat_vectors, "philox4x64 10": counter and key all zero; NumPy counts up first, so start at -1.
    kernel = cp.ElementwiseKernel(
        "uint64 zero",
        "raw uint64 out",
        "philox_words made = philox4x64(zero, zero, ~zero, ~zero, ~zero, ~zero, 0);"
        "for (int j = 0; j < 4; ++j) out[j] = made.word[j];",
        "philox_published",
        preamble=PHILOX_CUDA,
    )
    out = cp.empty(4, np.uint64)
    kernel(0, out, size=1)
    assert [f"{word:016x}" for word in out.get().tolist()] == [
        "16554d9eca36314c",
        "db20fe9d672d0fdc",
        "d7e772cee186176b",
        "7e68b68aec7ba23b",
    ]
