"""Recurrent layers and cells: lengths, states, directions, dropout by name, layer norm, PyTorch as a second oracle."""

import importlib.util
import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest
from cases.recurrent import gru as gru_by_hand
from cases.recurrent import lstm as lstm_by_hand
from cases.recurrent import rnn as rnn_by_hand
from helpers import host

import cunet
from cunet import F, Tensor, nn, no_grad, random
from cunet.testing import gradcheck

LAYERS = [nn.RNN, nn.LSTM, nn.GRU]
NORMED = [nn.LayerNormRNN, nn.LayerNormLSTM, nn.LayerNormGRU]
CELLS = [nn.RNNCell, nn.LSTMCell, nn.GRUCell]
NORMED_CELLS = [nn.LayerNormRNNCell, nn.LayerNormLSTMCell, nn.LayerNormGRUCell]
each_layer = pytest.mark.parametrize("make", LAYERS)
any_layer = pytest.mark.parametrize("make", LAYERS + NORMED)


def build(device, make, *sizes, dtype=np.float64, **options):
    return make(*sizes, dtype=dtype, **options).to(device)


def parts(state):
    """Return the states of a layer as a list: h, or h and c."""
    return list(state) if isinstance(state, tuple) else [state]


def total(output, state):
    """Return a number on which all outputs and states bear, each element with a weight of its own."""
    whole = 0.0
    for k, y in enumerate([output, *parts(state)]):
        xp = cunet.backend.array_module(y.data)
        weights = xp.sin(xp.arange(y.size, dtype=y.dtype) + k).reshape(y.shape)
        whole = whole + (y * weights).sum()
    return whole


# PyTorch


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


# Without PyTorch


def by_hand(layer, x, **kwargs):
    weights = [host(a) for a in layer.state_dict().values()]
    run = {nn.RNN: rnn_by_hand, nn.LSTM: lstm_by_hand, nn.GRU: gru_by_hand}[type(layer)]
    return run(x, *[None] * (2 if isinstance(layer, nn.LSTM) else 1), *weights, **kwargs)


@each_layer
@pytest.mark.parametrize("batch", [0, 1, 3])
@pytest.mark.parametrize("steps", [1, 4])
def test_one_layer_against_loops_over_numbers(make, steps, batch, device, dev, rng):
    layer = build(device, make, 2, 3)
    x = rng.standard_normal((steps, batch, 2))
    y, state = layer(dev(x))
    expected = by_hand(layer, x)
    for ours, e in zip([y, *parts(state)], expected, strict=True):
        np.testing.assert_allclose(host(ours).reshape(e.shape), e, rtol=1e-10, atol=1e-13)
    total(y, state).backward()
    assert all(p.grad.shape == p.shape for p in layer.parameters())


@any_layer
def test_gradients_of_stacked_layers_with_lengths(make, device, dev, rng):
    layer = build(device, make, 2, 3, num_layers=2, bidirectional=True)
    count = 2 if "LSTM" in make.__name__ else 1
    arrays = [dev(rng.standard_normal((4, 3, 2))), *[dev(rng.standard_normal((4, 3, 3))) for _ in range(count)]]

    def call(x, *states):
        y, s = layer(x, states if count == 2 else states[0], lengths=[2, 4, 1])
        return (y, *parts(s))

    gradcheck(call, *arrays, rng=rng)


@any_layer
def test_gradients_of_parameters(make, device, dev, rng):
    layer = build(device, make, 2, 3)
    x = dev(rng.standard_normal((3, 2, 2)))
    parameters = list(layer.parameters())
    total(*layer(x)).backward()
    for p in parameters:
        at = tuple(int(rng.integers(n)) for n in p.shape)
        g, kept, values = host(p.grad)[at], p.data, []
        for step in (1e-5, -1e-5):
            moved = host(kept).copy()
            moved[at] += step
            p.data = dev(moved)
            values.append(total(*layer(x)).item())
        p.data = kept
        assert math.isclose(g, (values[0] - values[1]) / 2e-5, rel_tol=1e-5, abs_tol=1e-8)


