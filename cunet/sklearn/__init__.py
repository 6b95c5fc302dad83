"""Nets as estimators of scikit-learn, for its pipelines, searches and scores: ``pip install "cunet[sklearn]"``.

>>> from sklearn.datasets import load_iris
>>> from sklearn.model_selection import GridSearchCV
>>> from sklearn.pipeline import make_pipeline
>>> from sklearn.preprocessing import StandardScaler
>>> from cunet.sklearn import NetClassifier
>>> net = make_pipeline(StandardScaler(), NetClassifier(epochs=10, lr=0.02, random_state=0))
>>> search = GridSearchCV(net, {"netclassifier__hidden": [(16,), (32,)]}, cv=2).fit(*load_iris(return_X_y=True))
>>> bool(search.best_score_ > 0.8)
True
"""

from ..system.extras import extra as _extra
from ..system.public import publish as _publish

_extra("sklearn", "sklearn", "cunet.sklearn")  # before the modules whose classes are made of its

from .classifier import NetClassifier as NetClassifier  # noqa: E402
from .regressor import NetRegressor as NetRegressor  # noqa: E402

__all__, __dir__ = _publish(__name__)
