"""Linear algebra under NumPy's names: NumPy and CuPy compute, the gradients are cunet's; leading axes are batches."""

from ..ops.matrix.determinant import SlogdetResult as SlogdetResult
from ..ops.matrix.determinant import det as det
from ..ops.matrix.determinant import slogdet as slogdet
from ..ops.matrix.equations import LstsqResult as LstsqResult
from ..ops.matrix.equations import inv as inv
from ..ops.matrix.equations import lstsq as lstsq
from ..ops.matrix.equations import matrix_power as matrix_power
from ..ops.matrix.equations import pinv as pinv
from ..ops.matrix.equations import solve as solve
from ..ops.matrix.norms import norm as norm
from ..ops.matrix.spectral import EighResult as EighResult
from ..ops.matrix.spectral import SVDResult as SVDResult
from ..ops.matrix.spectral import eigh as eigh
from ..ops.matrix.spectral import eigvalsh as eigvalsh
from ..ops.matrix.spectral import svd as svd
from ..ops.matrix.spectral import svdvals as svdvals
from ..ops.matrix.triangular import QRResult as QRResult
from ..ops.matrix.triangular import cholesky as cholesky
from ..ops.matrix.triangular import qr as qr
from ..system.public import publish as _publish

__all__, __dir__ = _publish(__name__)
