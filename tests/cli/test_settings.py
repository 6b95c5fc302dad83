"""A recipe's arguments as options."""

import argparse
from typing import Literal

import pytest

from cunet.cli.settings import add_settings, fitted, settings_of

pytestmark = pytest.mark.cpu_only


def recipe(
    *,
    count=3,
    rate=0.5,
    name="a",
    kind: Literal["x", "y"] = "x",
    fast=False,
    sizes=(4, 5),
    empty: tuple[int, ...] = (),
    listed=[1.5],  # noqa: B006 (which of the two it is, is what is tested)
    maybe: float | None = None,
    some: int | None = None,
    sure: bool | None = None,
):
    """Make nothing.

    Args:
        count: how many, 50 % of all
        rate, name: of a line
            and the next

    Returns:
        name: not an argument.
    """


def read(function, *arguments):
    parser = argparse.ArgumentParser()
    names = add_settings(parser, function)
    options = parser.parse_args(arguments)
    options.settings = names
    return parser, settings_of(options)


def test_defaults_are_those_of_the_recipe():
    _, found = read(recipe)
    assert found == {
        **{"count": 3, "rate": 0.5, "name": "a", "kind": "x", "fast": False, "sizes": (4, 5), "empty": ()},
        **{"listed": (1.5,), "maybe": None, "some": None, "sure": None},
    }
    assert fitted(recipe, found)["listed"] == [1.5] and fitted(recipe, found)["sizes"] == (4, 5)


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        ("--count 7", "count", 7),
        ("--rate 1e-3", "rate", 1e-3),
        ("--name 7", "name", "7"),
        ("--kind y", "kind", "y"),
        ("--fast", "fast", True),
        ("--no-fast", "fast", False),
        ("--sizes", "sizes", ()),
        ("--sizes 1 2 3", "sizes", (1, 2, 3)),
        ("--empty 1 2", "empty", (1, 2)),
        ("--listed 2 3", "listed", (2.0, 3.0)),
        ("--maybe 1", "maybe", 1.0),
        ("--some 1", "some", 1),
        ("--no-sure", "sure", False),
    ],
)
def test_values_are_read_as_what_the_default_or_the_annotation_is(given, name, value):
    found = read(recipe, *given.split())[1][name]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("given", ["--count 1.5", "--kind z", "--rate x", "--empty a", "--nothing 1"])
def test_what_does_not_fit_is_refused(given, capsys):
    with pytest.raises(SystemExit) as caught:
        read(recipe, *given.split())
    assert caught.value.code == 2
    assert given.split()[0] in capsys.readouterr().err


def test_an_argument_without_a_default_is_required(capsys):
    def bare(width: int, *rest, flag: bool, **more): ...

    assert read(bare, "--width", "3", "--flag")[1] == {"width": 3, "flag": True}
    with pytest.raises(SystemExit):
        read(bare)
    assert "required: --width" in capsys.readouterr().err


def test_help_is_the_line_of_the_docstring_with_the_default():
    text = " ".join(read(recipe)[0].format_help().split())
    assert "how many, 50 % of all (default: 3)" in text
    assert "of a line and the next (default: a)" in text
    assert "(default: 4 5)" in text
    assert "not an argument" not in text


def test_annotations_for_type_checkers_alone_are_passed_over():
    def odd(x: "Unknown" = 3): ...  # noqa: F821

    assert read(odd, "--x", "4")[1] == {"x": 4}


def test_a_name_that_is_taken_is_an_error():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out")
    with pytest.raises(argparse.ArgumentError, match="--out"):
        add_settings(parser, lambda out=1: None)
