"""The room's own example, and what it says where scikit-learn is not installed."""

import doctest

import pytest
from helpers import run_script

pytestmark = pytest.mark.cpu_only


def test_the_example_of_the_room_runs():
    pytest.importorskip("sklearn")
    from cunet import sklearn

    (example,) = (e for e in doctest.DocTestFinder(recurse=False).find(sklearn) if e.examples)
    found = doctest.DocTestRunner().run(example)
    assert found.attempted == 8 and not found.failed


def test_without_scikit_learn_the_error_names_the_extra():
    code = """
    import sys
    sys.modules["sklearn"] = None
    try:
        import cunet.sklearn
    except ImportError as error:
        print(error)
    """
    expected = 'cunet.sklearn needs sklearn, which is not installed: pip install "cunet[sklearn]"'
    assert run_script(code).stdout.strip() == expected
