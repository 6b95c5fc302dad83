"""What a library of the benchmark does, for libraries that have PyTorch's names."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from .jobs import Function, Job, Prediction, Step, Training

State = dict[str, np.ndarray]
Call = Callable[[], Any]
TrainingStep = Callable[..., Any]
ADAM_RATE = 1e-3


class Missing(Exception):
    """A library lacks what a job needs."""


class Library:
    """Runs jobs with a library that has PyTorch's names.

    Attributes:
        name: column of the table.
        nn, optim: the library's modules.
    """

    name = ""
    nn: Any
    optim: Any

    def array(self, x: np.ndarray) -> Any:
        """Return what the library computes with."""
        return x

    def host(self, x: Any) -> np.ndarray:
        """Return a result as a NumPy array."""
        raise NotImplementedError

    def load(self, model: Any, state: State) -> None:
        """Give a model these weights; buffers that only PyTorch has may stay."""
        raise NotImplementedError

    def leaf(self, x: np.ndarray) -> Any:
        """Return a tensor that gets a gradient."""
        return self.nn.Parameter(self.array(x))

    def prepared(self, model: Any) -> Any:
        """Return the model as the library runs it best in this column."""
        return model

    def prepared_step(self, step: TrainingStep) -> TrainingStep:
        """Return a training step as the library runs it best in this column."""
        return step

    def options(self) -> dict[str, Any]:
        """Return arguments for the optimiser beyond the learning rate."""
        return {}

    def use(self, call: Call) -> Call:
        """Return the call such that it runs as this column says."""
        return call

    def require(self, job: Job) -> None:
        """Raise `Missing` if a layer that the job needs is not there."""
        lacking = [layer for layer in job.layers if not hasattr(self.nn, layer)]
        if lacking:
            raise Missing(f"{self.name} has no nn.{', nn.'.join(lacking)}")

    def training(self, job: Training, state: State | None, drop: bool = True) -> Call:
        """Return a call that does one training step, batch after batch, and returns the loss.

        Args:
            job: what to train.
            state: weights to start from; None: the library's own.
            drop: whether dropout drops.
        """
        self.require(job)
        model = job.build(self.nn, drop)
        if state is not None:
            self.load(model, state)
        name, rate = job.optimizer
        optimizer = getattr(self.optim, name)(model.parameters(), lr=rate, **self.options())
        model, criterion = self.prepared(model), self.nn.CrossEntropyLoss()
        x, y = map(self.array, job.data())
        starts = itertools.cycle(range(0, len(x), job.batch))

        def train(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        train = self.prepared_step(train)

        def step() -> Any:
            first = next(starts)
            batch = slice(first, first + job.batch)
            return train(x[batch], y[batch].reshape(-1) if job.codes else y[batch])

        return self.use(step)

    def prediction(self, job: Prediction, state: State | None) -> Call:
        """Return a call that returns the outputs of a net in evaluation."""
        self.require(job)
        model = job.build(self.nn, True)
        if state is not None:
            self.load(model, state)
        model.eval()
        model, x = self.prepared(model), self.array(job.data())
        predict = self.prepared_step(lambda x: model(x))

        def run() -> Any:
            with self.without_gradients():
                return predict(x)

        return self.use(run)

    def without_gradients(self) -> AbstractContextManager[Any]:
        """Return a context in which nothing is noted for gradients."""
        raise NotImplementedError

    def function(
        self, job: Function, state: State, x: np.ndarray, gy: np.ndarray | None, labels: np.ndarray | None
    ) -> Call:
        """Return a call that runs a layer forward and backward and returns the result and the gradients."""
        self.require(job)
        layer = job.build(self.nn)
        if state:
            self.load(layer, state)
        leaves = [self.leaf(x), *layer.parameters()]
        layer = self.prepared(layer)
        more = [] if labels is None else [self.array(labels)]
        gradient = None if gy is None else self.array(gy)

        def run() -> list[Any]:
            for leaf in leaves:
                leaf.grad = None
            y = layer(leaves[0], *more)
            y.backward(gradient)
            return [y, *[leaf.grad for leaf in leaves]]

        return self.use(run)

    def adam(self, job: Step, w: np.ndarray, g: np.ndarray) -> Call:
        """Return a call that does one step of Adam and returns the weights."""
        p = self.leaf(w.copy())
        p.grad = self.array(g)
        optimizer = self.optim.Adam([p], lr=ADAM_RATE, **self.options())

        def step() -> list[Any]:
            optimizer.step()
            return [p]

        return self.use(step)
