"""Newer optimisers: SAM, Lookahead, LAMB, Adafactor, Muon.

A net 784-100-100-10 of ReLU on 2,000 images, each optimiser at the best of three rates by training loss. In batches of
64: SGD with momentum, alone, within Lookahead, and within SAM, which takes two gradients a step; Adam; Adafactor; Muon
for the weights of the first two layers and Adam at 0.002 for the rest. In batches of 500, as many epochs: momentum,
Adam and LAMB.

Source: Foret et al. 2021, arXiv:2010.01412; Zhang et al. 2019, arXiv:1907.08610; You et al. 2020, arXiv:1904.00962;
Shazeer and Stern 2018, arXiv:1804.04235; Jordan et al. 2024, "Muon".
"""

import numpy as np

from cunet import F, optim

from ..figures import axes, bars
from ..findings import Finding
from ..nets import accuracy, at_best_rate, batches, mlp, mnist, train

SMALL, LARGE = 64, 500


class Both:
    """Two optimisers that step together."""

    def __init__(self, *optimizers):
        self.optimizers = optimizers

    def zero_grad(self):
        """Set all gradients to None."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def step(self):
        """Make a step of each."""
        for optimizer in self.optimizers:
            optimizer.step()


def momentum(model, rate):
    return optim.SGD(model.parameters(), rate, momentum=0.9)


def muon(model, rate):
    matrices = [model[0].weight, model[2].weight]
    rest = [p for p in model.parameters() if all(p is not m for m in matrices)]
    return Both(optim.Muon(matrices, rate, weight_decay=0.0), optim.Adam(rest, 0.002))


#: name: how it is made, rates
RULES = {
    "momentum": (momentum, (0.02, 0.05, 0.12)),
    "Lookahead": (lambda model, rate: optim.Lookahead(momentum(model, rate)), (0.02, 0.05, 0.12)),
    "SAM": (lambda model, rate: optim.SAM(momentum(model, rate)), (0.02, 0.05, 0.12)),
    "Adam": (lambda model, rate: optim.Adam(model.parameters(), rate), (0.001, 0.003, 0.01)),
    "Adafactor": (lambda model, rate: optim.Adafactor(model.parameters(), rate), (0.03, 0.1, 0.3)),
    "Muon": (muon, (0.005, 0.02, 0.05)),
    "LAMB": (lambda model, rate: optim.LAMB(model.parameters(), rate), (0.03, 0.1, 0.3)),
}
#: and in large batches, with rates for them
IN_LARGE = {"momentum": (0.05, 0.12, 0.3), "Adam": (0.003, 0.01, 0.03), "LAMB": (0.03, 0.1, 0.3)}


def settings(size):
    shared = {"images": size.pick(500, 2000, 2000), "epochs": size.pick(1, 3, 10)}
    chosen = [(rule, SMALL) for rule in RULES if rule != "LAMB"] + [(rule, LARGE) for rule in IN_LARGE]
    return [{"rule": rule, "batch": batch, **shared} for rule, batch in chosen]


def sharpness_aware(model, optimizer, x, y, *, steps, batch, seed):
    """Take steps of SAM, which asks for its second gradient itself."""
    rows = batches(len(x), batch, seed)
    model.train()
    for _ in range(steps):
        take = next(rows)

        def closure(x=x[take], y=y[take]):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss

        optimizer.step(closure)


def run(rule, batch, images, epochs, seed):
    data, made = mnist(images, seed), {}
    make, rates = RULES[rule]

    def trained(rate):
        model = mlp((data.x.shape[1], 100, 100, 10))
        optimizer = made[rate] = make(model, rate)
        loop = sharpness_aware if rule == "SAM" else train
        loop(model, optimizer, data.x, data.y, steps=epochs * (images // batch), batch=batch, seed=seed)
        return model

    tried = rates if batch == SMALL else IN_LARGE[rule]
    loss, rate, model = at_best_rate(tried, seed, trained, data.x, data.y)
    right = accuracy(model, data.test_x, data.test_y)
    return {"train_loss": loss, "accuracy": right, "rate": rate, "kept": kept(made[rate])}


def kept(optimizer):
    """Return how many numbers an optimiser keeps beside the weights."""
    if isinstance(optimizer, Both):
        return sum(kept(part) for part in optimizer.optimizers)
    states = optimizer.state_dict()["state"]
    return sum(value.size for state in states for value in state.values() if isinstance(value, np.ndarray))


def against(r, key, one, other, batch=SMALL):
    return r.difference(key, {"rule": one}, {"rule": other}, batch=batch)


def words(r, *rules, batch=SMALL):
    """Return losses and accuracies of some rules, as words."""
    return (
        f"Training loss: {r.listed('train_loss', '.3g', 'rule', rules, batch=batch)}; test accuracy:"
        f" {r.listed('accuracy', '.2%', 'rule', rules, batch=batch)}."
    )


def sam(r):
    return Finding(
        "SAM",
        "Steps by the gradient at the worst point nearby lead where the net does better on other data.",
        "w <- w - rate * gradient(w + rho * g / |g|)",
        f"{words(r, 'momentum', 'SAM')} Each step of SAM takes two gradients.",
        (against(r, "accuracy", "SAM", "momentum"),),
    )


def lookahead(r):
    return Finding(
        "Lookahead",
        "Going half of the way that an optimiser goes in five steps improves on it.",
        "slow <- slow + 0.5 (fast - slow), then fast <- slow, each 5 steps",
        words(r, "momentum", "Lookahead"),
        (against(r, "train_loss", "momentum", "Lookahead"), against(r, "accuracy", "Lookahead", "momentum")),
    )


def adafactor(r):
    return Finding(
        "Adafactor",
        "With squares of gradients by rows and columns alone it does as well as Adam.",
        "v = row * column / mean(row)",
        f"{words(r, 'Adam', 'Adafactor')} Less than a point below Adam counts as doing as well. Numbers that are kept:"
        f" {r.listed('kept', '.0f', 'rule', ('Adam', 'Adafactor'), batch=SMALL)}.",
        (against(r, "accuracy", "Adafactor", "Adam").above(-0.01),),
    )


def muons(r):
    return Finding(
        "Muon",
        "With the momentum of hidden matrices made orthogonal a net needs fewer steps than with Adam.",
        "W <- W - rate * U V', of the momentum U S V'",
        f"{words(r, 'Adam', 'Muon')} Both have made as many steps.",
        (against(r, "train_loss", "Adam", "Muon"), against(r, "accuracy", "Muon", "Adam")),
    )


def lamb(r):
    return Finding(
        "LAMB",
        "In large batches steps that are a part of each layer's norm do better than Adam's and momentum's.",
        "w <- w - rate * |w| / |u| * u, with Adam's u",
        f"{words(r, *IN_LARGE, batch=LARGE)} Batches are of {LARGE}.",
        tuple(against(r, "train_loss", other, "LAMB", LARGE) for other in ("momentum", "Adam")),
    )


def findings(r):
    return [sam(r), lookahead(r), lamb(r), adafactor(r), muons(r)]


def draw(r):
    figure, parts = axes("Training loss", "Test accuracy", height=3.4)
    cases = [(rule, SMALL) for rule in RULES if rule != "LAMB"] + [(rule, LARGE) for rule in IN_LARGE]
    names = [rule if batch == SMALL else f"{rule}, {batch}" for rule, batch in cases]
    for ax, key, unit in zip(parts, ("train_loss", "accuracy"), (1, 100), strict=True):
        bars(ax, names, [unit * r.interval(key, rule=rule, batch=batch) for rule, batch in cases])
        ax.tick_params(axis="x", rotation=60)
    parts[0].set_yscale("log")
    parts[0].set_ylabel("nats", fontsize=8)
    parts[1].set_ylabel("%", fontsize=8)
    return figure
