"""health: nets with one fault each are named rightly, sound ones get no finding, and nothing is changed."""

import functools

import numpy as np
import pytest
from health_nets import SABOTAGED, classifier, conv_net, mlp, points, regression
from healthy_nets import HEALTHY
from helpers import host

import cunet
from cunet import F, nn, optim
from cunet import random as cunet_random
from cunet.diagnose import Finding, Findings, health
from cunet.diagnose.causes import ADVICE

NEED_DIGITS = {"mnist_mlp", "mnist_cnn", "mnist_torch_style", "digits_gan", "uncertainty", "autoencoder"}


def looked_at(make, rng, device="cpu"):
    model, batch, loss, optimizer = make(rng)
    return health(model.to(device), batch, loss, optimizer, show=False)


@pytest.mark.cpu_only
@pytest.mark.parametrize("fault", SABOTAGED, ids=" - ".join)
def test_a_fault_is_named(fault, rng):
    found = looked_at(SABOTAGED[fault], rng)
    assert found.causes == [fault[0]], str(found)


@pytest.mark.slow
@pytest.mark.cpu_only
@pytest.mark.parametrize("net", HEALTHY)
def test_a_sound_net_gets_no_finding(net, rng):
    if net in NEED_DIGITS:
        pytest.importorskip("sklearn")
    assert str(looked_at(HEALTHY[net], rng)) == "no findings"


def test_on_any_device(rng, device):
    for cause, what in (
        ("labels outside", "counted from 1"),
        ("wrong loss", "softmax twice"),
        ("saturated units", "tanh of large weights"),
        ("dead units", "biases of -20"),
        ("stale statistics", "momentum 0"),
        ("rate too low", "Adam"),
    ):
        assert looked_at(SABOTAGED[cause, what], rng, device).causes == [cause]
    for net in ("trained convolutions", "functions in forward"):
        assert looked_at(HEALTHY[net], rng, device) == []


@pytest.mark.cpu_only
def test_every_cause_is_planted_somewhere():
    assert {cause for cause, _ in SABOTAGED} | {"not finite"} == set(ADVICE)
    assert len(SABOTAGED) >= 25 and len(HEALTHY) >= 15


def test_what_is_not_finite_is_named(rng, device):
    model, batch, loss, _ = classifier(rng, mlp(20, 32, 5), optimizer=None)
    model[2].weight.data[0, 0] = np.nan
    assert health(model.to(device), batch, loss, show=False)[-1][:2] == ("not finite", "2")


def test_functions_in_forward_are_seen_through_their_gradients(rng, device):
    class Net(nn.Module):
        def __init__(self):
            self.first, self.second, self.last = nn.Linear(20, 32), nn.Linear(32, 32), nn.Linear(32, 5)

        def forward(self, x):
            return F.softmax(self.last(F.relu(self.second(F.relu(self.first(x))))))

    net = Net().to(device)
    x, labels = points(rng)
    assert health(net, (x, labels), F.cross_entropy, show=False).causes == ["wrong loss"]
    net.second.bias.data[...] = -20
    found = health(net, (x, labels), F.cross_entropy, show=False)
    assert [f.where for f in found if f.cause == "dead units"] == ["second"]


def test_several_faults_are_all_named_but_not_what_follows_from_them(rng, device):
    model = mlp(20, 32, 5, act=F.tanh, norm=nn.BatchNorm1d)
    x, labels = points(rng)
    found = health(model.to(device), (500 * x[:6], labels[:6]), F.cross_entropy, optim.AdamW(model.parameters()),
                   show=False)  # fmt: skip
    assert found.causes == ["unscaled inputs", "batch too small", "bias before norm", "decayed norm"]


@pytest.mark.parametrize(
    "loss", ["cross_entropy", nn.CrossEntropyLoss(ignore_index=7), lambda y, t: F.cross_entropy(y, t)]
)
def test_labels_that_the_loss_leaves_out_are_not_outside(loss, rng):
    x, labels = points(rng)
    labels[:5] = 7 if isinstance(loss, nn.Module) else -100
    assert health(mlp(20, 32, 5), (x, labels), loss, show=False) == []
    labels[0] = 5
    assert health(mlp(20, 32, 5), (x, labels), loss, show=False).causes == ["labels outside"]


