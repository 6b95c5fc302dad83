"""docs/claims.md names a test for each claim; and the tests of the claims that belong to no other file."""

import ast
import itertools
import math
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import host, training_step

import cunet
from cunet import F, nn, optim
from cunet.autograd.tensor import Tensor
from cunet.ops.norm.batch_norm import batch_norm_training

ROOT = Path(__file__).parents[2]
MAP = ROOT / "docs" / "claims.md"


def rows():
    """Yield (item, statement, tests, their cell, the lab's cell) of each row of the tables in docs/claims.md."""
    for line in MAP.read_text(encoding="utf-8").splitlines():
        found = re.match(r"\| (\w+) \|(.*)\|(.*)\|(.*)\|$", line)
        if found and found[1] != "item":
            item, statement, cell, lab = (part.strip() for part in found.groups())
            yield item, statement, re.findall(r"`((?:\w+/)*test_\w+(?:\.py)?)(?:::(test_\w+))?`", cell), cell, lab


@pytest.mark.cpu_only
def test_every_test_that_the_map_names_is_there():
    there = {}
    for item, _, named, _, _ in rows():
        for file, test in named:
            if file not in there:
                tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
                there[file] = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
            assert test in there[file], f"{item}: there is no {file}::{test}"


#: Layers, first values and optimisers whose papers claim something: each has a test of its formula and a measurement.
PAPERS = (
    "BatchRenorm", "DecorrelatedBatchNorm", "SwitchableNorm", "FilterResponseNorm", "WeightNorm", "DataDependent",
    "SpectralNorm", "LSUV", "Fixup", "DeltaOrthogonal", "GaussianDropout", "DropConnect", "DropBlock",
    "StochasticDepth", "ConcreteDropout", "SAM", "Lookahead", "LAMB", "Adafactor", "Muon",
)  # fmt: skip
#: Mistakes of words alone: nothing in the code, and no measurement, could be wrong about them.
WORDS = {"M8", "M28", "M41"}


@pytest.mark.cpu_only
def test_every_item_has_a_sentence_and_a_test_or_a_verdict():
    found = list(rows())
    numbered = [*(f"N{n}" for n in range(1, 78)), *(f"M{n}" for n in range(1, 42))]
    assert [item for item, *_ in found] == [*numbered, *PAPERS]
    for item, statement, named, cell, lab in found:
        assert re.fullmatch(r"\S+( \S+){3,}\.", statement), f"{item} has no sentence of its own"
        if item in WORDS:
            assert cell == "a matter of wording"
        else:
            verdict = re.match(r"\[(holds|holds in part|does not hold|a matter of wording)\]\(lab/\w+\.md#", lab)
            assert named or verdict, f"{item} has neither a test nor an entry in the lab"
            assert item in numbered or (named and verdict), f"{item} has no test, or no entry in the lab"


def gradient_ratios(model, kind, rng, width=256):
    """Return how the squared norm of the gradient grows from each layer of a kind to the one before it."""
    report = nn.variance_report(model, rng.standard_normal((width, width)).astype(np.float32))
    norms = [row.gradient_norm**2 for row in report if row.kind == kind]
    return [before / after for before, after in itertools.pairwise(norms)]


def deep(activation, width, depth, norm=False):
    layers = []
    for _ in range(depth):
        layers += [nn.Linear(width, width, bias=False, init="lecun_normal")]
        layers += [nn.BatchNorm1d(width)] if norm else []
        layers += [activation]
    return nn.Sequential(*layers)


# -- norms


@pytest.mark.parametrize("order", ["before", "after"])
def test_batch_norm_may_stand_before_or_after_the_activation(order, device, dev, rng):
    """N9, M29: both are runnable, and each has mean 0 and variance 1 where the norm is."""
    both = [nn.BatchNorm1d(16), F.relu] if order == "before" else [F.relu, nn.BatchNorm1d(16)]
    model = nn.Sequential(nn.Linear(4, 16), *both, nn.Linear(16, 1)).to(device)
    x = dev(rng.standard_normal((64, 4)), np.float32)
    normed = host(model[1](model[0](x)) if order == "before" else model[2](F.relu(model[0](x))))
    np.testing.assert_allclose(normed.mean(0), 0, atol=1e-5)
    alive = normed.std(0) > 0.1  # a unit that is never active is constant behind a ReLU
    assert alive.sum() > 8
    np.testing.assert_allclose(normed.std(0)[alive], 1, rtol=1e-2)
    target = dev(np.abs(host(x)[:, :1]))
    optimizer = optim.SGD(model.parameters(), lr=0.05)

    @training_step
    def step():
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), target)
        loss.backward()
        optimizer.step()
        return loss

    losses = [step().item() for _ in range(60)]
    assert losses[-1] < 0.3 * losses[0]


