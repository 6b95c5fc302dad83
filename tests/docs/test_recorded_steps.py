"""What docs/recorded-steps.md shows is true: its program runs, and replays where kernels are compiled."""

from pathlib import Path

import pytest
from helpers import run_script
from record_helpers import records
from sources import programs

from cunet import native

pytestmark = pytest.mark.cpu_only

PAGE = (Path(__file__).parents[2] / "docs" / "recorded-steps.md").read_text(encoding="utf-8")


def test_the_program_runs_and_replays():
    (program,) = programs(PAGE)
    env = {"CUNET_NATIVE": str(int(native.enabled()))}
    done = run_script("import cunet.device\ncunet.device._gpu = None\n" + program, env)
    replays = int(done.stdout.split()[0])
    assert replays >= 10 if records() else replays == 0
