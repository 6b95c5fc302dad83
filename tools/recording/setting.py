"""What a part needs to know: how large the record is, where its files are, and the device."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cunet import device as backend

from .plan import Form
from .rows import Rows
from .runner import NO_GPU
from .timing import Timer

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Setting:
    """See above.

    Attributes:
        form: how large the record is.
        record: the file that lines are added to.
        sources: the list of kernels to compile ahead (see `recording.sources`).
        share: ``(k, n)``: this process is the k-th of n.
    """

    form: Form
    record: Path
    sources: Path
    share: tuple[int, int] = (0, 1)

    @functools.cached_property
    def xp(self) -> Any:
        """CuPy, or what stands in for it; without a GPU the process ends."""
        if self.form.device == "sim":
            return importlib.import_module("sim").install()
        found = backend.gpu()
        if found is None:
            print(f"gpu_record: nothing to record: {backend.gpu_problem()}", file=sys.stderr)
            sys.exit(NO_GPU)
        return found

    def timer(self, stream: Any) -> Timer:
        """Return a timer for the stream of a library."""
        return Timer(stream, self.form.seconds, self.form.runs)

    def check(self) -> None:
        """Raise if the device does not answer any more, as after a bad address."""
        if "xp" in self.__dict__:
            self.xp.cuda.Device().synchronize()


def run_part(name: str, setting: Setting) -> None:
    """Run a part in this process."""
    run: Callable[[Setting, Rows], None] = importlib.import_module(f"recording.parts.{name}").run
    run(setting, Rows(setting.record, name, setting.share, setting.check))
