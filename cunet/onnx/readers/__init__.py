"""What nodes of ONNX do, by cunet's ops: gradients go through all that has one."""

from . import convolutions as convolutions
from . import elementwise as elementwise
from . import norms as norms
from . import products as products
from . import recurrent as recurrent
from . import reductions as reductions
from . import resampling as resampling
from . import selections as selections
from . import shapes as shapes
