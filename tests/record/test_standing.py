"""Arrays that were there before a step: every write into them is seen, and none that was not one."""

import numpy as np
import pytest
from helpers import turn
from record_helpers import records

from cunet.record.standing import Standing, unseen

pytestmark = [pytest.mark.cpu_only, pytest.mark.skipif(not records(), reason="kernels run on NumPy here")]


def test_a_write_of_any_byte_is_seen(rng):
    for size in (1, 7, 8, 63, 64, 65, 128, 200):
        for at in (0, size // 2, size - 1):
            with turn(size, at):
                a = rng.integers(0, 255, size).astype(np.uint8)
                same, standing = Standing([a]), Standing([a])
                assert not same.look()
                a[at] ^= 1
                (found,) = standing.look()
                assert found is a


def test_elements_that_change_places_are_seen(rng):
    a = rng.normal(size=100)
    for change in (lambda: a.sort(), lambda: np.copyto(a, a[::-1].copy()), lambda: rng.shuffle(a)):
        standing = Standing([a])
        change()
        assert len(standing.look()) == 1


def test_arrays_of_all_layouts(rng):
    big = rng.normal(size=(6, 8)).astype(">f8")
    frozen = np.zeros(3)
    frozen.flags.writeable = False
    nothing, one = np.zeros((0, 3)), np.zeros(())
    standing = Standing([big, big[::2, ::-3], big.T, frozen, nothing, one])
    big[5, 7] = one[()] = 3
    assert {a.size for a in standing.look()} == {48, 1}  # the strided view does not reach so far
    assert not Standing([]).look()


def test_what_was_seen_to_be_written_is_no_surprise():
    a = np.zeros(4)
    low = a.ctypes.data
    assert unseen([a], [(low + 24, low + 40)]) is None
    assert unseen([a], [(low - 8, low), (low + 32, low + 40)]) is a
    assert unseen([], []) is None
