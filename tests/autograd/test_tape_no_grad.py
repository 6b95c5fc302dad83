"""no_grad as a decorator: of generators and of async functions, whose bodies run after the call."""

import asyncio

import numpy as np
import pytest

import cunet
from cunet.autograd.tape import is_recording, no_grad


def test_a_generator_does_not_record_and_its_caller_does():
    @no_grad()
    def values(count):
        for _ in range(count):
            got = yield is_recording()
            assert got in (None, "sent")
        return is_recording()

    steps = values(2)
    assert (next(steps), is_recording(), steps.send("sent"), is_recording()) == (False, True, False, True)
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value is False
    assert is_recording()
    assert values.__name__ == "values"


def test_two_generators_may_run_in_turns():
    @no_grad()
    def values():
        yield is_recording()
        yield is_recording()

    a, b = values(), values()
    assert [next(a), next(b), next(a), next(b), is_recording()] == [False] * 4 + [True]


def test_errors_and_the_end_reach_a_generator():
    seen = []

    @no_grad()
    def values():
        try:
            while True:
                try:
                    yield 1
                except ValueError:
                    seen.append(("caught", is_recording()))
        finally:
            seen.append(("closed", is_recording()))

    steps = values()
    next(steps)
    assert steps.throw(ValueError()) == 1
    steps.close()
    assert seen == [("caught", False), ("closed", False)]
    steps = values()
    next(steps)
    with pytest.raises(KeyError):
        steps.throw(KeyError("not caught"))
    assert is_recording()


def test_an_async_function_does_not_record():
    @no_grad()
    async def evaluate(x):
        before = is_recording()
        await asyncio.sleep(0)
        return before, is_recording(), (x * 2).requires_grad

    async def main():
        x = cunet.tensor([1.0], requires_grad=True)
        done = await evaluate(x)
        return done, is_recording()

    assert asyncio.run(main()) == ((False, False, False), True)


def test_an_async_generator_does_not_record_and_its_caller_does():
    closed = []

    @no_grad()
    async def values():
        try:
            while True:
                await asyncio.sleep(0)
                try:
                    yield is_recording()
                except ValueError:
                    closed.append("caught")
        finally:
            closed.append(is_recording())

    async def main():
        steps = values()
        seen = [await anext(steps), is_recording(), await steps.asend(1), await steps.athrow(ValueError())]
        await steps.aclose()
        return [*seen, is_recording()]

    assert asyncio.run(main()) == [False, True, False, False, True]
    assert closed == ["caught", False]

    @no_grad()
    async def two():
        yield 1
        yield 2

    async def collect():
        return [x async for x in two()]

    assert asyncio.run(collect()) == [1, 2]


def test_a_plain_function_may_still_call_itself():
    @no_grad()
    def down(n):
        return down(n - 1) if n else is_recording()

    assert down(3) is False
    assert is_recording()


def test_without_it_a_decorated_loader_of_batches_recorded():
    """What the body of a generator computes is not recorded, what is done with it is."""
    w = cunet.tensor(np.ones(2, np.float32), requires_grad=True)

    @no_grad()
    def features():
        yield w * 2

    for x in features():
        assert not x.requires_grad
        assert (w * x).requires_grad
