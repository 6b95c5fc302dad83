"""LSTM with a projection: PyTorch's, its state dict, lengths, dropout, what is refused."""

import itertools

import numpy as np
import pytest
from helpers import host
from recurrent_helpers import build, parts, total

from cunet import Tensor, nn, no_grad
from cunet.testing import gradcheck

OPTIONS = list(itertools.product([1, 2], [True, False], [True, False], [True, False]))


def in_torch(layer, *sizes, **options):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.LSTM(*sizes, **options).double()
    theirs.load_state_dict({name: torch.tensor(host(a)) for name, a in layer.state_dict().items()})
    return torch, theirs


def torch_total(torch, output, state):
    return sum(
        (y * torch.sin(torch.arange(y.numel(), dtype=y.dtype) + k).reshape(y.shape)).sum()
        for k, y in enumerate([output, *state])
    )


def assert_alike(layer, theirs, ours, expected):
    for a, b in zip(ours, expected, strict=True):
        np.testing.assert_allclose(host(a), b.detach().numpy(), rtol=1e-9, atol=1e-12)
    named = dict(theirs.named_parameters())
    assert [name for name, _ in layer.named_parameters()] == list(named)
    for name, p in layer.named_parameters():
        np.testing.assert_allclose(host(p.grad), named[name].grad.numpy(), rtol=1e-8, atol=1e-11, err_msg=name)


