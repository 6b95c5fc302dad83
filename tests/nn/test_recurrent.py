"""Recurrent layers: loops over numbers, lengths, states, directions, errors."""

import math

import numpy as np
import pytest
from cases.recurrent import gru as gru_by_hand
from cases.recurrent import lstm as lstm_by_hand
from cases.recurrent import rnn as rnn_by_hand
from helpers import host
from recurrent_helpers import LAYERS, NORMED, build, parts, total

from cunet import Tensor, nn, no_grad
from cunet.testing import gradcheck

each_layer = pytest.mark.parametrize("make", LAYERS)
any_layer = pytest.mark.parametrize("make", LAYERS + NORMED)


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


@each_layer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", range(1, 10))
def test_narrow_layers_against_loops_over_numbers(make, width, dtype, device, dev, rng):
    """A column of gates lies `width` times 3 or 4 numbers from the next row's, which vector code may take for rows."""
    layer = build(device, make, 2, width, dtype=dtype)
    x = rng.standard_normal((2, 19, 2)).astype(dtype)
    y, state = layer(dev(x))
    tolerance = 30 * np.finfo(dtype).eps
    for ours, e in zip([y, *parts(state)], by_hand(layer, x), strict=True):
        np.testing.assert_allclose(host(ours).reshape(e.shape), e, rtol=0, atol=tolerance)
    total(y, state).backward()
    wide = build(device, make, 2, width)
    wide.load_state_dict(layer.state_dict())
    total(*wide(dev(x.astype(np.float64)))).backward()
    for a, b in zip(layer.parameters(), wide.parameters(), strict=True):
        np.testing.assert_allclose(host(a.grad), host(b.grad), rtol=0, atol=100 * tolerance)


@any_layer
def test_gradients_of_stacked_layers_with_lengths(make, device, dev, rng):
    layer = build(device, make, 2, 3, num_layers=2, bidirectional=True)
    count = 2 if "LSTM" in make.__name__ else 1
    arrays = [dev(rng.standard_normal((4, 3, 2))), *[dev(rng.standard_normal((4, 3, 3))) for _ in range(count)]]

    def call(x, *states):
        y, s = layer(x, states if count == 2 else states[0], lengths=[2, 4, 1])
        return (y, *parts(s))

    gradcheck(call, *arrays, rng=rng, eps=2e-5)  # small steps: a norm over 3 numbers can be steep


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
@pytest.mark.parametrize("lengths", [[4, 3, 1], [2, 4, 1]], ids=["sorted", "not sorted"])
def test_what_lies_beyond_a_length_reaches_no_gradient(make, lengths, device, dev, rng):
    layer = build(device, make, 2, 3, num_layers=2, bidirectional=True)
    x, found = rng.standard_normal((4, 3, 2)), []
    for beyond in (0.0, np.nan, np.inf):
        for b, n in enumerate(lengths):
            x[n:, b] = beyond
        leaf = Tensor(dev(x), requires_grad=True)
        total(*layer(leaf, lengths=lengths)).backward()
        found.append([host(leaf.grad), *[host(p.grad) for p in layer.parameters()]])
        layer.zero_grad()
    for a, b, c in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


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


@pytest.mark.parametrize("make", [nn.LayerNormRNNCell, nn.LayerNormLSTMCell, nn.LayerNormGRUCell])
def test_cells_of_layer_norm_begin_at_0(make, device, dev, rng):
    cell = build(device, make, 3, 4)
    x = dev(rng.standard_normal((2, 3)))
    zeros = dev(np.zeros((2, 4)))
    given = cell(x, (zeros, zeros) if make is nn.LayerNormLSTMCell else zeros)
    for a, b in zip(parts(cell(x)), parts(given), strict=True):
        np.testing.assert_array_equal(host(a), host(b))
