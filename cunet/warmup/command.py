"""The command ``python -m cunet.warmup``."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Sequence
from typing import Any

from ..kernels.backends.native import native
from ..nn.module import Module
from .work import everything, of_model, warm


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0 if all is compiled, 1 if something is not, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m cunet.warmup", description="Compile cunet's kernels for this processor, before they are needed."
    )
    parser.add_argument(
        "--dtype", nargs="+", choices=("float32", "float64"), default=["float32"], help="(default: float32)"
    )
    parser.add_argument(
        "--model", metavar="MODULE:NAME", help="only what this model runs, or the one that this function returns"
    )
    options = parser.parse_args(arguments)
    try:
        needs = everything() if options.model is None else of_model(_model(options.model))
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        print(f"warmup: --model {options.model}: {error}", file=sys.stderr)
        return 2
    failed: list[str] = []
    for dtype in options.dtype if native.active and native.hopeful() else ():
        began = time.monotonic()
        done = warm(needs, dtype)
        print(f"{dtype}: {done.made} compiled in {time.monotonic() - began:.1f} s, {done.kept} were there")
        failed += done.failed
    if failed:
        print(f"warmup: not compiled: {', '.join(failed)}", file=sys.stderr)
    print(f"kernels run {native.describe()}" if not native.enabled() else f"kernels are {native.describe()}")
    return 0 if native.enabled() and not failed else 1


def _model(text: str) -> Module:
    """Return the model that is named, or what a function or class of that name returns."""
    module, _, name = text.partition(":")
    if not module or not name:
        raise ValueError("it must read MODULE:NAME, such as mypackage.nets:build")
    found: Any = getattr(importlib.import_module(module), name)
    model = found if isinstance(found, Module) else found()
    if not isinstance(model, Module):
        raise TypeError(f"a cunet.nn.Module is required, got {type(model).__name__}")
    return model
