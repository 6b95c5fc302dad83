"""Concrete dropout: the probability that is learnt, by the size of the data.

Nets 784-100-100-10 of ReLU with concrete dropout in front of each linear layer, whose first probability is 0.2; Adam at
1e-3, and at 0.02 for the probabilities, batches of 50, as many steps with either size. The loss is cross-entropy and
the regularisers, with a length scale of 0.01. Two nets for comparison have dropout of 0.2 in the same places, and none.

Source: Gal, Hron and Kendall 2017, arXiv:1705.07832, sections 3 and 4.
"""

from cunet import F, nn, optim

from ..figures import axes, bars, legend
from ..findings import Finding
from ..nets import accuracy, mean_loss, mnist, train

KINDS, PLACES = ("none", "fixed", "concrete"), ("input", "first", "second")
P = 0.2


def settings(size):
    steps, sizes = size.pick(4, 120, 500), size.pick((50, 100), (250, 4000), (250, 4000))
    return [{"kind": kind, "images": images, "steps": steps} for kind in KINDS for images in sizes]


def net(kind, inputs, units):
    layers = []
    for before, width in zip((inputs, units, units), (units, units, 10), strict=True):
        drop = {"none": nn.Identity, "fixed": lambda: nn.Dropout(P), "concrete": lambda: nn.ConcreteDropout(P)}[kind]()
        layers += [drop, nn.Linear(before, width), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def run(kind, images, steps, seed):
    data = mnist(images, seed)
    model = net(kind, data.x.shape[1], 100)
    concrete = kind == "concrete"
    probabilities = [p for name, p in model.named_parameters() if name.endswith("p_logit")]
    rest = [p for name, p in model.named_parameters() if not name.endswith("p_logit")]
    groups = [{"params": rest}, *([{"params": probabilities, "lr": 0.02}] if concrete else [])]

    def loss(scores, y):
        value = F.cross_entropy(scores, y)
        for k in (0, 3, 6) if concrete else ():
            value = value + model[k].regularizer(model[k + 1].weight, images)
        return value

    optimizer = optim.Adam(groups, 1e-3)
    train(model, optimizer, data.x, data.y, steps=steps, batch=50, seed=seed, loss=loss)
    given = P if kind == "fixed" else 0.0
    learnt = {f"p_{place}": model[3 * k].p if concrete else given for k, place in enumerate(PLACES)}
    right, nats = accuracy(model, data.test_x, data.test_y), mean_loss(model, data.test_x, data.test_y)
    return {"accuracy": right, "test_loss": nats, **learnt}


def findings(r):
    sizes = sorted(r.each("images"))
    few, many = {"images": sizes[0]}, {"images": sizes[-1]}
    learnt = "; ".join(
        f"{place}: {r.listed(f'p_{place}', '.3f', 'images', sizes, kind='concrete')}" for place in PLACES
    )
    right = "; ".join(f"{kind}: {r.listed('accuracy', '.1%', 'images', sizes, kind=kind)}" for kind in KINDS)
    return [
        Finding(
            "ConcreteDropout",
            "The probability to drop that is learnt falls as there are more data.",
            "mean loss + (length_scale**2 / 2 * sum(W**2) / (1 - p) - K * H(p)) / samples",
            f"Learnt probabilities by place and number of images, from {P}; {learnt}. Test accuracy; {right}.",
            tuple(r.difference(f"p_{place}", few, many, kind="concrete") for place in PLACES),
        )
    ]


def draw(r):
    figure, (learnt, loss) = axes("Learnt probability to drop", "Test loss")
    sizes = sorted(r.each("images"))
    names = [str(size) for size in sizes]
    for k, place in enumerate(PLACES):
        bars(learnt, names, [r.interval(f"p_{place}", kind="concrete", images=n) for n in sizes], k, 3, place)
    for k, kind in enumerate(KINDS):
        bars(loss, names, [r.interval("test_loss", kind=kind, images=n) for n in sizes], k, 3, kind)
    learnt.axhline(P, color="#999999", linewidth=0.8)
    learnt.set_ylabel("probability", fontsize=8)
    loss.set_ylabel("nats", fontsize=8)
    legend(learnt, "units of")
    legend(loss, "dropout")
    for ax in (learnt, loss):
        ax.set_xlabel("images to train on", fontsize=8)
    return figure