def test_integers_that_are_values_have_a_scale(rng):
    _, (x, labels), loss, _ = conv_net(rng)
    images = np.clip(128 + 50 * x, 0, 255).astype(np.uint8)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4))
    assert health(model, (images, labels), loss, show=False).causes == ["unscaled inputs"]
    scaled = nn.Sequential(lambda x: cunet.tensor(host(x) / 127.5 - 1, dtype=np.float32), model)
    assert health(scaled, (images, labels), loss, show=False) == []


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4"])
def test_other_dtypes(dtype, rng):
    model = mlp(20, 32, 5, dtype=np.dtype(dtype).newbyteorder("="))
    x, labels = points(rng)
    assert health(model, (x.astype(dtype)[::2], labels[::2]), "cross_entropy", show=False) == []


@pytest.mark.parametrize("optimizer", [
    functools.partial(optim.SGD, lr=0.1, momentum=0.9), optim.Adam, lambda p: optim.Lookahead(optim.Adam(p)),
    lambda p: optim.SAM(optim.SGD(p, lr=0.1)), optim.LBFGS,
], ids=["SGD", "Adam", "Lookahead", "SAM", "LBFGS"])  # fmt: skip
def test_nothing_is_changed(optimizer, rng, device):
    def run(look):
        cunet.manual_seed(3)
        layers = nn.Linear(20, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 5)
        model = nn.Sequential(*layers).to(device)
        adam = optim.Adam(model.parameters())
        model[1].eval()
        used = optimizer(list(model.parameters()))
        x, labels = points(np.random.default_rng(1))
        batch = [cunet.tensor(a, device=device).data for a in (x, labels)]

        def step():
            adam.zero_grad()
            F.cross_entropy(model(batch[0]), batch[1]).backward()
            adam.step()

        step()
        before = [p.data for p in model.parameters()]
        gradients = [p.grad for p in model.parameters()]
        if look:
            health(model, batch, F.cross_entropy, used, show=False)
            health(model, batch, F.cross_entropy, adam, show=False)
            assert all(
                p.data is a and p.grad is g for p, a, g in zip(model.parameters(), before, gradients, strict=True)
            )
            assert [m.training for m in model.modules()] == [True, True, False, True, True, True]
        step()
        return model.state_dict(), used.state_dict(), cunet_random.get_state()["streams"]

    (plain, state, streams), (looked, other, used) = run(False), run(True)
    for name, array in plain.items():
        np.testing.assert_array_equal(host(looked[name]), host(array))
    assert len(str(other)) == len(str(state))
    assert used == streams


def test_a_loss_that_reads_the_models_weights_is_that_of_the_model(rng):
    model, (x, target), _, optimizer = regression(rng)

    def penalised(y, t):
        return F.mse_loss(y, t) + 1e-3 * (model[0].weight ** 2).sum()

    assert health(model, (x, target), penalised, optimizer, show=False) == []


# -- what is shown


def test_the_table_is_printed_and_fits_80_columns(rng, capsys):
    model = nn.Sequential({"a_rather_long_name_of_a_part_of_a_model": mlp(20, 32, 5, norm=nn.BatchNorm1d)})
    x, labels = points(rng)
    found = health(model, (300 * x, labels), "cross_entropy", optim.AdamW(model.parameters()))
    shown = capsys.readouterr().out
    assert shown == f"{found}\n" and max(map(len, shown.split("\n"))) <= 80
    assert shown.split("\n")[0].split() == ["finding", "where", "seen,", "and", "what", "to", "do"]
    assert "-> bias=False in that layer" in shown and "-> optim.no_decay_groups(model," in shown
    assert repr(found) == "<3 findings: unscaled inputs, bias before norm, decayed norm>"
    assert repr(Findings()) == "<no findings>" and str(Findings()) == "no findings"
    assert all(isinstance(f, Finding) and f.advice == ADVICE[f.cause] for f in found)


@pytest.mark.cpu_only
def test_errors_say_what_was_required():
    model, x = nn.Linear(2, 2), np.ones((3, 2))
    for batch in (x, (x,)):
        with pytest.raises(TypeError, match=r"health: batch must be a tuple \(\*inputs, target\), got"):
            health(model, batch, "mse_loss")
    with pytest.raises(TypeError, match=r"health: loss must be a function or its name in cunet.functional, got 'mse'"):
        health(model, (x, x), "mse")
    with pytest.raises(ValueError, match=r"health: batch must have samples, got shapes \(0, 2\), \(0, 2\)"):
        health(model, (x[:0], x[:0]), "mse_loss")
