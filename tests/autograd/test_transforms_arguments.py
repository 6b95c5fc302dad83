"""Which arguments `grad` differentiates by: positions, names, given by position or by name."""

import numpy as np
import pytest
from helpers import host

from cunet import grad, value_and_grad


def loss(w, b=1.0, *, scale=1.0):
    return (w * w * b * scale).sum()


def close(gradient, expected):
    np.testing.assert_allclose(host(gradient), expected, rtol=1e-12)


def test_an_argument_by_its_name(dev):
    w, b = dev([1.0, 2.0]), dev([3.0, 4.0])
    close(grad(loss, argnums="w")(w, b), [6, 16])
    close(grad(loss, argnums="b")(w, b), [1, 4])
    close(grad(loss, argnums="b")(w, b=b), [1, 4])
    close(grad(loss, argnums="scale")(w, b, scale=dev(2.0)), 19)
    close(grad(loss)(w=w, b=b), [6, 16])
    close(grad(loss, argnums=1)(w, b=b), [1, 4])
    close(grad(loss, argnums=-1)(w, b), [1, 4])
    close(grad(loss, argnums=np.int64(1))(w, b), [1, 4])
    value, (for_b, for_w) = value_and_grad(loss, argnums=("b", 0))(w, b)
    assert float(value) == 19
    close(for_b, [1, 4])
    close(for_w, [6, 16])
    (alone,) = grad(loss, argnums=["w"])(w, b)
    close(alone, [6, 16])


def test_names_of_trees_and_of_what_has_no_signature(dev):
    def of_tree(params, x):
        return (params["w"] * x + params["b"][0]).sum()

    found = grad(of_tree, argnums="params")({"w": dev([1.0, 2.0]), "b": [dev([0.0, 0.0])]}, dev([3.0, 4.0]))
    close(found["w"], [3, 4])
    close(found["b"][0], [1, 1])
    anything = grad(lambda *arrays, **named: (arrays[1] * named["k"]).sum(), argnums=(1, "k"))
    first, second = anything(dev([9.0]), dev([2.0]), k=dev([5.0]))
    close(first, [5])
    close(second, [2])


@pytest.mark.cpu_only
@pytest.mark.parametrize(
    "argnums, error, message",
    [
        ("q", TypeError, r"loss was not given the argument 'q' of argnums; given: \['w', 'b'\]"),
        (2, TypeError, "was not given the argument 2 of argnums"),
        (-3, TypeError, "was not given the argument -3 of argnums"),
        ((0, 5), TypeError, "was not given the argument 5"),
        ("scale", TypeError, "was not given the argument 'scale'"),
        (1.0, TypeError, "argnums must be positions or names of arguments, got 1.0"),
        (None, TypeError, "argnums must be positions or names of arguments, got None"),
        ((0, "w"), ValueError, r"argnums must be different arguments, got \(0, 'w'\)"),
        ((0, 0), ValueError, "argnums must be different arguments"),
    ],
    ids=[*"abcdefghi"],
)
def test_argnums_that_are_none_are_named(argnums, error, message):
    with pytest.raises(error, match=f"^grad: .*{message}"):
        grad(loss, argnums=argnums)(np.ones(2), np.ones(2))
