"""Dropout: which elements, how they are scaled, and that the way back drops the same ones.

Values and gradients against an oracle are in tests/cases/dropout.py.
"""

import math

import ml_dtypes
import numpy as np
import pytest
from helpers import host

import cunet
from cunet import F, Generator, Tensor, nn
from cunet.random import default_generator, stream_id


def alpha_dropout(*args, **options):
    return F.alpha_dropout(*args, **{"training": True} | options)


ELEMENTWISE = [F.dropout, alpha_dropout]

# Lanes of the draw (seed 1, stream "dropout", call 0): words 0, 4 and 1 of np.random.Philox, written out by hand.
LANES = {
    0: 0xA891,
    1: 0xE513,
    2: 0xE258,
    3: 0x065A,
    4: 0xAD91,
    5: 0xED14,
    6: 0xA462,
    7: 0x25D4,
    128: 0x7B14,
    129: 0x6AD8,
    130: 0xA7D4,
    131: 0xF854,
}


def generator(call=0):
    return Generator(1, "dropout", call)


def mask(y):
    return host(y) != 0


@pytest.mark.parametrize("element", LANES)
@pytest.mark.parametrize("size", [140, 700])  # a part of a tile; a whole tile and a part
def test_an_element_is_dropped_if_its_lane_is_below_p(element, size, dev):
    x = dev(np.ones(size, np.float32))
    lane = LANES[element]
    assert mask(F.dropout(x, lane / 65536, generator=generator()))[element]
    assert not mask(F.dropout(x, (lane + 1) / 65536, generator=generator()))[element]


# The first word of the next call: counter (0, 1, 0, 0).
@pytest.mark.parametrize(("element", "lane"), list(enumerate([0x7756, 0x6E89, 0x0BCF, 0xEA32])))
def test_the_next_call_has_lanes_of_its_own(element, lane, dev):
    x = dev(np.ones(700, np.float32))
    assert mask(F.dropout(x, lane / 65536, generator=generator(1)))[element]
    assert not mask(F.dropout(x, (lane + 1) / 65536, generator=generator(1)))[element]


@pytest.mark.parametrize(("seed", "call"), [(2**64 - 1, 0), (2**63, 2**63), (7, 2**64 - 1), (0, 2**32)])
def test_numbers_of_64_bits_reach_the_generator_whole(seed, call, dev):
    stream = stream_id("dropout")
    words = np.random.Philox(key=seed | stream << 64, counter=call << 64).random_raw(128).astype("<u8")
    expected = words.view("<u2").reshape(32, 4, 4)[:, 0].ravel() >= 32768  # lanes of the first 128 elements
    found = mask(F.dropout(dev(np.ones(128, np.float32)), 0.5, generator=Generator(seed, "dropout", call)))
    np.testing.assert_array_equal(found, expected)
    assert 32 < expected.sum() < 96


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 3, 127, 389, 511, 512, 513, 1100, 70000])
def test_the_mask_knows_neither_dtype_nor_size(size, dtype, dev):
    longest = mask(F.dropout(dev(np.ones(70000, np.float32)), 0.3, generator=generator()))
    found = F.dropout(dev(np.ones(size, dtype)), 0.3, generator=generator())
    assert found.dtype == dtype
    np.testing.assert_array_equal(mask(found), longest[:size])


def test_the_mask_knows_no_memory_layout_and_no_shape(dev, rng):
    plain = dev(np.ones((24, 50), np.float32))
    expected = mask(F.dropout(plain, 0.5, generator=generator()))
    wide = dev(np.ones((48, 100), np.float32))
    odd = [plain.T.copy().T, wide[::2, ::2], plain[::-1, ::-1], dev(np.ones(1201, np.float32))[1:].reshape(24, 50)]
    for x in odd:
        np.testing.assert_array_equal(mask(F.dropout(x, 0.5, generator=generator())), expected)
    flat = F.dropout(plain.reshape(-1), 0.5, generator=generator())
    np.testing.assert_array_equal(mask(flat).reshape(24, 50), expected)


@pytest.mark.parametrize("offset", range(8))
def test_views_that_are_not_aligned_for_vector_access(offset, dev, rng):
    whole = rng.standard_normal(1100 + offset).astype(np.float32)
    expected = host(F.dropout(dev(whole[offset:].copy()), 0.5, generator=generator()))
    np.testing.assert_array_equal(host(F.dropout(dev(whole)[offset:], 0.5, generator=generator())), expected)


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5, 0.8])
def test_p_is_the_probability_to_drop_and_the_mean_stays(p, dev):
    n = 200_000
    y = host(F.dropout(dev(np.ones(n, np.float64)), p))
    five_sigma = 5 * math.sqrt(p * (1 - p) / n)
    assert abs((y == 0).mean() - p) < five_sigma + 1 / 65536
    assert abs(y.mean() - 1) < five_sigma / (1 - p) + 1 / 65536


