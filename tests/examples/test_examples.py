"""The examples run as a user runs them: every choice of every option, twice the same, and without a network."""

import argparse
import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sklearn")
pytestmark = [pytest.mark.cpu_only, pytest.mark.slow]

EXAMPLES = Path(__file__).parents[2] / "examples"
ON_DIGITS = ["--data", "digits", "--epochs", "1", "--device", "cpu"]


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


mnist_mlp, mnist_cnn = load("mnist_mlp"), load("mnist_cnn")
WITH_OPTIONS = sorted(path.stem for path in EXAMPLES.glob("*.py") if "import argparse" in path.read_text("utf-8"))


def parsed(name, *options):
    """Return the parser of an example, and what it makes of a command line."""
    parsers, parse = [], argparse.ArgumentParser.parse_args
    module = load(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", lambda self: parsers.append(self) or parse(self))
        patch.setattr(sys, "argv", [f"{name}.py", *options])
        given = module.parse_arguments()
    return parsers[0], given


def run_mlp(*options, monkeypatch, capsys, folder):
    """Run examples/mnist_mlp.py in this process; return the accuracy that it printed."""
    arguments = [*ON_DIGITS, "--save", str(folder / "weights.safetensors"), *options]
    monkeypatch.setattr(sys, "argv", ["mnist_mlp.py", *arguments])
    mnist_mlp.main()
    assert (folder / "weights.safetensors").is_file()
    return float(re.search(r"^test accuracy (\d+\.\d\d) %$", capsys.readouterr().out, re.MULTILINE)[1])


CHOICES = [
    *(("--activation", name) for name in mnist_mlp.ACTIVATIONS),
    *(("--norm", name) for name in mnist_mlp.NORMS),
    *(("--optimizer", name) for name in mnist_mlp.OPTIMISERS),
    *(("--init", name) for name in ("xavier_uniform", "lecun_normal", "orthogonal", "truncated_normal")),
    ("--dropout", "0"),
    ("--hidden",),
    ("--hidden", "32"),
    ("--hidden", "64", "32", "16"),
    ("--batch-size", "500"),
    ("--epochs", "0"),
    ("--seed", "5"),
]


@pytest.mark.parametrize("options", CHOICES, ids=" ".join)
def test_every_choice_of_the_mlp_runs(options, monkeypatch, capsys, tmp_path):
    hidden = [] if "--hidden" in options else ["--hidden", "48"]
    accuracy = run_mlp(*hidden, *options, monkeypatch=monkeypatch, capsys=capsys, folder=tmp_path)
    assert 0 <= accuracy <= 100


@pytest.mark.parametrize("optimizer", mnist_mlp.OPTIMISERS)
def test_every_optimiser_of_the_mlp_learns(optimizer, monkeypatch, capsys, tmp_path):
    options = ["--optimizer", optimizer, "--hidden", "48", "--epochs", "6"]
    assert run_mlp(*options, monkeypatch=monkeypatch, capsys=capsys, folder=tmp_path) > 30  # chance is 10


def run_script(name, *options, folder, **environment):
    env = {k: v for k, v in os.environ.items() if k.lower() not in ("cunet_data", "no_proxy")}
    # Nobody listens on port 9: a download fails at once, whether or not this machine has a network.
    env |= {k: "http://127.0.0.1:9" for k in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    env |= {"XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(EXAMPLES.parent), **environment}
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *options]
    return subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True, text=True)


@pytest.mark.parametrize("name", WITH_OPTIONS)
def test_every_option_says_what_it_is(name):
    parser, _ = parsed(name)
    actions = [action for action in parser._actions if not action.help]
    assert not actions


@pytest.mark.parametrize("name", WITH_OPTIONS)
def test_help_fits_80_columns(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    parser, _ = parsed(name)
    assert [text for text in parser.format_help().splitlines() if len(text) > 80] == []


# Features are scaled in whole steps, and a search gives trials up between epochs.
@pytest.mark.parametrize("name", [name for name in WITH_OPTIONS if name not in ("feature_scaling", "search")])
def test_a_part_of_an_epoch_may_be_asked_for(name):
    _, given = parsed(name, "--epochs", "0.5")
    assert given.epochs == 0.5


@pytest.mark.parametrize("name", ["mnist_mlp", "mnist_cnn", "mnist_torch_style", "digits_gan", "uncertainty"])
def test_a_part_of_an_epoch_is_whole_batches(name):
    a, module = range(1442), load(name)
    for epochs, expected in [(0.5, (1, 768)), (1, (1, 1442)), (2, (2, 1442)), (0, (0, 128)), (0.0001, (1, 128))]:
        whole, part, same = module.share(epochs, 128, a, a)
        assert (whole, len(part)) == expected
        assert part == same


@pytest.mark.parametrize("name", ["mnist_mlp", "mnist_cnn", "mnist_torch_style"])
def test_where_weights_cannot_be_written_is_said_before_training(name, tmp_path, capsys, monkeypatch):
    with pytest.raises(SystemExit):
        parsed(name, "--save", str(tmp_path / "nowhere" / "w.safetensors"))
    assert f"argument --save: there is no folder {tmp_path / 'nowhere'}" in capsys.readouterr().err
    monkeypatch.setenv("HOME", str(tmp_path))
    assert parsed(name, "--save", "~/w.safetensors")[1].save == tmp_path / "w.safetensors"


def test_half_an_epoch_trains_on_half_of_the_images(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["x", *ON_DIGITS, "--epochs", "0.5", "--save", str(tmp_path / "w.safetensors")])
    mnist_cnn.main()
    assert "trained 768 images" in capsys.readouterr().out


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    """Of two processes, whose hashes of strings differ: shuffling, dropout, batch norm and all."""
    written, shown = [], []
    for number in ("1", "2"):
        run = run_script("mnist_mlp", *ON_DIGITS, "--hidden", "48", folder=tmp_path, PYTHONHASHSEED=number)
        written.append((tmp_path / "mnist_mlp.safetensors").read_bytes())
        shown.append([line for line in run.stdout.splitlines() if line.startswith("test accuracy")])
    assert written[0] == written[1]
    assert shown[0] == shown[1] != []


def test_without_mnist_an_example_says_what_it_takes_instead(tmp_path):
    run = run_script("mnist_loop", folder=tmp_path)
    assert run.stderr.startswith("Falling back to scikit-learn's 1,797 digits")
    assert "MNIST was not found" in run.stderr
    assert run.stdout.count("test accuracy") == 3


def test_who_asks_for_mnist_gets_nothing_else(tmp_path):
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run_script("mnist_mlp", "--data", "mnist", folder=tmp_path)
    assert "DatasetUnavailable: MNIST was not found" in caught.value.stderr
    assert "CUNET_DATA" in caught.value.stderr


def test_examples_keep_their_data_where_they_train():
    """A Loader that is not told its device leaves arrays on the host, and every batch is uploaded."""
    for path in EXAMPLES.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Loader":
                assert "device" in {keyword.arg for keyword in node.keywords}, path.name
