"""The way back through a norm: the gradients of its input and of its parameters, each made when it is asked for."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...device import Array
from ...kernels import primitive
from ...kernels.axes import reduced_shape
from ...kernels.capture import scaled
from ...kernels.sum_to import sum_over
from ...kernels.tiled import Tiled
from .epilogue import NONE, PLAIN, NormKernels, is_cheap
from .forward import Normed
from .groups import Groups, rows_of
from .statistics import Axes, Stages, stages_on_cpu, stages_on_gpu


class Gradient(NamedTuple):
    """A gradient on its way back through a norm, and what of the activation is still to come: kernels, more arguments.

    `more` is what those kernels take behind all else: the bias and the activation's numbers, or nothing.
    """

    g: Array
    kernels: NormKernels
    more: tuple[Any, ...]


def before_activation(g: Array, normed: Normed) -> Gradient:
    """Go back through the activation in a pass of its own."""
    activated = normed.activated
    if activated.kernels.gradient is not None:
        if normed.kept is not None:
            g = activated.way_back(g, normed.kept)
        else:
            arrays = (normed.x, normed.mean, normed.rstd, normed.weight, normed.bias)
            g = activated.kernels.gradient(g, *arrays, *activated.numbers)
    return Gradient(g, PLAIN, ())


def _of_y(g: Array, normed: Normed) -> Gradient:
    """Leave the activation to the kernels of the norm."""
    if normed.activated is NONE:
        return Gradient(g, PLAIN, ())
    return Gradient(g, normed.activated.kernels, (normed.bias, *normed.activated.numbers))


@primitive
def behind_activation(g: Array, normed: Normed, groups: Groups) -> Gradient:
    """Return the gradient with which the norm's own way back begins."""
    return _of_y(g, normed)


@behind_activation.native
def _(g: Array, normed: Normed, groups: Groups) -> Gradient:
    """Behind an exponential make one pass more, so that the derivative is found once."""
    activated = normed.activated
    cheap = activated.backward is not None and is_cheap(activated.backward) and groups.common
    return _of_y(g, normed) if cheap else before_activation(g, normed)


behind_activation.numpy(lambda g, normed, groups: before_activation(g, normed))


@primitive
def sums(gradient: Array, *args: Any) -> tuple[Array, Array]:
    """See `_sums`, whose arguments these are but for the stages."""
    return _sums(stages_on_cpu(gradient.shape, args[-1]), gradient, *args)


@sums.cuda
def _(gradient: Array, *args: Any) -> tuple[Array, Array]:
    return _sums(stages_on_gpu(gradient.shape, args[-1]), gradient, *args)


def _sums(
    stages: Stages, g: Array, normed: Normed, kernels: NormKernels, more: tuple[Any, ...], factor: Any, axes: Axes
) -> tuple[Array, Array]:
    """Return the sums of ``g * factor`` and of ``g * factor * (x - mean) * rstd`` over `axes`, kept."""
    arrays = (g, normed.x, normed.mean, normed.rstd, factor, *((normed.weight, *more) if more else ()))
    found = kernels.sums(*[stages.split(a) for a in arrays], axis=stages.first, keepdims=True)
    if stages.parts == 1 and not stages.second:
        return found
    kept = reduced_shape(normed.x.shape, axes, True)
    total, dot = [(sum_over(a, stages.second) if stages.second else a).reshape(kept) for a in found]
    return total, dot


class Backward:
    """The gradients of a norm, each made when it is asked for; sums that serve several are kept.

    Args:
        gy: gradient of the output, in the view.
        normed: what the forward pass left.
        groups: the view.
        centred: whether a mean was taken off.
        trained: whether weight or bias will want their sums.
    """

    def __init__(self, gy: Array, normed: Normed, groups: Groups, centred: bool, trained: bool) -> None:
        self.gradient = behind_activation(gy, normed, groups)
        self.normed, self.groups, self.centred, self.trained = normed, groups, centred, trained
        self.cells: tuple[Array, Array] | None = None

    def sums(self, factor: Any, axes: Axes) -> tuple[Array, Array]:
        """Return the sums of ``g * factor`` and of ``g * factor * (x - mean) * rstd`` over `axes`, kept."""
        g, kernels, more = self.gradient
        return sums(g, self.normed, kernels, more, factor, axes)

    def shared_sums(self) -> tuple[Array, Array]:
        """Return these sums, `factor` 1, over the axes that all gradients sum over."""
        if self.cells is None:
            self.cells = self.sums(1.0, self.groups.common or self.groups.shared)
        return self.cells

    def for_bias(self) -> Array:
        """Return the gradient of the bias in the view."""
        return _rest(self.shared_sums()[0], self.groups.shared, self.groups.common)

    def for_weight(self) -> Array:
        """Return the gradient of the weight in the view."""
        return _rest(self.shared_sums()[1], self.groups.shared, self.groups.common)

    def for_x(self) -> Array:
        """Return the gradient of x in the view."""
        return input_gradient(self.gradient.g, self)

    def by_sums(self) -> Array:
        """Return the gradient of x by the sums over its groups."""
        g, kernels, more = self.gradient
        n, groups = self.normed, self.groups
        if groups.common:
            total, dot = [
                _rest(s if type(n.weight) is float else scaled(s, n.weight), groups.folded, groups.common)
                for s in self.shared_sums()
            ]
        else:
            total, dot = self.sums(n.weight, groups.folded)
        total, scale = total if self.centred else 0.0, 1 / max(1, groups.per_mean)
        return kernels.backward(g, n.x, n.mean, n.rstd, n.weight, total, dot, scale, *more)

    def by_rows(self) -> Array:
        """Return the gradient of x where each group is a row."""
        g, kernels, more = self.gradient
        n, rows = self.normed, rows_of(self.groups)
        assert rows is not None
        return kernels.rows_backward(g, n.x, n.mean, n.rstd, n.weight, float(self.centred), *more, **rows._asdict())


@primitive
def input_gradient(g: Array, back: Backward) -> Array:
    """Return the gradient of x in the view; `g` is that of `back`."""
    return back.by_rows() if rows_of(back.groups) else back.by_sums()


def _on_cpu(g: Array, back: Backward) -> Array:
    """Where the parameters want sums over other axes than the rows, find them on the way, tile by tile."""
    groups = back.groups
    if not rows_of(groups) or groups.common:
        return back.by_sums()
    stages = stages_on_cpu(g.shape, groups.shared)
    if stages.axis or stages.parts == 1 or not back.trained or back.cells is not None:
        return back.by_rows()
    n, kernels = back.normed, PLAIN
    data, weight = [stages.split(a) for a in (g, n.x, n.mean, n.rstd)], stages.split(n.weight)
    folded, scale = tuple(k + 1 for k in groups.folded), 1 / max(1, groups.per_mean)
    with Tiled(data[0]) as run:
        total, dot = run(kernels.sums, *data, weight, axis=folded, keepdims=True)
        gx = run(kernels.backward, *data, weight, total if back.centred else 0.0, dot, scale)
        found = run(kernels.sums, *data, 1.0, axis=stages.first, keepdims=True)
    first, second = [sum_over(a, stages.second).reshape(groups.params) for a in found]
    back.cells = first, second
    return gx.reshape(g.shape)


input_gradient.native(_on_cpu)
input_gradient.numpy(_on_cpu)


def _rest(a: Array, axes: Axes, done: Axes) -> Array:
    """Sum an array over those of `axes` that are not in `done`, some of them; all are done where that is empty."""
    if not done or done == axes:
        return a
    return sum_over(a, tuple([k for k in axes if k not in done]))