def test_standardised_inputs_stay_on_the_straight_part_of_the_sigmoid(dev):
    """N13: the integers -10 to 10, which raw reach slopes of almost nothing."""
    x = np.arange(-10.0, 11).reshape(-1, 1)
    z = Tensor(batch_norm_training(dev(x), eps=0.0)[0].data, requires_grad=True)
    assert np.abs(host(z)).max() == pytest.approx(10 / math.sqrt(110 / 3))  # 1.651
    y = F.sigmoid(z)
    y.sum().backward()
    assert (host(y).min(), host(y).max()) == (pytest.approx(0.161, abs=1e-3), pytest.approx(0.839, abs=1e-3))
    slopes = host(z.grad).ravel()
    assert slopes[0] / slopes[10] == pytest.approx(0.54, abs=5e-3)
    raw = Tensor(dev(x), requires_grad=True)
    F.sigmoid(raw).sum().backward()
    assert host(raw.grad).ravel()[0] < 2e-4 * host(raw.grad).max()


def test_batch_norm_keeps_the_shape_of_a_distribution(dev, rng):
    """M19: mean and variance change, but what is skewed stays skewed: nothing becomes normal."""
    x = rng.exponential(3, (5000, 2)) + 4
    y = host(batch_norm_training(dev(x), eps=0.0)[0])

    def skewness(a):
        return ((a - a.mean(0)) ** 3).mean(0) / a.std(0) ** 3

    np.testing.assert_allclose(skewness(y), skewness(x), rtol=1e-9)
    assert (skewness(y) > 1.5).all()  # of an exponential distribution 2, of a normal one 0


@pytest.mark.cpu_only
@pytest.mark.parametrize(("activation", "growth"), [(F.relu, 1.467), (cunet.tanh, 1.18), (F.sigmoid, 1.04)])
def test_gradients_of_deep_batch_norm_networks_explode_at_initialisation(activation, growth, rng):
    """N24, M22: ReLU by pi / (pi - 1) per layer (Yang et al. 2019, arXiv:1902.08129); nothing keeps them at 1."""
    ratios = gradient_ratios(deep(activation, 256, 10, norm=True), "BatchNorm1d", rng)[1:-1]
    assert math.prod(ratios) ** (1 / len(ratios)) == pytest.approx(growth, rel=0.04)


@pytest.mark.cpu_only
def test_singular_values_of_a_random_layer_are_not_near_1_but_those_of_an_orthogonal_one_are(rng):
    """N24, M22: the layer's Jacobian, one row of inputs at a time."""

    def singular_values(init):
        layer = nn.Linear(100, 100, bias=False, init=init, dtype=np.float64)
        jacobian = [cunet.grad(lambda x, k=k: layer(x)[k])(np.zeros(100)) for k in range(100)]
        return np.linalg.svd(np.array(jacobian), compute_uv=False)

    random = singular_values("lecun_normal")
    assert random.min() < 0.1 and random.max() > 1.8
    assert (np.abs(random - 1) < 0.1).mean() < 0.2
    np.testing.assert_allclose(singular_values("orthogonal"), 1, atol=1e-12)


@pytest.mark.parametrize("batch", [2, 64])
def test_shapes_of_the_mnist_network_of_two_hidden_layers_of_50(batch, device, dev):
    """N36, M26: the hidden activations of a batch of 64 are (64, 50)."""
    model = nn.Sequential(
        nn.Linear(784, 50), nn.BatchNorm1d(50), F.sigmoid, nn.Linear(50, 50), nn.BatchNorm1d(50), F.sigmoid
    ).to(device)
    model.append(nn.Linear(50, 10).to(device))
    report = nn.variance_report(model, dev(np.linspace(0, 1, batch * 784).reshape(batch, 784), np.float32))
    assert [row.shape for row in report] == [(batch, 50)] * 6 + [(batch, 10)]


