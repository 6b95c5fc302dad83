"""Einstein's sums of any letters, and by what they are made."""

import numpy as np
import pytest
from helpers import host
from hypothesis import given, settings
from hypothesis import strategies as st

import cunet
from cunet import Tensor
from cunet.kernels import listening
from cunet.testing import gradcheck

seeds = st.integers(0, 2**32 - 1)


@st.composite
def subscripts(draw):
    """Random valid einsums: any letters, repeated ones, letters summed alone, ellipses, implicit output."""
    lengths = {c: draw(st.integers(0, 3)) for c in "abcd"}
    dots = draw(st.lists(st.integers(1, 3), max_size=2))
    inputs, shapes = [], []
    for _ in range(draw(st.integers(1, 3))):
        letters = draw(st.text("abcd", max_size=3))
        shape = [lengths[c] for c in letters]
        if draw(st.booleans()):
            at = draw(st.integers(0, len(letters)))
            own = dots[draw(st.integers(0, len(dots))) :]
            own = [1 if draw(st.booleans()) else n for n in own]
            letters, shape = letters[:at] + "..." + letters[at:], shape[:at] + own + shape[at:]
        inputs.append(letters)
        shapes.append(tuple(shape))
    left = ",".join(inputs)
    if draw(st.booleans()):
        return left, shapes, draw(seeds)
    letters = draw(st.permutations(sorted(set(left) & set("abcd"))))
    output = "".join(letters[: draw(st.integers(0, len(letters)))])
    if "..." in left:
        at = draw(st.integers(0, len(output)))
        output = output[:at] + "..." + output[at:]
    return f"{left}->{output}", shapes, draw(seeds)


@settings(max_examples=150)
@given(case=subscripts())
def test_einsum(case, dev):
    text, shapes, seed = case
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(s) for s in shapes]
    y = cunet.einsum(text, *[Tensor(dev(a)) for a in arrays])
    np.testing.assert_allclose(host(y), np.einsum(text, *arrays), rtol=1e-11, atol=1e-12)
    gradcheck(lambda *xs: cunet.einsum(text, *xs), *[dev(a) for a in arrays])


def test_einsum_names_what_does_not_fit(dev):
    x = Tensor(dev(np.ones((2, 3))))
    with pytest.raises(ValueError, match="names 2 operands, got 1"):
        cunet.einsum("ij,jk->ik", x)
    with pytest.raises(ValueError, match="'ijk' does not fit an operand of 2 axes"):
        cunet.einsum("ijk->i", x)
    with pytest.raises(ValueError, match="'i' does not fit an operand of 2 axes"):
        cunet.einsum("i->i", x)
    with pytest.raises(ValueError, match="einsum: 'i' is repeated, and stands for lengths 2 and 3"):
        cunet.einsum("ii->i", x)
    with pytest.raises(ValueError, match="label 'j'"):
        cunet.einsum("ij,jk->ik", x, x)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.bool_, np.float16, np.float32])
@pytest.mark.parametrize("subscripts", ["ij,ij->i", "ij,ij->ji", "ij,kj->ik", "ij,kl->li", "ij->j", "ij,ij,ij->"])
def test_dtypes(subscripts, dtype, rng, dev):
    arrays = [rng.integers(0, 3, (3, 3)).astype(dtype) for _ in range(subscripts.count(",") + 1)]
    y, expected = host(cunet.einsum(subscripts, *[dev(a) for a in arrays])), np.einsum(subscripts, *arrays)
    assert y.dtype == dtype and y.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("subscripts", "shapes", "names"),
    [
        ("ij,kj->ik", [(4, 3), (5, 3)], ["product"]),
        ("bij,bjk->bik", [(2, 4, 3), (2, 3, 5)], ["product"]),
        ("ij,ij->i", [(4, 3), (4, 3)], ["softmax_dot"]),
        ("ij,ij->ij", [(4, 3), (4, 3)], []),
        ("ij,jk->ik", [(4, 1), (3, 5)], ["sum_over"]),
        ("ni,oij,nj->no", [(9, 4), (5, 4, 3), (9, 3)], ["product"]),  # of pairs of elements
        ("ij,jk,kl->il", [(5, 6), (6, 7), (7, 8)], ["product", "product"]),
    ],
)
def test_two_operands_meet_in_what_is_fast_for_them(subscripts, shapes, names, dev):
    seen = []

    def listener(kernel, args, options, proceed):
        seen.append(kernel.name)
        return proceed()

    arrays = [dev(np.ones(shape)) for shape in shapes]
    with listening(listener):
        y = cunet.einsum(subscripts, *arrays)
    assert [name for name in seen if name in ("product", "softmax_dot", "sum_over")] == names
    assert host(y).tolist() == np.einsum(subscripts, *[np.ones(shape) for shape in shapes]).tolist()


def test_results_lie_in_order(dev):
    assert cunet.einsum("ij,kj->ki", dev(np.ones((4, 3))), dev(np.ones((5, 3)))).data.flags.c_contiguous


def test_transposes_and_diagonals_are_views(dev):
    x = dev(np.arange(9.0).reshape(3, 3))
    for subscripts in ("ij->ji", "ii->i"):
        y = cunet.einsum(subscripts, x).data
        assert host(y).tolist() == np.einsum(subscripts, host(x)).tolist()
        x[0, 0] += 1
        assert float(y.reshape(-1)[0]) == float(x[0, 0])


def test_einsum_of_integers_and_truth_values(dev):
    a = np.arange(6).reshape(2, 3)
    for text in ("ij,kj->ik", "ij,ij->i", "ij,ij->", "ij->j"):
        operands = [a] * (1 + text.count(","))
        for dtype in (np.int64, bool):
            found = host(cunet.einsum(text, *[Tensor(dev(o.astype(dtype))) for o in operands]))
            expected = np.einsum(text, *[o.astype(dtype) for o in operands])
            assert found.dtype == dtype and np.array_equal(found, expected), (text, dtype)
