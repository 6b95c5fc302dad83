"""Optimisers, schedules, rates by layer, sizes of batches.

A net 784-100-100-10 of ReLU. First each optimiser at the best of three rates, batches of 64; then momentum with a rate
that falls along a cosine, and with a tenth of the rate for the first layer. Then plain gradient descent on as many
images in batches of 1 to 1,024 (the last is much of the data at once), the best of three rates each.

Source: Kingma and Ba 2014, arXiv:1412.6980, section 6; Loshchilov and Hutter 2016, arXiv:1608.03983.
"""

from cunet import optim

from ..figures import axes, bars
from ..findings import Finding
from ..nets import accuracy, at_best_rate, mlp, mnist, train

MOMENTUM = {"momentum": 0.9}
#: name: class, rates, options
RULES = {
    "SGD": (optim.SGD, (0.05, 0.2, 0.8), {}),
    "momentum": (optim.SGD, (0.005, 0.02, 0.08), MOMENTUM),
    "RMSprop": (optim.RMSprop, (0.0003, 0.001, 0.003), {}),
    "Adam": (optim.Adam, (0.0003, 0.001, 0.003), {}),
    "cosine": (optim.SGD, (0.005, 0.02, 0.08), MOMENTUM),
    "first layer slow": (optim.SGD, (0.005, 0.02, 0.08), MOMENTUM),
}
BATCHES = (1, 8, 64, 256, 1024)


def settings(size):
    seen, images = size.pick(128, 4096, 16384), size.pick(100, 4096, 16384)
    chosen = [(rule, 64) for rule in RULES] + [("SGD", batch) for batch in BATCHES if batch != 64]
    return [{"rule": rule, "batch": batch, "seen": seen, "images": images} for rule, batch in chosen]


def made(rule, model, rate):
    kind, _, options = RULES[rule]
    groups = model.parameters()
    if rule == "first layer slow":
        first = list(model[0].parameters())
        rest = [p for p in model.parameters() if all(p is not q for q in first)]
        groups = [{"params": first, "lr": rate / 10}, {"params": rest}]
    return kind(groups, lr=rate, **options)


def run(rule, batch, seen, images, seed):
    data, steps = mnist(images, seed), max(1, seen // batch)
    factor = 1.0 if batch == 64 else min((batch / 64) ** 0.5, 2.0)

    def trained(rate):
        model = mlp((data.x.shape[1], 100, 100, 10))
        optimizer = made(rule, model, rate)
        schedule = optim.CosineAnnealingLR(optimizer, 4) if rule == "cosine" else None

        def look(step, schedule=schedule):
            if schedule and step:
                schedule.step()

        every = max(1, steps // 4)
        train(model, optimizer, data.x, data.y, steps=steps, batch=batch, seed=seed, look=look, every=every)
        return model

    loss, rate, model = at_best_rate([factor * r for r in RULES[rule][1]], seed, trained, data.x, data.y)
    return {
        "train_loss": loss,
        "rate": rate,
        "accuracy": accuracy(model, data.test_x, data.test_y),
        "steps": steps,
    }


def against(r, key, one, other):
    return r.difference(key, {"rule": one}, {"rule": other}, batch=64)


def n74(r):
    listed = r.listed("train_loss", ".4f", "rule", batch=64)
    return Finding(
        "N74",
        "Momentum, RMSProp and Adam learn faster than plain gradient descent; schedules and rates by layer help.",
        "w <- w - rate * direction(gradients)",
        f"Training loss after {r.each('seen')[0]} images: {listed}. Test accuracy:"
        f" {r.listed('accuracy', '.2%', 'rule', batch=64)}.",
        (
            *(against(r, "train_loss", "SGD", rule) for rule in ("momentum", "RMSprop", "Adam")),
            against(r, "train_loss", "momentum", "cosine"),
            against(r, "train_loss", "momentum", "first layer slow"),
        ),
    )


def n76(r):
    by = r.where(rule="SGD")
    return Finding(
        "N76",
        "Batches are better than one sample at a time: an eighth or a sixty-fourth of the steps for as many"
        " images, at most one point of accuracy behind.",
        "steps = images seen / batch",
        f"Training loss after {r.each('seen')[0]} images, by batch: {by.listed('train_loss', '.3f', 'batch')}; steps"
        f" {by.listed('steps', '.0f', 'batch')}; test accuracy {by.listed('accuracy', '.2%', 'batch')}.",
        (
            by.difference("accuracy", {"batch": 8}, {"batch": 1}).above(-0.01),
            by.difference("accuracy", {"batch": 64}, {"batch": 1}).above(-0.01),
        ),
    )


def m27(r):
    by = r.where(rule="SGD")
    return Finding(
        "M27",
        "One sample at a time is stochastic gradient descent; plain gradient descent takes all the data in each step.",
        "batch = 1, or all",
        f"Of as many images the former makes {by.interval('steps', batch=1):.0f} steps, batches of 1,024 make"
        f" {by.interval('steps', batch=1024):.0f}: training loss {by.interval('train_loss', batch=1):.3f} and"
        f" {by.interval('train_loss', batch=1024):.3f}.",
        (),
        wording=True,
    )


def findings(r):
    return [n74(r), n76(r), m27(r)]


def draw(r):
    figure, (rules, sizes) = axes("Batches of 64, best of three rates", "SGD by batch, as many images", height=3.4)
    bars(rules, list(RULES), [r.interval("train_loss", rule=rule, batch=64) for rule in RULES])
    found = [r.interval("train_loss", rule="SGD", batch=batch) for batch in BATCHES]
    bars(sizes, [str(batch) for batch in BATCHES], found, 1)
    rules.tick_params(axis="x", rotation=30)
    sizes.set_xlabel("batch", fontsize=8)
    for ax in (rules, sizes):
        ax.set_ylabel("training loss, nats", fontsize=8)
        ax.set_yscale("log")
    return figure
