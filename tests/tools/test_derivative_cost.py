"""The tool that compares the times of gradients and Hessian-vector products."""

import derivative_cost
import numpy as np
import pytest

import cunet

pytestmark = pytest.mark.cpu_only


def test_calls_are_gradients_and_products():
    calls = derivative_cost.calls(3, 7)
    shapes = [(512, 256), (256, 256), (256, 10)]
    for name in ("gradient", "hvp"):
        assert [g.shape for g in calls[name]()] == shapes
        assert min(derivative_cost.block(calls[name], 1)) > 0
    assert 0 < derivative_cost.peak(calls["gradient"]) < derivative_cost.peak(calls["hvp"])
    value, tangent = calls["jvp"]()
    assert value.shape == tangent.shape == calls["chain"]().shape == (7,)


def test_ratios_are_of_the_same_round():
    a, b = np.array([[2.0, 3.0], [4.0, 6.0], [9.0, 3.0]]), np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 1.0]])
    assert derivative_cost.ratio("x", a, b) == "x: 2.000 (2.000 to 2.500), of processors 3.000 (3.000 to 3.000)"


def test_an_older_checkout_has_functions_and_gradients_alone(monkeypatch):
    monkeypatch.delattr(cunet, "hvp")
    monkeypatch.delattr(cunet, "jvp")
    assert [*derivative_cost.calls(3, 7)] == ["gradient", "chain"]

    class Checkout:
        def __init__(self, *names):
            self.names = names

        def ask(self, name, count):
            assert name in self.names
            return 2**20 if count == "peak" else (2e-3, 4e-3)

    lines = derivative_cost.measured(
        {"here": Checkout("gradient", "chain", "jvp"), "there": Checkout("gradient", "chain")}, 3, 1
    )
    same = "1.000 (1.000 to 1.000), of processors 1.000 (1.000 to 1.000)"
    assert lines[0] == "here: gradient: 2.00 ms, of processors 4.00 ms, 1.0 MiB"
    assert lines[5:] == [
        f"here: jvp / chain: {same}",
        f"gradient here / there: {same}, memory 1.000",
        f"chain here / there: {same}, memory 1.000",
    ]


@pytest.mark.slow
def test_checkouts_take_turns(capsys, monkeypatch):
    root = str(derivative_cost.ROOT)
    monkeypatch.setattr(
        "sys.argv", ["", "--against", root, "--rounds", "1", "--calls", "1", "--samples", "2", "--elements", "3"]
    )
    derivative_cost.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        *["here"] * 4, *["there"] * 4, *["here"] * 2, *["there"] * 2, "gradient here / there", "chain here / there"
    ]  # fmt: skip
