"""g++ and clang++: both compile all texts, and to the same bits."""

import shutil
import subprocess

import numpy as np
import pytest
from helpers import run_script
from native_helpers import needs_compiler, once, said

from cunet.kernels import KERNELS
from cunet.kernels.backends.native import build, compiler, functions

pytestmark = [pytest.mark.cpu_only, pytest.mark.slow, once]


both_compilers = pytest.mark.skipif(
    not (shutil.which("g++") and shutil.which("clang++")), reason="g++ and clang++ are not both there"
)


@needs_compiler
@pytest.mark.parametrize("name", ["g++", "clang++"])
def test_each_compiler_accepts_all_texts(name, tmp_path):
    if shutil.which(name) is None:
        pytest.skip(f"no {name}")
    units = [build.runtime_unit()]
    for char in "fd":
        wide = np.dtype(char)
        kernels = [k for k in KERNELS.values() if build.compilable(k, wide)]
        units += [build.unit(kernels, wide), *(functions.unit(f, char) for f in functions.SOURCES)]
    files = [tmp_path / f"{k}.cpp" for k in range(len(units))]
    for file, unit in zip(files, units, strict=True):
        file.write_text(unit.text())
    done = subprocess.run([name, *compiler.FLAGS, "-fsyntax-only", *files], capture_output=True, text=True)
    assert not done.returncode, done.stderr


@needs_compiler
@both_compilers
def test_both_compilers_make_the_same_bits(home):
    code = """
        import hashlib
        import numpy as np
        import cunet
        from cunet import functional as F, nn

        cunet.random.manual_seed(3)
        model = nn.Sequential(nn.Linear(20, 30), nn.BatchNorm1d(30), F.gelu, F.tanh, nn.Linear(30, 4))
        optimizer = cunet.optim.AdamW(model.parameters(), lr=0.01)
        rng = np.random.default_rng(0)
        x, t = rng.normal(size=(64, 20)).astype(np.float32), rng.integers(0, 4, 64)
        for _ in range(5):
            loss = F.cross_entropy(model(cunet.tensor(x)), t)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(hashlib.sha256(b"".join(p.data.tobytes() for p in model.parameters())).hexdigest())
    """
    g, clang = (said(run_script(code, {"CXX": compiler, **home})) for compiler in ("g++", "clang++"))
    assert g == clang
