"""Embedding with a table that is given, and with vectors of limited length."""

import math

import numpy as np
import pytest
from helpers import host

from cunet import F, Tensor, nn


@pytest.mark.parametrize("freeze", [True, False])
def test_a_given_table(freeze, rng, device, dev):
    table = dev(rng.standard_normal((5, 3)).astype(np.float32))
    layer = nn.Embedding.from_pretrained(table, freeze, padding_idx=-4)
    assert layer.weight.data is table and layer.weight.requires_grad is not freeze
    assert (layer.num_embeddings, layer.embedding_dim, layer.padding_idx) == (5, 3, 1)
    indices = dev(np.array([[1, 0], [4, 1]]))
    y = layer(indices)
    np.testing.assert_array_equal(host(y), host(table)[host(indices)])
    assert y.requires_grad is not freeze
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    if not freeze:
        y.sum().backward()
        np.testing.assert_array_equal(host(layer.weight.grad)[:, 0], [1, 0, 0, 0, 1])


def test_a_given_table_may_be_a_tensor_or_numbers():
    table = Tensor(np.ones((2, 3)))
    assert nn.Embedding.from_pretrained(table).weight.data is table.data
    layer = nn.Embedding.from_pretrained([[1.0, 2.0], [3.0, 4.0]])
    assert layer(np.array([1])).data.tolist() == [[3, 4]] and layer.weight.dtype == np.float32

    class Own(nn.Embedding):
        pass

    assert type(Own.from_pretrained(np.ones((2, 2)))) is Own


@pytest.mark.cpu_only
@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("given", [True, False])
def test_limited_lengths_as_in_pytorch(given, norm_type, rng):
    torch = pytest.importorskip("torch")
    table = (2 * rng.standard_normal((6, 3))).astype(np.float32)
    options = {"padding_idx": 2, "max_norm": 1.5, "norm_type": norm_type}
    if given:
        theirs = torch.nn.Embedding.from_pretrained(torch.tensor(table), False, **options)
        ours = nn.Embedding.from_pretrained(table.copy(), False, **options)
    else:
        theirs, ours = torch.nn.Embedding(6, 3, **options), nn.Embedding(6, 3, **options)
        ours.load_state_dict(theirs.state_dict())
    assert repr(ours) == repr(theirs)
    for _ in range(2):
        indices = rng.integers(0, 5, (2, 4))
        y, expected = ours(indices), theirs(torch.from_numpy(indices))
        np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=1e-6)
        np.testing.assert_allclose(ours.weight.data, theirs.weight.detach().numpy(), rtol=1e-6)
    y.sum().backward()
    expected.sum().backward()
    np.testing.assert_allclose(ours.weight.grad, theirs.weight.grad.numpy(), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_only_long_vectors_that_are_looked_up_are_shortened(dtype, device, dev):
    table = np.array([[3, 4], [0.3, 0.4], [30, 40], [0, 0]], dtype)
    layer = nn.Embedding.from_pretrained(dev(table.copy()), max_norm=1.0)
    y = layer(dev(np.array([0, 1, 0, 3])))
    tolerance = 2e-3 if dtype == np.float16 else 1e-6
    np.testing.assert_allclose(host(y), [[0.6, 0.8], [0.3, 0.4], [0.6, 0.8], [0, 0]], rtol=tolerance)
    np.testing.assert_array_equal(host(layer.weight)[1:], table[1:])
    assert y.dtype == dtype and layer(dev(np.zeros((0, 2), int))).shape == (0, 2, 2)


def test_the_function_writes_into_the_table_only_where_a_limit_is_given(dev):
    table = Tensor(dev(np.full((2, 2), 9.0)), requires_grad=True)
    F.embedding(dev(np.array([0])), table)
    assert host(table).tolist() == [[9, 9], [9, 9]]
    y = F.embedding(dev(np.array([0, 0])), table, max_norm=3.0, norm_type=math.inf)
    np.testing.assert_allclose(host(y), np.full((2, 2), 3.0), rtol=1e-6)
    np.testing.assert_allclose(host(table), [[3, 3], [9, 9]], rtol=1e-6)
    y.sum().backward()
    assert host(table.grad).tolist() == [[2, 2], [0, 0]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.Embedding.from_pretrained(np.ones(3)), ValueError, r"embeddings must have shape .*, got \(3,\)"),
        (
            lambda: nn.Embedding.from_pretrained(np.ones((2, 2), int)),
            TypeError,
            "from_pretrained: embeddings must be an",
        ),
        (
            lambda: nn.Embedding.from_pretrained(np.ones((2, 2)), padding_idx=2),
            ValueError,
            "padding_idx must be within 2",
        ),
        (
            lambda: nn.Embedding.from_pretrained(np.ones((0, 2))),
            ValueError,
            "num_embeddings must be an int of at least 1",
        ),
        (lambda: nn.Embedding(3, 2, max_norm=0.0), ValueError, "Embedding: max_norm must be above 0, got 0.0"),
        (
            lambda: F.embedding(np.array([0]), np.ones((3, 2)), max_norm=-1),
            ValueError,
            "embedding: max_norm must be above 0, got -1",
        ),
        (lambda: nn.Embedding(3, 2, norm_type=-1), ValueError, "Embedding: p, the order of the norm, must be"),
        (
            lambda: nn.Embedding(3, 2, max_norm=1.0)(np.array([3])),
            ValueError,
            "embedding: indices must be 0 to 2, got 3",
        ),
        (
            lambda: nn.Embedding(3, 2, max_norm=1.0)(np.ones(2)),
            TypeError,
            "embedding: indices must be of integer dtype",
        ),
    ],
)
def test_messages(call, error, message):
    with pytest.raises(error, match=message):
        call()
