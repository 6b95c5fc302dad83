"""Parameter lists, and calls inside kernel texts."""

import pytest

from cunet.kernels.grammar import Param, calls, parse


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("", ()),
        ("T x", (Param("", "T", "x"),)),
        ("T x, raw int64 labels", (Param("", "T", "x"), Param("raw", "int64", "labels"))),
        ("row A mean, col A weight", (Param("row", "A", "mean"), Param("col", "A", "weight"))),
        ("raw row", (Param("", "raw", "row"),)),  # two words are a type and a name
    ],
)
def test_parameters(text, params):
    assert parse(text) == params
    assert [p.raw for p in parse(text)] == [p.place == "raw" for p in params]


@pytest.mark.parametrize("text", ["x", "T", "raw T", "const T x y", "T x y", "raw raw T x"])
def test_a_parameter_that_cannot_be_read_is_named(text):
    if text == "raw T":
        assert parse(text) == (Param("", "raw", "T"),)
        return
    with pytest.raises(ValueError, match=rf'must read "\[raw\|row\|col\] type name", got \'{text}\''):
        parse(text)


@pytest.mark.parametrize("name", ["i", "n", "in0", "out0", "_x"])
def test_names_that_cupy_uses_are_refused(name):
    with pytest.raises(ValueError, match=f"may not be called '{name}'"):
        parse(f"T {name}")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("y = epilogue(x)", [("epilogue", ["x"])]),
        ("y = epilogue(f(a, b[1, 2]) * {c, d}, e)", [("epilogue", ["f(a, b[1, 2]) * {c, d}", "e"])]),
        ("y = my_epilogue(x) + epilogue_(x) + p.epilogue(x)", []),
        ("a = epilogue_backward(g, z), b = epilogue(z)", [("epilogue_backward", ["g", "z"]), ("epilogue", ["z"])]),
        ("epilogue(epilogue(x))", [("epilogue", ["epilogue(x)"])]),
        ("epilogue()", [("epilogue", [""])]),
    ],
)
def test_calls_are_found_with_their_arguments(text, found):
    got = list(calls(text, ("epilogue", "epilogue_backward")))
    assert [(name, arguments) for _, _, name, arguments in got] == found
    assert all(text[start:end].startswith(name + "(") and text[end - 1] == ")" for start, end, name, _ in got)


def test_a_bracket_that_is_not_closed_is_an_error():
    with pytest.raises(ValueError, match="not closed"):
        list(calls("y = epilogue((x)", ["epilogue"]))
