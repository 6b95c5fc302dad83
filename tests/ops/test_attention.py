"""Attention, positions and the transformer encoder: masks, layouts, safety, PyTorch as a second oracle."""

import math

import numpy as np
import pytest
from cases.attention import reference
from helpers import host

from cunet import F, Tensor, nn, no_grad, random
from cunet import device as backend
from cunet.testing import gradcheck


def weighted(y):
    """Return a number on which every element bears, each with a weight of its own."""
    xp = backend.array_module(y.data)
    return (y * xp.sin(xp.arange(y.size, dtype=y.dtype)).reshape(y.shape)).sum()


def in_torch(torch, layer, theirs):
    theirs = theirs.double()
    theirs.load_state_dict({name: torch.tensor(host(a)) for name, a in layer.state_dict().items()})
    return theirs


def torch_weighted(torch, y):
    return (y * torch.sin(torch.arange(y.numel(), dtype=y.dtype)).reshape(y.shape)).sum()


def assert_same_gradients(layer, theirs):
    named = dict(theirs.named_parameters())
    assert {name for name, _ in layer.named_parameters()} == set(named)
    for name, p in layer.named_parameters():
        np.testing.assert_allclose(host(p.grad), named[name].grad.numpy(), rtol=1e-8, atol=1e-11, err_msg=name)


# scaled_dot_product_attention


