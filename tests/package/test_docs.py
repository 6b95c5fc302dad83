"""The pages of this tree are true: files and names that they mention are there, and its trips go the way they say."""

import ast
import functools
import itertools
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from sources import ROOT, parse

import cunet
from cunet import F, nn, optim
from cunet.autograd.tensor import Tensor
from cunet.kernels import listening
from cunet.kernels.backends.native import native

FIRST = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
PAGES = {path.relative_to(ROOT).as_posix(): path for path in [*FIRST, *sorted((ROOT / "docs").rglob("*.md"))]}

FOLDERS = ("cunet", "tests", "sim", "examples", "lab", "tools", "docs", "records", ".ci")
OURS = rf"(?:{'|'.join(map(re.escape, FOLDERS))})/"
SPAN = re.compile(r"`([^`\n]+)`")
NAMED = re.compile(r"([\w./-]+\.(?:py|cpp|h)):([A-Za-z_]\w*(?:\.\w+)*)")  # file:name
FILE = re.compile(rf"{OURS}[\w./-]*|[\w.][\w./-]*(?:\.(?:py|md|cpp|h|toml)|/)")
IN_BLOCKS = re.compile(rf"(?<![\w.~/$-]){OURS}[\w./-]*\w")
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)")
BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
#: Folders that are on the reader's machine alone: with data, or made there.
PLACES = {"docs/_build", "mnist/"}


def names_of(path):
    """Return the names that a file defines: dotted, inner functions and methods behind the outer ones."""
    if path.suffix != ".py":  # of C++ the words that an opening bracket follows
        return set(re.findall(r"\b(\w+)\s*[({]", path.read_text(encoding="utf-8")))
    found = set()

    def walk(node, before):
        for child in ast.iter_child_nodes(node):
            inner = before
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{before}{child.name}."
                found.add(inner[:-1])
            elif isinstance(child, ast.Assign | ast.AnnAssign):
                targets = child.targets if isinstance(child, ast.Assign) else [child.target]
                found.update(before + target.id for target in targets if isinstance(target, ast.Name))
            walk(child, inner)

    walk(parse(path), "")
    return found


def missing_names(text):
    """Return each ``file:name`` of a page of which there is no such file, or no such name in it."""
    wrong = []
    for file, name in NAMED.findall(BLOCK.sub("", text)):
        path = ROOT / file
        if not path.is_file() or name not in names_of(path):
            wrong.append(f"{file}:{name}")
    return wrong


@functools.cache
def own_files():
    """Return the names of all files in the folders of sources."""
    return {path.name for folder in FOLDERS for path in (ROOT / folder).rglob("*.*")}


def missing_files(text, page):
    """Return the paths in backticks and in links that lead nowhere; a file's bare name must be that of some file."""
    spans = SPAN.findall(BLOCK.sub("", text))
    named = {word for span in spans for word in span.split() if FILE.fullmatch(word)} - PLACES
    named |= {file for block in BLOCK.findall(text) for file in IN_BLOCKS.findall(block)}
    bases = (ROOT, ROOT / "tests") if page.name == "claims.md" else (ROOT,)
    wrong = {name for name in named if not any((base / name).exists() for base in bases)}
    wrong -= {name for name in wrong if "/" not in name and name in own_files()}
    return sorted(wrong | {link for link in LINK.findall(text) if not (page.parent / link).exists()})


@pytest.mark.cpu_only
@pytest.mark.parametrize("page", PAGES)
def test_every_name_on_a_page_is_in_its_file(page):
    assert missing_names(PAGES[page].read_text(encoding="utf-8")) == []


@pytest.mark.cpu_only
@pytest.mark.parametrize("page", PAGES)
def test_every_file_on_a_page_is_there(page):
    assert missing_files(PAGES[page].read_text(encoding="utf-8"), PAGES[page]) == []


@pytest.mark.cpu_only
def test_what_is_not_there_is_found():
    page = ROOT / "README.md"
    assert missing_names("`cunet/device.py:nothing` `cunet/no.py:op`") == ["cunet/device.py:nothing", "cunet/no.py:op"]
    assert missing_names("`cunet/device.py:is_array` and `cunet/autograd/op.py:_lift.apply`") == []
    text = (
        "`cunet/no.py`, [a](docs/no.md), `python tools/no.py -v`, `cunet/nowhere`, `no.cpp`\n```\nrm sim/no.py\n```\n"
    )
    gone = ["cunet/no.py", "cunet/nowhere", "docs/no.md", "no.cpp", "sim/no.py", "tools/no.py"]
    assert missing_files(text, page) == gone
    assert missing_files("`pool.cpp`, `cunet/nn/`, `~/.cache/cunet/no`, [a](docs/cpu.md)", page) == []


