"""What estimators have in common: a net is built, trained by a `Trainer`, and applied."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .. import functional, random
from ..device import Device
from ..nn.container import Sequential
from ..nn.linear import Linear
from ..nn.module import Module
from ..train import Trainer
from ..train.arguments import optimizer_of


class Net(BaseEstimator):
    """Base of the two estimators, with the loss of one that predicts numbers; see `NetClassifier` for the arguments."""

    def __init__(
        self,
        model: Module | Callable[[int, int], Module] | None = None,
        *,
        hidden: Sequence[int] = (100,),
        loss: str | Callable[..., Any] = "mse_loss",
        optimizer: str | Callable[..., Any] = "adam",
        lr: float | None = 1e-3,
        epochs: int = 50,
        batch_size: int = 32,
        validation_split: float = 0.0,
        callbacks: Sequence[Any] = (),
        options: Mapping[str, Any] | None = None,
        device: Device = "auto",
        progress: bool | str = False,
        random_state: Any = None,
    ) -> None:
        self.model, self.hidden, self.loss, self.optimizer, self.lr = model, hidden, loss, optimizer, lr
        self.epochs, self.batch_size, self.validation_split = epochs, batch_size, validation_split
        self.callbacks, self.options = callbacks, options
        self.device, self.progress, self.random_state = device, progress, random_state

    @property
    def model_(self) -> Module:
        """The trained model; its weights go to a file by ``model_.save(path)``."""
        check_is_fitted(self, "trainer_")
        return self.trainer_.model

    @property
    def history_(self) -> list[dict[str, Any]]:
        """The epochs of `fit`, as in `Trainer.history`."""
        check_is_fitted(self, "trainer_")
        return self.trainer_.history

    def _checked(self, *data: Any, **options: Any) -> Any:
        """Return arrays as scikit-learn checks them: in float32 for the default net, else as the model takes them."""
        own = self.model is None
        return validate_data(self, *data, dtype=np.float32 if own else "numeric", allow_nd=not own, **options)

    def _fit(self, x: np.ndarray, target: np.ndarray, outputs: int, sample_weight: Any, class_weight: Any) -> None:
        """Train a new model on arrays that were checked."""
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, x)
        with self._seeded():
            model = self._built(x.shape[1], outputs)
            trainer = Trainer(
                model,
                self.loss,
                self._optimizer_of(model),
                callbacks=copy.deepcopy(list(self.callbacks)),
                device=self.device,
                progress=self.progress,
                **copy.deepcopy(dict(self.options or {})),
            )
            trainer.fit(
                (x, target),
                epochs=self.epochs,
                batch_size=self.batch_size,
                validation_split=self.validation_split,
                class_weight=class_weight,
                sample_weight=sample_weight,
            )
        self.trainer_ = trainer
        if trainer.interrupted:  # else a search would go on with the next candidate
            raise KeyboardInterrupt

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """Draw from the seed that `random_state` stands for within a ``with`` block; None: from cunet's streams."""
        if self.random_state is None:
            yield
            return
        state = random.get_state()
        random.manual_seed(int(check_random_state(self.random_state).randint(2**31 - 1)))
        try:
            yield
        finally:
            random.set_state(state)

    def _built(self, features: int, outputs: int) -> Module:
        if self.model is None:
            layers: list[Any] = []
            for width in self.hidden:
                layers += [Linear(features, width), functional.relu]
                features = width
            return Sequential(*layers, Linear(features, outputs))
        model = copy.deepcopy(self.model) if isinstance(self.model, Module) else self.model(features, outputs)
        if not isinstance(model, Module):
            raise TypeError(
                f"{type(self).__name__}: model must be a Module, or a function (features, outputs) that returns one, "
                f"got {type(model).__name__}"
            )
        return model

    def _optimizer_of(self, model: Module) -> Any:
        given = self.optimizer
        optimizer = optimizer_of(given, model) if isinstance(given, str) else given(model.parameters())
        if self.lr is not None:
            for group in range(len(optimizer.param_groups)):
                optimizer.set_rate(group, self.lr)
        return optimizer

    def _output(self, X: Any) -> np.ndarray:  # noqa: N803 (scikit-learn's name)
        """Return the model's output for samples."""
        check_is_fitted(self, "trainer_")
        return self.trainer_.predict(self._checked(X, reset=False))
