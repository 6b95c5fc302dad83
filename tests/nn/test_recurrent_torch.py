"""Recurrent layers and cells against PyTorch's, with its weights."""

import itertools

import numpy as np
import pytest
from helpers import host
from recurrent_helpers import LAYERS, build, parts, total

from cunet import Tensor, nn

CELLS = [nn.RNNCell, nn.LSTMCell, nn.GRUCell]
each_layer = pytest.mark.parametrize("make", LAYERS)


def in_torch(torch, layer, like):
    """Return PyTorch's layer with the weights of ours."""
    theirs = like.double()
    theirs.load_state_dict({name: torch.tensor(host(a)) for name, a in layer.state_dict().items()})
    return theirs


def compare_with_torch(layer, theirs, ours_total, torch_total, pairs):
    """Assert equal values, and equal gradients of all parameters."""
    for ours, expected in pairs:
        np.testing.assert_allclose(host(ours), expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    layer.zero_grad()
    ours_total.backward()
    torch_total.backward()
    named = dict(theirs.named_parameters())
    assert [name for name, _ in layer.named_parameters()] == list(named)
    for name, p in layer.named_parameters():
        np.testing.assert_allclose(host(p.grad), named[name].grad.numpy(), rtol=1e-8, atol=1e-11, err_msg=name)


def torch_total(torch, output, state):
    return sum(
        (y * torch.sin(torch.arange(y.numel(), dtype=y.dtype) + k).reshape(y.shape)).sum()
        for k, y in enumerate([output, *parts(state)])
    )


@pytest.mark.parametrize(("bias", "batch_first", "bidirectional"), list(itertools.product([True, False], repeat=3)))
@pytest.mark.parametrize("layers", [1, 3])
@each_layer
def test_pytorch_gives_the_same(make, layers, bias, batch_first, bidirectional, device, dev, rng):
    torch = pytest.importorskip("torch")
    options = dict(num_layers=layers, bias=bias, batch_first=batch_first, bidirectional=bidirectional)
    layer = build(device, make, 4, 5, **options)
    theirs = in_torch(torch, layer, getattr(torch.nn, make.__name__)(4, 5, **options))
    x = rng.standard_normal((3, 6, 4))
    states = [rng.standard_normal((layers * (1 + bidirectional), 3 if batch_first else 6, 5)) for _ in range(2)]
    leaves = [Tensor(dev(a), requires_grad=True) for a in (x, *states)]
    others = [torch.tensor(a, requires_grad=True) for a in (x, *states)]
    pair = make is nn.LSTM
    y, s = layer(leaves[0], tuple(leaves[1:]) if pair else leaves[1])
    yt, st = theirs(others[0], tuple(others[1:]) if pair else others[1])
    pairs = zip([y, *parts(s)], [yt, *parts(st)], strict=True)
    compare_with_torch(layer, theirs, total(y, s), torch_total(torch, yt, st), pairs)
    for ours, expected in list(zip(leaves, others, strict=True))[: 3 if pair else 2]:
        np.testing.assert_allclose(host(ours.grad), expected.grad.numpy(), rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("bidirectional", [False, True])
@each_layer
def test_lengths_do_what_packed_sequences_of_pytorch_do(make, bidirectional, device, dev, rng):
    torch = pytest.importorskip("torch")
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    layer = build(device, make, 3, 4, num_layers=2, bidirectional=bidirectional)
    like = getattr(torch.nn, make.__name__)(3, 4, num_layers=2, bidirectional=bidirectional)
    theirs = in_torch(torch, layer, like)
    x, lengths = rng.standard_normal((6, 5, 3)), [2, 6, 1, 4, 4]
    leaf, other = Tensor(dev(x), requires_grad=True), torch.tensor(x, requires_grad=True)
    y, s = layer(leaf, lengths=lengths)
    packed, st = theirs(pack_padded_sequence(other, lengths, enforce_sorted=False))
    yt, _ = pad_packed_sequence(packed, total_length=6)
    pairs = zip([y, *parts(s)], [yt, *parts(st)], strict=True)
    compare_with_torch(layer, theirs, total(y, s), torch_total(torch, yt, st), pairs)
    np.testing.assert_allclose(host(leaf.grad), other.grad.numpy(), rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("make", CELLS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("single", [False, True])
def test_cells_are_those_of_pytorch(make, bias, single, device, dev, rng):
    torch = pytest.importorskip("torch")
    cell = build(device, make, 3, 5, bias=bias)
    theirs = in_torch(torch, cell, getattr(torch.nn, make.__name__)(3, 5, bias=bias))
    x, *states = (rng.standard_normal(n if single else (4, n)) for n in (3, 5, 5))
    pair = make is nn.LSTMCell
    after = cell(dev(x), tuple(map(dev, states)) if pair else dev(states[0]))
    states_t = [torch.tensor(s) for s in states]
    after_t = theirs(torch.tensor(x), tuple(states_t) if pair else states_t[0])
    pairs = zip(parts(after), parts(after_t), strict=True)
    zero = Tensor(dev(np.zeros(1)))
    compare_with_torch(cell, theirs, total(zero, after), torch_total(torch, torch.zeros(1), after_t), pairs)


def test_relu_networks_are_those_of_pytorch(device, dev, rng):
    torch = pytest.importorskip("torch")
    layer = build(device, nn.RNN, 3, 5, 2, "relu")
    theirs = in_torch(torch, layer, torch.nn.RNN(3, 5, 2, "relu"))
    x = rng.standard_normal((4, 2, 3))
    (y, s), (yt, st) = layer(dev(x)), theirs(torch.tensor(x))
    compare_with_torch(layer, theirs, total(y, s), torch_total(torch, yt, st), [(y, yt), (s, st)])
