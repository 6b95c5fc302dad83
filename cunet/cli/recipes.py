"""What can be trained by name: a recipe makes a trainer and its data from a few settings."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from .. import functional, optim
from ..data import Loader, load_images
from ..device import Device
from ..nn.module import Module
from ..system.messages import shown
from ..train import Schedule, Trainer
from .nets import OPTIMISERS, Activation, cnn, mlp


class Picture(NamedTuple):
    """How a file becomes an input: ``(pixels - mean) / std`` of a square grey image whose pixels lie in [0, 1].

    Attributes:
        side: height and width.
        mean, std: of the pixels that were trained on.
        flat: whether an input is one row of pixels; else it is (1, side, side).
    """

    side: int
    mean: float
    std: float
    flat: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an input."""
        return (self.side**2,) if self.flat else (1, self.side, self.side)


class Job(NamedTuple):
    """What a recipe makes: a trainer, data as for `Trainer.fit`, and how images become inputs, if they do."""

    trainer: Trainer
    train: Any
    valid: Any = None
    picture: Picture | None = None


@dataclass(frozen=True, kw_only=True)
class Mnist:
    """Base of the recipes on MNIST; those that follow say what the net is."""

    data: Literal["auto", "mnist", "digits"] = "auto"
    epochs: int = 10
    batch_size: int = 128
    device: Device = "auto"
    flat = True

    def net(self, side: int) -> Module:
        """Return a new net for images of side * side pixels."""
        raise NotImplementedError

    def job(self) -> Job:
        """Load the images; return the net with a one-cycle schedule, to be trained on them."""
        train, test = load_images(self.data)
        picture = Picture(train.images.shape[-1], train.MEAN, train.STD, self.flat)
        options: dict[str, Any] = vars(self)
        model = self.net(picture.side)
        optimizer = OPTIMISERS[options["optimizer"]](model.parameters(), lr=options["lr"])
        x, labels = train.arrays(flatten=self.flat)
        batches = Loader(x, labels, batch_size=self.batch_size, shuffle=True, device=self.device)
        schedule = optim.OneCycleLR(optimizer, options["lr"], total_steps=max(1, self.epochs * len(batches)))
        trainer = Trainer(
            model,
            functional.cross_entropy,
            optimizer,
            metrics=["accuracy"],
            callbacks=[Schedule(schedule, per="batch")],
            device=self.device,
            unit="images",
        )
        valid = Loader(*test.arrays(flatten=self.flat), batch_size=500, device=self.device)
        return Job(trainer, batches, valid, picture)


@dataclass(frozen=True, kw_only=True)
class MnistMLP(Mnist):
    """A multi-layer perceptron on MNIST, 98.5 % after 10 epochs.

    Args:
        data: auto: MNIST, else scikit-learn's 1,797 digits
        epochs: passes over the images
        batch_size: images per step
        device: auto: a GPU if there is one
        hidden: sizes of the hidden layers
        activation: of the hidden layers
        norm: before each activation: none, batch, layer or rms
        dropout: probability to drop a unit
        init: initialiser of the weights, by name
        optimizer: sgd, rmsprop, adam, adamw or lion
        lr: highest learning rate of the one-cycle schedule
    """

    hidden: tuple[int, ...] = (512, 256)
    activation: Activation = "relu"
    norm: Literal["none", "batch", "layer", "rms"] = "batch"
    dropout: float = 0.2
    init: str = "kaiming_normal"
    optimizer: Literal["sgd", "rmsprop", "adam", "adamw", "lion"] = "adam"
    lr: float = 2e-3

    def net(self, side: int) -> Module:
        """Return a new net for images of side * side pixels."""
        options = {name: getattr(self, name) for name in ("activation", "norm", "dropout", "init")}
        return mlp([side**2, *self.hidden, 10], **options)


@dataclass(frozen=True, kw_only=True)
class MnistCNN(Mnist):
    """A convolutional net with batch norm on MNIST, 99.4 % after 5.

    Args:
        data: auto: MNIST, else scikit-learn's 1,797 digits
        epochs: passes over the images
        batch_size: images per step
        device: auto: a GPU if there is one
        channels: channels of the two stages
        hidden: units of the dense layer
        activation: after each batch norm
        dropout: probability to drop a unit of the dense layer
        init: initialiser of the weights, by name
        optimizer: sgd, rmsprop, adam, adamw or lion
        lr: highest learning rate of the one-cycle schedule
    """

    epochs: int = 5
    channels: tuple[int, int] = (20, 40)
    hidden: int = 128
    activation: Literal["relu", "elu", "gelu", "silu", "leaky_relu"] = "relu"
    dropout: float = 0.4
    init: str = "kaiming_normal"
    optimizer: Literal["sgd", "rmsprop", "adam", "adamw", "lion"] = "adam"
    lr: float = 4e-3
    flat = False

    def net(self, side: int) -> Module:
        """Return a new net for images of side * side pixels."""
        options = {name: getattr(self, name) for name in ("channels", "hidden", "activation", "dropout", "init")}
        return cnn(side, **options)


RECIPES: dict[str, type[Mnist]] = {"mnist-mlp": MnistMLP, "mnist-cnn": MnistCNN}


def find(name: str) -> Callable[..., Any]:
    """Return the recipe of a name, or the function that ``module:function`` names.

    Raises:
        ValueError: there is none.
    """
    if name in RECIPES:
        return RECIPES[name]
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ValueError(
            f"{name!r} is no recipe: it must be {', '.join(RECIPES)}, or MODULE:FUNCTION such as nets:make"
        )
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            raise ValueError(f"there is no module {module!r}, here or installed") from None
        raise
    except AttributeError:
        raise ValueError(f"the module {module!r} has no {attribute!r}") from None
    if not callable(found):
        raise ValueError(f"{name} must be a function that returns a Trainer, got {shown(found)}")
    return found


def job_of(name: str, made: Any) -> Job:
    """Return what a recipe made as a job; a function may return a Trainer, or it with data to train and validate on,
    or a Job.

    Raises:
        TypeError: it is nothing of that.
    """
    if isinstance(made, (Mnist, Job)):
        return made.job() if isinstance(made, Mnist) else made
    trainer, *data = made if isinstance(made, tuple) and made else (made,)
    if not isinstance(trainer, Trainer) or len(data) > 2:
        raise TypeError(
            f"{name} must return a Trainer, or (trainer, train) or (trainer, train, valid), got {shown(made)}"
        )
    if data:
        return Job(trainer, *data)
    train, test = load_images("auto")
    return Job(
        trainer,
        train.arrays(flatten=False),
        test.arrays(flatten=False),
        Picture(train.images.shape[-1], train.MEAN, train.STD, False),
    )
