"""What goes into a wheel and an sdist: all of the code, and nothing that lies about by the way."""

import re
import tarfile
import zipfile

import check_package
import pytest
from native_helpers import once

import cunet

pytestmark = [pytest.mark.cpu_only, pytest.mark.slow, once]


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    pytest.importorskip("build", reason="build is not installed; it comes with the extra [dev]")
    pytest.importorskip("hatchling", reason="hatchling is not installed; it comes with the extra [dev]")
    return check_package.build(tmp_path_factory.mktemp("dist"))


def test_both_packages_hold_what_they_should(built):
    assert check_package.problems(*built) == []
    names = check_package.members(built[0])
    assert {"cunet/py.typed", "cunet/kernels/backends/native/src/builtin.cpp"} <= names
    assert not any(name.startswith(("tests/", "sim/")) for name in names)


def test_the_metadata_are_those_of_the_project(built):
    wheel, sdist = built
    assert (
        wheel.name == f"cunet-{cunet.__version__}-py3-none-any.whl"
        and sdist.name == f"cunet-{cunet.__version__}.tar.gz"
    )
    with zipfile.ZipFile(wheel) as archive:
        (folder,) = {name.partition("/")[0] for name in archive.namelist() if ".dist-info/" in name}
        metadata, entries = (archive.read(f"{folder}/{name}").decode() for name in ("METADATA", "entry_points.txt"))
    needed = [one for one in re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE) if "extra ==" not in one]
    assert needed == ["numpy>=2", "safetensors", "tqdm"]
    assert "License-Expression: MIT" in metadata and "cunet = cunet.cli:main" in entries


def test_what_is_wrong_with_a_package_is_found(built, tmp_path):
    wheel, sdist = tmp_path / built[0].name, tmp_path / built[1].name
    with zipfile.ZipFile(built[0]) as old, zipfile.ZipFile(wheel, "w") as new:
        for name in old.namelist():
            if name != "cunet/py.typed":
                new.writestr(name, old.read(name))
        new.writestr("cunet/nn/__pycache__/linear.pyc", b"")
        new.writestr("tests/test_x.py", b"")
    with tarfile.open(built[1]) as old, tarfile.open(sdist, "w:gz") as new:
        for member in old.getmembers():
            if not member.name.endswith(("/cunet/device.py", "/README.md")):
                new.addfile(member, old.extractfile(member))
        new.addfile(tarfile.TarInfo(f"cunet-{cunet.__version__}/weights.safetensors"))
    assert set(check_package.problems(wheel, sdist)) == {
        "the wheel lacks cunet/py.typed",
        "the wheel has cunet/nn/__pycache__/linear.pyc",
        "the wheel has tests/test_x.py",
        "the sdist lacks README.md",
        "the sdist lacks cunet/device.py",
        "the sdist has weights.safetensors",
        "no package may hold cunet/nn/__pycache__/linear.pyc",
        "no package may hold weights.safetensors",
    }


def test_readme_has_a_first_look():
    assert "Trainer(" in check_package.first_look()