@any_layer
@pytest.mark.parametrize("bidirectional", [False, True])
def test_each_padded_sequence_fares_as_if_it_were_alone(make, bidirectional, device, dev, rng):
    layer = build(device, make, 2, 3, num_layers=2, bidirectional=bidirectional, batch_first=True)
    x, lengths = rng.standard_normal((4, 5, 2)), [3, 5, 1, 3]
    for b, n in enumerate(lengths):
        x[b, n:] = np.nan  # nobody may look there
    y, state = layer(dev(x), lengths=lengths)
    for b, n in enumerate(lengths):
        alone, last = layer(dev(x[b, :n]))
        np.testing.assert_allclose(host(y)[b, :n], host(alone), rtol=1e-11, atol=1e-13)
        assert not host(y)[b, n:].any()
        for s, e in zip(parts(state), parts(last), strict=True):
            np.testing.assert_allclose(host(s)[:, b], host(e), rtol=1e-11, atol=1e-13)


@any_layer
def test_gradients_beyond_a_length_are_0(make, device, dev, rng):
    layer = build(device, make, 2, 3, bidirectional=True)
    x = Tensor(dev(rng.standard_normal((4, 3, 2))), requires_grad=True)
    total(*layer(x, lengths=np.array([4, 1, 3]))).backward()
    g = host(x.grad)
    assert not g[1:, 1].any()
    assert not g[3:, 2].any()
    assert g[0, 1].all()
    assert g[:, 0].all()


@any_layer
def test_a_sequence_in_two_pieces_gives_the_same(make, device, dev, rng):
    layer = build(device, make, 2, 3, num_layers=2)
    x = dev(rng.standard_normal((7, 2, 2)))
    whole, last = layer(x)
    first, state = layer(x[:3])
    second, end = layer(x[3:], state)
    np.testing.assert_allclose(host(whole), np.concatenate([host(first), host(second)]), rtol=1e-11)
    for a, b in zip(parts(last), parts(end), strict=True):
        np.testing.assert_allclose(host(a), host(b), rtol=1e-11)


@each_layer
def test_a_cell_step_by_step_is_the_layer(make, device, dev, rng):
    layer = build(device, make, 2, 3)
    cell = build(device, getattr(nn, make.__name__ + "Cell"), 2, 3)
    cell.load_state_dict({name.removesuffix("_l0"): a for name, a in layer.state_dict().items()})
    x, state = dev(rng.standard_normal((4, 2, 2))), None
    y, _ = layer(x)
    for t in range(4):
        state = cell(x[t], state)
        np.testing.assert_allclose(host(parts(state)[0]), host(y)[t], rtol=1e-11)


def test_the_last_state_does_not_hold_the_whole_sequence(device, dev, rng):
    _, (h, c) = build(device, nn.LSTM, 2, 3)(dev(rng.standard_normal((50, 2, 2))))
    with no_grad():
        assert h.data.nbytes == c.data.nbytes == 48
        for s in (h, c):
            base = getattr(s.data, "base", None)
            assert base is None or base.nbytes <= 48


def test_pytorchs_defaults_and_names():
    layer = nn.GRU(3, 4, num_layers=2, bidirectional=True)
    names = [f"{kind}_l{k}{end}" for k in range(2) for end in ("", "_reverse") for kind in
             ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]  # fmt: skip
    state = layer.state_dict()
    assert list(state) == names
    assert [state[f"weight_ih_l{k}"].shape for k in range(2)] == [(12, 3), (12, 8)]
    values = np.concatenate([a.ravel() for a in nn.LSTM(30, 25).state_dict().values()])
    assert 0.19 < np.abs(values).max() <= 0.2  # U(-1/sqrt(25), 1/sqrt(25))
    assert abs(values.std() - 0.2 / math.sqrt(3)) < 0.002


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@each_layer
def test_half_types_stay_what_they_are(make, dtype, device, dev, rng):
    pytest.importorskip("ml_dtypes")
    low = build(device, make, 3, 4, dtype=np.float32).astype(np.dtype(dtype))
    high = build(device, make, 3, 4)
    high.load_state_dict({k: host(a).astype(np.float64) for k, a in low.state_dict().items()})
    x = rng.standard_normal((5, 2, 3)).astype(dtype)
    y, state = low(dev(x), lengths=[5, 3])
    expected, _ = high(dev(x.astype(np.float64)), lengths=[5, 3])
    assert y.dtype == dtype
    assert all(s.dtype == dtype for s in parts(state))
    np.testing.assert_allclose(host(y).astype(float), host(expected), atol=4e-3 if dtype == "float16" else 3e-2)


