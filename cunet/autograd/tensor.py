"""Tensor: an array of NumPy or CuPy, and where its gradient comes from."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ..device import NUMBERS, Array, Device, array_module, is_array, is_floating, like, not_numbers, to_device
from ..system.quiet import quiet
from .methods import ArrayMethods
from .operators import ops
from .operators import plain as _plain
from .sample import Sample
from .tape import Leaf, Node, add, backpropagate, clock, owned


class Tensor(ArrayMethods["Tensor"]):
    """An array that remembers how it was computed.

    Args:
        data: NumPy or CuPy array (kept, not copied), or a number or nested list (Python floats become
            float32).
        requires_grad: whether `backward` shall leave a gradient in `grad`; floating dtypes only.

    Attributes:
        data: the NumPy or CuPy array itself. Writing into it is not recorded: between forward and
            backward, assign a new array to it instead. That of a result may share memory with the inputs', or be
            read-only, where nothing had to be computed (`reshape`, slices, `einsum("ij->ji", x)`, `clip` without
            limits, dropout in evaluation, `pad` by 0): write into a copy of it. No op writes into its inputs.
        grad: gradient of the same shape, dtype and device as `data`, or None; after
            ``backward(create_graph=True)`` a Tensor.

    Raises:
        TypeError: `data` is a Tensor, or holds no numbers; a gradient is wanted of another dtype than a floating one.

    Example:
        >>> x = cunet.Tensor(np.array([[1.0, 2.0], [3.0, 4.0]]), requires_grad=True)
        >>> y = np.sqrt((x @ x.T + 4).diagonal())  # operators, methods and NumPy's own functions
        >>> y
        Tensor([3.        , 5.38516481], dtype=float64, requires_grad=True)
        >>> y.sum().backward()
        >>> x.grad.round(4)  # an array, like x.data
        array([[0.3333, 0.6667],
               [0.5571, 0.7428]])
        >>> x.data, x.grad = x.data - x.grad, None  # a step; gradients add up until they are set to None
        >>> x[0].detach().numpy().round(4)
        array([0.6667, 1.3333])
    """

    __slots__ = ("_data", "_grad", "_modified", "_node", "_requires_grad")

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        if isinstance(data, Tensor):
            raise TypeError("Tensor: data is a Tensor already; use detach() for one without history")
        self._data = as_array(data)
        self._node: Node | None = None
        self._grad: Array | None = None
        self._modified = 0
        self.requires_grad = requires_grad

    @property
    def data(self) -> Array:
        """The NumPy or CuPy array itself."""
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        if isinstance(value, Tensor):
            raise TypeError("data must be an array, got a Tensor; assign its .data")
        array = value if type(value) is np.ndarray and value.dtype.kind in NUMBERS else as_array(value)
        if self._requires_grad:
            _check_differentiable(array)
        self._data = array

    @property
    def requires_grad(self) -> bool:
        """Whether ops on this tensor are recorded, and `backward` leaves a gradient in `grad`."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value:
            _check_differentiable(self._data)
        self._requires_grad = bool(value)

    @property
    def grad(self) -> Array | None:
        """Gradient left by `backward`: an array like `data`, or None."""
        return self._grad if self._node is None else self._node.grad

    @grad.setter
    def grad(self, value: Array | None) -> None:
        if value is not None:
            if isinstance(value, Tensor) or not is_array(value):
                raise TypeError(f"grad must be an array or None, got {type(value).__name__}")
            if wrong := not_numbers(value):
                raise TypeError(f"grad must be an array of numbers or None, got {wrong}")
            if value.shape != self._data.shape:
                raise ValueError(f"grad must have the shape of data {self._data.shape}, got {value.shape}")
        if self._node is None:
            self._grad = value
        else:
            self._node.grad = value

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded op made this tensor."""
        return self._node is None

    def retain_grad(self) -> Tensor:
        """Ask `backward` to leave the gradient of this intermediate result in `grad`; return self."""
        if not self.requires_grad:
            raise RuntimeError("retain_grad: this tensor does not require gradients")
        if self._node is not None:
            self._node.keeps_grad = True
        return self

    def detach(self) -> Tensor:
        """Return a tensor on the same array without history."""
        return wrap(self._data)

    def mark_modified(self) -> None:
        """Say that `data` was written in place: a backward that needs the old values then raises."""
        self._modified = next(clock)

    def backward(self, gradient: Any = None, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Add the gradient of this tensor to `grad` of every leaf it was computed from.

        Args:
            gradient: gradient of the final result with respect to this tensor, of its shape; may be
                left out for a tensor of one element (then 1).
            retain_graph: keep what was saved, so that backward can run again over the same graph.
            create_graph: leave Tensors in `grad`, which can be differentiated; what was saved is kept too. This
                Tensor must have been computed within `cunet.create_graph`.

        Raises:
            RuntimeError: nothing was recorded; the graph was freed by an earlier backward; a leaf was modified in
                place (by an optimiser step) after it was used; or for `create_graph` it was not recorded.
            ValueError: `gradient` is missing for more than one element, or has the wrong shape.
        """
        if create_graph:
            return ops.leave_gradients(self, gradient)
        seed = self._seed(gradient)
        leaves: dict[int, tuple[Leaf, Array]] = (
            {id(self): (self, seed)} if self._node is None else backpropagate(self._node, seed, retain_graph)
        )
        taken = {id(gradient), id(seed)}
        with quiet():
            for leaf, g in leaves.values():  # only now: an error above leaves every grad as it was
                known = leaf._grad
                leaf._grad = owned(g, taken) if known is None else add(_plain(known), g)

    def __dlpack__(self, **options: Any) -> Any:
        """Give `data` to another library without a copy: ``torch.from_dlpack(x)``; a gradient would be lost."""
        if self._requires_grad:
            raise BufferError("__dlpack__: this tensor requires gradients, which would be lost; give its detach()")
        return self._data.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Tell on which device `data` lies, in DLPack's numbers."""
        return self._data.__dlpack_device__()

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Where `data` lies on the GPU; there is no such attribute on the CPU."""
        if self._requires_grad:
            raise AttributeError("__cuda_array_interface__: this tensor requires gradients; give its detach()")
        return self._data.__cuda_array_interface__

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Let leaves be copied and pickled; a result of recorded ops would drag its graph along."""
        if self._node is not None:
            raise TypeError("only leaf tensors can be copied or pickled; use detach() for one without history")
        return super().__reduce_ex__(protocol)

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        """Return the slots; the time of the last change is of this process's clock and means nothing to a copy."""
        state = {"_data": self._data, "_node": None, "_grad": self._grad, "_requires_grad": self._requires_grad}
        return None, {**state, "_modified": 0}

    def _seed(self, gradient: Any) -> Array:
        if not self.requires_grad:
            raise RuntimeError(
                "backward: nothing was recorded for this tensor: no input has requires_grad=True, "
                "or it was computed under no_grad(). `w -= step` there gives w a new Tensor that requires none: "
                "write w.data = w.data - step"
            )
        xp = array_module(self._data)
        if gradient is None:
            if self._data.size != 1:
                raise ValueError(
                    f"backward: a gradient is needed for shape {self._data.shape}; only one element does without"
                )
            if xp is np:
                return _one(self._data.shape, self._data.dtype)
            return xp.ones(self._data.shape, self._data.dtype)
        gradient = gradient.data if isinstance(gradient, Tensor) else gradient
        given = as_array(gradient, None if is_array(gradient) else self._data.dtype)
        if given.dtype.kind == "c":
            raise TypeError(f"backward: gradient must hold real numbers, got {given.dtype}")
        seed = xp.asarray(given, dtype=self._data.dtype)
        if seed.shape != self._data.shape:
            raise ValueError(f"backward: gradient must have shape {self._data.shape}, got {seed.shape}")
        return seed


