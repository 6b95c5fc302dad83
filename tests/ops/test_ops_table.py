"""The table in tests/cases is whole: every op and every kernel has a case."""

import ast
import builtins
import importlib
import inspect

import numpy as np
import pytest
from ops_helpers import TABLE, draw, gradients

from cunet.autograd import tape
from cunet.kernels import KERNELS, listening
from cunet.ops.conv import primitives
from cunet.parity.row import library_ops


@pytest.fixture(scope="session")
def exercised(dev):
    """The names of all ops and kernels that the table runs, forward and backward."""
    ops, kernels = set(), set()
    with pytest.MonkeyPatch.context() as patch:

        class SpyNode(tape.Node):
            __slots__ = ()

            def __init__(self, name, *rest):
                ops.add(name)
                super().__init__(name, *rest)

        patch.setattr(importlib.import_module("cunet.autograd.op"), "Node", SpyNode)

        def note(kernel, args, options, proceed):
            kernels.update(kernel.name.split("+"))
            return proceed()

        # Code by hand stands for some kernels: they shall run themselves.
        for kernel in (*KERNELS.values(), *(getattr(primitives, name) for name in BY_HAND)):
            if callable(kernel.attached.get("native")):
                patch.setitem(kernel.attached, "native", None)
                patch.setattr(kernel, "prepared", {})
        rng = np.random.default_rng(0)
        with listening(note):
            for case in TABLE:
                # NumPy has shortcuts for one of the dtypes.
                for dtype in (np.float32, np.float16) if case.half else (np.float32,):
                    arrays = [dev(a) if isinstance(a, np.ndarray) else a for a in draw(case, rng, dtype)]
                    gradients(case, arrays, rng, dev)
    return ops, kernels


#: Primitives that compiled code does without the kernels that others run.
BY_HAND = ["convolve", "convolve_input_gradient", "convolve_weight_gradient"]
#: Norms with an activation have kernels that are made when somebody asks for them: they have a test of their own.
#: Those of `ops.rules` run where gradients are differentiated, or go forward.
OURS = sorted(
    name
    for name, k in KERNELS.items()
    if k.spec.module.startswith("cunet.ops.")
    and not k.spec.module.startswith(("cunet.ops.norm.epilogue.", "cunet.ops.rules."))
)


def test_every_op_has_a_case(exercised):
    # Those of `ops.rules` run where gradients are differentiated: `tests/ops/rules` does that with all of the table.
    own = {name for name, op in library_ops().items() if not op.__module__.startswith("cunet.ops.rules.")}
    missing = own - exercised[0]
    assert not missing, f"no case in tests/cases runs {sorted(missing)}"


@pytest.mark.parametrize("name", OURS)
def test_every_kernel_has_a_case(name, exercised):
    assert name in exercised[1], f"no case in tests/cases runs the kernel {name}"


def test_no_two_rows_have_the_same_name():
    names = [case.id for case in TABLE]
    assert sorted(names) == sorted(set(names))


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    "name", ["array", "linalg", "math", "predicates", "rearrange", "reduce", "rounding", "selection", "sorting"]
)
def test_no_module_uses_a_builtin_that_it_redefines(name):
    module = importlib.import_module(f"cunet.ops.{name}")
    tree = ast.parse(inspect.getsource(module))
    shadowed = {f.name for f in tree.body if isinstance(f, ast.FunctionDef)} & set(vars(builtins))
    used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    assert not shadowed & used - {"_"}  # which doctest puts among the builtins