# Dropout


def ones_layer(device, make, **options):
    """Return a layer whose input weights are all 1 and whose state has no influence."""
    layer = build(device, make, 6, 8, **options)
    for name, p in layer.named_parameters():
        p.data = p.data * 0 + (1.0 if "weight_ih" in name else 0.0)
    return layer


def test_variational_dropout_has_one_mask_for_all_steps(device, dev):
    x = dev(np.ones((7, 3, 40)))
    y = host(F.variational_dropout(x, 0.5))
    assert (y == y[0]).all()
    assert set(np.unique(y)) == {0.0, 2.0}
    assert (y[0, 0] != y[0, 1]).any()  # each sequence has its own
    assert (host(F.variational_dropout(x, 0.5)) != y).any()  # and each call
    layer = nn.VariationalDropout(0.5, batch_first=True)
    y = host(layer(dev(np.ones((3, 7, 40)))))
    assert (y == y[:, :1]).all()
    assert (host(layer.eval()(x)) == 1).all()
    with pytest.raises(ValueError, match="3 axes"):
        F.variational_dropout(dev(np.ones((3, 4))))


def test_dropout_of_inputs_outputs_and_states_by_mask(device, dev):
    """Inputs of 1 and weights of 1: what arrives at a unit tells how many inputs were kept."""
    x = dev(np.ones((6, 4, 6)))
    layer = ones_layer(device, nn.RNN, nonlinearity="relu", variational_dropout=(0.5, 0.0, 0.0))
    y = host(layer(x)[0])
    assert (y == y[0]).all()
    assert len(np.unique(y[0])) > 1
    layer = ones_layer(device, nn.RNN, nonlinearity="relu", variational_dropout=(0.0, 0.0, 0.5))
    y = host(layer(x)[0])
    assert (y == y[0]).all()
    assert set(np.unique(y)) == {0.0, 12.0}
    assert (host(layer.eval()(x)[0]) == 6).all()


def test_the_recurrent_mask_is_one_per_sequence(device, dev):
    """With weight_hh the identity and no input, a state either doubles or vanishes, at every step alike."""
    layer = build(device, nn.RNN, 1, 32, nonlinearity="relu", bias=False, variational_dropout=(0.0, 0.5, 0.0))
    layer.weight_hh_l0.data = dev(np.eye(32))
    layer.weight_ih_l0.data = layer.weight_ih_l0.data * 0
    y = host(layer(dev(np.zeros((4, 3, 1))), dev(np.ones((1, 3, 32))))[0])
    grown = np.array([2.0, 4.0, 8.0, 16.0])[:, None, None] * (y[0] > 0)
    np.testing.assert_array_equal(y, grown)
    assert 0 < (y[0] > 0).sum() < y[0].size
    y = host(layer.eval()(dev(np.zeros((4, 3, 1))), dev(np.ones((1, 3, 32))))[0])
    assert (y == 1).all()


