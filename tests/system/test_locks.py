"""Locks in a forked child."""

import os
import threading

import pytest

from cunet.system.locks import ForkSafeLock

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def in_child(work):
    """Run `work` in a forked child; return whether it came to its end, within some seconds."""
    import signal

    pid = os.fork()
    if not pid:
        signal.alarm(20)
        try:
            work()
        finally:
            os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def test_a_lock_is_free_in_the_child_of_another_thread():
    lock, taken, end = ForkSafeLock(), threading.Event(), threading.Event()

    def hold():
        with lock:
            taken.set()
            end.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()

    def work():
        with lock, lock:
            pass

    try:
        assert in_child(work)
    finally:
        end.set()
        thread.join()


def test_the_thread_that_forks_keeps_its_lock():
    lock = ForkSafeLock()
    lock.__enter__()
    assert in_child(lambda: lock.__exit__())
    lock.__exit__()
