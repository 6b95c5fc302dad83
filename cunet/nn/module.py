"""Module: a model is an object; its parameters are found by walking its attributes."""

from __future__ import annotations

import functools
import os
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..autograd.pytorch import MODULE, Missing
from ..autograd.tensor import Tensor
from ..device import Array, Device, accumulator, is_array, is_floating, resolve_device, to_device
from ..system import files
from .ahead import compile_ahead
from .fitting import LoadReport, fitting
from .observe import observed
from .parameter import Parameter


class Module:
    """Base of all layers and models: set attributes in ``__init__``, compute in ``forward``.

    An attribute that is a `Parameter` is trained state; one that is another leaf `Tensor` is a buffer: state that is
    saved and moved but not trained. What `forward` keeps for itself is no state: a buffer is there before the first
    call, or is said to be one by `register_buffer`; under a name with a leading underscore it is only moved. An
    attribute that is a Module, or a list, tuple or dict of Modules and tensors, is walked into. Names are PyTorch's:
    ``"layers.0.weight"``. No call to a base constructor is needed.

    Layers compute on plain arrays, integers and flags too, in the dtype of their weights: on NumPy's float64 data a
    float32 model is a float32 model, also where `Flatten`, a pool or a scaler comes first. A Tensor that requires a
    gradient, or is no wider than float32, keeps its dtype; where the two differ results have the wider one.

    Example:
        >>> class MLP(nn.Module):
        ...     def __init__(self, hidden):
        ...         self.first, self.last = nn.Linear(784, hidden), nn.Linear(hidden, 10)
        ...     def forward(self, x):
        ...         return self.last(F.relu(self.first(x)))
        >>> model = MLP(32)
        >>> model(np.zeros((5, 784))).shape, [name for name, _ in model.named_parameters()]
        ((5, 10), ['first.weight', 'first.bias', 'last.weight', 'last.bias'])
    """

    training: bool = True
    _held: frozenset[str] | None = None  # names of attributes with tensors before the first call
    _wide: frozenset[str] = frozenset()  # names of buffers that half types are too narrow for
    _said: Mapping[str, bool] = {}  # names of buffers by `register_buffer`, and whether they are saved

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; every subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} must define forward()")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run `forward`."""
        if self._held is None:
            self._held = frozenset(
                name
                for name, value in self.members()
                if any(isinstance(leaf, Tensor) for _, leaf in _leaves("", value))
            )
            compile_ahead(self.modules(), self.parameters(), at_once=True)
        return observed(self, self.forward(*args, **kwargs))

    def members(self) -> Iterable[tuple[str, Any]]:
        """Yield (name, value) of what belongs to this module, in order; containers override it."""
        return vars(self).items()

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Set an attribute to a buffer, at any time: Tensor, array, or None for none yet; saved if `persistent`."""
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"register_buffer: name must be that of an attribute, got {name!r}")
        if isinstance(tensor, Parameter) or not (tensor is None or isinstance(tensor, Tensor) or is_array(tensor)):
            raise TypeError(f"register_buffer: {name} must be a Tensor, an array or None, got {type(tensor).__name__}")
        setattr(self, name, Tensor(tensor) if is_array(tensor) else tensor)
        self._said = {**self._said, name: persistent}

    def _is_saved(self, name: str) -> bool:
        """Tell whether a buffer in the attribute `name` is state, and not what `forward` keeps for itself."""
        if name in self._said:
            return self._said[name]
        return not name.startswith("_") and (self._held is None or name in self._held)

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield (name, module) for this module (name "") and all below it, each once, parents first."""
        for name, value in self._walk(prefix, set()):
            if isinstance(value, Module):
                yield name, value

    def modules(self) -> Iterator[Module]:
        """Yield this module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def children(self) -> Iterator[Module]:
        """Yield the modules directly below this one."""
        seen: set[int] = set()
        for name, value in self.members():
            for _, leaf in _leaves(name, value):
                if isinstance(leaf, Module) and id(leaf) not in seen:
                    seen.add(id(leaf))
                    yield leaf

    def _walk(self, prefix: str, seen: set[int], state: bool = False) -> Iterator[tuple[str, Module | Tensor]]:
        """Yield (name, value) of this module and all modules and tensors below it, parents first.

        Each once, under its first name. For a state dict: under every name it has, as PyTorch does (only a
        module inside itself is left out), and without private buffers.
        """
        if id(self) in seen:
            return
        seen.add(id(self))
        yield prefix, self
        for name, value in list(self.members()):
            for path, leaf in _leaves(f"{prefix}.{name}" if prefix else name, value):
                if isinstance(leaf, Module):
                    yield from leaf._walk(path, seen, state)
                elif state:
                    if isinstance(leaf, Parameter) or self._is_saved(name):
                        yield path, leaf
                elif id(leaf) not in seen:
                    seen.add(id(leaf))
                    yield path, leaf
        if state:
            seen.discard(id(self))

    def _tensors(self, state: bool = False) -> Iterator[tuple[str, Tensor]]:
        return ((name, value) for name, value in self._walk("", set(), state) if isinstance(value, Tensor))

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield (name, parameter), a shared parameter once, under its first name."""
        for name, value in self._tensors():
            if isinstance(value, Parameter):
                yield name, value

    def parameters(self) -> Iterator[Parameter]:
        """Yield all parameters, each once."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Yield (name, buffer): tensors that are state but not trained."""
        for name, value in self._tensors():
            if not isinstance(value, Parameter):
                yield name, value

    def train(self, mode: bool = True) -> Module:
        """Switch this module and all below it to training (or evaluation) mode; return self."""
        for module in list(self.modules()):
            module.training = mode
        return self

    def eval(self) -> Module:
        """Switch to evaluation mode: dropout off, batch norm on running statistics; return self."""
        return self.train(False)

    @contextmanager
    def evaluating(self) -> Iterator[Module]:
        """Evaluate within a ``with`` block, then give every module its own mode back."""
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        try:
            yield self
        finally:
            for module, mode in modes:
                module.training = mode

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Freeze (False) or unfreeze all parameters; return self."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def apply(self, fn: Callable[[Module], Any]) -> Module:
        """Call `fn` with this module and every one below it; return self."""
        for module in list(self.modules()):
            fn(module)
        return self

    def to(self, device: Device) -> Module:
        """Move parameters, their gradients and buffers to `device` ("cpu", "gpu", "auto"); return self."""
        device = resolve_device(device)  # type: ignore[assignment]
        self._convert(lambda _, array: to_device(array, device))
        compile_ahead(self.modules(), self.parameters())
        return self

    def astype(self, dtype: Any) -> Module:
        """Convert floating parameters, gradients and buffers (running statistics: float32 at least); return self."""
        dtype = np.dtype(dtype)
        if not is_floating(dtype):
            raise TypeError(f"astype: dtype must be floating, got {dtype}")
        wide = {id(vars(m)[name]) for m in self.modules() for name in m._wide}

        def convert(tensor: Tensor, a: Array) -> Array:
            return a.astype(accumulator(dtype) if id(tensor) in wide else dtype) if is_floating(a.dtype) else a

        return self._convert(convert)

    def _convert(self, convert: Callable[[Tensor, Array], Array]) -> Module:
        for _, tensor in list(self._tensors()):
            gradient, tensor.grad = tensor.grad, None
            tensor.data = convert(tensor, tensor.data)
            if gradient is not None:
                tensor.grad = convert(tensor, gradient)
        return self

    def state_dict(self) -> dict[str, Array]:
        """Return copies of all parameters and buffers by name, on the device they are on."""
        return {name: tensor.data.copy() for name, tensor in self._tensors(state=True)}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> LoadReport:
        """Take over parameters and buffers from a state.

        Args:
            state: arrays by name: of `state_dict`, of a safetensors file, or PyTorch's own state dict.
                Values are converted to the model's dtypes and device. A tied weight may stand under one of its names.
            strict: whether missing and unexpected names are errors; shapes must fit in any case.

        Returns:
            The missing and the unexpected names.

        Raises:
            TypeError: `state` is no dict of arrays; the path of a file is for `load`.
            ValueError: names, shapes or kinds of values do not fit; all that is wrong is listed, and nothing
                was loaded.
        """
        own = dict(self._tensors(state=True))
        arrays, report = fitting(f"{type(self).__name__}.load_state_dict", own, state, strict)
        for name, array in arrays.items():
            own[name].data = array
        return report

    def save(self, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> None:
        """Write parameters and buffers to a safetensors file, under their names; with strings to keep beside them."""
        files.save_arrays(path, self.state_dict(), metadata={**(metadata or {}), "format": "pt"})

    def load(self, path: str | os.PathLike[str], strict: bool = True) -> LoadReport:
        """Load a safetensors file; see `load_state_dict`."""
        return self.load_state_dict(files.load_arrays(path), strict)

    def extra_repr(self) -> str:
        """Return what `repr` shows in parentheses for a module without modules below it."""
        return ""

    @reprlib.recursive_repr()
    def __repr__(self) -> str:
        """Show the tree of modules."""
        lines = []
        for name, value in self.members():
            for path, leaf in _leaves(name, value, functions=True):
                if not isinstance(leaf, Tensor):
                    shown = repr(leaf) if isinstance(leaf, Module) else _shown(leaf)
                    lines.append(f"  ({path}): " + shown.replace("\n", "\n  "))
        if not lines:
            return f"{type(self).__name__}({self.extra_repr()})"
        return f"{type(self).__name__}({self.extra_repr()}\n" + "\n".join(lines) + "\n)"


for _name, _instead in MODULE.items():
    setattr(Module, _name, Missing(_name, _instead))


def _shown(function: Any) -> str:
    """Return the name of a function, with its options if it is a partial."""
    if isinstance(function, functools.partial):
        given = [*map(repr, function.args), *(f"{k}={v!r}" for k, v in function.keywords.items())]
        return f"{_shown(function.func)}({', '.join(given)})"
    return str(getattr(function, "__name__", repr(function)))


def _leaves(name: str, value: Any, functions: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield the modules and leaf tensors of an attribute, entering lists, tuples and dicts."""
    if isinstance(value, Module):
        yield name, value
    elif isinstance(value, Tensor):
        if value.is_leaf:
            yield name, value
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from _leaves(f"{name}.{i}", item, functions)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(f"{name}.{key}", item, functions)
    elif functions and callable(value) and not isinstance(value, type):
        yield name, value
