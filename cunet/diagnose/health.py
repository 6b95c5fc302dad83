"""health: a model, a batch and a loss, looked at before hours of training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .. import functional, random
from ..autograd.tape import grad_enabled, no_grad
from ..autograd.tensor import Tensor
from ..device import asnumpy
from ..nn.module import Module
from ..nn.report import model_input, unchanged
from ..system.messages import shown
from .decay import decayed_names
from .findings import Evidence, Findings
from .observation import Observation
from .order import findings
from .outputs import outputs_of
from .trial import Trial, can_try, tried


def health(
    model: Module, batch: Any, loss: str | Callable[..., Tensor], optimizer: Any = None, *, show: bool = True
) -> Findings:
    """Look for what will keep a model from learning; print each finding with its cause and what to do.

    One batch goes forward and backward in training mode; with an optimizer a few steps are tried on it. Parameters,
    gradients, buffers, modes, random streams and the optimizer are as before afterwards.

    Args:
        model: the model.
        batch: ``(*inputs, target)`` as a Loader yields, of the size that is trained with.
        loss: ``loss(prediction, target)``, or its name in `cunet.functional`.
        optimizer: what it will be trained with; without it nothing is said about rates and decay.
        show: whether to print.

    Returns:
        The findings, a list, the likeliest cause first; its `str` is the table.

    Raises:
        TypeError: the batch is no tuple of inputs and target, or the loss is none.
        ValueError: the batch is empty.

    Example:
        >>> from cunet.diagnose import health
        >>> x = 1000 * np.random.default_rng(0).random((64, 4), np.float32)
        >>> found = health(nn.Linear(4, 4), (x, x.argmax(axis=1)), "cross_entropy", show=False)
        >>> found.causes
        ['unscaled inputs']
    """
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        raise TypeError(f"health: batch must be a tuple (*inputs, target), got {shown(batch)}")
    given, loss = loss, getattr(functional, loss, None) if isinstance(loss, str) else loss  # type: ignore[assignment]
    if not callable(loss):
        raise TypeError(f"health: loss must be a function or its name in cunet.functional, got {shown(given)}")
    *inputs, target = [model_input(x, model) for x in batch]
    if not all(x.data.size for x in (*inputs, target)):
        shapes = ", ".join(str(x.shape) for x in (*inputs, target))
        raise ValueError(f"health: batch must have samples, got shapes {shapes}")
    with _looked_at(model):
        found = findings(_evidence(model, inputs, target.data, loss, optimizer))
    if show:
        print(found)
    return found


def _evidence(model: Module, inputs: list[Tensor], target: Any, loss: Callable[..., Any], optimizer: Any) -> Evidence:
    observation = Observation(model, 0, [x.data for x in inputs])
    streams = random.get_state()
    with observation.watching():
        prediction = model(*inputs)
        outputs = outputs_of(prediction, target, loss)
        value = None
        if outputs is None or not (outputs.outside and outputs.classes):
            value = loss(prediction, target)
            value.backward()
    observation.loss = value
    observation.finish()
    trial: Trial | None = None
    if value is not None and can_try(optimizer):

        def measured() -> float:
            random.set_state(streams)
            with no_grad():
                return float(asnumpy(loss(model(*inputs), target).data))

        def learn() -> None:
            model.zero_grad()
            loss(model(*inputs), target).backward()

        trial = tried(model, optimizer, measured, learn)
    return Evidence([observation.read()], outputs, decayed_names(model, optimizer), trial)


@contextmanager
def _looked_at(model: Module) -> Iterator[None]:
    """Within a ``with`` block train a model that will be as it was."""
    with unchanged(model), grad_enabled():
        model.train()
        model.zero_grad()
        yield
