"""Who imports whom in cunet: one way, without circles, by relative names."""

import ast

import pytest
from sources import MODULES, circles, imported_modules, imports, parse

pytestmark = pytest.mark.cpu_only

#: The rooms of docs/architecture.md, the ground floor first: a module imports from its own room and from lines above
#: that of its room. It belongs to the room with the longest name that fits.
ROOMS = [
    ["device"],
    ["system"],
    ["random"],
    ["kernels.grammar", "kernels.axes"],
    ["kernels.spec"],
    ["kernels.backends"],
    ["kernels.dispatch"],
    ["kernels"],
    ["native", "rowwise", "autograd"],
    ["ops"],
    ["functional", "linalg", "fft", "init"],
    ["nn"],
    ["optim", "data", "plot"],
    ["onnx"],
    ["record"],
    ["predictor", "diagnose"],
    ["train"],
    ["search", "sklearn"],
    ["testing"],
    ["doctor", "warmup"],
    ["parity"],
    ["cli"],
    ["__main__"],
]
FLOOR = {f"cunet.{room}": floor for floor, rooms in enumerate(ROOMS) for room in rooms}

#: Users see the names at the top of the package; so does this table of them.
FROM_THE_TOP = {"cunet.parity.row"}  # it calls what users call


def room(module):
    """Return the room of a module, or None."""
    while module and module not in FLOOR:
        module = module.rpartition(".")[0]
    return module or None


def test_every_module_has_a_room():
    assert [module for module in MODULES if module != "cunet" and not room(module)] == []


def test_imports_run_one_way():
    wrong = []
    for module, path in MODULES.items():
        if module == "cunet":
            continue  # the names that users import come from everywhere
        for other in sorted(imported_modules(path) - {module}):
            if other == "cunet":
                wrong += [] if module in FROM_THE_TOP else [f"{module}: from the package's top, not from a module"]
            elif room(other) != room(module) and FLOOR[room(other)] >= FLOOR[room(module)]:
                wrong.append(f"{module}: {other}")
    assert wrong == []


def test_no_modules_import_each_other():
    found = circles({module: imported_modules(path) - {module} for module, path in MODULES.items()})
    assert sorted(map(sorted, found)) == []


def test_circles_are_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"f", "a"}, "f": {"e"}}
    assert circles(graph) == {frozenset("bc"), frozenset("ef")}


def test_imports_within_the_package_are_relative():
    by_name = {
        module
        for module, path in MODULES.items()
        for level, name in imports(path)
        if level == 0 and name.split(".")[0] == "cunet"
    }
    assert by_name == FROM_THE_TOP


def test_nothing_is_imported_by_a_star():
    stars = {module for module, path in MODULES.items() for _, name in imports(path) if name.endswith(".*")}
    assert stars == set()


def test_only_device_imports_cupy():
    found = {module for module, path in MODULES.items() for _, name in imports(path) if name.split(".")[0] == "cupy"}
    assert found == {"cunet.device"}


def test_every_module_says_what_it_is():
    assert [module for module, path in MODULES.items() if not ast.get_docstring(parse(path))] == []
