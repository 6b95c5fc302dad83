"""Memory of a plan: given back between two replays, and there again."""

import ctypes

import pytest

from cunet.record.arena import Arena

pytestmark = pytest.mark.cpu_only


@pytest.mark.parametrize("size", [0, 1, 5000, 1 << 23])
def test_memory_that_is_released_can_be_written_again(size):
    arena = Arena(size)
    assert arena.address % 4096 == 0
    for _ in range(2):
        ctypes.memset(arena.address, 7, size)
        assert ctypes.string_at(arena.address, size) == b"\x07" * size
        arena.release()
