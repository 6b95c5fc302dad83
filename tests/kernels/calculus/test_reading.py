"""Texts of kernels read as formulas."""

import numpy as np
import pytest

from cunet.kernels.calculus.reading import Unreadable, read
from cunet.kernels.calculus.terms import ONE, ZERO, add, call, make, mul, num, sub, ternary, var
from cunet.kernels.calculus.writing import body_of, text_of

pytestmark = pytest.mark.cpu_only

X, Y = var("x"), var("y")


def formula(text, inputs=("x", "y"), **kinds):
    types = dict.fromkeys(inputs, "A") | kinds
    (found,) = read(text, types, ("z",), {})
    return found


def value(text, **given):
    kinds = {n: "int64" for n, v in given.items() if isinstance(v, int) and not isinstance(v, bool)}
    kinds |= {n: "bool" for n, v in given.items() if isinstance(v, bool)}
    arrays = {n: np.array([v]) for n, v in given.items()}
    return body_of("f", list(given), [formula(text, tuple(given), **kinds)])(*arrays.values())[0]


def test_equal_formulas_are_one_object():
    assert formula("A t = x * y; z = t + t * x") is formula("z = x*y + (x*y)*x")
    assert formula("z = x; z *= y; z -= x") is sub(mul(X, Y), X)
    assert formula("z = max(x, y)") is formula("z = fmax(x, y)")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("z = x + y * 2", 1.5 + 2.5 * 2),
        ("z = (x + y) * 2", 8),
        ("z = x - y - 1", -2),
        ("z = x / y / 2", 1.5 / 2.5 / 2),
        ("z = -x * -y", 3.75),
        ("z = x < y ? x : y", 1.5),
        ("z = x < y && !(x == y) || false ? 1 : 0", 1),
        ("z = x > y ? 1 : x > 1 ? 2 : 3", 2),
        ("const A t = x, u = t * y; z = u - t", 1.5 * 2.5 - 1.5),
        ("float t = x; t += y; t /= 2.0f; z = t", 2),
        ("int k = y; z = k", 2),
        ("z = (int)y * x", 3),
        ("z = 7 / 2 + x", 4.5),
        ("z = A(7) / 2", 3.5),
        ("z = 7 % 4", 3),
        ("bool b = x > 1; z = b ? y : 0", 2.5),
        ("z = x > 1", 1),
        ("// words\nz = x; /* more\nwords */ z += 1e-1", 1.6),
        ("if (x > y) z = x; else { z = y; z += 1; }", 3.5),
        ("z = 0; if (x < y) { A t = x; z = t * t; }", 2.25),
        ("z = .5 + 1.", 1.5),
    ],
)
def test_value(text, expected):
    assert value(text, x=1.5, y=2.5) == pytest.approx(expected, rel=1e-15)


def test_whole_and_truth_inputs():
    assert value("z = k / 2 + x", x=0.5, k=5) == 2.5  # as in C
    assert value("z = on ? x : -x", x=0.5, on=False) == -0.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("z = x;\nfor (int k = 0; k < 3; ++k) z += y", r"line 2: 'for': a text that is differentiated has"),
        ("z = w", r"line 1: 'w': an unknown name"),
        ("A t; z = t", r"'t': is read before it is written"),
        ("z += x", r"'z': is read before it is written"),
        ("x = y", r"'x': neither an output nor a local name"),
        ("z = bessel(x)", r"'bessel': a function whose derivative is not known"),
        ("z = exp(x, y)", r"'exp': takes 1 arguments, got 2"),
        ("z = normcdf(x, &y)", r"'&': a result through a pointer"),
        ("z = x[0]", r"'x': elements of arrays"),
        ("A* p = x; z = x", r"'\*': pointers"),
        ("A p[3]; z = x", r"'\[': arrays have no derivative"),
        ("z = x +", r"'the end'"),
        ("z = (x", r"'\)' was expected"),
        ("z = x ? y", r"':' was expected"),
        ("z = x y", r"';' was expected"),
        ("z = x @ y", r"'@'"),
        ("A t = x", r"output 'z' is not assigned"),
        ("if (x > 0) z = x;", r"output 'z' is not assigned"),
        ("z = x << 2", r"'<<'"),
        ("return x", r"'return'"),
    ],
)
def test_what_is_outside_of_the_grammar_names_the_token(text, message):
    with pytest.raises(Unreadable, match=message):
        formula(text)


def test_what_is_known_in_a_branch_is_used():
    condition = make("<", X, ZERO)
    inner = ternary(condition, ZERO, ONE)
    assert ternary(condition, add(Y, inner), Y) is ternary(condition, Y, Y) is Y


def test_a_zero_branch_stays_zero_whatever_it_is_multiplied_by():
    z = formula("z = (x < 0 ? A(0) : y) * exp(x)")
    assert z.op == "?" and z.args[1].number == 0
    with np.errstate(all="ignore"):
        assert body_of("f", ["x", "y"], [z])(np.array([-np.inf]), np.array([np.inf]))[0] == 0


def test_numbers_are_folded_and_negative_zero_is_kept():
    assert formula("z = 2 * 3.5 - 1").number == 6
    assert str(formula("z = -0.0").number) == "-0.0" or formula("z = -0.0").number == 0
    assert mul(num(2.0), mul(num(3.0), X)) is mul(num(6.0), X)


def test_text_names_what_is_used_twice():
    text, preamble = text_of({"z": formula("z = exp(x) * exp(x) + sin(exp(x))"), "w": X})
    assert text.count("exp(") == 1
    assert preamble == ""
    assert read(text, {"x": "A"}, ("z", "w"), {})[1] is X


def test_helpers_are_defined_before_they_are_called():
    text, preamble = text_of({"z": call("damp", X, call("sech2", Y))})
    assert "cunet_damp(x, cunet_sech2(y))" in text
    assert preamble.count("__device__ inline A cunet_") == 2
    assert read(text, {"x": "A", "y": "A"}, ("z",), {})[0] is call("damp", X, call("sech2", Y))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_body_keeps_dtype_and_shape(dtype):
    body = body_of("f", ["x", "y"], [formula("z = x > y ? 1 : 2"), formula("z = 3")])
    for shape in [(), (0,), (2, 3)]:
        for part in body(np.ones(shape, dtype), np.zeros((), dtype)):
            assert (part.shape, part.dtype) == (shape, dtype)
