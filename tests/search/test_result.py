"""Results: the best trial, and drawings of what was tried."""

import pytest

pytest.importorskip("optuna")

from search_helpers import bowl, found  # noqa: E402

pytestmark = pytest.mark.cpu_only


def test_the_best_is_the_least_or_the_greatest():
    least, greatest = found(bowl, 8), found(bowl, 8, mode="max")
    assert least.best.value == min(trial.value for trial in least.trials)
    assert greatest.best.value == max(trial.value for trial in greatest.trials)
    assert least.best.value == bowl(least.best.params) == least.study.best_value
    assert repr(least) == f"SearchResult(8 complete, best {least.best.value:.6g} by {least.best.params})"


def test_where_nothing_is_finite_there_is_no_best():
    result = found(lambda trial: float("nan"), 2)
    with pytest.raises(ValueError, match="no trial has a finite value; there are {'complete': 2}"):
        result.best  # noqa: B018
    assert repr(result) == "SearchResult(2 complete)"


def test_errors_that_are_named_make_a_trial_fail():
    def build(trial):
        if trial.number == 1:
            raise MemoryError("too wide")
        return bowl(trial)

    result = found(build, 3, catch=(MemoryError,))
    assert [trial.state for trial in result.trials] == ["complete", "failed", "complete"]
    assert result.trials[1].value is None and "too wide" in str(result.study.trials[1].user_attrs)
    with pytest.raises(MemoryError, match="too wide"):
        found(build, 3)


def test_values_over_trials_are_drawn_with_the_best_so_far():
    pytest.importorskip("matplotlib")

    def build(trial):
        trial.report(bowl(trial), 1)
        return bowl(trial)

    result = found(build, 12)
    assert {trial.state for trial in result.trials} == {"complete", "pruned"}
    for mode, fold in (("min", min), ("max", max)):
        result.mode = mode
        lines = {line.get_label(): line.get_ydata() for line in result.plot().lines}
        values = [trial.value for trial in result.trials if trial.state == "complete"]
        assert list(lines["completed"]) == values
        assert list(lines["best so far"]) == [fold(values[: k + 1]) for k in range(len(values))]
        assert len(lines["given up"]) == 12 - len(values)


def test_values_over_each_parameter_are_drawn_on_its_scale():
    pytest.importorskip("matplotlib")
    figure = found(bowl, 5).plot_parameters()
    by_name = {ax.get_xlabel(): ax for ax in figure.axes}
    assert {name: ax.get_xscale() for name, ax in by_name.items()} == {
        "x": "linear", "y": "log", "n": "log", "kind": "linear",
    }  # fmt: skip
    assert [label.get_text() for label in by_name["kind"].get_xticklabels()] == ["a", "b"]
    assert all(len(ax.collections[0].get_offsets()) == 5 for ax in figure.axes)
    figure.canvas.draw()
