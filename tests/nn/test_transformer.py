"""The transformer encoder, with PyTorch as a second oracle."""

import numpy as np
import pytest
from helpers import host
from torch_helpers import assert_same_gradients, in_torch, torch_weighted, weighted

from cunet import Tensor, nn, no_grad, random
from cunet.testing import gradcheck


def build(device, make, *args, **options):
    return make(*args, dtype=np.float64, **options).to(device)


@pytest.mark.parametrize("options", [{}, {"norm_first": True}, {"batch_first": True}], ids=str)
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_the_encoder_is_that_of_pytorch(activation, options, device, dev, rng):
    torch = pytest.importorskip("torch")
    common = {"dropout": 0.0, "activation": activation, **options}
    make = lambda: nn.TransformerEncoderLayer(8, 2, 12, **common, dtype=np.float64)  # noqa: E731
    model = nn.TransformerEncoder(make, 2, nn.LayerNorm(8, dtype=np.float64)).to(device)
    like = torch.nn.TransformerEncoder(
        torch.nn.TransformerEncoderLayer(8, 2, 12, **common), 2, torch.nn.LayerNorm(8), enable_nested_tensor=False
    )
    theirs = in_torch(torch, model, like)
    x = rng.standard_normal((3, 5, 8) if options.get("batch_first") else (5, 3, 8))
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


def test_norms_come_last_unless_told_otherwise():
    layer = nn.TransformerEncoderLayer(8, 2)
    assert not layer.norm_first
    names = {name.split(".")[0] for name in layer.state_dict()}
    assert names == {"self_attn", "linear1", "linear2", "norm1", "norm2"}


def test_with_branches_of_0_a_pre_norm_layer_is_the_identity(device, dev, rng):
    layer = build(device, nn.TransformerEncoderLayer, 8, 2, 12, norm_first=True)
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
