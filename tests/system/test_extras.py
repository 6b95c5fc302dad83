"""Optional libraries, and what is said where one lacks."""

import sys

import pytest

from cunet.system.extras import extra, new_axes

pytestmark = pytest.mark.cpu_only


def test_a_module_that_is_there_is_returned():
    assert extra("os.path", "plot", "me") is sys.modules["os.path"]


def test_a_library_that_lacks_is_named_with_its_extra():
    with pytest.raises(ImportError, match=r'me needs not_there, which is not installed: pip install "cunet\[plot\]"'):
        extra("not_there.part", "plot", "me")


def test_axes_are_of_the_size_that_was_asked_for():
    pytest.importorskip("matplotlib")
    assert new_axes("me", 3, 2).figure.get_size_inches().tolist() == [3, 2]
