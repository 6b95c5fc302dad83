"""Methods: each stays in the space and comes again by its seed; the model-based ones do better than by chance."""

import numpy as np
import pytest

optuna = pytest.importorskip("optuna")

from search_helpers import SPACE, bowl, found, rows  # noqa: E402

from cunet.search import Float, Int  # noqa: E402
from cunet.search.methods import check_method, pruner_of  # noqa: E402

pytestmark = pytest.mark.cpu_only


@pytest.mark.parametrize("method", ["random", "tpe", optuna.samplers.QMCSampler])
def test_values_are_in_the_space_and_come_again_by_their_seed(method):
    if method is optuna.samplers.QMCSampler:
        pytest.importorskip("scipy")
    first, second, other = (found(trials=14, method=method, seed=seed) for seed in (3, 3, 4))  # ten by chance
    assert rows(first) == rows(second) != rows(other)
    for trial in first.trials:
        assert -4 <= trial.params["x"] <= 4 and 1e-4 <= trial.params["y"] <= 1
        assert trial.params["n"] in range(1, 65) and trial.params["kind"] in "ab"
    assert len(set(rows(first))) == 14


def test_a_log_range_is_drawn_evenly_by_its_logarithm():
    values = sorted(t.params["y"] for t in found(trials=60, method="random", space={"y": Float(1e-6, 1, log=True)},
                                                  build=lambda trial: trial["y"]).trials)  # fmt: skip
    assert 1e-4 < values[30] < 1e-2


def test_tpe_comes_closer_than_chance():
    best = {m: sum(found(trials=30, method=m, seed=s).best.value for s in range(2)) for m in ("random", "tpe")}
    assert best["tpe"] < 0.8 * best["random"]


@pytest.mark.slow
def test_a_gaussian_process_comes_closer_than_chance_and_comes_again_by_its_seed():
    pytest.importorskip("torch")
    pytest.importorskip("scipy")
    space = {"x": Float(-4, 4), "y": Float(1e-4, 1, log=True)}

    def build(trial):
        return (trial["x"] - 1) ** 2 + (np.log10(trial["y"]) + 2) ** 2

    random, gp = (found(build, 13, space, method=method) for method in ("random", "gp"))
    assert rows(gp)[:10] == rows(random)[:10]  # by chance
    assert gp.best.value < 0.3 * random.best.value
    assert rows(found(build, 11, space, method="gp")) == rows(gp)[:11]


def test_a_grid_is_gone_through_once():
    space = {"n": Int(1, 3), "kind": ["a", "b"]}
    result = found(lambda trial: trial["n"], None, space, method="grid")
    points = [(t.params["n"], t.params["kind"]) for t in result.trials]
    assert points == [(n, kind) for n in (1, 2, 3) for kind in "ab"]
    assert len(found(lambda trial: 0.0, 99, space, method="grid").trials) == 6


def test_methods_and_pruners_are_known_by_name(monkeypatch):
    with pytest.raises(ValueError, match="method must be one of 'grid', 'random', 'tpe', 'gp' or a function"):
        check_method("bayes")
    with pytest.raises(ValueError, match="pruner must be one of 'median', 'halving', 'hyperband', a pruner"):
        pruner_of("mean")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'method "gp" needs torch.*cunet\[gp\]'):
        check_method("gp")


def test_without_optuna_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(ImportError, match=r'search needs optuna.*pip install "cunet\[search\]"'):
        found(bowl, 1, SPACE)
