"""How ops are written as nodes of ONNX: a function for each op, with the op's arguments, after the graph."""

from . import convolutions as convolutions
from . import elementwise as elementwise
from . import losses as losses
from . import norms as norms
from . import products as products
from . import recurrent as recurrent
from . import reductions as reductions
from . import shapes as shapes
from . import softmax as softmax
