"""What is recorded: no_grad, detach, and only what a gradient needs."""

import asyncio
import threading

import numpy as np
import pytest
from helpers import host

from cunet import Tensor, no_grad, op
from cunet.autograd.tape import is_recording


def test_detach_cuts(leaf):
    x = leaf([3.0])
    (x * x.detach()).backward()
    assert host(x.grad) == 3
    assert x.detach().data is x.data


def test_only_inputs_that_need_a_gradient_cost_one(leaf, dev):
    ran = []

    @op
    def either(a, b):
        return a + b, lambda gy: (lambda: ran.append("a") or gy, lambda: ran.append("b") or gy)

    either(leaf([1.0]), Tensor(dev([2.0], np.float32))).backward()
    assert ran == ["a"]


def test_no_grad_nests_decorates_and_ends_after_errors(leaf):
    x = leaf([1.0])

    @no_grad()
    def double(t):
        assert not is_recording()
        return t * 2

    assert not double(x).requires_grad
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    guard = no_grad()
    with guard:
        with guard:
            assert not is_recording()
        assert not is_recording()
    assert is_recording()
    assert (x * 2).requires_grad


def test_no_grad_stays_in_its_thread():
    inside, done, seen = threading.Event(), threading.Event(), []

    def quiet():
        with no_grad():
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=quiet)
    thread.start()
    inside.wait(10)
    seen.append(is_recording())
    done.set()
    thread.join()
    with no_grad():
        other = threading.Thread(target=lambda: seen.append(is_recording()))
        other.start()
        other.join()
    assert seen == [True, True]


def test_no_grad_stays_in_its_task():
    async def quiet(pause):
        with no_grad():
            await pause.wait()
            return is_recording()

    async def main():
        pause = asyncio.Event()
        task = asyncio.create_task(quiet(pause))
        await asyncio.sleep(0)
        outside = is_recording()
        pause.set()
        return outside, await task

    assert asyncio.run(main()) == (True, False)