@pytest.mark.parametrize("masked", ["no", "bool", "float", "causal"])
def test_attention_is_that_of_pytorch(masked, dev, rng):
    torch = pytest.importorskip("torch")
    arrays = [rng.standard_normal(s) for s in ((2, 3, 4, 6), (2, 3, 5, 6), (2, 3, 5, 7))]
    masks = {"bool": rng.random((4, 5)) < 0.6, "float": rng.standard_normal((2, 1, 4, 5))}
    if masked == "bool":
        masks["bool"][:, 0] = True
    mask = masks.get(masked)
    ours = [Tensor(dev(a), requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = F.scaled_dot_product_attention(*ours, None if mask is None else dev(mask), is_causal=masked == "causal")
    expected = torch.nn.functional.scaled_dot_product_attention(
        *theirs, None if mask is None else torch.tensor(mask), is_causal=masked == "causal"
    )
    np.testing.assert_allclose(host(y), expected.detach().numpy(), rtol=1e-10, atol=1e-13)
    weighted(y).backward()
    torch_weighted(torch, expected).backward()
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(host(a.grad), b.grad.numpy(), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("mask", ["bool", "float"])
def test_a_query_that_may_attend_to_nothing_gets_0_and_gives_no_gradient(mask, dev, rng):
    arrays = [Tensor(dev(rng.standard_normal(s)), requires_grad=True) for s in ((3, 4), (5, 4), (5, 2))]
    allowed = np.ones((3, 5), bool)
    allowed[1] = False
    given = allowed if mask == "bool" else np.where(allowed, 0.0, -np.inf)
    y = F.scaled_dot_product_attention(*arrays, dev(given))
    assert (host(y)[1] == 0).all()
    assert host(y)[[0, 2]].all()
    weighted(y).backward()
    assert (host(arrays[0].grad)[1] == 0).all()
    assert all(np.isfinite(host(a.grad)).all() for a in arrays)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_scores_that_no_exponential_can_hold(dtype, dev):
    """exp(1000) is infinite in both types: the softmax must not form it."""
    q = Tensor(dev([[20.0], [-20.0]], dtype), requires_grad=True)
    k, v = dev([[50.0], [0.0]], dtype), dev([[1.0], [3.0]], dtype)
    y = F.scaled_dot_product_attention(q, k, v, scale=1.0)
    np.testing.assert_array_equal(host(y), [[1.0], [3.0]])
    y.sum().backward()
    assert (host(q.grad) == 0).all()


def test_the_weights_of_a_row_sum_to_1_and_dropout_keeps_their_mean(dev):
    random.manual_seed(0)
    q, k, v = dev(np.zeros((40, 8))), dev(np.zeros((50, 8))), dev(np.ones((50, 1)))
    assert host(F.scaled_dot_product_attention(q, k, v)) == pytest.approx(1)
    y = host(F.scaled_dot_product_attention(q, k, v, dropout_p=0.5))
    assert len(np.unique(y)) > 5
    assert abs(y.mean() - 1) < 0.1
    assert host(F.scaled_dot_product_attention(q, k, v, dropout_p=0.5, training=False)) == pytest.approx(1)


def test_the_future_has_no_influence_on_a_causal_result(dev, rng):
    q, k, v = (rng.standard_normal((6, 4)) for _ in range(3))
    before = host(F.scaled_dot_product_attention(dev(q), dev(k), dev(v), is_causal=True))
    k[4:], v[4:] = 9, 9
    after = host(F.scaled_dot_product_attention(dev(q), dev(k), dev(v), is_causal=True))
    np.testing.assert_array_equal(before[:4], after[:4])
    assert (before[4:] != after[4:]).all()


@pytest.mark.parametrize("shape", [(0, 3, 4), (1, 1, 4)])
def test_empty_batches_and_single_steps(shape, dev, rng):
    x = Tensor(dev(rng.standard_normal(shape)), requires_grad=True)
    y = F.scaled_dot_product_attention(x, x, x)
    np.testing.assert_allclose(host(y), reference(*[host(x)] * 3)[0], rtol=1e-12)
    y.sum().backward()
    assert x.grad.shape == shape


def test_attention_errors(dev):
    a = dev(np.zeros((2, 3)), np.float32)
    with pytest.raises(ValueError, match=r"\(\.\.\., L, E\), \(\.\.\., S, E\)"):
        F.scaled_dot_product_attention(a, dev(np.zeros((2, 4)), np.float32), a)
    with pytest.raises(TypeError, match="attn_mask must be of bool or floating dtype, got int64"):
        F.scaled_dot_product_attention(a, a, a, dev(np.ones((2, 2), np.int64)))
    with pytest.raises(TypeError, match="key must be an array of floating dtype"):
        F.scaled_dot_product_attention(a, dev(np.zeros((2, 3), np.int64)), a)


# MultiheadAttention


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
    with pytest.raises(ValueError, match=r"query must have shape \(L, N, 4\)"):
        layer(x[..., :3], x, x)
    with pytest.raises(ValueError, match="key_padding_mask must have a shape of"):
        layer(x, x, x, np.zeros((3, 2), bool))
    with pytest.raises(ValueError, match="attn_mask must have a shape of"):
        layer(x, x, x, attn_mask=np.zeros((2, 3, 3), bool))


# Positions


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


# TransformerEncoder


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_the_encoder_is_that_of_pytorch(activation, norm_first, device, dev, rng):
    torch = pytest.importorskip("torch")
    common = {"dropout": 0.0, "activation": activation, "norm_first": norm_first}
    make = lambda: nn.TransformerEncoderLayer(8, 2, 12, **common, dtype=np.float64)  # noqa: E731
    model = nn.TransformerEncoder(make, 2, nn.LayerNorm(8, dtype=np.float64)).to(device)
    like = torch.nn.TransformerEncoder(
        torch.nn.TransformerEncoderLayer(8, 2, 12, **common), 2, torch.nn.LayerNorm(8), enable_nested_tensor=False
    )
    theirs = in_torch(torch, model, like)
    x = rng.standard_normal((5, 3, 8))
    padding = np.zeros((3, 5), bool)
    padding[1, 3:] = True
    mask = np.triu(np.ones((5, 5), bool), 1)
    leaf, other = Tensor(dev(x), requires_grad=True), torch.tensor(x, requires_grad=True)
    y = model(leaf, dev(mask), dev(padding))
    expected = theirs(other, torch.tensor(mask), torch.tensor(padding))
    np.testing.assert_allclose(host(y), expected.detach().numpy(), rtol=1e-9, atol=1e-11)
    weighted(y).backward()
    torch_weighted(torch, expected).backward()
    assert_same_gradients(model, theirs)
    np.testing.assert_allclose(host(leaf.grad), other.grad.numpy(), rtol=1e-8, atol=1e-11)


def test_norms_come_first_unless_told_otherwise():
    layer = nn.TransformerEncoderLayer(8, 2)
    assert layer.norm_first
    names = {name.split(".")[0] for name in layer.state_dict()}
    assert names == {"self_attn", "linear1", "linear2", "norm1", "norm2"}


def test_with_branches_of_0_a_pre_norm_layer_is_the_identity(device, dev, rng):
    layer = build(device, nn.TransformerEncoderLayer, 8, 2, 12)
    for module in (layer.self_attn.out_proj, layer.linear2):
        for p in module.parameters():
            p.data = p.data * 0
    x = rng.standard_normal((4, 2, 8))
    np.testing.assert_array_equal(host(layer(dev(x))), x)


def test_gradients_of_an_encoder_layer_with_dropout(device, dev, rng):
    layer = build(device, nn.TransformerEncoderLayer, 4, 2, 6, 0.25, "gelu", batch_first=True)

    def call(x):
        random.manual_seed(2)
        return layer(x, is_causal=True)

    gradcheck(call, dev(rng.standard_normal((2, 3, 4))), rng=rng)
    x = dev(rng.standard_normal((2, 3, 4)))
    assert (host(layer(x)) != host(layer(x))).any()
    layer.eval()
    np.testing.assert_array_equal(host(layer(x)), host(layer(x)))


def test_a_copied_layer_begins_with_its_weights_and_a_function_makes_new_ones():
    copied = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12), 2)
    made = nn.TransformerEncoder(lambda: nn.TransformerEncoderLayer(8, 2, 12), 2)
    first, second = (m.linear1.weight for m in copied.layers)
    assert first is not second
    assert (first.data == second.data).all()
    first, second = (m.linear1.weight for m in made.layers)
    assert (first.data != second.data).all()


def test_padding_does_not_reach_the_other_positions(device, dev, rng):
    model = nn.TransformerEncoder(lambda: nn.TransformerEncoderLayer(8, 2, 12, batch_first=True), 2).to(device).eval()
    x = rng.standard_normal((2, 5, 8)).astype(np.float32)
    padding = dev(np.array([[0, 0, 0, 1, 1], [0, 0, 0, 0, 0]], bool))
    with no_grad():
        before = host(model(dev(x), src_key_padding_mask=padding))
        x[0, 3:] = 7
        after = host(model(dev(x), src_key_padding_mask=padding))
    np.testing.assert_array_equal(before[0, :3], after[0, :3])
    np.testing.assert_array_equal(before[1], after[1])


@pytest.mark.cpu_only
def test_errors_of_the_encoder():
    with pytest.raises(ValueError, match="activation must be"):
        nn.TransformerEncoderLayer(8, 2, activation="elu")
    with pytest.raises(ValueError, match="num_layers must be an int of at least 1"):
        nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12), 0)
    with pytest.raises(ValueError, match=r"x must have shape \(T, N, 6\)"):
        nn.PositionalEncoding(6)(np.zeros((3, 2, 5), np.float32))
