"""`python -m cunet.parity`: its table names every op, it holds on the simulated device, and it notices errors."""

import dataclasses
import json

import numpy as np
import pytest

import sim
from cunet import device, parity
from cunet.kernels import KERNELS
from cunet.parity import cases, target, training
from cunet.parity.row import public_ops
from sim.state import options

no_sim = sim.unavailable_reason()
on_sim = pytest.mark.skipif(bool(no_sim), reason=f"no simulated device: {no_sim}")


def test_every_public_op_has_a_row():
    missing = set(public_ops()) - {row.op for row in cases.ROWS}
    assert not missing, f"cunet/parity/cases/ has no row for {sorted(missing)}"
    assert {"add", "einsum", "elu", "dropout", "cross_entropy", "layer_norm", "logsumexp"} <= {*public_ops()}


def test_rows_have_names_of_their_own():
    names = [row.name for row in cases.ROWS]
    assert sorted(names) == sorted(set(names))


def test_every_exception_from_the_bounds_is_of_an_op_and_has_a_reason():
    assert set(parity.EXCEPTIONS) <= {row.op for row in cases.ROWS}
    assert all(len(reason) > 20 for _, reason in parity.EXCEPTIONS.values())


OTHERS = [pytest.param(dtype, marks=pytest.mark.slow) for dtype in ("float16", "bfloat16", "float64")]


@pytest.mark.parametrize("dtype", ["float32", *OTHERS])
@on_sim
def test_all_ops_are_within_bounds_on_the_simulated_device(dtype):
    with parity.target_device("sim"):
        (found,) = [d for d in parity.dtypes() if d.name == dtype]
        off = [r for r in (parity.compare(row, found) for row in cases.ROWS) if not r["holds"]]
    assert not off


@pytest.mark.slow
@on_sim
def test_training_gives_the_same_masks_and_losses():
    report = parity.make_report("sim", ops=["relu"])
    assert [t["dtype"] for t in report["training"]] == ["float32", "float64"]
    for t in report["training"]:
        assert t["holds"]
        assert t["masks_identical"]
        assert len(t["losses_cpu"]) == len(t["losses_device"]) == t["steps"] == 50
        assert t["losses_cpu"][-1] < 0.3 * t["losses_cpu"][0]  # it does learn


@on_sim
def test_dropout_masks_differ_from_step_to_step_and_are_noted():
    _, masks = parity.train_mlp("cpu", np.float32, 5)
    assert len(set(masks)) == 5


@on_sim
def test_the_command_writes_a_table_and_json(tmp_path, capsys):
    file = tmp_path / "parity.json"
    status = parity.main(["--device", "sim", "--ops", "elu", "layer_norm", "--steps", "3", "--json", str(file)])
    text = capsys.readouterr().out
    assert status == 0
    assert "parity holds (12 comparisons)" in text
    assert "the simulated device, which is no GPU" in text
    assert "layer_norm normalized_shape=700" in text
    assert "dropout masks: identical" in text
    assert max(map(len, text.splitlines())) <= 80
    report = json.loads(file.read_text())
    assert report["holds"] is True
    assert report["device"] == "sim"
    assert [(r["op"], r["dtype"]) for r in report["ops"]][:2] == [("elu", "float16"), ("elu", "bfloat16")]
    assert {"value_ulp", "gradient_ulp", "relative", "bound", "holds"} <= report["ops"][0].keys()


def plant(monkeypatch, kernel, operation):
    """Change the text of a kernel for the device alone: the CPU shall run the NumPy body."""
    monkeypatch.setattr(kernel, "spec", dataclasses.replace(kernel.spec, operation=operation))
    monkeypatch.setattr(kernel, "attached", {"native": None})
    monkeypatch.setattr(kernel, "prepared", {})


@pytest.mark.parametrize(
    ("kernel", "right", "wrong"),
    [("elu_backward", "gy", "-gy"), ("elu_forward", "expm1", "exp")],
    ids=["sign", "value"],
)
@on_sim
def test_a_wrong_cuda_body_is_noticed(kernel, right, wrong, monkeypatch, capsys):
    body = KERNELS[kernel]
    assert right in body.spec.operation
    plant(monkeypatch, body, body.spec.operation.replace(right, wrong))
    assert parity.main(["--device", "sim", "--ops", "elu", "--steps", "0"]) == 1
    text = capsys.readouterr().out
    assert "parity does NOT hold: elu float16, elu bfloat16, elu float32, elu float64" in text
    assert text.count("!") > 4


@on_sim
def test_an_op_that_fails_does_not_hide_the_others(monkeypatch, capsys):
    monkeypatch.setattr(options, "nvrtc", ())  # which would complain first, in a way of its own
    plant(monkeypatch, KERNELS["elu_forward"], "y = no_such_name")
    assert parity.main(["--device", "sim", "--ops", "elu", "relu", "--steps", "0"]) == 1
    text = capsys.readouterr().out
    assert "! elu float32: RuntimeError: elu: its CUDA kernel does not compile" in text
    assert "relu float32" not in text


@on_sim
def test_other_masks_are_noticed(monkeypatch):
    plain = parity.train_mlp
    monkeypatch.setattr(
        training, "train_mlp", lambda device, *args: (plain(device, *args)[0], ["other"] * (device == "gpu"))
    )
    with parity.target_device("sim"):
        found = parity.compare_training("float32", 2)
    assert not found["masks_identical"]
    assert not found["holds"]


def test_nothing_to_compare_with_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(target, "__file__", str(tmp_path / "site-packages" / "cunet" / "parity" / "target.py"))
    assert parity.main(["--device", "sim"]) == 2
    assert "source tree only (sim/), not in the installed package" in capsys.readouterr().err
    monkeypatch.setattr(device, "_gpu", None)
    monkeypatch.setattr(device, "_problem", "CuPy is not installed")
    for choice in ("gpu", "auto"):
        assert parity.main(["--device", choice]) == 2
        assert "CuPy is not installed" in capsys.readouterr().err


def test_an_unknown_op_is_said(capsys):
    assert parity.main(["--ops", "no_such_op"]) == 2
    assert "parity: no such op: no_such_op" in capsys.readouterr().err
