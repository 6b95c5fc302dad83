"""The kernels' own text, compiled for this machine's processor: the fast route of the CPU.

On by default where a C++ compiler is found; elsewhere, and for what it does not cover (half types, other layouts,
kernels that need a GPU), the NumPy bodies run. Kernels that belong together are compiled when the first of them is
called with a dtype: half a second, once per machine, then they lie in a cache (``~/.cache/cunet/native``). The call
waits for it instead of running on NumPy meanwhile, so that a first and a later run give the same bits.

``CUNET_NATIVE=0`` in the environment, or `disable`, switches it off.
"""

from .backend import Native, native

__all__ = ["Native", "native"]
