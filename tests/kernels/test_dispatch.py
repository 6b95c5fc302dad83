"""Which backend a call goes to, and who sees it."""

import numpy as np
import pytest
from helpers import host

from cunet.device import array_module
from cunet.kernels import elementwise, grid, listening, primitive, reduction


@elementwise("T x, A k", "T y", "y = k * x")
def scaled(x, k):
    return k * x


@reduction("T in_x", "T out_y", map="in_x", reduce="a + b", post="out_y = a", identity="T(0)", reduce_type="T")
def total(x, axis, keepdims):
    return x.sum(axis=axis, keepdims=keepdims)


def seen(calls):
    """Return a listener that notes a kernel's name, shapes and options, and lets the call go on."""

    def listener(kernel, args, options, proceed):
        calls.append((kernel.spec.name, [getattr(a, "shape", a) for a in args], options))
        return proceed()

    return listener


def test_a_listener_sees_each_call_with_its_arrays(dev):
    x, calls = dev(np.ones((3, 4))), []
    with listening(seen(calls)):
        total(scaled(x, 2.0), axis=0, keepdims=True)
    scaled(x, 2.0)
    assert calls == [("scaled", [(3, 4), 2.0], {}), ("total", [(3, 4)], {"axis": 0, "keepdims": True})]


def test_a_listener_may_answer_itself(dev):
    with listening(lambda kernel, args, options, proceed: -proceed()):
        np.testing.assert_array_equal(host(scaled(dev([1.0, 2.0]), 3.0)), [-3.0, -6.0])


def test_listeners_within_each_other_all_see_a_call_and_end_with_their_block(dev):
    outer, inner = [], []
    x = dev([1.0])
    with listening(seen(outer)):
        with pytest.raises(ZeroDivisionError), listening(seen(inner)):
            scaled(x, 1.0)
            raise ZeroDivisionError
        scaled(x, 2.0)
    assert [call[1][1] for call in outer] == [1.0, 2.0]
    assert [call[1][1] for call in inner] == [1.0]


def test_a_primitive_is_seen_and_so_is_what_it_calls(dev):
    @primitive
    def twice(x):
        return scaled(scaled(x, 2.0), 2.0)

    calls = []
    with listening(seen(calls)):
        twice(dev([1.0]))
    assert [call[0] for call in calls] == ["twice", "scaled", "scaled"]


def test_what_is_attached_for_a_device_runs_there_and_nowhere_else(dev):
    @primitive
    def where_am_i(x):
        return "body"

    where_am_i.cuda(lambda x: "cuda")
    where_am_i.numpy(lambda x: "numpy")
    x = dev([1.0])
    assert where_am_i(x) == ("numpy" if array_module(x) is np else "cuda")


@pytest.mark.parametrize("backend", ["cuda", "numpy"])
def test_what_is_attached_may_leave_a_call_to_the_text_or_the_body(backend, dev):
    @elementwise("T x", "T y", "y = x + 1")
    def above(x):
        return x + 1

    asked = []
    above.native(None)  # else it is compiled
    getattr(above, backend)(lambda x: asked.append(x.shape) or NotImplemented)
    x = dev([1.0, 2.0])
    np.testing.assert_array_equal(host(above(x)), [2.0, 3.0])
    assert asked == ([(2,)] if (array_module(x) is np) == (backend == "numpy") else [])


def test_attaching_forgets_what_was_made_before(dev):
    @elementwise("T x", "T y", "y = x + 2")
    def above(x):
        return x + 2

    x = dev([1.0])
    above(x)
    for backend in ("native", "cuda", "numpy"):
        getattr(above, backend)(lambda x: x + 5)
    np.testing.assert_array_equal(host(above(x)), [6.0])


def test_a_grid_fills_the_arrays_that_are_given(dev):
    @grid("raw T x", "raw T y", "y[i] = 2 * x[i]")
    def doubled(x, y):
        y[...] = 2 * x

    x, y = dev([1.0, 2.0]), dev([0.0, 0.0])
    doubled(x, y, threads=2)
    np.testing.assert_array_equal(host(y), [2.0, 4.0])


def test_a_kernel_shows_its_kind_and_name():
    assert repr(scaled) == "<elementwise kernel scaled>"
    assert repr(total) == "<reduction kernel total>"
    assert scaled.__module__ == __name__
