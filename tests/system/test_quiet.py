"""NumPy says nothing of infinities and NaN inside of ops, and all that it is told to outside."""

import threading

import numpy as np
import pytest

from cunet import Tensor, op
from cunet.system import cpu, quiet

pytestmark = pytest.mark.cpu_only

ZERO = np.zeros(2)


def test_the_variable_is_found_in_this_numpy():
    assert not isinstance(quiet.errors, quiet._Errstate)


@pytest.mark.parametrize("errors", [quiet.errors, quiet._Errstate()], ids=["variable", "errstate"])
def test_what_is_set_counts_until_it_is_reset(errors):
    before = np.geterr()
    with np.errstate(all="raise"):
        token = errors.set(quiet.IGNORED)
        assert set(np.geterr().values()) == {"ignore"}
        assert np.isnan(ZERO / ZERO).all()
        inner = errors.set(quiet.IGNORED)
        errors.reset(inner)
        assert set(np.geterr().values()) == {"ignore"}
        errors.reset(token)
        with pytest.raises(FloatingPointError):
            ZERO / ZERO
    assert np.geterr() == before


def test_a_block_is_quiet_and_what_was_before_comes_back_also_after_an_error():
    with np.errstate(all="raise"):
        before = np.geterr()
        with pytest.raises(KeyError), quiet.quiet():
            assert np.isnan(ZERO / ZERO).all()
            with quiet.quiet():
                assert np.isnan(ZERO / ZERO).all()
            assert np.isnan(ZERO / ZERO).all()
            raise KeyError
        assert np.geterr() == before


def test_an_op_of_a_user_is_silent_both_ways_and_leaves_no_trace():
    @op
    def reciprocal_root(x):
        return 1 / np.sqrt(x), lambda gy: (gy * -0.5 / x**1.5,)

    x = Tensor(ZERO, requires_grad=True)
    with np.errstate(all="raise"):
        before = np.geterr()
        y = reciprocal_root(x)
        y.sum().backward()
        assert np.geterr() == before
    assert np.isinf(y.data).all()
    assert np.isinf(x.grad).all()


def test_after_an_error_warnings_are_as_before():
    @op
    def refuse(x):
        raise ValueError("no")

    before = np.geterr()
    with pytest.raises(ValueError, match="no"):
        refuse(ZERO)
    assert np.geterr() == before


def test_threads_that_help_ops_say_nothing(monkeypatch):
    monkeypatch.setattr(cpu, "cores", lambda: 3)
    seen, all_here = [], threading.Barrier(3, timeout=60)

    def work(k):
        all_here.wait()
        seen.append((threading.current_thread().name.startswith("cunet"), set(np.geterr().values())))

    cpu.Helpers().run(work, 3)
    assert [errors for helper, errors in seen if helper] == [{"ignore"}] * 2


def test_other_threads_have_their_own():
    token = quiet.errors.set(quiet.IGNORED)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(np.geterr()))
    thread.start()
    thread.join()
    quiet.errors.reset(token)
    assert seen == [np.geterr()]
