"""What in a plan waits for what, in which order records begin, and where blocks of memory lie."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cunet.record import order
from cunet.record.layout import Blocks
from cunet.record.order import Access, ancestors, schedule, waits_of, with_those_far_before

pytestmark = pytest.mark.cpu_only


def read(record, low, high, space=None):
    return Access(record, space, low, high, False)


def write(record, low, high, space=None):
    return Access(record, space, low, high, True)


def waits(accesses, count, barriers=()):
    return waits_of(accesses, barriers, count)


def test_who_reads_waits_for_who_wrote():
    assert waits([write(0, 0, 8), read(1, 4, 12), read(2, 8, 12)], 3) == [set(), {0}, set()]


def test_who_writes_waits_for_readers_and_writers():
    assert waits([write(0, 0, 8), read(1, 0, 8), read(2, 0, 4), write(3, 0, 8)], 4) == [set(), {0}, {0}, {0, 1, 2}]


def test_spaces_are_apart():
    assert waits([write(0, 0, 8, "a"), read(1, 0, 8, "b"), read(2, 0, 8, "a")], 3) == [set(), set(), {0}]


def test_a_record_does_not_wait_for_itself():
    assert waits([read(0, 0, 8), write(0, 0, 8), read(1, 0, 8), write(1, 0, 8)], 2) == [set(), {0}]


def test_what_was_written_in_part_is_not_forgotten():
    assert waits([write(0, 0, 8), write(1, 0, 4), read(2, 6, 8), read(3, 0, 8)], 4) == [set(), {0}, {0}, {0, 1}]


def test_nothing_passes_a_barrier():
    found = ancestors(waits([write(0, 0, 8), write(1, 8, 16), read(3, 0, 4), read(5, 20, 24)], 6, barriers=[2, 4]))
    assert found == [0, 0, 0b11, 0b111, 0b1111, 0b11111, 0b111111]


accesses = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(1, 6), st.booleans()), min_size=1, max_size=24
).map(lambda rows: [Access(k, space, low, low + n, written) for k, (space, low, n, written) in enumerate(rows)])


@given(accesses)
def test_all_that_meet_are_in_order(rows):
    before = ancestors(waits(rows, len(rows)))
    for a, b in itertools.combinations(rows, 2):
        meet = a.space == b.space and a.low < b.high and b.low < a.high and (a.written or b.written)
        assert not meet or before[b.record] >> a.record & 1


@given(accesses, st.lists(st.integers(0, 9), min_size=24, max_size=24))
def test_a_schedule_begins_with_the_longest_chain_and_has_every_record(rows, times):
    needed = waits(rows, len(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "_WORTH", 0)
        patch.setattr(order, "_GAIN", -1.0)
        records, counts, begins, followers = schedule(needed, 0, len(rows), times)
    assert sorted(records) == list(range(len(rows))) and counts == [len(needed[k]) for k in records]
    for n, k in enumerate(records):
        behind = {records[j] for j in followers[begins[n] : begins[n + 1]]}
        assert behind == {j for j in range(len(rows)) if k in needed[j]}
    chain = {}
    for k in reversed(range(len(rows))):
        chain[k] = times[k] + max([chain[j] for j in range(len(rows)) if k in needed[j]], default=0)
    assert [chain[k] for k in records] == sorted(chain.values(), reverse=True)


def test_only_what_is_long_and_has_room_is_scheduled():
    chain, wide = [set(), {0}, {1}], [set(), {0}, {0}]
    assert schedule(chain, 0, 3, [10**6] * 3) is None
    assert schedule(wide, 0, 3, [1000] * 3) is None
    assert schedule(wide, 0, 3, [10**6] * 3).records == [0, 1, 2]
    assert schedule(wide, 0, 0, [10**6] * 3) is None


blocks = st.lists(st.tuples(st.integers(1, 300), st.integers(0, 9), st.integers(0, 4)), min_size=1, max_size=12)


@given(blocks, st.sets(st.integers(0, 11)), accesses, st.integers(0, 30))
def test_blocks_that_are_in_use_together_do_not_share_bytes(rows, fixed, order_of, far):
    count = max(15, len(order_of))
    before = with_those_far_before(ancestors(waits(order_of, count)), far)
    fixed = {k for k in fixed if k < len(rows)}
    sizes = {k: size for k, (size, _, _) in enumerate(rows)}
    users = {k: [first, first + more, *([count] if k in fixed else [])] for k, (_, first, more) in enumerate(rows)}
    starts, length = Blocks(sizes, users, fixed).place(before)
    assert starts.keys() == sizes.keys() - fixed
    found = {**{k: (k, 0) for k in fixed}, **starts}
    for j, k in itertools.combinations(found, 2):
        (room, a), (other, b) = found[j], found[k]
        if room == other and a < b + sizes[k] and b < a + sizes[j]:
            in_turn = [
                all(before[late] >> early & 1 for early in users[x] for late in users[y]) for x, y in ((j, k), (k, j))
            ]
            assert any(in_turn)
    for k, (room, at) in starts.items():
        assert at % 64 == 0 and at + sizes[k] <= (length if room is None else sizes[room])


def test_the_fullest_moment_is_found():
    assert Blocks({0: 64, 1: 100, 2: 64}, {0: [0, 2], 1: [1, 3], 2: [3, 4]}, ()).fullest() == 64 + 128
