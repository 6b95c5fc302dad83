"""A net that tells classes, as scikit-learn's classifiers do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from .. import functional
from ..device import Device
from ..nn.module import Module
from .net import Net


class NetClassifier(ClassifierMixin, Net):
    """Tell classes by a net that a `Trainer` trains.

    Args:
        model: a Module, of which each `fit` trains a copy; a function ``(features, outputs) -> Module``; or None:
            layers of `hidden` units with ReLU, computing in float32. Its output is one score (logit) a class,
            (N, classes). A model of yours may take samples of any shape, and integers as they are.
        hidden: units of the default net's hidden layers.
        loss: as for `Trainer`; takes scores and labels 0, 1, ... in the order of `classes_`.
        optimizer: the name of one, or a function of the parameters that returns one, such as ``optim.SGD``.
        lr: learning rate; None: that of the optimiser.
        epochs, batch_size, validation_split: as for `Trainer.fit`.
        callbacks: as for `Trainer`; each `fit` has copies of them. With `validation_split` and
            ``EarlyStopping(restore_best=True)`` training ends by itself.
        class_weight: what classes count in the loss: a dict by class, or "balanced"; None: all the same.
        options: further options of `Trainer`, such as ``{"metrics": "accuracy", "clip_norm": 1.0}``.
        device, progress: as for `Trainer`.
        random_state: the seed of weights, order and dropout, as in all of scikit-learn; None: cunet's own streams,
            which `cunet.manual_seed` starts.

    Attributes:
        classes_: the labels, sorted.
        n_features_in_: the features of a sample.
        model_: the trained model. A pickle of an estimator is read by the same versions of libraries alone;
            ``model_.save(path)`` writes weights that last.
        history_: one dict per epoch.
        trainer_: the `Trainer`.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> from cunet.sklearn import NetClassifier
        >>> x, y = load_iris(return_X_y=True)
        >>> net = make_pipeline(StandardScaler(), NetClassifier(hidden=(16,), epochs=20, lr=0.02, random_state=0))
        >>> net.fit(x, y).score(x, y) > 0.9, net.predict_proba(x[:2]).shape
        (True, (2, 3))
    """

    def __init__(
        self,
        model: Module | Callable[[int, int], Module] | None = None,
        *,
        hidden: Sequence[int] = (100,),
        loss: str | Callable[..., Any] = "cross_entropy",
        optimizer: str | Callable[..., Any] = "adam",
        lr: float | None = 1e-3,
        epochs: int = 50,
        batch_size: int = 32,
        validation_split: float = 0.0,
        callbacks: Sequence[Any] = (),
        class_weight: Mapping[Any, float] | str | None = None,
        options: Mapping[str, Any] | None = None,
        device: Device = "auto",
        progress: bool | str = False,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            model,
            hidden=hidden,
            loss=loss,
            optimizer=optimizer,
            lr=lr,
            epochs=epochs,
            batch_size=batch_size,
            validation_split=validation_split,
            callbacks=callbacks,
            options=options,
            device=device,
            progress=progress,
            random_state=random_state,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NetClassifier:  # noqa: N803 (scikit-learn's name)
        """Train a new net; return self.

        Args:
            X: samples, (N, features).
            y: their classes, (N,): numbers or strings.
            sample_weight: what each counts in the loss, (N,); None: all the same.
        """
        x, y = self._checked(X, y)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        weights = None
        if self.class_weight is not None:
            weights = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        self._fit(x, labels, len(self.classes_), sample_weight, weights)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:  # noqa: N803
        """Return the probability of each class, (N, classes) float64, in the order of `classes_`."""
        return functional.softmax(self._output(X).astype(np.float64), axis=1).numpy()

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """Return the most probable class of each sample, (N,)."""
        best = self._output(X).argmax(axis=1)
        return self.classes_[best]
