"""The command ``cunet``: its parsers, and what runs which of them."""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from collections.abc import Sequence
from typing import Any

from ..data import DatasetUnavailable
from ..doctor import command as doctor
from ..warmup import command as warmup
from . import training, using
from .recipes import RECIPES, find
from .settings import add_settings

_EXAMPLES = """examples:
  cunet train mnist-cnn --epochs 3 --out runs/cnn
  cunet train nets:make --help         a function of yours, in nets.py
  cunet resume runs/cnn                after Ctrl-C, or a power cut
  cunet export runs/cnn cnn.safetensors
  cunet predict cnn.safetensors seven.png

exit status:
  0 done; 1 it failed, and stderr says why; 2 wrong arguments;
  130 stopped by Ctrl-C or SIGTERM, after saving what was learnt
"""
_TRAIN = """Train a net; what is learnt goes to a folder, from which all other commands
read it. Ctrl-C ends training after the current batch, and saves.

recipes:
{recipes}
  MODULE:FUNCTION
              a function of yours that returns a Trainer, or a tuple
              (trainer, train) or (trainer, train, valid) with data as for
              Trainer.fit; its arguments are options here

cunet train RECIPE --help lists the settings of one.
"""
_PAGE: dict[str, Any] = {"metavar": "FILE", "help": "an HTML page to write while training goes on, and at its end"}


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help of at most 80 columns."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=24, width=79)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0, 1 for a failure, 130 after Ctrl-C; argparse exits with 2."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if os.getcwd() not in sys.path:  # modules here are found, as by python -m
        sys.path.insert(0, os.getcwd())
    if given[:1] == ["doctor"]:
        return doctor.main(given[1:], prog="cunet doctor")
    if given[:1] == ["warm"]:
        return warmup.main(given[1:], prog="cunet warm")
    options = _parser(given).parse_args(given)
    try:
        return options.run_command(options)
    except KeyboardInterrupt:
        print("cunet: interrupted", file=sys.stderr)
        return training.INTERRUPTED
    except BrokenPipeError:  # who read the output has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (OSError, ImportError, ValueError, TypeError, ArithmeticError, DatasetUnavailable) as error:
        if options.traceback:
            raise
        print(f"cunet {options.command}: {error}", file=sys.stderr)
        return 1


def _parser(given: list[str]) -> argparse.ArgumentParser:
    """Return the parser, with the settings of the recipe that is to be trained."""
    description = "Train, look at and use nets of NumPy and CuPy arrays."
    parser = argparse.ArgumentParser("cunet", description=description, epilog=_EXAMPLES, formatter_class=_Help)
    version = vars(sys.modules["cunet"])["__version__"]
    parser.add_argument("--version", action="version", version=f"cunet {version}", help="show the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print one line of JSON, for scripts")
    shared.add_argument("--traceback", action="store_true", help="show where in the code a failure came from")
    _add_train(commands, shared, given)

    def add(name: str, run_command: object, told: str, *places: tuple[str, str]) -> argparse.ArgumentParser:
        one = commands.add_parser(name, parents=[shared], help=told, description=f"{told[0].upper()}{told[1:]}.",
                                  formatter_class=_Help)  # fmt: skip
        for place, meaning in places:
            one.add_argument(place, metavar=place.upper(), help=meaning)
        one.set_defaults(run_command=run_command)
        return one

    run = ("run", "the folder of a run, such as runs/mnist-cnn")
    resume = add("resume", training.resume, "go on with a run that was stopped, to the bit", run)
    resume.add_argument("--report", **_PAGE)
    add("evaluate", using.evaluate, "measure a run on its validation data", run)
    images = add(
        "predict", using.predict, "tell the classes of images", ("run", "the folder of a run, or a file of export")
    )
    images.add_argument("images", nargs="+", metavar="IMAGE", help="a file of an image: PNG or what else Pillow reads")
    add(
        "export",
        using.export,
        "write a run's model for others",
        run,
        ("file", "where to: a name in .safetensors or .onnx"),
    )
    add("summary", using.summary, "show the model of a run or a recipe", ("what", "folder of a run, or a recipe"))
    add("report", using.report, "tell what happened in the epochs of a run", run)
    commands.add_parser("doctor", help="say what is found on this machine, and what to install")
    commands.add_parser("warm", help="compile kernels for this processor, before they are needed")
    return parser


def _add_train(commands: argparse._SubParsersAction, shared: argparse.ArgumentParser, given: list[str]) -> None:
    """Add ``cunet train``; the recipe is looked for before all else, as its arguments are options."""
    recipes = "\n".join(f"  {name:<11} {(recipe.__doc__ or '').splitlines()[0]}" for name, recipe in RECIPES.items())
    told = _TRAIN.format(recipes=recipes)
    train = commands.add_parser("train", parents=[shared], help="train a net", description=told, formatter_class=_Help)
    train.add_argument("recipe", metavar="RECIPE", help="what to train: a name above, or MODULE:FUNCTION")
    train.add_argument("--out", metavar="FOLDER", help="where the run is kept (default: runs/RECIPE)")
    train.add_argument("--report", **_PAGE)
    train.set_defaults(run_command=training.train, settings=[], epochs=1, seed=0)
    if given[:1] != ["train"] or len(given) < 2 or given[1].startswith("-"):
        return
    try:
        recipe = find(given[1])
        names = add_settings(train, recipe)
    except (ValueError, argparse.ArgumentError) as error:
        train.error(str(error))
    train.usage = f"cunet train {given[1]} [options]"
    train.description = (inspect.getdoc(recipe) or "").partition("\n")[0]
    if "epochs" not in names:
        train.add_argument("--epochs", type=int, metavar="N", help="passes over the data (default: 1)")
    if "seed" not in names:
        train.add_argument("--seed", type=int, metavar="N", help="of weights, order and dropout (default: 0)")
    train.set_defaults(settings=names)
