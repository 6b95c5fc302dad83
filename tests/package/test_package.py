"""Promises about the package as a whole: what an import costs, what is installed, what no text may hold."""

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cunet

pytestmark = pytest.mark.cpu_only

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "cunet"


def run_python(code):
    # Without the variable, so that only the first run compiles to bytecode.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True).stdout.strip()


#: What takes long to import, of others and of Python's own: all of it is imported where it is used.
#: How long the import takes is measured by ``tools/bench.py --jobs g``: a bound on seconds fails on a busy machine.
HEAVY = [
    "asyncio", "concurrent.futures", "cupy", "email", "glob", "gzip", "hashlib", "http.client", "importlib.metadata",
    "json", "logging", "matplotlib", "ml_dtypes", "multiprocessing", "random", "safetensors", "scipy", "sklearn",
    "socket", "ssl", "string", "subprocess", "tempfile", "tensorboard", "torch", "tqdm", "unittest", "urllib.request",
    "uuid", "zipfile",
]  # fmt: skip


def test_import_loads_nothing_heavy_beyond_numpy():
    code = f"import sys, numpy; old = set(sys.modules); import cunet; print(*(set(sys.modules) - old) & set({HEAVY}))"
    assert run_python(code) == ""


def test_version_is_the_one_that_is_installed():
    try:
        installed = importlib.metadata.version("cunet")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("cunet is not installed, it runs from its folder")
    assert cunet.__version__ == installed


def test_the_changelog_begins_with_this_version():
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ \((unreleased|\d{4}-\d\d-\d\d)\)", heading) for heading in headings)
    assert headings[0].split()[0] == cunet.__version__


def test_package_is_marked_as_typed():
    assert (PACKAGE / "py.typed").is_file()


def test_no_text_names_a_folder_of_one_machine():
    needles = ["/" + name + "/" for name in ("work", "root", "farm")]
    built = {".git", "__pycache__", "build", "dist", "runs"}
    guilty = []
    for folder, subfolders, files in os.walk(ROOT):
        subfolders[:] = [s for s in subfolders if s not in built and not s.startswith(".venv") and "_cache" not in s]
        subfolders[:] = [s for s in subfolders if s != ".hypothesis" and not s.endswith(".egg-info")]
        for path in (Path(folder) / file for file in files if file != ".git"):
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            guilty += [f"{path.relative_to(ROOT)}: {needle}" for needle in needles if needle in text]
    assert not guilty
