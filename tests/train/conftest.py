"""What the tests of training share."""

import signal

import pytest


@pytest.fixture
def ctrl_c_is_heard():
    """A shell's background job is started with SIGINT ignored; the tests press Ctrl-C all the same."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)
