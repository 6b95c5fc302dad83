"""`python -m cunet.warmup`: afterwards nothing is compiled any more."""

import subprocess
import sys

import numpy as np
import pytest
from helpers import run_script
from native_helpers import needs_compiler, once, wrapper

from cunet import nn
from cunet.kernels import KERNELS
from cunet.kernels.backends.native import build
from cunet.warmup import everything, of_model, work
from cunet.warmup.command import main

pytestmark = [pytest.mark.cpu_only, pytest.mark.slow, once]

NET = """
from cunet import F, nn

def build():
    return nn.Sequential(nn.Linear(4, 3), F.elu)

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(4, 3), nn.ELU())

model = build()
nothing = 3
"""
RUN = "from cunet.warmup.command import main; raise SystemExit(main({!r}))"


@pytest.fixture
def home(tmp_path):
    """Return the environment of an empty cache, with a module that has a net."""
    (tmp_path / "nets.py").write_text(NET)
    return {"XDG_CACHE_HOME": str(tmp_path / "cache")}


def warm(home, *arguments, check=True):
    folder = home["XDG_CACHE_HOME"].removesuffix("cache")
    code = f"import sys; sys.path.insert(0, {folder!r})\n" + RUN.format(list(arguments))
    return run_script(code, home, check)


@needs_compiler
def test_a_model_that_is_warm_compiles_nothing(home, tmp_path):
    done = warm(home, "--model", "nets:build")
    first, last = done.stdout.splitlines()
    assert first.startswith("float32: 3 compiled in ") and first.endswith(" s, 0 were there")
    assert last.startswith("kernels are compiled by ")
    again = warm(home, "--model", "nets:Net").stdout.splitlines()[0]
    assert again.startswith("float32: 0 compiled in ") and again.endswith(" s, 3 were there")
    failing = wrapper(tmp_path / "g++", "exit 1")
    use = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + (
        "import warnings; warnings.simplefilter('error')\n"
        "import numpy as np, nets\n"
        "from cunet.kernels.backends.native import compiler, plans\n"
        "compiler._compile = None\n"
        "assert plans.library() is not None\n"
        "nets.model(np.ones((2, 4), np.float32)).sum().backward()\n"
    )
    run_script(use, home)
    assert main_fails(home, failing)


def main_fails(home, compiler):
    done = warm(home | {"CXX": compiler}, "--model", "nets:model", check=False)
    return done.returncode == 1 and "makes no libraries that run here" in done.stdout


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("nets", "it must read MODULE:NAME"),
        ("no_such_module:build", "No module named 'no_such_module'"),
        ("nets:absent", "has no attribute 'absent'"),
        ("nets:nothing", "'int' object is not callable"),
    ],
)
def test_a_model_that_cannot_be_had_is_named(given, words, tmp_path, monkeypatch, capsys):
    (tmp_path / "nets.py").write_text(NET)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "nets", raising=False)
    assert main(["--model", given]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("env", [{"CUNET_NATIVE": "0"}, {"PATH": "", "CXX": ""}], ids=["off", "no compiler"])
def test_where_nothing_is_compiled_it_says_so(env, home):
    done = warm(home | env, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("kernels run on NumPy")


def test_the_command_has_help():
    done = subprocess.run([sys.executable, "-m", "cunet.warmup", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    assert "--model" in done.stdout and "--dtype" in done.stdout


def test_everything_is_all_kernels_and_those_of_norms_with_activations():
    found = everything()
    assert set(KERNELS.values()) <= set(found)
    assert "normalize_gelu" in KERNELS and {"cunet_convolve", "cunet_pool"} <= set(found)
    assert len(of_model(nn.Sequential(nn.Linear(2, 2), nn.ELU()))) < 10


def test_large_libraries_share_the_work(monkeypatch):
    monkeypatch.setattr(work, "cores", lambda: 2)
    kernels = [k for k in KERNELS.values() if build.compilable(k, np.dtype("f"))][:90]
    units = work._large([build.unit([k], np.dtype("f")) for k in kernels])
    assert len(units) == 4  # of at most 40, for two cores alike
    assert sorted(part.name for unit in units for part in unit.parts) == sorted(f"{k.name}_f" for k in kernels)
    assert work._large([]) == []