@any_layer
def test_gradients_under_masks(make, device, dev, rng):
    layer = build(device, make, 2, 3, num_layers=2, dropout=0.3, variational_dropout=0.3, weight_drop=0.3)
    x = dev(rng.standard_normal((3, 2, 2)))

    def call(x):
        random.manual_seed(5)
        y, s = layer(x)
        return (y, *parts(s))

    gradcheck(call, x, rng=rng)
    layer.zero_grad()
    loss = {}
    for k, step in enumerate((0.0, 1e-6, -1e-6)):
        p = next(iter(layer.parameters()))
        kept, moved = p.data, host(p.data).copy()
        moved[0, 0] += step
        p.data = dev(moved)
        random.manual_seed(5)
        loss[k] = total(*layer(x))
        p.data = kept
        if not k:
            loss[0].backward()
            g = host(p.grad)[0, 0]
    assert math.isclose(g, (loss[1].item() - loss[2].item()) / 2e-6, rel_tol=1e-5, abs_tol=1e-8)


@pytest.mark.parametrize("make", [nn.LSTM, nn.LayerNormGRU])
def test_weight_drop_leaves_the_stored_weight_alone(make, device, dev, rng):
    layer = build(device, make, 2, 4, weight_drop=0.5)
    before = {name: host(a).copy() for name, a in layer.state_dict().items()}
    (name,) = (n for n, _ in layer.named_parameters() if "weight_hh" in n)
    x = dev(rng.standard_normal((5, 3, 2)))
    first = layer(x)[0]
    first.sum().backward()
    after = {name: host(a) for name, a in layer.state_dict().items()}
    assert all((before[n] == after[n]).all() for n in before)
    weight = dict(layer.named_parameters())[name]
    none = (host(weight.grad) == 0).mean()
    assert 0.2 < none < 0.8  # dropped connections get no gradient
    assert (host(layer(x)[0]) != host(first)).any()
    plain = build(device, make, 2, 4)
    plain.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(host(layer.eval()(x)[0]), host(plain(x)[0]))


def test_drop_connect_drops_weights_and_not_units(device, dev):
    layer = nn.DropConnect(40, 30, p=0.5, init=1.0, bias_init=3.0).to(device)
    eye = dev(np.eye(40), np.float32)
    y = host(layer(eye)) - 3  # row k: the weights of input k
    assert set(np.unique(y)) == {0.0, 2.0}
    assert 0.4 < (y == 0).mean() < 0.6
    assert not (y == 0).all(axis=0).any()
    assert not (y == 0).all(axis=1).any()
    assert (host(layer.weight) == 1).all()
    assert (host(layer.eval()(eye)) == 4).all()
    assert list(layer.state_dict()) == ["weight", "bias"]
    assert (host(F.drop_connect(layer.weight, 0.5, training=False)) == 1).all()


def test_dropout_between_layers_is_fresh_at_each_step_and_spares_the_last(device, dev):
    layer = ones_layer(device, nn.RNN, nonlinearity="relu", num_layers=2, dropout=0.5)
    y = host(layer(dev(np.ones((6, 4, 6))))[0])
    assert (y[0] != y[1]).any()
    single = ones_layer(device, nn.RNN, nonlinearity="relu", dropout=0.5)
    assert (host(single(dev(np.ones((6, 4, 6))))[0]) == 6).all()
    assert (host(layer.eval()(dev(np.ones((6, 4, 6))))[0]) == 48).all()


# Layer norm


def normalised(values, eps=1e-5):
    mean = math.fsum(values) / len(values)
    var = math.fsum((v - mean) ** 2 for v in values) / len(values)
    return [(v - mean) / math.sqrt(var + eps) for v in values]


def logistic(v):
    return 1 / (1 + math.exp(-v))