@pytest.mark.parametrize(("layers", "bias", "batch_first", "bidirectional"), OPTIONS)
def test_pytorch_gives_the_same(layers, bias, batch_first, bidirectional, device, dev, rng):
    options = dict(num_layers=layers, bias=bias, batch_first=batch_first, bidirectional=bidirectional, proj_size=2)
    layer = build(device, nn.LSTM, 4, 5, **options)
    torch, theirs = in_torch(layer, 4, 5, **options)
    x, batch, count = rng.standard_normal((3, 6, 4)), 3 if batch_first else 6, layers * (1 + bidirectional)
    arrays = (x, rng.standard_normal((count, batch, 2)), rng.standard_normal((count, batch, 5)))
    ours = [Tensor(dev(a), requires_grad=True) for a in arrays]
    others = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, s = layer(ours[0], tuple(ours[1:]))
    yt, st = theirs(others[0], tuple(others[1:]))
    total(y, s).backward()
    torch_total(torch, yt, st).backward()
    assert_alike(layer, theirs, [y, *s], [yt, *st])
    for a, b in zip(ours, others, strict=True):
        np.testing.assert_allclose(host(a.grad), b.grad.numpy(), rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_lengths_do_what_packed_sequences_of_pytorch_do(bidirectional, device, dev, rng):
    options = dict(num_layers=2, bidirectional=bidirectional, proj_size=3)
    layer = build(device, nn.LSTM, 3, 4, **options)
    torch, theirs = in_torch(layer, 3, 4, **options)
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    x, lengths = rng.standard_normal((6, 5, 3)), [2, 6, 1, 4, 4]
    leaf, other = Tensor(dev(x), requires_grad=True), torch.tensor(x, requires_grad=True)
    y, s = layer(leaf, lengths=lengths)
    packed, st = theirs(pack_padded_sequence(other, lengths, enforce_sorted=False))
    yt, _ = pad_packed_sequence(packed, total_length=6)
    total(y, s).backward()
    torch_total(torch, yt, st).backward()
    assert_alike(layer, theirs, [y, *s], [yt, *st])
    np.testing.assert_allclose(host(leaf.grad), other.grad.numpy(), rtol=1e-8, atol=1e-11)


def test_what_lies_beyond_the_lengths_reaches_nothing(device, dev, rng):
    layer = build(device, nn.LSTM, 3, 4, bidirectional=True, proj_size=2)
    x = rng.standard_normal((5, 3, 3))
    x[3:, 1] = np.nan
    y, s = layer(dev(x), lengths=[5, 3, 4])
    total(y, s).backward()
    assert np.isfinite(host(y)).all() and not host(y)[3:, 1].any()
    assert all(np.isfinite(host(p.grad)).all() for p in layer.parameters())


@pytest.mark.parametrize("width", range(1, 9))
def test_any_width_and_one_sequence(width, device, dev, rng):
    layer = build(device, nn.LSTM, 2, width + 1, proj_size=width, dtype="float32")
    x = rng.standard_normal((4, 2)).astype(np.float32)
    y, (h, c) = layer(dev(x))
    assert y.shape == (4, width) and h.shape == (1, width) and c.shape == (1, width + 1)
    wide = layer.astype(np.float64)
    np.testing.assert_allclose(host(y), host(wide(dev(x.astype(np.float64)))[0]), rtol=1e-5, atol=1e-6)
    with no_grad():
        np.testing.assert_array_equal(host(wide(dev(x.astype(np.float64)))[1][0])[0], host(wide(dev(x * 1.0))[0])[-1])


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_lower_precision_is_near_float64(dtype, device, dev, rng):
    layer = build(device, nn.LSTM, 3, 6, num_layers=2, proj_size=4, dtype=dtype)
    x = rng.standard_normal((5, 2, 3)).astype(dtype)
    y, s = layer(dev(x))
    total(y, s).backward()
    low = [host(y), *[host(p.grad) for p in layer.parameters()]]
    layer.zero_grad()
    layer.astype(np.float64)
    y, s = layer(dev(x.astype(np.float64)))
    total(y, s).backward()
    tolerance = 2e-2 if dtype == np.float16 else 2e-5
    for a, b in zip(low, [host(y), *[host(p.grad) for p in layer.parameters()]], strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max())


def test_dropout_of_weights_and_units(device, dev, rng):
    layer = build(device, nn.LSTM, 3, 5, 2, dropout=0.2, proj_size=2, variational_dropout=0.4, weight_drop=0.3)
    x = dev(rng.standard_normal((4, 3, 3)))
    first, second = (host(layer(x)[0]) for _ in range(2))
    assert first.shape == (4, 3, 2) and (first != second).any()
    layer.eval()
    np.testing.assert_array_equal(host(layer(x)[0]), host(layer(x)[0]))


def test_a_gradient_through_the_last_states_alone(device, dev, rng):
    layer = build(device, nn.LSTM, 2, 3, proj_size=2)
    gradcheck(lambda x: parts(layer(x)[1])[1].sum(), dev(rng.standard_normal((3, 2, 2))), rng=rng)
    gradcheck(lambda x: parts(layer(x)[1])[0].sum(), dev(rng.standard_normal((3, 2, 2))), rng=rng)


def test_an_empty_batch(device, dev):
    layer = build(device, nn.LSTM, 2, 3, proj_size=2)
    y, (h, c) = layer(dev(np.zeros((3, 0, 2))))
    (y.sum() + h.sum() + c.sum()).backward()
    assert y.shape == (3, 0, 2) and h.shape == (1, 0, 2) and c.shape == (1, 0, 3)
    assert not any(host(p.grad).any() for p in layer.parameters())


def test_names_shapes_and_repr():
    layer = nn.LSTM(3, 5, 2, bidirectional=True, proj_size=2)
    shapes = {name: a.shape for name, a in layer.state_dict().items()}
    assert shapes["weight_hr_l0"] == shapes["weight_hr_l1_reverse"] == (2, 5)
    assert shapes["weight_hh_l0"] == (20, 2) and shapes["weight_ih_l1"] == (20, 4)
    assert repr(layer) == "LSTM(3, 5, num_layers=2, bidirectional=True, proj_size=2)"
    assert not [name for name in nn.LSTM(3, 5).state_dict() if "hr" in name]
    assert nn.LSTM(3, 5, 1, True, False, 0.0, False, 2).proj_size == 2  # PyTorch's order


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda x: nn.LSTM(3, 4, proj_size=4),
            ValueError,
            "LSTM: proj_size must be 0, or less than hidden_size = 4, got 4",
        ),
        (lambda x: nn.LSTM(3, 4, proj_size=-1), ValueError, "LSTM: proj_size must be 0, or less than .*, got -1"),
        (lambda x: nn.GRU(3, 4, proj_size=2), TypeError, "proj_size"),
        (
            lambda x: nn.LSTM(3, 4, proj_size=2)(x(5, 1, 3), (x(1, 1, 4), x(1, 1, 4))),
            ValueError,
            r"a first state must have shape \(layers \* directions, N, H\) = \(1, 1, 2\), got \(1, 1, 4\)",
        ),
        (
            lambda x: nn.LSTM(3, 4, proj_size=2)(x(5, 1, 3), (x(1, 1, 2), x(1, 1, 2))),
            ValueError,
            r"a first state must have shape .* = \(1, 1, 4\), got \(1, 1, 2\)",
        ),
    ],
)
def test_messages(call, error, message):
    with pytest.raises(error, match=message):
        call(lambda *shape: np.ones(shape, np.float32))
