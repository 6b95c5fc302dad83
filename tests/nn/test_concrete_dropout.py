"""Concrete dropout: the paper's relaxation and regulariser, the gradient of p, and what goes wrong."""

import math

import numpy as np
import pytest
from helpers import host

import cunet
from cunet import Generator, Tensor, diagnose, nn, optim
from cunet.testing import gradcheck


def uniform(generator, count):
    """Return the numbers in (0, 1) of the generator's next draw."""
    words = generator.next().bit_generator().random_raw(count)
    return [((w >> 12) + 0.5) / 2**52 for w in words.tolist()]


@pytest.mark.parametrize(("p", "temperature"), [(0.1, 0.1), (0.5, 1.0), (0.9, 0.3)])
def test_values_are_those_of_the_formula(p, temperature, device, dev, rng):
    layer = nn.ConcreteDropout(p, temperature, generator=Generator(3), dtype=np.float64).to(device)
    x = rng.standard_normal((3, 5))
    y = host(layer(dev(x)))
    for value, u, found in zip(x.ravel(), uniform(Generator(3), 15), y.ravel(), strict=True):
        odds = math.log(p) - math.log(1 - p) + math.log(u) - math.log(1 - u)
        kept = 1 / (1 + math.exp(odds / temperature))  # 1 - z, where that would cancel
        np.testing.assert_allclose(found, value * kept / (1 - p), rtol=1e-9)


def test_drops_with_probability_p_and_keeps_the_mean(device, dev):
    layer = nn.ConcreteDropout(0.3, 0.02, generator=Generator(1)).to(device)
    y = host(layer(dev(np.ones(40_000, np.float32))))
    assert abs((y < 0.7).mean() - 0.3) < 0.01 and abs(y.mean() - 1) < 0.02
    assert ((y > 0.01) & (y < 1.41)).mean() < 0.06  # the rest is dropped or kept, with little in between


def test_gradients_by_x_and_by_p(device, dev, rng):
    x = dev(rng.standard_normal((4, 3)))

    def run(x, logit):
        layer = nn.ConcreteDropout(0.3, 0.7, generator=Generator(5)).to(device)
        layer.p_logit = logit
        return layer(x)

    gradcheck(run, x, dev(np.array(-0.4)))


def test_the_regulariser_is_that_of_the_paper_with_its_gradients(device, dev, rng):
    layer = nn.ConcreteDropout(0.3, dtype=np.float64).to(device)
    weight = rng.standard_normal((2, 5, 3))
    entropy = -0.3 * math.log(0.3) - 0.7 * math.log(0.7)
    squares = math.fsum((v / 0.7) ** 2 for v in weight.ravel())  # M is what is dropped: weights over 1 - p
    expected = (0.5**2 * 0.7 / 2 * squares - 5 * entropy) / 40
    np.testing.assert_allclose(host(layer.regularizer(dev(weight), 40, 0.5)), expected, rtol=1e-12)

    def run(weight, logit):
        layer.p_logit = logit
        return layer.regularizer(weight, 40, 0.5)

    gradcheck(run, dev(weight), dev(np.array(-0.4)))
    for logit in (-80.0, 80.0):  # where p, or 1 - p, is no number of float32
        layer.p_logit = Tensor(dev(np.array(logit, np.float32)), requires_grad=True)
        value = layer.regularizer(dev(np.zeros((1, 2), np.float32)), 1)
        value.backward()
        assert abs(host(value)) < 1e-30 and np.isfinite(host(layer.p_logit.grad))


def test_p_falls_where_noise_harms_and_rises_where_it_does_not(device, dev, rng):
    found = []
    for scale in (4.0, 0.0):
        cunet.manual_seed(0)
        drop = nn.ConcreteDropout(0.3).to(device)
        optimizer = optim.Adam(drop.parameters(), 0.05)
        x, weight = dev(rng.standard_normal((64, 4)).astype(np.float32)), dev(np.ones((1, 4), np.float32))
        for _ in range(40):
            optimizer.zero_grad()
            loss = ((drop(x) - x) ** 2).mean() * scale + drop.regularizer(weight, samples=64)
            loss.backward()
            optimizer.step()
        found.append(drop.p)
    assert found[0] < 0.15 and found[1] > 0.4


def test_modes_dtypes_and_edges(device, dev, rng):
    layer = nn.ConcreteDropout(0.5).to(device)
    x = Tensor(dev(rng.standard_normal((6, 4)).astype(np.float16))[::2])
    y = layer(x)
    assert y.dtype == np.float16 and (host(y) != host(layer(x))).any()
    assert layer.eval()(x) is x
    layer.train()
    assert layer(dev(np.zeros((0, 3), np.float32))).shape == (0, 3) and layer(dev(np.ones((), np.float32))).shape == ()
    assert list(layer.state_dict()) == ["p_logit"] and layer.p_logit.shape == ()
    assert repr(layer) == "ConcreteDropout(p=0.5, temperature=0.1)"
    big = layer(dev(np.ones(9, ">f4"))) if device == "cpu" else layer(dev(np.ones(9, np.float32)))
    assert host(big).dtype == np.float32
    assert [g["weight_decay"] for g in optim.no_decay_groups(layer, 0.1)] == [0.0]


@pytest.mark.cpu_only
def test_monte_carlo_dropout_knows_it(rng):
    model = nn.Sequential(nn.Linear(3, 8), nn.ConcreteDropout(0.4), nn.Linear(8, 2))
    found = diagnose.mc_dropout_predict(model, rng.standard_normal((5, 3)).astype(np.float32), samples=8)
    assert (found.spread > 0).all()


@pytest.mark.cpu_only
def test_what_goes_wrong():
    for p in (0, 1, -0.1, math.nan):
        with pytest.raises(ValueError, match=r"ConcreteDropout: p must be in \(0, 1\), got"):
            nn.ConcreteDropout(p)
    with pytest.raises(ValueError, match="ConcreteDropout: temperature must be more than 0, got 0"):
        nn.ConcreteDropout(0.1, 0)
    with pytest.raises(TypeError, match="ConcreteDropout: p must be a number, got '0.1'"):
        nn.ConcreteDropout("0.1")
    layer = nn.ConcreteDropout()
    with pytest.raises(TypeError, match="ConcreteDropout: x must be an array of floating dtype, got int64"):
        layer(np.ones(3, np.int64))
    with pytest.raises(ValueError, match=r"ConcreteDropout.regularizer: weight must have shape .*, got \(3,\)"):
        layer.regularizer(np.ones(3, np.float32), 9)
    with pytest.raises(ValueError, match="ConcreteDropout.regularizer: samples must be more than 0, got 0"):
        layer.regularizer(np.ones((3, 3), np.float32), 0)
