"""Threads that help with NumPy's work, and machines where none can be started."""

import threading

import pytest

from cunet.system import cpu

pytestmark = pytest.mark.cpu_only


@pytest.mark.parametrize("possible", [0, 1, 2, 9])
def test_helpers_do_with_the_threads_that_can_be_started(possible, monkeypatch):
    monkeypatch.setattr(cpu, "cores", lambda: 4)
    started, start = [], threading.Thread.start

    def limited(thread):
        if len(started) >= possible:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    helpers = cpu.Helpers()
    for count in (1, 2, 40):
        done = []
        helpers.run(done.append, count)
        assert sorted(done) == list(range(count))
    monkeypatch.undo()
    monkeypatch.setattr(cpu, "cores", lambda: 4)
    names = set()
    both = threading.Barrier(2, timeout=60)

    def work(k):
        names.add(threading.current_thread())
        both.wait()

    helpers.run(work, 2)  # and in threads again once there are some
    assert len(names) == 2


def test_what_a_helper_raises_is_raised(monkeypatch):
    monkeypatch.setattr(cpu, "cores", lambda: 4)

    def fail(k):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cpu.Helpers().run(fail, 8)