def test_p_counts_in_steps_of_65536_and_the_scale_with_it(dev):
    y = host(F.dropout(dev(np.ones(1000, np.float64)), 1 / 3))
    assert set(np.unique(y)) == {0.0, 65536 / (65536 - 21845)}


@pytest.mark.parametrize("function", ELEMENTWISE)
def test_evaluation_and_p_0_give_the_very_tensor_and_draw_nothing(function, dev):
    x = Tensor(dev(np.arange(3.0)))
    g = generator()
    assert function(x, 0.5, training=False, generator=g) is x
    assert function(x, 0.0, generator=g) is x
    assert g.call == 0
    assert function(x, 0.5, generator=g) is not x
    assert g.call == 1


@pytest.mark.parametrize("function", ELEMENTWISE)
def test_p_1_drops_all_even_what_is_not_finite(function, dev):
    x = Tensor(dev(np.array([1.0, -2.0, math.inf, math.nan] * 200)), requires_grad=True)
    y = function(x, 1.0)
    y.backward(dev(np.full(800, math.inf)))
    assert not host(y).any()
    assert not host(x.grad).any()


def test_what_is_dropped_is_0_even_if_infinite(dev):
    x = Tensor(dev(np.full(1100, math.inf, np.float32)), requires_grad=True)
    y = F.dropout(x, 0.5)
    y.backward(dev(np.full(1100, math.nan, np.float32)))
    assert set(np.unique(host(y))) == {0.0, math.inf}
    np.testing.assert_array_equal(np.isnan(host(x.grad)), host(y) != 0)
    assert not host(x.grad)[host(y) == 0].any()


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_backward_drops_the_same_and_later_draws_do_not_disturb_it(p, dev):
    x = Tensor(dev(np.ones((40, 30), np.float32)), requires_grad=True)
    y = F.dropout(x, p)
    F.dropout(x, p)
    y.backward(dev(np.ones((40, 30), np.float32)))
    np.testing.assert_array_equal(host(x.grad), host(y))


def test_no_mask_is_stored(dev):
    x = Tensor(dev(np.ones(5000, np.float32)), requires_grad=True)
    for y in (F.dropout(x), alpha_dropout(x)):
        saved = [cell.cell_contents for cell in y._node.vjp.__closure__]
        assert not [value for value in saved if getattr(value, "size", 0) > 1]


def test_each_call_draws_a_fresh_mask_and_a_seed_repeats_them(dev):
    x = dev(np.ones(400, np.float32))
    cunet.manual_seed(3)
    first, second = mask(F.dropout(x)), mask(F.dropout(x))
    assert 100 < (first != second).sum() < 300
    state = default_generator("dropout").state_dict()
    third = mask(F.dropout(x))
    cunet.manual_seed(3)
    np.testing.assert_array_equal(mask(F.dropout(x)), first)
    np.testing.assert_array_equal(mask(F.dropout(x)), second)
    default_generator("dropout").load_state_dict(state)
    np.testing.assert_array_equal(mask(F.dropout(x)), third)
    cunet.manual_seed(4)
    assert (mask(F.dropout(x)) != first).any()


def test_generators_of_different_streams_drop_differently(dev):
    x = dev(np.ones(400, np.float32))
    a, b = (mask(F.dropout(x, generator=Generator(0, name))) for name in ("a", "b"))
    assert 100 < (a != b).sum() < 300


@pytest.mark.parametrize(
    ("function", "shape"),
    [
        (F.dropout1d, (8, 9, 5)),
        (F.dropout2d, (8, 9, 3, 4)),
        (F.dropout3d, (8, 9, 2, 3, 2)),
        (F.dropout_channel, (8, 9)),
    ],
)
def test_channel_dropout_is_constant_over_positions_and_varies_over_samples_and_channels(function, shape, dev):
    x = Tensor(dev(np.ones(shape, np.float32)), requires_grad=True)
    y = function(x, 0.5, generator=generator())
    y.backward(dev(np.ones(shape, np.float32)))
    rows = host(y).reshape(72, -1)
    assert (rows == rows[:, :1]).all()
    # the lane of (sample, channel) is the lane of element number sample * channels + channel
    np.testing.assert_array_equal(
        rows[:, 0], host(F.dropout(dev(np.ones(72, np.float32)), 0.5, generator=generator())).ravel()
    )
    assert 20 < (rows[:, 0] != 0).sum() < 52
    np.testing.assert_array_equal(host(x.grad), host(y))


