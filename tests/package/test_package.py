"""Promises about the package as a whole: what an import costs, who imports whom, what a file may look like."""

import ast
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
FILES = sorted(PACKAGE.rglob("*.py"))
NAMES = [path.relative_to(ROOT).as_posix() for path in FILES]

#: Imports run one way: a module imports from lines above its own (and, in a subpackage, from its own).
ORDER = [
    ["device"],
    ["system"],
    ["random"],
    ["kernels"],
    ["native", "rowwise", "autograd"],
    ["ops"],
    ["functional", "init"],
    ["nn"],
    ["optim", "data"],
    ["train"],
    ["testing"],
    ["doctor"],
    ["parity"],
]
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}

CPP = sorted(path for pattern in ("*.cpp", "*.h") for path in PACKAGE.rglob(pattern))

every_cpp = pytest.mark.parametrize("path", CPP, ids=[path.name for path in CPP])
every_file = pytest.mark.parametrize("path", FILES, ids=NAMES)


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path):
    """Yield the absolute dotted name of everything that a file imports when it runs, wherever in it."""
    here = path.relative_to(ROOT).with_suffix("").parts
    tree = parse(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []  # never runs
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*here[: -node.level], *([node.module] if node.module else [])] if node.level else [node.module]
            yield from (".".join([*base, alias.name]) for alias in node.names)


def run_python(code):
    # Without the variable, so that only the first run compiles to bytecode.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True).stdout.strip()


#: What takes long to import, of others and of Python's own: all of it is imported where it is used.
#: How long the import takes is measured by ``tools/bench.py --jobs g``: a bound on seconds fails on a busy machine.
HEAVY = [
    "asyncio", "concurrent.futures", "cupy", "email", "http.client", "importlib.metadata", "json", "logging",
    "matplotlib", "ml_dtypes", "multiprocessing", "safetensors", "scipy", "sklearn", "socket", "ssl", "subprocess",
    "tempfile", "torch", "tqdm", "unittest", "urllib.request", "uuid", "zipfile",
]  # fmt: skip


def test_import_loads_nothing_heavy_beyond_numpy():
    code = f"import sys, numpy; old = set(sys.modules); import cunet; print(*(set(sys.modules) - old) & set({HEAVY}))"
    assert run_python(code) == ""


def test_only_device_imports_cupy():
    guilty = {path.name for path in FILES if any(name.split(".")[0] == "cupy" for name in imports(path))}
    assert guilty == {"device.py"}


@every_file
def test_imports_run_one_way(path):
    unit = path.relative_to(PACKAGE).with_suffix("").parts[0]
    if unit == "__init__" or path.match("parity/cases.py"):
        return  # the top of the package may import everything, and the table of its public ops sees it as users do
    assert unit in LEVEL, f"{unit} has no place in ORDER"
    for name in imports(path):
        top, *rest = name.split(".")
        if top != "cunet":
            continue
        assert rest and rest[0] in LEVEL, f"{name} comes from the package's top: import it from its module"
        assert rest[0] == unit or LEVEL[rest[0]] < LEVEL[unit], f"{unit} may not import {name}"


@every_file
def test_no_star_imports(path):
    assert not [name for name in imports(path) if name.endswith(".*")]


@every_file
def test_every_public_module_has_a_docstring(path):
    public = path.name == "__init__.py" or not path.name.startswith("_")
    assert ast.get_docstring(parse(path)) or not public


@every_file
def test_no_file_is_longer_than_400_lines(path):
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= 400


def cpp_functions(text):
    """Yield the first line of each function in C++ text, and how many lines it has, by its braces."""
    text = re.sub(r"//[^\n]*|^ *#.*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\])'", "", text, flags=re.MULTILINE)
    scopes, head, line = [], "", 1  # a scope: None, or where a function began
    for c in text:
        line += c == "\n"
        if c == "{":
            head = head.strip()
            opens = "(" in head and not any(scopes) and not re.match(r"(namespace|struct|class|enum)\b", head)
            scopes.append((line - head.count("\n"), head.partition("\n")[0]) if opens else None)
        elif c == "}" and (began := scopes.pop()):
            yield began[1], line - began[0] + 1
        head = "" if c in "{};" else head + c


def test_functions_of_cpp_are_found():
    text = """
        #define X(a) {
        namespace {
        // a comment (of two {
        template <int N> struct S : T {
          int a = f();
          void one() const { return; }
          template <class A>
          int two(int x,
                  int y) {
            for (;;) {
            }
          }
        };
        void (*const three)(int) = nullptr;
        }
        extern "C" int four() {
        }
    """
    assert [(name.split("(")[0], n) for name, n in cpp_functions(text)] == [
        ("void one", 1), ("template <class A>", 6), ('extern  int four', 2),
    ]  # fmt: skip


@every_cpp
def test_no_cpp_is_longer_than_300_lines_nor_a_function_than_40(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 300
    assert max(map(len, text.splitlines())) <= 120
    assert not [name for name, lines in cpp_functions(text) if lines > 40]


def test_numbers_of_64_bits_are_named_so():
    """What a ``long`` is depends on the system; CUDA's texts name ``long long``, which math.h has to know."""
    guilty = [
        path.name for path in CPP if re.search(r"(?<!long )\blong\b(?! long)", re.sub(r"//.*", "", path.read_text()))
    ]
    assert guilty == []
    assert [path.name for path in FILES if re.search(r"c_u?long\b", path.read_text(encoding="utf-8"))] == []


def test_version_is_the_one_that_is_installed():
    try:
        installed = importlib.metadata.version("cunet")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("cunet is not installed, it runs from its folder")
    assert cunet.__version__ == installed


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
