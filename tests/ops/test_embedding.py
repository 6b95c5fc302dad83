"""embedding and one_hot: gradients that add up in one order, indices out of range, padding."""

import ml_dtypes
import numpy as np
import pytest
from helpers import host

from cunet import F
from cunet.autograd.tensor import Tensor


def look_up(indices, weight, gy, dev, **options):
    table = Tensor(dev(weight), requires_grad=True)
    y = F.embedding(dev(indices), table, **options)
    y.backward(dev(gy))
    return host(y), host(table.grad)


def added_up(indices, gy, rows):
    gw = np.zeros((rows, gy.shape[-1]), gy.dtype)
    for at in np.ndindex(*indices.shape):
        gw[indices[at]] += gy[at]
    return gw


@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 4), (2, 3, 2), (0,), (2, 0)], ids=str)
@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int16])
def test_rows_and_their_gradient(dtype, shape, rng, dev):
    weight, indices = rng.standard_normal((6, 3)), np.asarray(rng.integers(0, 5, shape), dtype)
    gy = rng.standard_normal((*shape, 3))
    y, gw = look_up(indices, weight, gy, dev)
    np.testing.assert_array_equal(y, weight[indices.astype(int)])
    np.testing.assert_allclose(gw, added_up(indices, gy, 6), rtol=1e-14, atol=1e-14)
    assert (gw[5] == 0).all()


def test_the_gradient_has_the_same_bits_in_every_run(rng, dev):
    weight, indices = rng.standard_normal((5, 4)).astype(np.float32), rng.integers(0, 3, 2000)
    gy = (rng.standard_normal((2000, 4)) * 10.0 ** rng.integers(-6, 6, (2000, 1))).astype(np.float32)
    runs = {look_up(indices, weight, gy, dev)[1].tobytes() for _ in range(3)}
    assert len(runs) == 1


@pytest.mark.parametrize("padding_idx", [0, 1, 3, -2, -1])
def test_a_padding_row_gets_no_gradient(padding_idx, rng, dev):
    weight, indices, gy = rng.standard_normal((4, 2)), np.array([0, 3, 2, 1, 3, 1, 0]), rng.standard_normal((7, 2))
    expected = added_up(indices, gy, 4)
    expected[padding_idx] = 0
    y, gw = look_up(indices, weight, gy, dev, padding_idx=padding_idx)
    np.testing.assert_array_equal(y, weight[indices])
    np.testing.assert_allclose(gw, expected, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16], ids=lambda d: np.dtype(d).name)
def test_half_types_add_up_in_float32(dtype, dev):
    """A float16 sum of ones stops at 2048, a bfloat16 sum at 256."""
    _, gw = look_up(np.zeros(4096, int), np.zeros((2, 1), dtype), np.ones((4096, 1), dtype), dev)
    assert gw.astype(float).tolist() == [[4096], [0]]
    assert gw.dtype == dtype


def test_a_strided_table(rng, dev):
    weight = rng.standard_normal((3, 8))
    y, gw = look_up(np.array([2, 0]), weight.T, np.ones((2, 3)), dev)
    np.testing.assert_array_equal(y, weight.T[[2, 0]])
    np.testing.assert_array_equal(gw.sum(axis=1), [3, 0, 3, 0, 0, 0, 0, 0])


@pytest.mark.parametrize("wrong", [4, -1, 2**40, -(2**40)])
def test_an_index_out_of_range(wrong, device, dev):
    """An error on the CPU; on the GPU, where it would cost a synchronisation, NaN and nothing read out of bounds."""
    indices, weight = np.array([1, wrong, 1]), np.ones((4, 2), np.float32)
    if device == "cpu":
        with pytest.raises(ValueError, match=f"embedding: indices must be 0 to 3, got {wrong}"):
            look_up(indices, weight, np.ones((3, 2), np.float32), dev)
        return
    y, gw = look_up(indices, weight, np.ones((3, 2), np.float32), dev)
    assert np.isnan(y).tolist() == [[False] * 2, [True] * 2, [False] * 2]
    assert gw.tolist() == [[0, 0], [2, 2], [0, 0], [0, 0]]


def test_what_is_refused(dev):
    table, indices = dev(np.ones((4, 2), np.float32)), dev(np.array([0]))
    with pytest.raises(TypeError, match="embedding: indices must be of integer dtype, got float32"):
        F.embedding(dev(np.ones(3), np.float32), table)
    with pytest.raises(TypeError, match="embedding: weight must be an array of floating dtype, got int64"):
        F.embedding(indices, indices)
    with pytest.raises(ValueError, match=r"embedding: weight must have shape \(rows, width\), got \(4,\)"):
        F.embedding(indices, dev(np.ones(4)))
    with pytest.raises(ValueError, match="embedding: padding_idx must be within 4 rows, got 4"):
        F.embedding(indices, table, padding_idx=4)


def test_one_hot(device, dev):
    y = F.one_hot(dev(np.array([[2, 0], [1, 1]])), 3)
    assert y.dtype == np.float32
    assert host(y).tolist() == [[[0, 0, 1], [1, 0, 0]], [[0, 1, 0], [0, 1, 0]]]
    assert host(F.one_hot(dev(np.array(1)), 2, dtype=np.int64)).tolist() == [0, 1]
    with pytest.raises(TypeError, match="one_hot: indices must be of integer dtype, got bool"):
        F.one_hot(dev(np.array([True])), 2)
    if device == "cpu":
        with pytest.raises(ValueError, match="one_hot: indices must be 0 to 2, got 3"):
            F.one_hot(np.array([0, 3]), 3)


def test_pytorch_agrees(rng, dev):
    torch = pytest.importorskip("torch")
    weight, indices = rng.standard_normal((10, 5)), rng.integers(0, 10, (8, 6))
    gy = rng.standard_normal((8, 6, 5))
    table = torch.tensor(weight, requires_grad=True)
    z = torch.nn.functional.embedding(torch.tensor(indices), table, padding_idx=4)
    z.backward(torch.tensor(gy))
    y, gw = look_up(indices, weight, gy, dev, padding_idx=4)
    np.testing.assert_array_equal(y, z.detach().numpy())
    np.testing.assert_allclose(gw, table.grad.numpy(), rtol=1e-13, atol=1e-14)