def test_channel_dropout_of_channels_last_drops_the_same_channels(dev, rng):
    x = rng.standard_normal((4, 6, 3, 5))
    first = host(F.dropout_channel(dev(x), generator=generator()))
    last = host(F.dropout_channel(dev(np.moveaxis(x, 1, -1)), generator=generator(), axis=-1))
    np.testing.assert_array_equal(np.moveaxis(last, -1, 1), first)


def test_it_drops_units_not_connections(dev):
    """A dropped input of a linear layer takes all its connections with it, and none gets a gradient."""
    x = Tensor(dev(np.ones((1, 50), np.float32)))
    layer = nn.Linear(50, 7, bias=False)
    layer.weight.data = dev(layer.weight.data)
    dropped = F.dropout(x, 0.5)
    layer(dropped).sum().backward()
    gradient = host(layer.weight.grad)
    off = ~mask(dropped)[0]
    assert 5 < off.sum() < 45
    assert not gradient[:, off].any()
    assert gradient[:, ~off].all()


def selu_network(drop, p, dev, rng):
    """Return mean and variance behind 32 layers of 512 SELU units with LeCun's weights."""
    x = Tensor(dev(rng.standard_normal((128, 512)), np.float32))
    for _ in range(32):
        weight = dev(rng.standard_normal((512, 512)) / math.sqrt(512), np.float32)
        x = F.selu(F.linear(x, weight))
        x = drop(x, p) if p else x
    values = host(x)
    return values.mean(), values.var()


@pytest.mark.cpu_only
def test_alpha_dropout_keeps_mean_and_variance_through_32_layers_and_dropout_does_not(dev, rng):
    mean, variance = selu_network(alpha_dropout, 0.1, dev, rng)
    assert abs(mean) < 0.1
    assert 0.85 < variance < 1.15
    assert selu_network(F.dropout, 0.1, dev, rng)[1] > 1.3


@pytest.mark.parametrize("p", [0.05, 0.3, 0.7])
def test_alpha_dropout_keeps_mean_0_and_variance_1(p, dev, rng):
    y = host(alpha_dropout(dev(rng.standard_normal(300_000)), p))
    assert abs(y.mean()) < 0.01
    assert abs(y.var() - 1) < 0.02


def test_alpha_dropout_sets_the_dropped_to_one_value_and_moves_the_others_on_a_line(dev, rng):
    x = rng.standard_normal(2000)
    y = host(alpha_dropout(dev(x), 0.25, generator=generator()))
    off = ~mask(F.dropout(dev(np.ones(2000)), 0.25, generator=generator()))
    assert len(np.unique(y[off])) == 1
    slope, offset = np.polyfit(x[~off], y[~off], 1)
    np.testing.assert_allclose(y[~off], slope * x[~off] + offset, atol=1e-12)
    # the dropped value is alpha' = -1.7580993 on the same line
    assert y[off][0] == pytest.approx(slope * -1.7580993408473766 + offset, abs=1e-12)


def test_feature_alpha_dropout_drops_whole_channels(dev, rng):
    y = host(F.feature_alpha_dropout(dev(rng.standard_normal((6, 8, 10))), 0.5, True, generator=generator()))
    constant = (y == y[..., :1]).all(-1)
    np.testing.assert_array_equal(~constant, mask(F.dropout(dev(np.ones((6, 8))), 0.5, generator=generator())))


@pytest.mark.parametrize("p", [-0.1, 1.5, math.nan, "0.5", None])
def test_p_must_be_a_probability(p, dev):
    with pytest.raises(ValueError, match=r"dropout: p must be a probability to drop in \[0, 1\], got"):
        F.dropout(dev(np.ones(3)), p)
    with pytest.raises(ValueError, match="Dropout2d: p must be"):
        nn.Dropout2d(p)


def test_errors_say_what_was_expected(dev):
    with pytest.raises(ValueError, match=r"dropout2d: input must have 4 axes, \(N, C, ...\), got shape \(2, 3\)"):
        F.dropout2d(dev(np.ones((2, 3))))
    with pytest.raises(ValueError, match="dropout_channel: input must be"):
        F.dropout_channel(dev(np.ones(3)))
    with pytest.raises(TypeError, match="dropout: input must have a floating dtype, got int64"):
        F.dropout(dev(np.ones(3, np.int64)))
