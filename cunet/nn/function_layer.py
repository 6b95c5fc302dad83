"""What layers are that hold a function and its options: activations, losses, pools."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, Never, dataclass_transform

from ..autograd.pytorch import refuse_words
from .inputs import as_input
from .module import Module


@dataclass_transform(eq_default=False)
class FunctionLayer(Module):
    """Base of the layers that call one function: a class lists the options, and has its constructor from them.

    ::

        class ELU(Unary):
            function = staticmethod(rectifier.elu)
            alpha: float = 1.0

    An option is given by position or by name, and is an attribute: ``ELU(0.5).alpha``. Type checkers take these
    classes for dataclasses, which they are not, because those compile a constructor each when cunet is imported.

    Attributes:
        function: the function; its first arguments are the arrays that `forward` is given.
    """

    function: ClassVar[Callable[..., Any]]
    __signature__: ClassVar[inspect.Signature] = inspect.Signature()

    def __init_subclass__(cls) -> None:
        """Make the signature of a class: the options of its base, and its own."""
        super().__init_subclass__()
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        own = [
            inspect.Parameter(name, kind, default=vars(cls).get(name, inspect.Parameter.empty), annotation=annotation)
            for name, annotation in inspect.get_annotations(cls).items()
        ]
        cls.__signature__ = inspect.Signature([*cls.__signature__.parameters.values(), *own])

    # Never: to type checkers a class with options has a constructor of its own, and this is that of one without.
    def __init__(self, *args: Never, **kwargs: Never) -> None:
        try:
            given = self.__signature__.bind(*args, **kwargs).arguments
        except TypeError as error:
            refuse_words(type(self).__name__, kwargs, self.__signature__.parameters)
            names = ", ".join(self.__signature__.parameters)
            raise TypeError(f"{type(self).__name__}: {error}; its options are ({names})") from None
        for name, value in given.items():
            setattr(self, name, value)

    @property
    def options(self) -> dict[str, Any]:
        """The options that were given, or set since, by name."""
        return {name: value for name, value in vars(self).items() if name in self.__signature__.parameters}

    def extra_repr(self) -> str:
        """Show the options that were given."""
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items())


class Unary(FunctionLayer):
    """Base of those whose function takes one array."""

    def forward(self, x: Any) -> Any:
        """Return the function of `x`."""
        return type(self).function(as_input(self, x, None), **self.options)