# -- activations


@pytest.mark.cpu_only
def test_gradients_of_sigmoid_networks_vanish_with_depth(rng):
    """N62, M17: a slope of at most 1/4 per layer; on the way back, where the product of all of them is formed."""
    ratios = gradient_ratios(deep(F.sigmoid, 256, 8), "Linear", rng)
    assert all(0.04 < ratio < 1 / 16 for ratio in ratios)  # about 0.055


@pytest.mark.cpu_only
def test_gradients_of_large_weights_explode_with_depth(rng):
    """N63: in a linear network of weights N(0, 1) by the width, in each layer."""
    layers = [nn.Linear(256, 256, bias=False, init="normal") for _ in range(6)]
    ratios = gradient_ratios(nn.Sequential(*layers), "Linear", rng)
    np.testing.assert_allclose(ratios, 256, rtol=0.15)


# -- dropout


def test_the_default_drops_half_of_the_units_and_all_masks_are_equally_likely(dev):
    """N66: p = 0.5, where the masks differ most from each other."""
    assert nn.Dropout().p == 0.5
    kept = host(F.dropout(dev(np.ones((40_000, 3), np.float32)))) != 0
    counts = np.bincount(kept @ [1, 2, 4], minlength=8)
    five_sigma = 5 * math.sqrt(40_000 * (1 / 8) * (7 / 8))
    assert (np.abs(counts - 5000) < five_sigma).all()


def test_every_sample_of_a_batch_has_a_mask_of_its_own(dev):
    """M5: a network is drawn per training case, not one per batch."""
    kept = host(F.dropout(dev(np.ones((50, 64), np.float32)), 0.5)) != 0
    assert len(np.unique(kept, axis=0)) == 50


def all_masks(n):
    return np.array(list(itertools.product([0.0, 1.0], repeat=n)))


def test_evaluation_is_the_average_of_all_subnetworks_only_where_that_is_a_theorem(dev, rng):
    """N72, M6: exact for linear nets, and for the geometric mean of one softmax layer; not beyond."""
    x, w, v = rng.standard_normal(8), rng.standard_normal((5, 8)), rng.standard_normal((3, 5))
    inputs = dev(all_masks(8) * x / 0.5)  # what dropout with p = 0.5 can make of x
    evaluated = F.dropout(Tensor(dev(x[None])), 0.5, training=False)
    w, v = dev(w), dev(v)

    linear = host(F.linear(F.linear(inputs, w), v)).mean(0)
    np.testing.assert_allclose(linear, host(F.linear(F.linear(evaluated, w), v))[0], atol=1e-12)

    geometric = host(F.log_softmax(F.linear(inputs, w), axis=1)).mean(0)
    expected = host(F.softmax(F.linear(evaluated, w), axis=1))[0]
    np.testing.assert_allclose(np.exp(geometric) / np.exp(geometric).sum(), expected, atol=1e-12)

    deeper = host(F.linear(F.relu(F.linear(inputs, w)), v)).mean(0)
    assert np.abs(deeper - host(F.linear(F.relu(F.linear(evaluated, w)), v))[0]).max() > 0.1


# -- training


def test_a_step_of_a_minibatch_is_not_one_of_all_the_data_but_their_average_is(device, dev, rng):
    """N76: the gradient of a mean loss over equal batches averages to that over everything."""
    x, y = dev(rng.standard_normal((12, 3))), dev(rng.standard_normal((12, 1)))
    layer = nn.Linear(3, 1, dtype=np.float64).to(device)

    def gradient(a, b):
        layer.zero_grad()
        F.mse_loss(layer(a), b).backward()
        return host(layer.weight.grad)

    batches = [gradient(a, b) for a, b in cunet.data.Loader(x, y, batch_size=4)]
    assert len(batches) == 3
    np.testing.assert_allclose(np.mean(batches, 0), gradient(x, y), atol=1e-12)
    assert np.abs(batches[0] - batches[1]).max() > 0.01
