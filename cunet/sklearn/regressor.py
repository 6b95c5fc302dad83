"""A net that predicts numbers, as scikit-learn's regressors do."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin

from .net import Net


class NetRegressor(RegressorMixin, Net):
    """Predict numbers by a net that a `Trainer` trains.

    Targets should be about as large as 1 is; scikit-learn's ``TransformedTargetRegressor(NetRegressor(),
    transformer=StandardScaler())`` sees to that.

    Args:
        model: as for `NetClassifier`; its output is (N, outputs), also where `y` is (N,).
        loss: as for `Trainer`; takes two arrays (N, outputs).
        hidden, optimizer, lr, epochs, batch_size, validation_split: as for `NetClassifier`.
        callbacks, options, device, progress, random_state: as for `NetClassifier`.

    Attributes:
        n_features_in_, model_, history_, trainer_: as of `NetClassifier`.

    Example:
        >>> from cunet.sklearn import NetRegressor
        >>> x = np.linspace(-1, 1, 200)[:, None]
        >>> net = NetRegressor(hidden=(32,), epochs=30, lr=0.02, random_state=0).fit(x, np.abs(x[:, 0]))
        >>> net.score(x, np.abs(x[:, 0])) > 0.9, net.predict([[0.5]]).shape
        (True, (1,))
    """

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn wants to know of the estimator: it predicts several numbers too."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> NetRegressor:  # noqa: N803 (scikit-learn's name)
        """Train a new net; return self.

        Args:
            X: samples, (N, features).
            y: their numbers, (N,) or (N, outputs).
            sample_weight: what each sample counts in the loss, (N,); None: all the same.
        """
        x, y = self._checked(X, y, multi_output=True, y_numeric=True)
        target = y.reshape(len(y), -1).astype(np.float64)
        self._fit(x, target, target.shape[1], sample_weight, None)
        self._flat = y.ndim == 1
        return self

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803
        """Return the numbers of each sample, float64, in the shape that `y` had."""
        output = self._output(X).astype(np.float64)
        return output[:, 0] if self._flat else output
