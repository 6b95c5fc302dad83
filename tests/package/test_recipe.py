"""The conda recipe says what pyproject.toml says."""

import re
import tomllib

import pytest
from sources import ROOT

import cunet

yaml = pytest.importorskip("yaml")
pytestmark = pytest.mark.cpu_only

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]


def recipe():
    """Return the recipe, with the values of its context put in."""
    text = (ROOT / "recipe" / "recipe.yaml").read_text(encoding="utf-8")
    context = yaml.safe_load(text)["context"]
    return yaml.safe_load(re.sub(r"\$\{\{ (\w+) \}\}", lambda match: context[match[1]], text))


def plain(requirements):
    """Return requirements without spaces."""
    return sorted(requirement.replace(" ", "") for requirement in requirements)


def test_it_is_of_this_version_and_says_the_same_of_the_project():
    found = recipe()
    assert found["package"] == {"name": PROJECT["name"], "version": cunet.__version__}
    assert found["about"]["summary"] == PROJECT["description"]
    assert found["about"]["license"] == PROJECT["license"]
    assert [found["about"]["license_file"]] == PROJECT["license-files"]
    entries = [f"{name} = {target}" for name, target in PROJECT["scripts"].items()]
    assert found["build"]["python"]["entry_points"] == entries


def test_what_it_needs_is_what_pip_installs():
    needed = recipe()["requirements"]
    assert plain(needed["run"]) == plain([*PROJECT["dependencies"], f"python{PROJECT['requires-python']}"])
    least = PROJECT["requires-python"].removeprefix(">=")
    assert plain(needed["host"]) == plain([*PYPROJECT["build-system"]["requires"], "pip", f"python {least}.*"])


def test_what_may_stand_beside_it_is_as_new_as_the_extras_ask_for():
    extras = PROJECT["optional-dependencies"]
    cupy = {re.sub(r"-cuda\d+x", "", one) for name in ("cuda12", "cuda13") for one in extras[name]}
    assert plain(recipe()["requirements"]["run_constraints"]) == plain([*cupy, *extras["sklearn"]])
