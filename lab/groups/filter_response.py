"""Filter response normalisation, group norm and batch norm in a convolutional net.

Two layers of 3 x 3 convolutions (8 and 16 channels), each with a norm, ReLU and max-pooling, then a linear layer;
filter response normalisation has its learnt threshold in place of ReLU. SGD with momentum 0.9, whose rate is 0.02 for
batches of 32 and falls as the batch does; all see the same number of images in batches of 2 and of 32.

Source: Singh and Krishnan 2020, arXiv:1911.09737, section 3 and figure 1; Wu and He 2018, arXiv:1803.08494.
"""

from cunet import nn, optim

from ..figures import axes, bars, legend
from ..findings import Finding
from ..nets import accuracy, mnist, train

BATCHES = (2, 32)
#: name: the layers between a convolution and its pooling
NORMS = {
    "batch": lambda channels: [nn.BatchNorm2d(channels), nn.ReLU()],
    "group": lambda channels: [nn.GroupNorm(4, channels), nn.ReLU()],
    "filter response": lambda channels: [nn.FilterResponseNorm(channels)],
}


def settings(size):
    shared = {"seen": size.pick(64, 512, 3072), "images": size.pick(100, 3000, 10000)}
    return [{"norm": norm, "batch": batch, **shared} for norm in NORMS for batch in BATCHES]


def run(norm, batch, seen, images, seed):
    data = mnist(images, seed, test=1000)
    side = round(data.x.shape[1] ** 0.5)
    x, test_x = (a.reshape(-1, 1, side, side) for a in (data.x, data.test_x))
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), *NORMS[norm](8), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), *NORMS[norm](16), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16 * (side // 4) ** 2, 10),
    )  # fmt: skip
    optimizer = optim.SGD(model.parameters(), 0.02 * batch / 32, momentum=0.9)
    train(model, optimizer, x, data.y, steps=seen // batch, batch=batch, seed=seed)
    return {"accuracy": accuracy(model, test_x, data.test_y)}


def findings(r):
    words = "; ".join(f"{norm}: {r.listed('accuracy', '.2%', 'batch', norm=norm)}" for norm in NORMS)
    return [
        Finding(
            "FilterResponseNorm",
            "Filter response normalisation does better than batch norm and group norm, in small batches and large.",
            "max(x / sqrt(mean(x**2) + eps) * weight + bias, tau)",
            f"Test accuracy by size of batch; {words}. The comparisons are with batch norm at {BATCHES[0]} and"
            f" {BATCHES[1]}, then with group norm.",
            tuple(
                r.difference("accuracy", {"norm": "filter response"}, {"norm": other}, batch=batch)
                for other in ("batch", "group")
                for batch in BATCHES
            ),
        )
    ]


def draw(r):
    figure, (right,) = axes("Test accuracy")
    for k, norm in enumerate(NORMS):
        found = [100 * r.interval("accuracy", norm=norm, batch=batch) for batch in BATCHES]
        bars(right, [str(batch) for batch in BATCHES], found, k, len(NORMS), norm)
    right.set_xlabel("batch", fontsize=8)
    right.set_ylabel("%", fontsize=8)
    legend(right, "norm")
    return figure
