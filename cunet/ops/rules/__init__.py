"""How ops are differentiated again that do not run on Tensors themselves; see `cunet.autograd.rules`."""

from . import forward as forward
from . import linear as linear
from . import losses as losses
from . import mapped as mapped
from . import matrices as matrices
from . import norms as norms
from . import products as products
from . import recurrent as recurrent
from . import selections as selections
from . import softmax as softmax
