"""The command as a whole: its help, its exit status, its names."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cli_helpers import asked
from native_helpers import once

import cunet
from cunet.cli import command, main, output

pytestmark = pytest.mark.cpu_only

ROOT = Path(__file__).parents[2]
COMMANDS = ["train", "resume", "evaluate", "predict", "export", "summary", "report", "doctor", "warm"]
HELPS = [[], *([name] for name in COMMANDS), ["train", "mnist-mlp"], ["train", "mnist-cnn"], ["train", "mine:make"]]


@pytest.mark.parametrize("arguments", HELPS, ids=" ".join)
def test_help_fits_80_columns_and_says_what_everything_is(arguments, here, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--help"])
    text = capsys.readouterr().out
    assert caught.value.code == 0 and text.startswith(" ".join(["usage: cunet", *arguments]))
    assert max(map(len, text.splitlines())) <= 80
    if not arguments:
        assert all(f"\n    {name} " in text for name in COMMANDS)


def test_a_recipe_has_its_own_help(here, capsys):
    with pytest.raises(SystemExit):
        main(["train", "mine:make", "--help"])
    text = capsys.readouterr().out
    assert "Learn which of three numbers is largest." in text and "learning rate, 1 % (default: 0.01)" in text


WRONG = [
    *([], ["dance"], ["train"], ["train", "no-such"], ["train", "mine:make", "--depth", "3"], ["train", "mine:taken"]),
    *(["resume"], ["predict", "a"], ["doctor", "--no"], ["warm", "--no"]),
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_arguments_end_with_2(arguments, here, capsys):
    (here / "mine.py").write_text((here / "mine.py").read_text() + "\ndef taken(json=1): ...\n")
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2 and "usage: cunet" in capsys.readouterr().err


def test_a_failure_ends_with_1_and_says_why(here, capsys):
    for given in (["resume", "nowhere"], ["train", "mine:broken"]):
        assert main(given) == 1
        said = capsys.readouterr()
        assert said.out == "" and said.err.startswith(f"cunet {given[0]}: ") and said.err.count("\n") == 1
    with pytest.raises(TypeError, match="broken on purpose"):
        main(["train", "mine:broken", "--traceback"])


def test_ctrl_c_outside_of_training_ends_with_130(here, capsys, monkeypatch):
    def pressed(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(command.using, "report", pressed)
    assert main(["report", "x"]) == 130
    assert capsys.readouterr().err == "cunet: interrupted\n"


def test_doctor_and_warm_are_the_programs_of_old(capsys, monkeypatch):
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.startswith("cunet ")
    found = asked(capsys, "doctor")
    assert {"numpy", "kernels", "cache"} <= found.keys()
    monkeypatch.setattr(command.warmup, "everything", lambda: [])
    assert main(["warm", "--dtype", "float64"]) in (0, 1)  # 1 where nothing is compiled
    assert "kernels" in capsys.readouterr().out
    assert main(["warm", "--json"]) in (0, 1)
    assert "kernels" in json.loads(capsys.readouterr().out)


@once
def test_the_command_has_two_names(here):
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert scripts == {"cunet": "cunet.cli:main"} and cunet.cli.main is main
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "cunet", "--version"], env=env, capture_output=True, text=True
    )
    assert ran.stdout == f"cunet {cunet.__version__}\n" and ran.stderr == "" and ran.returncode == 0


@pytest.mark.slow
@once
def test_who_reads_no_more_gets_no_traceback(here):
    code = "import sys; from cunet.cli import main; sys.exit(main(['summary', 'mnist-mlp']))"
    reader, writer = os.pipe()
    os.close(reader)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", code], env=env, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert ran.returncode == 1 and ran.stderr == ""


def test_json_is_json_whatever_is_in_it():
    value = {"a": float("nan"), 3: [float("-inf"), (1, 2)], "path": Path("x"), "none": None, "flag": True}
    assert json.loads(json.dumps(output.plain(value), allow_nan=False)) == {
        "a": None, "3": [None, [1, 2]], "path": "x", "none": None, "flag": True
    }  # fmt: skip