def normed_step(kind, x, h, c, w_ih, w_hh):
    n = len(h)
    gx, gh = ([float(np.dot(row, v)) for row in w] for w, v in ((w_ih, x), (w_hh, h)))
    if kind == "GRU":
        both = [a + b for a, b in zip(normalised(gx[: 2 * n]), normalised(gh[: 2 * n]), strict=True)]
        r, z = [logistic(v) for v in both[:n]], [logistic(v) for v in both[n:]]
        new = zip(normalised(gx[2 * n :]), r, normalised(gh[2 * n :]), strict=True)
        return [(1 - z[k]) * math.tanh(a + q * b) + z[k] * h[k] for k, (a, q, b) in enumerate(new)], c
    s = [a + b for a, b in zip(normalised(gx), normalised(gh), strict=True)]
    if kind == "RNN":
        return [math.tanh(v) for v in s], c
    i, f, g, o = (s[k * n : (k + 1) * n] for k in range(4))
    c = [logistic(f[k]) * c[k] + logistic(i[k]) * math.tanh(g[k]) for k in range(n)]
    return [logistic(o[k]) * math.tanh(v) for k, v in enumerate(normalised(c))], c


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_layer_normalised_layers_against_loops_over_numbers(kind, device, dev, rng):
    layer = build(device, getattr(nn, f"LayerNorm{kind}"), 3, 4)
    cell = layer.cells[0]
    x = rng.standard_normal((5, 2, 3))
    y, state = layer(dev(x))
    for b in range(2):
        h, c = [0.0] * 4, [0.0] * 4
        for t in range(5):
            h, c = normed_step(kind, x[t, b], h, c, host(cell.weight_ih), host(cell.weight_hh))
            np.testing.assert_allclose(host(y)[t, b], h, rtol=1e-9)
        last = [host(s)[0, b] for s in parts(state)]
        np.testing.assert_allclose(last, [h, c] if kind == "LSTM" else [h], rtol=1e-9)
    alone = cell(dev(x[0]))
    np.testing.assert_allclose(host(parts(alone)[0]), host(y)[0], rtol=1e-11)


@pytest.mark.parametrize("make", NORMED)
def test_a_layer_normalised_network_runs_on_longer_sequences_than_it_trained_on(make, device, dev, rng):
    """What the first steps give does not depend on how many follow, on the batch or on the mode."""
    layer = build(device, make, 2, 4, num_layers=2)
    optimizer = cunet.optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(3):
        layer.zero_grad()
        (layer(dev(rng.standard_normal((5, 8, 2))))[0] ** 2).sum().backward()
        optimizer.step()
    x = rng.standard_normal((60, 3, 2))
    trained = host(layer(dev(x[:5]))[0])
    layer.eval()
    long = host(layer(dev(x))[0])
    np.testing.assert_allclose(long[:5], trained, rtol=1e-11)
    np.testing.assert_allclose(host(layer(dev(x[:, 1:2]))[0]), long[:, 1:2], rtol=1e-11)
    assert np.isfinite(long).all()


@pytest.mark.parametrize("make", NORMED)
def test_the_scale_of_the_input_weights_does_not_matter(make, device, dev, rng):
    layer = build(device, make, 3, 4)
    x = dev(rng.standard_normal((4, 2, 3)) * 100)
    before = host(layer(x)[0])
    layer.cells[0].weight_ih.data = layer.cells[0].weight_ih.data * 50
    np.testing.assert_allclose(host(layer(x)[0]), before, rtol=1e-4)


# The example


@pytest.fixture
def char_rnn():
    path = Path(__file__).resolve().parent.parent / "examples" / "char_rnn.py"
    spec = importlib.util.spec_from_file_location("char_rnn", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.cpu_only
def test_the_example_learns_characters(char_rnn, monkeypatch, capsys):
    monkeypatch.setattr(char_rnn, "TRAIN", ["shlex"])
    monkeypatch.setattr(char_rnn, "TEST", ["bisect"])
    options = "--epochs 3 --hidden 32 --chunk 16 --batch-size 8 --lr 0.01 --device cpu"
    monkeypatch.setattr("sys.argv", ["char_rnn.py", *options.split()])
    char_rnn.main()
    out = capsys.readouterr().out
    found = [float(v) for v in re.findall(r"epoch \d: ([\d.]+) bits", out)]
    assert len(found) == 3
    assert found[2] < found[0] - 0.5
    assert found[2] < math.log2(97) - 2
    assert "def " in out


@pytest.mark.cpu_only
def test_the_chunks_of_the_example_follow_each_other(char_rnn):
    codes = np.arange(3 * 10 + 1)
    pairs = list(char_rnn.chunks(codes, 3, 4, "cpu"))
    assert [x.shape for x, _ in pairs] == [(4, 3), (4, 3), (2, 3)]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in pairs]).T, np.arange(30).reshape(3, 10))
    assert all((y == x + 1).all() for x, y in pairs)


