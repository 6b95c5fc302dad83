"""The command ``python -m cunet.warmup``."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from ..kernels.backends.native import native
from ..nn.module import Module
from .work import everything, of_model, warm


def main(arguments: Sequence[str] | None = None, prog: str = "python -m cunet.warmup") -> int:
    """Run the command, under a name; return its exit status: 0: all is compiled, 1: not all, 2: wrong arguments."""
    parser = argparse.ArgumentParser(
        prog=prog, description="Compile cunet's kernels for this processor, before they are needed."
    )
    parser.add_argument(
        "--dtype", nargs="+", choices=("float32", "float64"), default=["float32"], help="(default: float32)"
    )
    parser.add_argument(
        "--model", metavar="MODULE:NAME", help="only what this model runs, or the one that this function returns"
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON, for scripts")
    options = parser.parse_args(arguments)
    try:
        needs = everything() if options.model is None else of_model(_model(options.model))
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        print(f"warmup: --model {options.model}: {error}", file=sys.stderr)
        return 2
    done: dict[str, Any] = {}
    for dtype in options.dtype if native.active and native.hopeful() else ():
        began = time.monotonic()
        one = warm(needs, dtype)
        done[dtype] = {**one._asdict(), "seconds": time.monotonic() - began}
        if not options.json:
            print(f"{dtype}: {one.made} compiled in {done[dtype]['seconds']:.1f} s, {one.kept} were there")
    failed = [name for one in done.values() for name in one["failed"]]
    if failed:
        print(f"warmup: not compiled: {', '.join(failed)}", file=sys.stderr)
    text = f"kernels {'are' if native.enabled() else 'run'} {native.describe()}"
    print(json.dumps({**done, "kernels": native.describe()}) if options.json else text)
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
