"""The five kinds of kernels, and primitives: decorators that make one of a NumPy function.

A kernel is a plain NumPy function under a decorator that holds its CUDA text::

    @elementwise("T x, A alpha", "T y", "y = x > 0 ? x : alpha * expm1(x)")
    def elu_forward(x, alpha):
        return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))

A parameter reads ``[raw|row|col] type name``; `cunet.kernels.spec` lists the types and names that a text may use,
``docs/kernels.md`` is the author's guide.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .dispatch import Kernel
from .epilogue import plain
from .grammar import parse
from .spec import (
    ElementwiseSpec,
    GridSpec,
    InplaceSpec,
    KernelSpec,
    PrimitiveSpec,
    ReductionSpec,
    RowwiseSpec,
    register,
)

Body = Callable[..., Any]


def make(spec: KernelSpec) -> Kernel:
    """Make a kernel of a spec; one of the library's is registered under its name.

    Raises:
        ValueError: the library has another one of that name.
    """
    kernel = Kernel(plain(spec), spec)
    register(kernel)
    return kernel


def elementwise(
    ins: str, outs: str, operation: str, *, preamble: str = "", smooth: str = ""
) -> Callable[[Body], Kernel]:
    """Make a kernel of a NumPy function that works element by element.

    Args:
        ins, outs: parameter lists, such as ``"T x, A alpha"``. A factor that is often an array along a row, while
            others are one number a row, is a ``col``.
        operation: the CUDA body; assigns every output. The decorated function is its specification. It may read
            ``raw`` arrays, and knows the number `i` of its element.
        preamble: CUDA text placed before the kernel; knows the type ``A``.
        smooth: another text for the same function, from which its gradient is derived; for an operation that is
            written with ``abs`` or comparisons to keep its digits while the function has no corner there.

    Example:
        >>> @cunet.elementwise("T x, A k", "T y", "y = x * x / (x * x + k)")
        ... def robust(x, k):
        ...     return x * x / (x * x + k)
        >>> robust(np.array([1.0, 3.0]), 3.0)  # of arrays, without gradients
        array([0.25, 0.75])
        >>> cunet.grad(lambda x: cunet.differentiable(robust)(x, 3.0).sum())(np.array([1.0, 3.0]))
        array([0.375, 0.125])
    """
    return lambda body: make(ElementwiseSpec(body, parse(ins), parse(outs), preamble, operation, smooth))


def reduction(
    ins: str,
    outs: str,
    *,
    map: str,
    reduce: str,
    post: str,
    identity: str,
    reduce_type: str = "A",
    preamble: str = "",
) -> Callable[[Body], Kernel]:
    """Make a kernel of a NumPy function ``body(*arrays, axis, keepdims)`` that folds axes.

    The kernel takes ``axis`` (int, tuple, None: all) and ``keepdims`` by name.

    Args:
        ins, outs: parameter lists; names must occur nowhere else in the CUDA text.
        map: expression for one element; reduce: expression that combines ``a`` and ``b``; post: one
            expression that assigns the outputs from ``a`` (several with commas); identity: the neutral
            value. Struct states: members not called ``a`` or ``b``, at most 32 bytes.
        reduce_type: type of the running value.
        preamble: CUDA text placed before the kernel; knows the type ``A``.

    Example:
        >>> @cunet.reduction("T x", "T y", map="A(x) * A(x)", reduce="a + b", post="y = sqrt(a)", identity="0")
        ... def length(x, axis, keepdims):
        ...     return np.sqrt((x * x).sum(axis=axis, keepdims=keepdims))
        >>> length(np.array([[3.0, 4.0], [6.0, 8.0]]), axis=1)
        array([ 5., 10.])
    """
    texts = (map, reduce, post, identity, reduce_type)
    return lambda body: make(ReductionSpec(body, parse(ins), parse(outs), preamble, *texts))


def rowwise(ins: str, outs: str, operation: str, *, preamble: str = "") -> Callable[[Body], Kernel]:
    """Make a kernel of a NumPy function that folds each row to a few numbers and uses them in all of the row.

    Softmax and layer norm are of this kind: as a reduction and an elementwise kernel they would read the row twice.

    ``fold(type name, identity, value, joined)`` makes `value`, taken in every element, into one number or struct (at
    most 32 bytes); `joined` puts ``p`` and ``q`` together, which may come in any order. ``each(statements)`` assigns
    the outputs of every element; there ``j`` counts the elements of the row. `count` is how many there are,
    ``at(x, k)`` reads element k.

    The kernel takes by name ``axes``, how many axes at the end make a row (1), and ``cells``, (groups, inner) where
    ``col`` arrays serve several rows and elements: row r and place j take entry
    ``r % groups * (count / inner) + j / inner``. Outputs with one value a row have the folded axes with length 1, and
    are unset for rows of nothing. Numbers may be given for ``row`` and ``col``. On the CPU the decorated function runs:
    it calls other kernels where they are faster.

    Args:
        ins, outs: parameter lists, such as ``"T x, col A weight, A eps"`` and ``"T y, row A mean"``.
        operation: the CUDA text of a row; assigns every output.
        preamble: CUDA text placed before the kernel; knows the types ``T`` and ``A``.

    Example:
        >>> from cunet.rowwise import rowwise
        >>> @rowwise("T x", "T y", '''
        ...     fold(A top, log(A(0)), x, p > q ? p : q);
        ...     fold(A sum, 0, exp(x - top), p + q);
        ...     each(y = exp(x - top) / sum);
        ... ''')
        ... def plain_softmax(x):
        ...     e = np.exp(x - x.max(axis=-1, keepdims=True))
        ...     return e / e.sum(axis=-1, keepdims=True)
        >>> plain_softmax(np.array([[0.0, 0.0], [1000.0, 999.0]], np.float32)).round(4)
        array([[0.5   , 0.5   ],
               [0.7311, 0.2689]], dtype=float32)
    """
    return lambda body: make(RowwiseSpec(body, parse(ins), parse(outs), preamble, operation))


def grid(ins: str, outs: str, operation: str, *, space: str = "i", preamble: str = "") -> Callable[[Body], Kernel]:
    """Make a kernel of a NumPy function that works on ``raw`` arrays over an index space of its own.

    Arrays for the outputs may be given after the inputs. Else the kernel takes ``shape`` by name, that of its outputs
    (and the body gets it too); where no parameter has one value an index, ``threads`` says how many indices there are.

    Args:
        ins, outs: parameter lists.
        operation: the CUDA body for one index.
        space: names of the axes of the index space: ``"i"``, or ``"row column"`` for matrices, whose text also knows
            `width`, the number of columns.
        preamble: CUDA text placed before the kernel; knows the type ``A``.
    """
    return lambda body: make(GridSpec(body, parse(ins), parse(outs), preamble, operation, tuple(space.split())))


def inplace(ins: str, outs: str, operation: str, *, scratch: int) -> Callable[[Body], Kernel]:
    """Make a kernel of a NumPy function ``body(*ins, *outs, *scratch)`` that changes `outs` in place.

    The kernel takes inputs and outputs, contiguous 1-D arrays of one length. Inputs of type ``A`` are Python numbers,
    or 0-d arrays on a GPU that are read there. On a GPU the first argument, the gradient, may be a list of arrays that
    belong to the others one after the other.

    Args:
        ins, outs: parameter lists of types ``T`` and ``A``; each array is float32 or float64.
        operation: the CUDA body; reads the old values of the outputs and assigns the new.
        scratch: how many arrays of the outputs' size the body gets to keep intermediate results in. It is
            called for one block of the arrays at a time, and allocates nothing.
    """
    return lambda body: make(InplaceSpec(body, parse(ins), parse(outs), "", operation, scratch))


def primitive(body: Body) -> Kernel:
    """Make of a function of arrays one that a backend may do in a better way of its own: see `Kernel.native`.

    The decorated function is what all others do. Its first argument is an array.
    """
    return Kernel(PrimitiveSpec(body))
