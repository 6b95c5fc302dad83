"""Where files lie: few modules at the top of the package, and tests where their module is."""

import pytest
from sources import MODULES, ROOT

pytestmark = pytest.mark.cpu_only

TESTS = ROOT / "tests"
#: What tests more than a module of cunet, or something else.
OTHERS = {"docs", "examples", "faults", "lab", "package", "simulator", "tools"}


def test_at_most_8_modules_stand_at_the_top():
    assert len(list((ROOT / "cunet").glob("*.py"))) <= 8


def test_tests_lie_where_their_module_does():
    """That of ``cunet/a/b.py`` is ``tests/a/test_b.py`` or ``test_b_more.py``, that of the room is ``test_a.py``."""
    astray = []
    for path in TESTS.rglob("test_*.py"):
        *folders, file = path.relative_to(TESTS).with_suffix("").parts
        if not folders or folders[0] in OTHERS:
            continue
        words = file.removeprefix("test_").split("_")
        names = ["_".join(words[:k]) for k in range(1, len(words) + 1)]
        here = ".".join(["cunet", *folders])
        if folders[-1] not in names and not any(f"{here}.{name}" in MODULES for name in names):
            astray.append(path.relative_to(ROOT).as_posix())
    assert astray == []
