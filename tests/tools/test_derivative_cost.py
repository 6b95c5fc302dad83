"""The tool that compares the times of gradients and Hessian-vector products."""

import derivative_cost
import numpy as np
import pytest

import cunet

pytestmark = pytest.mark.cpu_only


def test_calls_are_gradients_and_products():
    calls = derivative_cost.calls(3)
    shapes = [(512, 256), (256, 256), (256, 10)]
    for name in ("gradient", "hvp"):
        assert [g.shape for g in calls[name]()] == shapes
        assert min(derivative_cost.block(calls[name], 1)) > 0
    assert 0 < derivative_cost.peak(calls["gradient"]) < derivative_cost.peak(calls["hvp"])


def test_ratios_are_of_the_same_round():
    a, b = np.array([[2.0, 3.0], [4.0, 6.0], [9.0, 3.0]]), np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 1.0]])
    assert derivative_cost.ratio("x", a, b) == "x: 2.000 (2.000 to 2.500), of processors 3.000 (3.000 to 3.000)"


def test_an_older_checkout_has_gradients_alone(monkeypatch):
    monkeypatch.delattr(cunet, "hvp")
    assert [*derivative_cost.calls(3)] == ["gradient"]

    class Older:
        names = ["gradient"]  # noqa: RUF012

        def ask(self, name, count):
            assert name == "gradient"
            return 2**20 if count == "peak" else (2e-3, 4e-3)

    lines = derivative_cost.measured({"here": Older(), "there": Older()}, 3, 1)
    assert lines == [
        "here: gradient: 2.00 ms, of processors 4.00 ms, 1.0 MiB",
        "there: gradient: 2.00 ms, of processors 4.00 ms, 1.0 MiB",
        "gradient here / there: 1.000 (1.000 to 1.000), of processors 1.000 (1.000 to 1.000), memory 1.000",
    ]


@pytest.mark.slow
def test_checkouts_take_turns(capsys, monkeypatch):
    root = str(derivative_cost.ROOT)
    monkeypatch.setattr("sys.argv", ["", "--against", root, "--rounds", "1", "--calls", "1", "--samples", "2"])
    derivative_cost.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["here"] * 2 + ["there"] * 2 + ["here", "there"] + [
        "gradient here / there"
    ]