def tensor(data: Any, dtype: Any = None, device: Device | None = None, requires_grad: bool = False) -> Tensor:
    """Return a new leaf Tensor with a copy of `data`.

    Args:
        data: array, Tensor, number or nested list. Python floats become float32, ints int64, bools bool;
            arrays keep their dtype.
        dtype: dtype to convert to.
        device: "cpu", "gpu" or "auto"; by default where `data` is (a list: the CPU).
        requires_grad: see `Tensor`.

    Example:
        >>> cunet.tensor([1, 2]), cunet.tensor([1.0, 2.0]), cunet.tensor(np.array([1.0, 2.0]))
        (Tensor([1, 2], dtype=int64), Tensor([1., 2.]), Tensor([1., 2.], dtype=float64))
    """
    array = as_array(data.data if isinstance(data, Tensor) else data, dtype)
    if device is not None:
        array = to_device(array, device)
    if array is data or (isinstance(data, Tensor) and array is data.data) or not array.flags.owndata:
        array = array.copy()
    return Tensor(array, requires_grad)


def as_array(data: Any, dtype: Any = None) -> Array:
    """Return `data` (array, number, nested list) as an array; Python floats become float32."""
    if type(data) is np.ndarray and data.dtype.kind in NUMBERS:
        return data if dtype is None else data.astype(dtype, copy=False)
    given = is_array(data)
    array = data if given else np.asarray(data, dtype)
    if wrong := not_numbers(array):
        got = wrong if given else type(data).__name__
        raise TypeError(f"expected an array, a number or a nested list of numbers, got {got}")
    if given or isinstance(data, np.generic):
        return array if dtype is None else array.astype(dtype, copy=False)
    if dtype is None and array.dtype == np.float64 and not has_dtype(data):
        array = array.astype(np.float32)
    return array


