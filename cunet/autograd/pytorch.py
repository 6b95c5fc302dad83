"""PyTorch's words for what is called as in NumPy here: who writes them is told the word to use."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar

from ..system.messages import named_error

P = ParamSpec("P")
R = TypeVar("R")

_LOSS = 'reduction="none", "mean" or "sum"'

#: Keywords: the names that may stand for one here, of which a function has at most one, and how to write it.
_KEYWORDS: dict[str, dict[str, str]] = {
    "correction": {"ddof": "ddof="},
    "dim": {"axis": "axis=", "axes": "axes="},
    "dim0": {"axis1": "axis1="},
    "dim1": {"axis2": "axis2="},
    "dims": {"axis": "axis=", "axes": "axes=", "reps": "reps="},
    "exponent": {"y": "y="},
    "keepdim": {"keepdims": "keepdims="},
    "other": {"y": "y="},
    "reduce": {"reduction": _LOSS},
    "size_average": {"reduction": _LOSS},
    "unbiased": {"ddof": "ddof=1 or ddof=0"},
}


def refuse_words(who: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raise TypeError for a keyword of PyTorch's that stands for one of those `known` to `who`."""
    for name in given:
        for ours, instead in _KEYWORDS.get(name, {}).items():
            if name not in known and ours in known:
                raise TypeError(f"{who}: {name}= is not taken; write {instead}")


