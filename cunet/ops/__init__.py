"""The ops, one family a file. Import them from `cunet` (arrays) or `cunet.functional` (layers).

Operators and methods of Tensor run these, and no others, whatever ops of the same names users define.
"""

from ..autograd.operators import bind
from . import array, linalg, logsumexp, math, numpy_functions, reduce, selection

bind(
    abs=selection.abs,
    add=math.add,
    array_function=numpy_functions.array_function,
    array_ufunc=numpy_functions.array_ufunc,
    astype=array.astype,
    clip=selection.clip,
    cos=math.cos,
    cumsum=reduce.cumsum,
    divide=math.divide,
    exp=math.exp,
    getitem=array.getitem,
    log=math.log,
    logsumexp=logsumexp.logsumexp,
    matmul=linalg.matmul,
    max=reduce.max,
    mean=reduce.mean,
    min=reduce.min,
    multiply=math.multiply,
    negative=math.negative,
    power=math.power,
    prod=reduce.prod,
    repeat=array.repeat,
    reshape=array.reshape,
    sin=math.sin,
    sqrt=math.sqrt,
    square=math.square,
    squeeze=array.squeeze,
    std=reduce.std,
    subtract=math.subtract,
    sum=reduce.sum,
    swapaxes=array.swapaxes,
    tanh=math.tanh,
    to_device=array.to_device,
    transpose=array.transpose,
    var=reduce.var,
)
