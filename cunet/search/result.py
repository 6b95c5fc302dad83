"""What a search found: its trials, the best of them, and drawings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..plot.style import BLUE, GREY, VERMILION, whole_numbers
from ..system.extras import new_axes, new_figure
from .study import AGAIN, FAILED, SURPLUS

if TYPE_CHECKING:
    import optuna


class Record(NamedTuple):
    """A trial.

    Attributes:
        number: in the search, from 0; one that is tried again gets another.
        params: its values by name.
        value: what `build` returned; of one that was given up the last value it told; None if there is none.
        state: "complete", "pruned", "failed" (by an error that `catch` names, or its worker died too often), "lost" (it
            was tried again, under another number), "running" or "waiting".
        curve: the values it told on the way, by step.
        seconds: how long it took; None if it has not ended.

    Example:
        >>> from cunet.search import search
        >>> best = search(lambda trial: trial["x"] ** 2, {"x": [-1, 0, 2]}, method="grid", storage=None).best
        >>> best.number, best.params, best.value, best.state
        (1, {'x': 0}, 0.0, 'complete')
    """

    number: int
    params: dict[str, Any]
    value: float | None
    state: str
    curve: dict[int, float]
    seconds: float | None


class SearchResult:
    """What a search found.

    Attributes:
        study: the search as Optuna has it, for all that Optuna does with one.
        mode: "min" or "max": which way is better.
        trials: a `Record` of every trial, in the order of their numbers.

    Example:
        >>> from cunet.search import search
        >>> found = search(lambda trial: trial["x"] ** 2, {"x": [-1, 0, 2]}, method="grid", storage=None)
        >>> found
        SearchResult(3 complete, best 0 by {'x': 0})
        >>> [(trial.params["x"], trial.value) for trial in found.trials]
        [(-1, 1.0), (0, 0.0), (2, 4.0)]
    """

    def __init__(self, study: optuna.Study, mode: str, trials: list[Record]) -> None:
        self.study, self.mode, self.trials = study, mode, trials

    @property
    def best(self) -> Record:
        """The completed trial with the best value, the first of several.

        Raises:
            ValueError: no trial was completed with a finite value.
        """
        ended = self._completed()
        if not ended:
            raise ValueError(f"SearchResult: no trial has a finite value; there are {self.counts() or 'none'}")
        return min(ended, key=lambda trial: self._sign * (trial.value or 0.0))

    @property
    def _sign(self) -> int:
        return 1 if self.mode == "min" else -1

    def _completed(self) -> list[Record]:
        return [t for t in self.trials if t.state == "complete" and t.value is not None and math.isfinite(t.value)]

    def counts(self) -> dict[str, int]:
        """Return how many trials there are of each state."""
        states = [trial.state for trial in self.trials]
        return {state: states.count(state) for state in dict.fromkeys(states)}

    def __repr__(self) -> str:
        """Show how many trials there are, and the best."""
        best = f", best {self.best.value:.6g} by {self.best.params}" if self._completed() else ""
        return f"SearchResult({', '.join(f'{count} {state}' for state, count in self.counts().items())}{best})"

    def plot(self, ax: Any = None) -> Any:
        """Draw the value of each trial and the best so far, and return the axes.

        Args:
            ax: axes of matplotlib to draw into; new ones by default.

        Raises:
            ImportError: matplotlib is not installed: ``pip install "cunet[plot]"``.
        """
        if ax is None:
            ax = new_axes("SearchResult.plot", 6, 4)
        ended = self._completed()
        numbers, values = [t.number for t in ended], np.array([t.value for t in ended], dtype=np.float64)
        ax.plot(numbers, values, "o", color=GREY, markersize=4, label="completed")
        pruned = [t for t in self.trials if t.state == "pruned" and t.value is not None]
        if pruned:
            ax.plot([t.number for t in pruned], [t.value for t in pruned], "x", color=VERMILION, label="given up")
        best = np.minimum.accumulate(values) if self.mode == "min" else np.maximum.accumulate(values)
        ax.step(numbers, best, where="post", color=BLUE, label="best so far")
        ax.set(xlabel="trial", ylabel="value")
        whole_numbers(ax)
        ax.legend(frameon=False)
        return ax

    def plot_parameters(self) -> Any:
        """Draw the value of the completed trials over each parameter, and return the figure of matplotlib.

        Raises:
            ImportError: matplotlib is not installed: ``pip install "cunet[plot]"``.
        """
        ended = self._completed()
        names = list(ended[0].params) if ended else []
        figure = new_figure("SearchResult.plot_parameters", 3 * max(1, len(names)), 3)
        for k, name in enumerate(names):
            ax = figure.add_subplot(1, len(names), k + 1)
            distribution: Any = next(t.distributions[name] for t in self.study.get_trials(deepcopy=False) if t.params)
            choices = getattr(distribution, "choices", None)
            shown = [t.params[name] if choices is None else choices.index(t.params[name]) for t in ended]
            ax.scatter(shown, [t.value for t in ended], c=[t.number for t in ended], cmap="cividis", s=16)
            ax.set_xlabel(name)
            if choices is not None:
                ax.set_xticks(range(len(choices)), map(str, choices))
            elif distribution.log:
                ax.set_xscale("log")
            if k == 0:
                ax.set_ylabel("value")
        return figure


def result_of(study: optuna.Study) -> SearchResult:
    """Return what a search found so far."""
    trials = study.get_trials(deepcopy=False)
    repeated = {trial.user_attrs.get(AGAIN) for trial in trials}
    records = []
    for trial in trials:
        state = trial.state.name.lower()
        if SURPLUS in trial.user_attrs:
            continue
        if state == "fail":
            state = "lost" if trial.number in repeated and FAILED not in trial.user_attrs else "failed"
        seconds = trial.duration.total_seconds() if trial.duration is not None else None
        value = trial.value if state in ("complete", "pruned") else None
        records.append(Record(trial.number, dict(trial.params), value, state, dict(trial.intermediate_values), seconds))
    return SearchResult(study, "min" if study.direction.name == "MINIMIZE" else "max", records)