def numpy_words(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function that is no op say who it is, and its own word for a keyword of PyTorch's, as ops do."""

    code = function.__code__
    known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (TypeError, ValueError) as error:
            refuse_words(function.__name__, kwargs, known)
            if (named := named_error(function.__name__, error, args)) is not None:
                raise named from error
            raise

    return checked


#: Attributes of PyTorch's tensors that Tensor does not have, and what to write: the one table of these words.
TENSOR: dict[str, str] = {
    "add": "x + y",
    "add_": "x = x + y",
    "addmm": "b + x @ y",
    "amax": "x.max(axis)",
    "amin": "x.min(axis)",
    "baddbmm": "b + x @ y",
    "bmm": "x @ y",
    "bool": "x.astype(bool)",
    "chunk": "cunet.split(x, parts, axis)",
    "clamp": "x.clip(min, max)",
    "clamp_": "x = x.clip(min, max)",
    "clamp_max": "x.clip(max=max)",
    "clamp_min": "x.clip(min)",
    "clone": "x * 1, or cunet.tensor(x) for one without history",
    "contiguous": "nothing: ops take arrays of every layout; np.ascontiguousarray(x.data) makes an array contiguous",
    "copy_": "x.data = array",
    "cpu": 'x.to("cpu")',
    "cuda": 'x.to("gpu")',
    "detach_": "x.detach()",
    "dim": "x.ndim",
    "div": "x / y",
    "div_": "x = x / y",
    "double": "x.astype(np.float64)",
    "element_size": "x.dtype.itemsize",
    "eq": "x == y",
    "expand": "cunet.broadcast_to(x, shape)",
    "expand_as": "cunet.broadcast_to(x, y.shape)",
    "fill_": "x.data = np.full_like(x.data, value)",
    "float": "x.astype(np.float32)",
    "gather": "cunet.take_along_axis(x, indices, axis)",
    "ge": "x >= y",
    "grad_fn": "x.is_leaf, whether no op made x",
    "gt": "x > y",
    "half": "x.astype(np.float16)",
    "index_add_": "a sum of cunet.where or of products with F.one_hot",
    "index_select": "x[:, indices], the array of indices in its axis",
    "int": "x.astype(np.int32)",
    "is_cuda": 'x.device == "gpu"',
    "is_floating_point": 'x.dtype.kind == "f"',
    "le": "x <= y",
    "long": "x.astype(np.int64)",
    "lt": "x < y",
    "masked_fill": "cunet.where(mask, value, x)",
    "masked_fill_": "x = cunet.where(mask, value, x)",
    "masked_select": "x[mask]",
    "matmul": "x @ y",
    "mm": "x @ y",
    "movedim": "cunet.moveaxis(x, source, destination)",
    "mul": "x * y",
    "mul_": "x = x * y",
    "mv": "x @ y",
    "narrow": "x[start : start + length]",
    "ne": "x != y",
    "neg": "-x",
    "nelement": "x.size",
    "norm": "cunet.sqrt((x * x).sum(axis))",
    "numel": "x.size",
    "permute": "x.transpose(axes)",
    "pow": "x**y",
    "relu": "F.relu(x)",
    "requires_grad_": "x.requires_grad = True",
    "scatter": "cunet.where(mask, value, x), or a product with F.one_hot",
    "scatter_": "cunet.where(mask, value, x), or a product with F.one_hot",
    "scatter_add_": "a sum of products with F.one_hot",
    "select": "x[index], with : for the axes before",
    "sigmoid": "F.sigmoid(x)",
    "softmax": "F.softmax(x, dim)",
    "log_softmax": "F.log_softmax(x, dim)",
    "split": "cunet.split(x, positions, axis), where one number is that of parts",
    "sub": "x - y",
    "sub_": "x = x - y",
    "t": "x.T",
    "tile": "cunet.tile(x, reps)",
    "tolist": "x.numpy().tolist()",
    "type": "x.astype(dtype)",
    "type_as": "x.astype(y.dtype)",
    "unbind": "tuple(x), or x[:, i] for another axis",
    "unflatten": "x.reshape(shape)",
    "unsqueeze": "cunet.expand_dims(x, axis), or x[:, None]",
    "unsqueeze_": "x = cunet.expand_dims(x, axis)",
    "view": "x.reshape(shape)",
    "view_as": "x.reshape(y.shape)",
    "zero_": "x.data = np.zeros_like(x.data), or x.grad = None for a gradient",
}


#: Methods of PyTorch's that are functions here.
_FUNCTIONS = (
    "arccos arccosh arcsin arcsinh arctan arctan2 arctanh broadcast_to ceil cosh diag diff dot erf erfc exp2 expm1 "
    "flip floor hypot inner isfinite isinf isnan lerp log10 log1p log2 logaddexp maximum median minimum nan_to_num "
    "outer reciprocal remainder roll rsqrt sign sinh sort tan topk tril triu trunc where"
)
TENSOR |= {name: f"cunet.{name}(x, ...)" for name in _FUNCTIONS.split()}

#: The same of PyTorch's modules.
MODULE: dict[str, str] = {
    "add_module": "an attribute: setattr(model, name, module)",
    "bfloat16": "model.astype(dtype), bfloat16 of ml_dtypes",
    "cpu": 'model.to("cpu")',
    "cuda": 'model.to("gpu")',
    "double": "model.astype(np.float64)",
    "float": "model.astype(np.float32)",
    "half": "model.astype(np.float16)",
    "register_parameter": "an attribute that is a Parameter",
}


_MADE = "NumPy's or CuPy's array: np.{name}(...), of float32 where it shall meet weights"

#: Names in PyTorch itself that `cunet` does not have.
TOP: dict[str, str] = {
    "FloatTensor": "np.array(values, np.float32)",
    "LongTensor": "np.array(values)",
    "backends": "nothing",
    "bmm": "x @ y",
    "cat": "cunet.concatenate([x, y], axis)",
    "chunk": "cunet.split(x, parts, axis)",
    "clamp": "x.clip(min, max)",
    "clone": "cunet.tensor(x)",
    "cuda": 'device="auto", or cunet.device_info()',
    "distributions": "cunet.random.categorical and F.log_softmax, or F.gumbel_softmax",
    "eq": "x == y",
    "flatten": "x.reshape(len(x), -1)",
    "from_numpy": "cunet.Tensor(array), or the array: ops and layers take it",
    "gather": "cunet.take_along_axis(x, indices, axis)",
    "inference_mode": "cunet.no_grad()",
    "is_tensor": "isinstance(x, cunet.Tensor)",
    "load": "model.load(path)",
    "mm": "x @ y",
    "multinomial": "cunet.random.categorical(logits)",
    "norm": "cunet.linalg.norm(x)",
    "numel": "x.size",
    "permute": "x.transpose(axes)",
    "pow": "x**y",
    "save": "model.save(path)",
    "set_float32_matmul_precision": 'with cunet.precision("tf32"):',
    "set_grad_enabled": "cunet.no_grad()",
    "unsqueeze": "cunet.expand_dims(x, axis)",
    "utils": "cunet.data.Loader, or optim.clip_grad_norm_",
    **{name: f"F.{name}" for name in ("conv1d", "conv2d", "dropout", "log_softmax", "relu", "sigmoid", "softmax")},
    **{name: f"np.{name}" for name in ("bool", "float16", "float32", "float64", "int32", "int64", "uint8")},
    **{"double": "np.float64", "float": "np.float32", "half": "np.float16", "int": "np.int32", "long": "np.int64"},
    **{name: _MADE.format(name=name) for name in ("arange", "empty", "eye", "full", "linspace", "ones", "zeros")},
    **{name: _MADE.format(name=name) for name in ("empty_like", "full_like", "ones_like", "zeros_like")},
    **{name: "np.random.default_rng(seed).random(shape, np.float32)" for name in ("rand", "rand_like")},
    **{name: "np.random.default_rng(seed).standard_normal(shape, np.float32)" for name in ("randn", "randn_like")},
    "normal": "np.random.default_rng(seed).normal(mean, std, shape)",
    "randint": "np.random.default_rng(seed).integers(low, high, shape)",
    "randperm": "np.random.default_rng(seed).permutation(n)",
}


def refused(module: str, words: Mapping[str, str]) -> Callable[[str], Any]:
    """Return `__getattr__` of a module: AttributeError for a word of PyTorch's says what to write."""

    def __getattr__(name: str) -> Any:  # noqa: N807 (a module's own)
        known = f"; that is PyTorch's word, write {words[name]}" if name in words else ""
        raise AttributeError(f"module {module!r} has no attribute {name!r}{known}", name=name, obj=sys.modules[module])

    return __getattr__


class Missing:
    """An attribute that says, where it is asked for, what to write instead: AttributeError, as if it was not there.

    A `__getattr__` would do that too, but Python then takes three times as long to find any attribute of a Tensor.
    """

    def __init__(self, name: str, instead: str) -> None:
        self.name, self.instead = name, instead
        self.__doc__ = f"PyTorch's word, which is not there: write {instead}."  # for `help`

    def __get__(self, owner: Any, kind: type) -> Any:
        """Raise AttributeError."""
        raise AttributeError(
            f"{kind.__name__} has no {self.name!r}, PyTorch's word; write {self.instead}", name=self.name, obj=owner
        )


class Size(int):
    """A number of elements that says, where it is called as PyTorch's method, what to write."""

    def __call__(self, *axis: Any) -> Any:
        """Raise TypeError."""
        instead = f"x.shape[{axis[0]}]" if axis else "x.shape"
        raise TypeError(f"size is a number here, that of all elements, as in NumPy; for a length write {instead}")