def test_a_detached_state_stops_gradients_and_not_values(device, dev, rng):
    layer = build(device, nn.LSTM, 2, 3)
    first, second = (Tensor(dev(rng.standard_normal((3, 2, 2))), requires_grad=True) for _ in range(2))
    y, (h, c) = layer(first)
    through, _ = layer(second, (h, c))
    cut, _ = layer(second, (h.detach(), c.detach()))
    np.testing.assert_array_equal(host(through), host(cut))
    cut.sum().backward()
    assert first.grad is None
    assert host(second.grad).all()
    through.sum().backward()
    assert host(first.grad).all()


# Errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.LSTM(3, 4)(np.zeros((2, 5, 2))), r"LSTM: x must have shape \(T, N, 3\), got \(2, 5, 2\)"),
        (lambda: nn.GRU(3, 4)(np.zeros((0, 5, 3))), "at least one step"),
        (lambda: nn.GRU(3, 4)(np.zeros((2, 5, 3)), np.zeros((5, 4))), r"\(1, 5, 4\), got \(5, 4\)"),
        (lambda: nn.GRU(3, 4)(np.zeros((2, 5, 3)), lengths=[1, 2]), "lengths must be 5 integers"),
        (lambda: nn.GRU(3, 4)(np.zeros((2, 3, 3)), lengths=[1, 2, 0]), r"from 1 to 2, got \[1, 2, 0\]"),
        (lambda: nn.GRU(3, 4)(np.zeros((2, 3, 3)), lengths=[1, 2, 3]), "from 1 to 2"),
        (lambda: nn.RNN(3, 4, 1, "elu"), 'must be "tanh" or "relu"'),
        (lambda: nn.RNNCell(3, 4, nonlinearity="elu"), 'must be "tanh" or "relu"'),
        (lambda: nn.LayerNormRNNCell(3, 4, "elu"), 'must be "tanh" or "relu"'),
        (lambda: nn.LSTM(3, 0), "hidden_size must be an int of at least 1"),
        (lambda: nn.LSTM(3, 4, dropout=1.5), "probability"),
        (lambda: nn.LSTM(3, 4, variational_dropout=(0.1, 2.0, 0.0)), "probability"),
        (lambda: nn.LSTMCell(3, 4)(np.zeros((2, 4))), r"x must have shape \(N, 3\)"),
        (lambda: nn.LayerNormGRUCell(3, 4)(np.zeros((2, 4))), r"x must have shape \(N, 3\)"),
    ],
)
@pytest.mark.cpu_only
def test_errors_say_what_was_required(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.cpu_only
def test_the_state_of_an_lstm_is_a_pair():
    with pytest.raises(TypeError, match=r"pair \(h, c\)"):
        nn.LSTM(3, 4)(np.zeros((2, 5, 3), np.float32), np.zeros((1, 5, 4), np.float32))


@pytest.mark.cpu_only
def test_layers_show_what_they_are():
    assert (
        repr(nn.LSTM(3, 4, 2, dropout=0.5, weight_drop=0.25))
        == "LSTM(3, 4, num_layers=2, dropout=0.5, weight_drop=0.25)"
    )
    assert "LayerNormGRUCell(3, 4" in repr(nn.LayerNormGRU(3, 4))


@pytest.mark.parametrize("make", NORMED_CELLS)
def test_cells_of_layer_norm_begin_at_0(make, device, dev, rng):
    cell = build(device, make, 3, 4)
    x = dev(rng.standard_normal((2, 3)))
    zeros = dev(np.zeros((2, 4)))
    given = cell(x, (zeros, zeros) if make is nn.LayerNormLSTMCell else zeros)
    for a, b in zip(parts(cell(x)), parts(given), strict=True):
        np.testing.assert_array_equal(host(a), host(b))
