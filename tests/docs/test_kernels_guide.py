"""What docs/kernels.md shows is true: its program runs on each route, and prints what stands below each block."""

import os
import re
from pathlib import Path

from helpers import run_script

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "kernels.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(python|text)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)

#: Begins the program: what "auto" means is the device under test.
DEVICES = {
    "cpu": "import cunet.device\ncunet.device._gpu = None\n",
    "sim": "import sim\nsim.install()\n",
    "gpu": "",
}


def test_the_program_runs_and_prints_what_is_shown(request, tmp_path):
    program = DEVICES[request.config.getoption("device")]
    program += "".join(block for kind, block in BLOCKS if kind == "python")
    route = {"CUNET_NATIVE": os.environ.get("CUNET_NATIVE", "1"), "PYTHONWARNINGS": "error"}
    done = run_script(program, env=route, cwd=tmp_path)
    assert done.stdout.split() == "".join(block for kind, block in BLOCKS if kind == "text").split()


def test_each_kind_of_kernel_and_each_attachment_is_shown():
    program = "".join(block for kind, block in BLOCKS if kind == "python")
    for word in ("elementwise", "reduction", "rowwise", "grid", "inplace", "primitive"):
        assert re.search(rf"^@{word}\b", program, re.MULTILINE), word
    for word in (
        ".numpy",
        ".native(\n    TwoPass",
        "Warps(",
        "fused(",
        "Tiled(",
        "listening(",
        "gradcheck(",
        "parity(",
    ):
        assert word in program, word


def test_every_file_that_is_named_is_there():
    named = set(re.findall(r"(?<![\w.~/])(?:cunet|tests|sim|tools|docs)/[\w./-]*\w", GUIDE))
    assert {name for name in named if not (ROOT / name).exists()} == set()
    assert len(named) >= 10