def beside(x: Any, *others: Any) -> Any:
    """Return `x`, or an array of the number or list that it is: on the device of `others`, and in their floating dtype.

    As everywhere, numbers and lists of numbers have no dtype of their own.
    """
    if isinstance(x, ArrayMethods) or is_array(x):
        return x
    arrays = [a for a in map(array_of, others) if is_array(a)]
    dtypes = [a.dtype for a in arrays if is_floating(a.dtype)]
    array = as_array(x)
    number = not isinstance(x, (list, tuple))
    if dtypes and (number or (array.dtype == np.float32 and not has_dtype(x))):
        array = as_array(x, functools.reduce(np.promote_types, dtypes))  # again: of 0.1 float32 keeps less
    if arrays and number:  # made there: an upload would cost more
        return array_module(arrays[0]).full((), array.item(), array.dtype)
    return like(array, arrays[0]) if arrays else array


def array_of(x: Any) -> Any:
    """Return the array of a Tensor, or of all samples of what `vmap` maps; anything else as it is."""
    while isinstance(x, Sample):
        x = x.value
    return x._data if isinstance(x, Tensor) else x


@functools.lru_cache(64)
def _one(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return the seed of a number's gradient; many backwards share it."""
    one = np.ones(shape, dtype)
    one.flags.writeable = False
    return one


def _check_differentiable(data: Array) -> None:
    if not is_floating(data.dtype):
        raise TypeError(f"Tensor: requires_grad needs a floating dtype, got {data.dtype}")


def has_dtype(data: Any) -> bool:
    """Tell whether a nested list holds values with a dtype of their own, which then decides."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.ndarray, np.generic, Tensor))


def wrap(data: Array, node: Node | None = None) -> Tensor:
    """Make a Tensor of an array, quickly; with the node of the op that made it, if that was recorded."""
    out = object.__new__(Tensor)
    out._data = data
    out._node = node
    out._requires_grad = node is not None
    out._grad = None
    out._modified = 0
    return out
