"""What a kernel says of itself, and the registry of the library's own."""

import numpy as np
import pytest

from cunet.kernels import KERNELS, elementwise
from cunet.kernels.grammar import parse
from cunet.kernels.spec import Definition, ElementwiseSpec, arithmetic, register, single


def spec(module, name="elu_forward"):
    def body(x):
        return x

    body.__name__, body.__module__ = name, module
    return ElementwiseSpec(body, parse("T x"), parse("T y"), "", "y = x")


def test_two_kernels_of_the_library_cannot_share_a_name():
    known = KERNELS["elu_forward"]
    with pytest.raises(ValueError, match=r"'elu_forward' of cunet\.ops\.other has the name of one of cunet\.ops\."):
        register(Definition(spec("cunet.ops.other")))
    assert KERNELS["elu_forward"] is known


def test_users_kernels_are_in_no_registry():
    before = dict(KERNELS)

    @elementwise("T x", "T y", "y = x")
    def elu_forward(x):
        return x

    register(Definition(spec("theirs", "new_name")))
    assert before == KERNELS
    assert KERNELS["elu_forward"] is not elu_forward


@pytest.mark.parametrize(
    ("ins", "lead"), [("T x", 0), ("A k, T x", 1), ("raw bool m, col A w, raw T x", 2), ("A k", 0)]
)
def test_the_first_array_of_the_data_leads(ins, lead):
    def body(*args):
        return args

    assert Definition(ElementwiseSpec(body, parse(ins), parse("T y"), "", "")).lead == lead


def test_texts_that_are_changed_forget_what_was_made_of_them():
    kernel = Definition(spec("theirs"))
    kernel.prepared["f"] = object()
    kernel.change(operation="y = -x")
    assert kernel.spec.texts() == ("y = -x",)
    assert not kernel.prepared


@pytest.mark.parametrize(("dtype", "wide"), [("f2", "f4"), ("f4", "f4"), ("f8", "f8"), (">f8", "f8"), ("i4", "f4")])
def test_arithmetic_is_in_float32_at_least(dtype, wide):
    assert arithmetic(np.dtype(dtype)) == np.dtype(wide)


def test_one_output_is_returned_by_itself():
    assert single([1]) == 1
    assert single([1, 2]) == (1, 2)
