"""The registry of activations: what is said of each once, beside its op, for all that list activations.

`@activation` above `@op` files a function here. Gains, norms with an activation, parity rows and benchmarks read the
entries; `cunet.functional` and the layers of `cunet.nn` are written from them, by ``tools/write_activations.py``.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from ...autograd.op import static_parameters
from ...kernels import Kernel

Function = TypeVar("Function", bound=Callable[..., Any])
Pair = tuple[Kernel, Kernel]


@dataclass(frozen=True)
class Activation:
    """What there is to know of one activation; see `activation`, which makes it.

    Attributes:
        name: of the function.
        function: the op.
        forward, backward: its two elementwise kernels, or None where a kernel of one element does not do.
        parameters: ``parameters(**options)`` returns the numbers that both kernels take.
        gain: see `cunet.init.calculate_gain`; a number, a function of the first option, or None.
        layer: name of its class in `cunet.nn`, or None.
        fusable: whether a norm can take it into its own kernels: elementwise, with at most two numbers.
        cancels: whether terms of the derivative cancel somewhere, so that it has no right places of its own there.
        variants: other kernels, by an option's name and value.
    """

    name: str
    function: Callable[..., Any]
    forward: Kernel | None
    backward: Kernel | None
    parameters: Callable[..., Sequence[float]]
    gain: float | Callable[..., float] | None
    layer: str | None
    fusable: bool
    cancels: bool = False
    variants: Mapping[tuple[str, Any], Pair] = field(default_factory=dict)

    def settings(self) -> list[dict[str, Any]]:
        """Return options that reach each pair of kernels; none at all for what is not elementwise."""
        return [{}, *({option: value} for option, value in self.variants)] if self.forward else []

    def numbers(self, **options: Any) -> tuple[Kernel, Kernel, tuple[float, ...]]:
        """Return the kernel forward, the kernel backward, and the numbers that they take after the arrays.

        Args:
            options: of the function; those that are not given have its defaults.

        Raises:
            ValueError: it has no such kernels.
            TypeError: an option that the function does not have.
        """
        if self.forward is None or self.backward is None:
            raise ValueError(f"{self.name}: must be elementwise, to have kernels of single elements")
        pair = self.forward, self.backward
        options.pop("inplace", None)  # kernels write into an array of their own
        for (option, value), others in self.variants.items():
            if options.get(option) == value:
                pair = others
        return *pair, tuple(float(number) for number in self.parameters(**options))


#: Every activation by the name of its function, in the order of their blocks.
ACTIVATIONS: dict[str, Activation] = {}


def activation(
    forward: Kernel | None = None,
    backward: Kernel | None = None,
    *,
    layer: str | None = None,
    gain: float | Callable[..., float] | None = None,
    parameters: Callable[..., Sequence[float]] | None = None,
    cancels: bool = False,
    variants: Mapping[tuple[str, Any], Pair] | None = None,
) -> Callable[[Function], Function]:
    """Register the op below as an activation: see the attributes of `Activation`.

    Args:
        parameters: by default all options of the function, in their order, but for `inplace`, which changes nothing.

    Raises:
        ValueError: there is an activation of this name.
    """

    def register(function: Function) -> Function:
        name = function.__name__
        if name in ACTIVATIONS:
            raise ValueError(f"activation: there must be one {name}, got a second from {function.__module__}")
        numbers = parameters or functools.partial(_all_options, option_signature(function))
        fusable = forward is not None and len(numbers()) <= 2
        ACTIVATIONS[name] = Activation(
            name, function, forward, backward, numbers, gain, layer, fusable, cancels, variants or {}
        )
        return function

    return register


def option_signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of the options of an op, by name."""
    return inspect.Signature([p.replace(kind=p.KEYWORD_ONLY) for p in static_parameters(function)])


def _all_options(signature: inspect.Signature, **options: float) -> tuple[float, ...]:
    bound = signature.bind(**options)
    bound.apply_defaults()
    return tuple(value for name, value in bound.arguments.items() if name != "inplace")


def find(who: str, given: Any) -> tuple[Activation | None, dict[str, Any]]:
    """Return the entry of what a norm may be given as its activation, and the options that come with it.

    Args:
        who: complains.
        given: None; the name of a function of `cunet.functional`; the function; a `functools.partial` of it with
            options; a layer that holds such a function and its options.

    Returns:
        The entry, None for None, and the options by name.

    Raises:
        ValueError: it is none of these, or not `fusable`, or the function does not take this value of an option.
        TypeError: the function has no such option.
    """
    if given is None:
        return None, {}
    if hasattr(given, "function") and hasattr(given, "options"):  # a layer: this room does not know their class
        given = functools.partial(given.function, **given.options) if given.options else given.function
    partial = isinstance(given, functools.partial) and not given.args
    function, options = (given.func, given.keywords) if partial else (given, {})
    name = function if isinstance(function, str) else getattr(function, "__name__", "")
    entry = ACTIVATIONS.get(name)
    if entry is None or not entry.fusable or not (function is entry.function or isinstance(function, str)):
        known = ", ".join(sorted(name for name, entry in ACTIVATIONS.items() if entry.fusable))
        raise ValueError(
            f"{who}: activation must be None, one of {known}, or that function of cunet.functional "
            f"(with options: in a functools.partial), got {given!r}"
        )
    if options:
        entry.function(np.zeros(0, np.float16), **options)  # which complains of its options, and compiles nothing
    return entry, dict(options)
