"""Optimizer: parameter groups, their state, and the step that updates each group with one kernel call."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..autograd.tape import grad_enabled
from ..autograd.tensor import Tensor
from ..device import Array, is_array, is_gpu_array
from ..kernels import Kernel
from ..kernels.backends.native import native
from ..system.quiet import quiet
from . import ondevice
from .flat_buffer import FlatBuffer, by_dtype_and_device
from .groups import check_parameters
from .rule import Group, State, switches
from .runs import runs
from .saved import EXTRA, by_own_names, check_groups, check_states, plain


class Optimizer:
    """Base of the optimisers: what all of them do around their own formula.

    The parameters of a group lie side by side in one flat buffer (one per dtype and device) from the first step on:
    ``p.data`` becomes a view of it. Arrays assigned to ``p.data`` later, by loading a state or moving a model, are
    copied in at the next step. A step is one kernel call per buffer; parameters without a gradient are left alone
    entirely, and those whose step counts differ are updated in separate calls. float16 and bfloat16 parameters are
    trained through a float32 copy, kept in the state as "master".

    A subclass names its settings (`defaults`), its state (`slots`, `numbers`), its kernel and the scalars the kernel
    takes (`advance`): plain arithmetic in ``lr`` and the numbers. Where ``lr`` is a 0-d array on the GPU the numbers
    lie there too; a step then reads them there and counts them up in place, so that a captured graph can replay it.

    Args:
        params: tensors; (name, tensor) pairs; or groups ``{"params": ..., "lr": ...}`` with settings of
            their own. Leaf tensors, each once; those that require no gradient are left alone.
        defaults: settings of groups that do not give them. All have "maximize": go up, by the negative gradients.

    Attributes:
        param_groups: the groups, dicts with the list "params" and every setting; may be changed between steps.
        state: one dict per parameter, in the order of the groups: numbers such as "step" and arrays.

    Raises:
        ValueError: no parameters, a parameter twice, a setting out of its range or of an unknown name.
        TypeError: something that is no Tensor, or not of a floating dtype.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> optimizer = optim.Adam([
        ...     {"params": model[0].parameters(), "lr": 1e-4},
        ...     {"params": model[2].parameters()},
        ... ], lr=1e-3)
        >>> [group["lr"] for group in optimizer.param_groups]
        [0.0001, 0.001]
        >>> optimizer.state_dict()["param_groups"][1]["params"]
        [2, 3]
    """

    #: State numbers of a parameter and their values before its first step.
    numbers: dict[str, float] = {"step": 0}

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = {**defaults, "maximize": defaults.get("maximize", False)}
        self.param_groups: list[Group] = []
        self.state: list[State] = []
        self._buffers: list[list[FlatBuffer]] = []
        self._rates: dict[int, tuple[Array, float]] = {}  # of groups whose rate is on the GPU: it, and what it holds
        if isinstance(params, Tensor | set | frozenset) or hasattr(params, "parameters"):
            raise TypeError(
                f"{self._name}: params must be a list or the like, such as model.parameters(),"
                f" got {type(params).__name__}"
            )
        groups = list(params)
        if not groups:
            raise ValueError(f"{self._name}: params is empty; was the iterator used before?")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle without the flat buffers: the copy's first step makes its own, of its own arrays."""
        return {**vars(self), "_buffers": [[] for _ in self.param_groups]}

    def __repr__(self) -> str:
        """Show the settings of each group."""
        lines = [
            ", ".join([f"{len(g['params'])} parameters", *(f"{k}={v}" for k, v in g.items() if k in self.defaults)])
            for g in self.param_groups
        ]
        return "\n".join([f"{self._name}(", *(f"  {line}" for line in lines), ")"])

    def add_param_group(self, group: Group) -> None:
        """Add parameters, with settings of their own: ``{"params": ..., "lr": 1e-4}``."""
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(f'{self._name}: a parameter group must be a dict with "params", got {group!r}')
        unknown = group.keys() - self.defaults.keys() - EXTRA
        if unknown:
            raise ValueError(
                f"{self._name}: no such setting: {', '.join(sorted(unknown))}; has {sorted(self.defaults)}"
            )
        given = group["params"]
        if isinstance(given, set | frozenset):
            raise TypeError(f"{self._name}: params must have an order, got a set")
        named = [p if isinstance(p, tuple) else (None, p) for p in ([given] if isinstance(given, Tensor) else given)]
        params = [p for _, p in named]
        full = {**self.defaults, **group, "params": params}
        if any(full["lr"] is g["lr"] for g in self.param_groups) and is_array(full["lr"]):
            full["lr"] = full["lr"].copy()  # each group has a rate of its own
        if named and all(name is not None for name, _ in named):
            full["param_names"] = [name for name, _ in named]
        self._check_params(named)
        self._check(full)
        for char in {p.data.dtype.char for p in params if type(p.data) is np.ndarray}:
            native.expect(self.foreseen(full), char, later=True)
        self.param_groups.append(full)
        self.state += [{} for _ in params]
        self._buffers.append([])

    def _check_params(self, named: Sequence[tuple[str | None, Any]]) -> None:
        check_parameters(self._name, named, [p for group in self.param_groups for p in group["params"]])

    def _check(self, group: Group) -> None:
        """Raise ValueError for settings out of range; subclasses add their own."""
        self._within(group, 0, math.inf, "lr", "weight_decay", "eps")
        self._within(group, 0, 1, "betas")
        if "betas" in group and not (isinstance(group["betas"], tuple | list) and len(group["betas"]) == 2):
            raise ValueError(f"{self._name}: betas must be two numbers, got {group['betas']}")

    def _within(self, group: Group, low: float, high: float, *names: str) -> None:
        """Check that the settings `names`, where there are such, lie in ``[low, high)``."""
        for name in names:
            values = group.get(name, low)
            for value in values if isinstance(values, list | tuple) else (values,):
                if is_gpu_array(value):
                    continue  # looking at it would wait for the device
                if not isinstance(value, (int, float, np.number, np.ndarray)):
                    raise TypeError(f"{self._name}: {name} must be a number, got {value!r}")
                if not low <= value < high:
                    raise ValueError(f"{self._name}: {name} must be in [{low}, {high}), got {values}")

    def rate(self, index: int) -> float:
        """Return the rate of a group; one on the GPU is read once, and then known from `set_rate`."""
        lr = self.param_groups[index]["lr"]
        if not is_gpu_array(lr):
            return float(lr)
        if index not in self._rates or self._rates[index][0] is not lr:
            self._rates[index] = (lr, float(lr))
        return self._rates[index][1]

    def set_rate(self, index: int, lr: float) -> None:
        """Set the rate of a group; one that is an array is written in place, for who reads it on the GPU."""
        group = self.param_groups[index]
        if is_array(group["lr"]):
            group["lr"][...] = lr
            self._rates[index] = (group["lr"], lr)
        else:
            group["lr"] = lr

    # -- what a subclass defines

    def slots(self, group: Group) -> dict[str, float]:
        """Return the names of the state arrays, in the order of the kernel's outputs, and their first values."""
        return {}

    def state_shapes(self, group: Group, p: Tensor) -> dict[str, tuple[int, ...]]:
        """Return the shapes of all arrays that the state of a parameter may hold, by name."""
        return dict.fromkeys(("master", *self.slots(group)), p.data.shape)

    def foreseen(self, group: Group) -> list[Kernel]:
        """Return the kernels that steps will call, to be compiled ahead; a user's class may not know its own yet."""
        return [self.kernel(group)] if type(self).__module__.startswith("cunet.") else []

    def kernel(self, group: Group) -> Kernel:
        """Return the kernel, ``kernel(g, *scalars, w, *slots)``."""
        raise NotImplementedError(f"{self._name} must define kernel()")

    def advance(self, group: Group, numbers: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return the state numbers after this step, and the scalars that the kernel takes in it."""
        raise NotImplementedError(f"{self._name} must define advance()")

    def path(self, group: Group) -> tuple[Any, ...]:
        """Return what decides which calls a step makes: a recorded one is replayed only while it is the same."""
        return (self.kernel(group).name, *self.slots(group), *switches(group))

    # -- training

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to None."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient. Gradients are only read.

        Args:
            closure: computes loss and gradients, first; only `LBFGS` needs one.

        Returns:
            What the closure returned, or None.
        """
        loss = None
        if closure is not None:
            with grad_enabled():
                loss = closure()
        with quiet():
            for i, group in enumerate(self.param_groups):
                for buffer in self._bound(i):
                    self._step(group, buffer)
        return loss

    def _bound(self, index: int) -> list[FlatBuffer]:
        """Return the flat buffers of a group, with all parameters in place."""
        buffers = self._buffers[index]
        if not buffers or not all([buffer.bind() for buffer in buffers]):
            params, states = self.param_groups[index]["params"], self._states(index)
            buffers = [
                FlatBuffer([params[i] for i in alike], [states[i] for i in alike])
                for alike in by_dtype_and_device(params)
            ]
            self._buffers[index] = buffers
        return buffers

    def _states(self, index: int) -> list[State]:
        start = sum(len(group["params"]) for group in self.param_groups[:index])
        return self.state[start : start + len(self.param_groups[index]["params"])]

    def _step(self, group: Group, buffer: FlatBuffer) -> None:
        settings = ondevice.settings_of(group, buffer)
        slots, kernel = self.slots(settings), self.kernel(settings)
        buffer.add_slots(slots)
        arrays = [buffer.weights, *[buffer.slots[name] for name in slots]]
        for first, last, scalars in runs(self, group, buffer):
            for i, j in buffer.parts(first, last):
                span = buffer.span(i, j)
                kernel(buffer.gradient(i, j, group["maximize"]), *scalars, *[a[span] for a in arrays])

    # -- saving

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of all state, made of dicts, lists, plain numbers and arrays.

        Returns:
            ``{"state": [...], "param_groups": [...]}``: a dict of numbers and arrays per parameter (empty before
            its first step), and the settings of each group with the positions of its parameters.
        """
        state = [{k: self._saved(k, v) for k, v in s.items()} if "step" in s else {} for s in self.state]
        groups, positions = [], itertools.count()
        for group in self.param_groups:
            settings = {k: plain(v) for k, v in group.items() if k != "params"}
            groups.append({**settings, "params": [next(positions) for _ in group["params"]]})
        return {"state": state, "param_groups": groups}

    def _saved(self, name: str, value: Any) -> Any:
        """Return an entry of the state: numbers plain, wherever they lie, and copies of arrays."""
        if not is_array(value):
            return value
        return type(self.numbers[name])(value.item()) if name in self.numbers else value.copy()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over state and settings, so that training goes on exactly as it would have.

        Args:
            state_dict: what `state_dict` of the same kind of optimiser over the same parameters returned: in the same
                order, or, where both sides have names for them, in any order within a group.

        Raises:
            ValueError: groups, settings, names or shapes differ; nothing has been changed then.
        """
        groups, states = state_dict["param_groups"], state_dict["state"]
        check_groups(self._name, self.param_groups, groups, self.defaults.keys())
        for own, saved in zip(self.param_groups, groups, strict=True):
            self._check({**own, **saved})
        states = by_own_names(self._name, self.param_groups, groups, states)
        pairs = [(saved, p) for saved, own in zip(groups, self.param_groups, strict=True) for p in own["params"]]
        check_states(self._name, [self.state_shapes(*pair) for pair in pairs], states, self.numbers.keys())
        for i, (group, saved) in enumerate(zip(self.param_groups, groups, strict=True)):
            names = saved.keys() - {"lr", "params", "param_names"}
            group.update({name: ondevice.put(group.get(name), saved[name]) for name in names})
            self.set_rate(i, saved["lr"])
        self.state = [{k: v.copy() if is_array(v) else v for k, v in s.items()} for s in states]
        self._buffers = [[] for _ in self.param_groups]