@pytest.mark.cpu_only
def test_every_room_is_in_the_picture():
    """A line of the picture begins with the names it is about."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    picture = text.partition("## The rooms\n\n```\ncunet/\n")[2].partition("\ntests/")[0]
    begins = [re.match(r" {2,4}\w\S*(?: \w\S*)*", line) for line in picture.split("\n")]
    named = {word for begin in begins if begin for word in begin[0].split()}
    rooms = {f"{path.parent.name}/" for path in (ROOT / "cunet").glob("*/__init__.py")}
    files = {path.name for path in (ROOT / "cunet").glob("*.py")}
    backends = {f"backends/{path.parent.name}/" for path in (ROOT / "cunet/kernels/backends").glob("*/__init__.py")}
    assert named == rooms | files | backends


# -- the trips


def trips():
    """Return {trip: [(label, steps)]} of docs/architecture.md: the numbered lists under each trip."""
    found = {}
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").partition("\n## Trips\n")[2]
    for part in text.partition("\n## ")[0].split("\n### ")[1:]:
        title, _, body = part.partition("\n")
        lists = found[title.strip()] = []
        for label, items in re.findall(r"^(\w[^\n]*):\n\n((?:(?:\d+\. |  +)[^\n]*\n)+)", body + "\n", re.MULTILINE):
            steps = re.findall(r"^\d+\. `([^`]+)`", items, re.MULTILINE)
            assert len(steps) == len(re.findall(r"^\d+\. ", items, re.MULTILINE)), f"{title}: a step names no code"
            lists.append((label, steps))
    return found


def steps_of(trip, route):
    """Return the steps of a trip on a route, in order."""
    lists = trips()[trip]
    return [s for label, steps in lists if label.startswith("Everywhere") or label == f"On {route}" for s in steps]


def traced(run):
    """Return what a call goes through, as ``file:name``: cunet's functions, builtins, kernels, as called."""
    seen = []

    def profile(frame, event, arg):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(ROOT / "cunet")):
            seen.append(place(code))
        elif event == "c_call" and isinstance(getattr(arg, "__self__", None), tuple):
            seen.append(f"cunet/kernels/backends/native/src/builtin.cpp:{arg.__name__}")

    def listener(kernel, args, options, proceed):
        seen.append(place(kernel.spec.body.__code__))
        return proceed()

    before = sys.getprofile()
    with listening(listener):
        sys.setprofile(profile)
        try:
            run()
        finally:
            sys.setprofile(before)
    return seen


def place(code):
    return f"{Path(code.co_filename).relative_to(ROOT).as_posix()}:{code.co_qualname.replace('<locals>.', '')}"


def first_missed(steps, seen):
    """Return the first step that is not called after those before it, or None."""
    rest = iter(seen)
    return next((step for step in steps if step not in rest), None)


def elu(dev, rng):
    x = Tensor(dev(rng.standard_normal((4, 5)), np.float32), requires_grad=True)
    gy = dev(rng.standard_normal((4, 5)), np.float32)

    def run():
        x.grad = None
        F.elu(x).backward(gy)

    return run


def batch_norm(dev, rng):
    x = Tensor(dev(rng.standard_normal((8, 3, 5, 5)), np.float32), requires_grad=True)
    layer = nn.BatchNorm2d(3).to(x.device)
    return lambda: layer(x).sum().backward()


def adam(dev, rng):
    x = dev(rng.standard_normal((8, 3)), np.float32)
    layer = nn.Linear(3, 4).to(Tensor(x).device)
    layer(x).sum().backward()
    return optim.Adam(layer.parameters()).step


def fit(dev, rng):
    data = (rng.standard_normal((8, 3)).astype(np.float32), rng.standard_normal((8, 4)).astype(np.float32))
    model, device = nn.Linear(3, 4), Tensor(dev(data[0])).device
    trainer = cunet.Trainer(
        model,
        F.mse_loss,
        optim.Adam(model.parameters()),
        callbacks=[cunet.train.Callback()],
        device=device,
        progress=False,
    )
    return lambda: trainer.fit(data, valid=data)


TRIPS = {
    "`y = F.elu(x)`, then `y.backward(gy)`": elu,
    "A training step of `nn.BatchNorm2d`": batch_norm,
    "A step of Adam": adam,
    "A batch through `Trainer.fit`": fit,
}
ROUTES = {"compiled C++": "cpu", "NumPy": "cpu", "CUDA": "gpu"}  # and the device of each


@pytest.mark.cpu_only
def test_every_trip_is_made():
    assert trips().keys() == TRIPS.keys()
    labels = {label for lists in trips().values() for label, _ in lists}
    assert labels == {"Everywhere", "Everywhere, then", *(f"On {route}" for route in ROUTES)}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("trip", TRIPS, ids=[make.__name__ for make in TRIPS.values()])
def test_a_trip_goes_as_the_page_says(trip, route, device, dev, rng):
    """Each step is called after the one before it, in a second call; what is called between them is not told."""
    if device != ROUTES[route] or (route == "compiled C++" and not native.enabled()):
        pytest.skip(f"{route} is not what runs here")
    active, native.active = native.active, route == "compiled C++"
    try:
        run = TRIPS[trip](dev, rng)
        run()
        seen = traced(run)
    finally:
        native.active = active
    steps = steps_of(trip, route)
    assert len(steps) > 10
    assert first_missed(steps, seen) is None


@pytest.mark.cpu_only
def test_a_wrong_trip_is_found(dev, rng):
    run = elu(dev, rng)
    run()
    seen, steps = traced(run), steps_of("`y = F.elu(x)`, then `y.backward(gy)`", "no route")
    assert first_missed(steps, seen) is None
    for k, step in itertools.product((0, 5), ("cunet/device.py:nothing", steps[-1])):
        assert first_missed([*steps[:k], step, *steps[k:]], seen) is not None
