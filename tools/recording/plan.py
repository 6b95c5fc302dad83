"""What a record consists of: its parts in the order of their worth, with limits that fit the deadline together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEADLINE = 480.0  # seconds, for all
GRACE = 2.0  # seconds between asking a part to end and ending it
#: Nothing has to be compiled for the CPU.
_NUMPY = {"CUNET_NATIVE": "0"}
#: Of parts whose many processes compare with the CPU: a thread each.
_ONE_THREAD = _NUMPY | {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


@dataclass(frozen=True)
class Part:
    """One part of a record, run by itself in a group of processes.

    Attributes:
        name: of its module in `recording.parts`.
        title: what the page calls it.
        limit: seconds after which it is ended. All limits together fit the deadline, so that whatever hangs, every part
            has its turn; what is left then goes to those that were ended.
        expected: seconds it should take.
        share: whether its rows are divided among processes.
        fresh_cache: whether it starts with an empty cache of compiled kernels.
        environment: variables that are set for it.
    """

    name: str
    title: str
    limit: float
    expected: float
    share: bool = False
    fresh_cache: bool = False
    environment: Mapping[str, str] = field(default_factory=lambda: _NUMPY)


PARTS = (
    Part("environment", "Machine, bandwidths, products", 20, 12),
    Part("first_step", "First steps, nothing compiled yet", 30, 22, fresh_cache=True),
    Part("prewarm", "Compilation ahead", 50, 35, share=True),
    Part("parity", "CPU against GPU", 45, 25, share=True, environment=_ONE_THREAD),
    Part("kernels", "Kernels", 60, 45),
    Part("kernels_torch", "Kernels of PyTorch", 40, 28),
    Part("training", "Training", 70, 55, environment={}),  # recorded steps want compiled code
    Part("suite", "Tests", 67, 52, share=True, environment=_ONE_THREAD),
    Part("compiled", "torch.compile", 38, 30),
    Part("jit", "JAX", 18, 12),
    Part("sanitizer", "compute-sanitizer", 18, 13),
)

#: The cases that come first, of `recording.cases.CASES`.
CHIEF = ("relu", "gelu", "layer_norm", "softmax", "cross_entropy", "batch_norm images", "dropout", "bias")
CHIEF += ("conv2d", "linear", "rms_norm", "group_norm", "silu", "batch_norm")
#: Those that are compiled by others too, and those that compute-sanitizer sees.
COMPILED = ("relu", "gelu", "layer_norm", "softmax", "cross_entropy", "batch_norm")
SANITIZED = ("relu", "layer_norm", "softmax", "cross_entropy", "dropout")


@dataclass(frozen=True)
class Form:
    """How large a record is: that of a GPU, or the small one that only shows on the simulated device that all runs.

    Attributes:
        device: what runs the kernels, "gpu" or "sim".
        torch: PyTorch's name of the device that it is compared on.
        processes: among which the parts that can be shared are divided.
        copies: bytes of the copies.
        product: rows and columns of the products.
        sizes: bytes of the arrays that kernels are given.
        dtypes: by name.
        cases: of `recording.cases.CASES`, in order; all if empty, the chief ones first.
        others: the cases that torch.compile and JAX are given.
        sanitized: the cases that compute-sanitizer sees.
        seconds, runs: of one measurement, about.
        nets: of `recording.libraries.NETS`.
        epochs: of which net.
        data: "mnist", where ``CUNET_DATA`` has it, or "digits".
        batch, images: of a step; of an epoch at most.
        ops: that are compared with the CPU; all if empty.
        tests: files and folders of the suite that run.
    """

    device: str
    torch: str
    processes: int
    copies: tuple[int, ...]
    product: int
    sizes: tuple[int, ...]
    dtypes: tuple[str, ...]
    cases: tuple[str, ...]
    others: tuple[str, ...]
    sanitized: tuple[str, ...]
    seconds: float
    runs: int
    nets: tuple[str, ...]
    epochs: Mapping[str, int]
    data: str
    batch: int
    images: int
    ops: tuple[str, ...]
    tests: tuple[str, ...]


FORMS = {
    "gpu": Form(
        device="gpu",
        torch="cuda",
        processes=15,
        copies=(10**6, 10**7, 10**8, 10**9),
        product=8192,
        sizes=(4 * 10**6, 4 * 10**8),
        dtypes=("float32", "float16", "bfloat16"),
        cases=(),
        others=COMPILED,
        sanitized=SANITIZED,
        seconds=0.015,
        runs=5,
        nets=("mlp", "batch norm net", "cnn"),
        epochs={"batch norm net": 3, "cnn": 2},
        data="mnist",
        batch=128,
        images=60_000,
        ops=(),
        tests=("tests/ops", "tests/nn", "tests/optim", "tests/autograd", "tests/train"),
    ),
    "sim": Form(
        device="sim",
        torch="cpu",
        processes=2,
        copies=(4096,),
        product=16,
        sizes=(16384,),
        dtypes=("float32",),
        cases=("relu", "linear"),
        others=("relu",),
        sanitized=("relu",),
        seconds=0.0,
        runs=1,
        nets=("mlp",),
        epochs={"mlp": 1},
        data="digits",
        batch=32,
        images=64,
        ops=("exp", "clip"),
        tests=("tests/test_device.py",),
    ),
}
