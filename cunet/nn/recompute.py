"""Running statistics of batch norms over a data set, with the weights as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..autograd.tape import no_grad
from ..autograd.tensor import Tensor
from ..device import like
from .batch_norm import BatchNorm
from .module import Module


def recompute_batch_norm(model: Module, batches: Iterable[Any], run: Callable[[Any, Any], Any] | None = None) -> None:
    """Set the running statistics of all batch norms to those of a data set, with the weights as they are.

    Running averages lag behind the weights; this is one pass in which each value counts once, whatever the
    batches' sizes. Batch norms normalise by the batch meanwhile, all other layers are in evaluation mode.
    Modes, and `num_batches_tracked`, are as before afterwards.

    Args:
        model: any module; layers that keep no running statistics are left alone.
        batches: a loader, or any iterable of batches: arrays, or tuples whose first item is the input. No batch
            may have one value per channel.
        run: what to do with a batch, if not ``model(x)``: ``run(model, batch)``.

    Raises:
        ValueError: there was no batch. On any error the statistics are as before.

    Source: Ioffe and Szegedy 2015, algorithm 2, lines 8-12; Wu and Johnson 2021, arXiv:2105.07576, section 3.

    Example:
        >>> model = nn.Sequential(nn.BatchNorm1d(1))
        >>> batches = np.array([[[0.0], [2.0]], [[4.0], [6.0]]])
        >>> nn.recompute_batch_norm(model, batches)
        >>> model[0].running_mean, model[0].running_var.round(4)  # of 0, 2, 4 and 6
        (Tensor([3.]), Tensor([6.6667]))
    """
    layers = [m for m in model.modules() if isinstance(m, BatchNorm) and m.running_mean is not None]
    before = [(m, m.stats, m.num_batches_tracked.data, m.statistics()) for m in layers]
    done = False
    try:
        with no_grad(), model.evaluating():
            for layer in layers:
                layer.training, layer.stats = True, "population"
                layer.reset_running_stats()
            for batch in batches:
                (run or _run)(model, batch)
                done = True
        if layers and not done:
            raise ValueError("recompute_batch_norm: batches must hold at least one, got none")
    except BaseException:
        done = False
        raise
    finally:
        for layer, stats, tracked, statistics in before:
            layer.stats, layer.num_batches_tracked.data = stats, tracked
            if not done or not layer.statistics().values:  # an error, or a layer that the model does not use
                layer.restore(statistics)


def _run(model: Module, batch: Any) -> None:
    x = batch[0] if isinstance(batch, (tuple, list)) else batch
    tensor = next(iter(model.parameters()), None)
    x = x.data if isinstance(x, Tensor) else x
    model(x if tensor is None else like(x, tensor.data))
