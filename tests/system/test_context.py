"""Context variables that are bound for a block."""

from contextvars import ContextVar

import pytest

from cunet.system.context import bound

pytestmark = pytest.mark.cpu_only


def test_variables_have_values_within_and_what_was_before_after():
    first, second = ContextVar("first", default=0), ContextVar("second", default=0)
    with bound((first, 1), (second, 2), (first, 3)):
        assert (first.get(), second.get()) == (3, 2)
        with pytest.raises(KeyError), bound((second, 4)):
            raise KeyError
        assert second.get() == 2
    assert (first.get(), second.get()) == (0, 0)
