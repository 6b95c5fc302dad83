"""Attention layers and positions: masks, layouts, PyTorch as a second oracle."""

import math

import numpy as np
import pytest
from helpers import host
from torch_helpers import assert_same_gradients, in_torch, torch_weighted, weighted

from cunet import F, Tensor, nn, random
from cunet.testing import gradcheck


def build(device, make, *args, **options):
    return make(*args, dtype=np.float64, **options).to(device)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("inputs", ["same", "two", "three", "other lengths"])
@pytest.mark.parametrize("bias", [False, True])
def test_heads_are_those_of_pytorch(bias, inputs, batch_first, device, dev, rng):
    torch = pytest.importorskip("torch")
    options = {"bias": bias, "batch_first": batch_first} | ({"kdim": 3, "vdim": 5} if inputs == "other lengths" else {})
    layer = build(device, nn.MultiheadAttention, 8, 2, **options)
    if bias:  # they begin at 0
        layer.in_proj_bias.data = layer.in_proj_bias.data + dev(rng.standard_normal(24))
    theirs = in_torch(torch, layer, torch.nn.MultiheadAttention(8, 2, **options))
    shapes = {"same": [(4, 3, 8)], "two": [(4, 3, 8), (5, 3, 8)], "three": [(4, 3, 8), (5, 3, 8), (5, 3, 8)]}
    arrays = [rng.standard_normal(s) for s in shapes.get(inputs, [(4, 3, 8), (5, 3, 3), (5, 3, 5)])]
    arrays = [a.swapaxes(0, 1).copy() if batch_first else a for a in arrays]
    ours = [Tensor(dev(a), requires_grad=True) for a in arrays]
    others = [torch.tensor(a, requires_grad=True) for a in arrays]
    three = (ours + ours[-1:] * 2)[:3], (others + others[-1:] * 2)[:3]
    y, weights = layer(*three[0])
    expected, weights_t = theirs(*three[1])
    np.testing.assert_allclose(host(y), expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(host(weights), weights_t.detach().numpy(), rtol=1e-9)
    (weighted(y) + weighted(weights)).backward()
    (torch_weighted(torch, expected) + torch_weighted(torch, weights_t)).backward()
    assert_same_gradients(layer, theirs)
    for a, b in zip(ours, others, strict=True):
        np.testing.assert_allclose(host(a.grad), b.grad.numpy(), rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("kind", ["bool", "float", "mixed"])
@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask:UserWarning")  # PyTorch's
def test_masks_are_those_of_pytorch(kind, single, average, device, dev, rng):
    torch = pytest.importorskip("torch")
    layer = build(device, nn.MultiheadAttention, 8, 2)
    theirs = in_torch(torch, layer, torch.nn.MultiheadAttention(8, 2))
    x = rng.standard_normal((5, 8) if single else (5, 3, 8))
    padding = np.zeros((5,) if single else (3, 5), bool)
    padding[..., 3:] = True
    attend = rng.random((5, 5) if single else (6, 5, 5)) < 0.4
    attend[..., 0] = False
    if kind != "bool":
        attend = np.where(attend, -2.5, rng.standard_normal(attend.shape))
    if kind == "float":
        padding = np.where(padding, -np.inf, 0.5)
    call = {"average_attn_weights": average}
    y, weights = layer(*[dev(x)] * 3, dev(padding), True, dev(attend), **call)
    expected, weights_t = theirs(*[torch.tensor(x)] * 3, torch.tensor(padding), True, torch.tensor(attend), **call)
    np.testing.assert_allclose(host(y), expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(host(weights), weights_t.detach().numpy(), rtol=1e-9, atol=1e-12)
    assert (host(weights)[..., 3:] == 0).all()


@pytest.mark.parametrize("batch_first", [False, True])
def test_padding_of_another_sequence_reaches_no_gradient(batch_first, device, dev, rng):
    layer = build(device, nn.MultiheadAttention, 8, 2, batch_first=batch_first)
    query, memory = rng.standard_normal((2, 3, 8)), rng.standard_normal((2, 5, 8))
    padding, found = np.zeros((2, 5), bool), []
    padding[0, 3:] = padding[1, 1:] = True
    for beyond in (0.0, np.nan, np.inf):
        memory[padding] = beyond
        q, m = (Tensor(dev(a if batch_first else a.swapaxes(0, 1)), requires_grad=True) for a in (query, memory))
        y, _ = layer(q, m, m, dev(padding))
        weighted(y).backward()
        found.append([host(a) for a in (y, q.grad, m.grad, *[p.grad for p in layer.parameters()])])
        layer.zero_grad()
    for finite, nan, infinite in zip(*found, strict=True):
        np.testing.assert_array_equal(finite, nan)
        np.testing.assert_array_equal(finite, infinite)


def test_a_causal_mask_as_a_flag_and_as_an_array(device, dev, rng):
    layer = build(device, nn.MultiheadAttention, 8, 4, batch_first=True)
    x = dev(rng.standard_normal((2, 5, 8)))
    padding = dev(np.array([[0, 0, 0, 0, 1], [0, 0, 0, 0, 0]], bool))
    mask = dev(np.triu(np.ones((5, 5), bool), 1))
    flag, none = layer(x, x, x, padding, need_weights=False, is_causal=True)
    array, weights = layer(x, x, x, padding, attn_mask=mask)
    np.testing.assert_allclose(host(flag), host(array), rtol=1e-12)
    assert none is None
    assert weights.shape == (2, 5, 5)


def test_a_query_without_keys_gets_the_bias_of_the_output(device, dev, rng):
    layer = build(device, nn.MultiheadAttention, 4, 2)
    layer.out_proj.bias.data = dev(np.arange(4.0))
    x = dev(rng.standard_normal((3, 2, 4)))
    y, weights = layer(x, x, x, dev(np.array([[True] * 3, [False] * 3])))
    np.testing.assert_array_equal(host(y)[:, 0], np.tile(np.arange(4.0), (3, 1)))
    assert (host(weights)[0] == 0).all()
    weighted(y).backward()
    assert all(np.isfinite(host(p.grad)).all() for p in layer.parameters())


def test_gradients_of_heads(device, dev, rng):
    layer = build(device, nn.MultiheadAttention, 4, 2, dropout=0.3)
    q, kv = dev(rng.standard_normal((3, 2, 4))), dev(rng.standard_normal((5, 2, 4)))

    def call(q, kv):
        random.manual_seed(3)
        return layer(q, kv, kv)

    gradcheck(call, q, kv, rng=rng)


def test_the_first_weights_of_heads_follow_pytorchs_laws():
    layer = nn.MultiheadAttention(64, 4)
    bound = math.sqrt(6 / (64 + 3 * 64))  # Xavier's, of the whole (3E, E) matrix
    assert 0.99 * bound < np.abs(layer.in_proj_weight.data).max() <= bound
    assert not layer.in_proj_bias.data.any()
    assert not layer.out_proj.bias.data.any()
    assert list(layer.state_dict()) == ["in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"]


@pytest.mark.cpu_only
def test_errors_of_heads():
    with pytest.raises(ValueError, match="num_heads must divide embed_dim = 6, got 4"):
        nn.MultiheadAttention(6, 4)
    layer, x = nn.MultiheadAttention(4, 2), np.zeros((3, 2, 4), np.float32)
    with pytest.raises(ValueError, match=r"must have shapes \(L, N, 4\), \(S, N, 4\), \(S, N, 4\), or"):
        layer(x[..., :3], x, x)
    words = r"got \(3, 2, 4\), \({}, {}, 4\), \({}, {}, 4\)"
    for key, value in (((3, 1), (3, 1)), ((3, 2), (5, 2)), ((5, 2), (3, 2))):
        with pytest.raises(ValueError, match=words.format(*key, *value)):
            layer(x, np.zeros((*key, 4), np.float32), np.zeros((*value, 4), np.float32))
    with pytest.raises(ValueError, match=r"must have shapes \(L, N, 4\), \(S, N, 3\), \(S, N, 5\), or all no axis N"):
        nn.MultiheadAttention(4, 2, kdim=3, vdim=5)(x, x, x)
    with pytest.raises(ValueError, match=r"must have shapes \(N, L, 4\), \(N, S, 4\), "):
        nn.MultiheadAttention(4, 2, batch_first=True)(x, x[:2], x[:2])
    with pytest.raises(ValueError, match=r"or all no axis N, got \(3, 4\), \(3, 2, 4\)"):
        layer(x[:, 0], x, x)
    for name in ("attn_mask", "key_padding_mask"):
        with pytest.raises(TypeError, match=f"MultiheadAttention: {name} must be of bool or floating dtype, got int64"):
            layer(x, x, x, **{name: np.zeros((3, 3) if name == "attn_mask" else (2, 3), np.int64)})
    with pytest.raises(ValueError, match="key_padding_mask must have a shape of"):
        layer(x, x, x, np.zeros((3, 2), bool))
    with pytest.raises(ValueError, match="attn_mask must have a shape of"):
        layer(x, x, x, attn_mask=np.zeros((2, 3, 3), bool))


def test_positions_one_number_at_a_time():
    for dim in (1, 6, 7):
        table = F.sinusoidal_positions(50, dim, np.float64)
        for t in (0, 1, 49):
            for i in range(dim):
                angle = t / 10000 ** ((i - i % 2) / dim)
                assert math.isclose(table[t, i], (math.cos if i % 2 else math.sin)(angle), abs_tol=1e-12)


@pytest.mark.parametrize("batch_first", [False, True])
def test_the_encoding_adds_positions_of_any_length(batch_first, device, dev):
    layer = nn.PositionalEncoding(6, dropout=0.0, batch_first=batch_first).to(device)
    for length in (3, 70, 5):
        shape = (2, length, 6) if batch_first else (length, 2, 6)
        y = host(layer(dev(np.ones(shape))))
        y = y if batch_first else y.swapaxes(0, 1)
        np.testing.assert_allclose(y, np.tile(1 + F.sinusoidal_positions(length, 6, np.float64), (2, 1, 1)), rtol=1e-12)
    assert not layer.state_dict()
    dropped = host(nn.PositionalEncoding(6, dropout=0.5).to(device)(dev(np.full((9, 3, 6), 5.0))))
    assert 0.3 < (dropped == 0).mean() < 0.7
