"""Build the wheel and the sdist, look at what is in them, and use the wheel where nothing else is.

Both are checked by twine. The wheel is installed by pip and by uv, each into an empty environment, from which
`cunet --version` and README's first look are run. It needs the extra [release], and a network for what cunet needs.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: What stands at the top of an sdist beside what pip wants there.
TOP = {
    *(".ci", "cunet", "docs", "examples", "lab", "recipe", "records", "sim", "tests", "tools"),
    *("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "conftest.py", "pyproject.toml"),
    *(".gitignore", "PKG-INFO"),
}
#: What no package may hold.
_STRAY = re.compile(r"(^|/)(__pycache__|\.venv|\.git|[^/]*_cache|runs)/|\.(pyc|so|safetensors|log|part|orig)$")


def run(*command: str | Path, folder: Path | None = None, text: str | None = None) -> str:
    """Run a command; return what it printed.

    Raises:
        SystemExit: it failed; what it said was shown.
    """
    done = subprocess.run([str(part) for part in command], cwd=folder, input=text, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
        raise SystemExit(f"failed: {' '.join(map(str, command))}")
    return done.stdout


def build(folder: Path) -> tuple[Path, Path]:
    """Build into a folder, the wheel from the sdist; return both."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


def members(package: Path) -> set[str]:
    """Return the files in a package; those of an sdist without its folder."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as archive:
            return set(archive.namelist())
    with tarfile.open(package) as archive:
        return {name.partition("/")[2] for name in archive.getnames()}


def problems(wheel: Path, sdist: Path) -> list[str]:
    """Return what is wrong with the contents of the packages."""
    in_wheel, in_sdist = members(wheel), members(sdist)
    code = {name for name in in_wheel if ".dist-info/" not in name}
    top = {name.partition("/")[0] for name in in_sdist}
    found = [f"the wheel lacks {name}" for name in sorted(sources("cunet") - code)]
    found += [f"the wheel has {name}" for name in sorted(code - sources("cunet"))]
    found += [
        f"the sdist lacks {name}" for name in sorted(sources("cunet", "tests") - in_sdist | (TOP | folders()) - top)
    ]
    found += [f"the sdist has {name}" for name in sorted(top - TOP)]
    return found + [f"no package may hold {name}" for name in sorted(in_wheel | in_sdist) if _STRAY.search(name)]


def folders() -> set[str]:
    """Return the folders at the top of this tree that somebody wrote."""
    names = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name not in ("build", "dist", "runs")}
    return {name for name in names if not re.match(r"[._]|.*\.egg-info$", name)}


def sources(*folders: str) -> set[str]:
    """Return the files in folders of this tree, but for what lies there by the way."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    return {name for path in paths if not _STRAY.search(name := path.relative_to(ROOT).as_posix())}


def first_look() -> str:
    """Return README's first program."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)[0]


def use(environment: Path, folder: Path) -> None:
    """Run what was installed into an environment, in a folder where no source tree is."""
    print("  " + run(environment / "bin" / "cunet", "--version", folder=folder).strip())
    print(
        "  "
        + run(environment / "bin" / "python", "-W", "error", "-", folder=folder, text=first_look()).splitlines()[-1]
    )


def main() -> int:
    """Run the checks; return the exit status."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        wheel, sdist = build(folder / "dist")
        print(f"{wheel.name}: {wheel.stat().st_size:,} bytes; {sdist.name}: {sdist.stat().st_size:,} bytes")
        for problem in (wrong := problems(wheel, sdist)):
            print(problem, file=sys.stderr)
        if wrong:
            return 1
        print(run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist).strip())
        wanted = f"cunet[sklearn] @ {wheel.as_uri()}"
        for tool in ("pip", "uv"):
            print(f"installed by {tool}:")
            environment = folder / f"by-{tool}"
            if tool == "pip":
                run(sys.executable, "-m", "venv", environment)
                run(environment / "bin" / "pip", "install", "-q", wanted)
            else:
                run(sys.executable, "-m", "uv", "venv", "-q", "--python", sys.executable, environment)
                python = environment / "bin" / "python"
                run(sys.executable, "-m", "uv", "pip", "install", "-q", "--python", python, wanted)
            use(environment, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
