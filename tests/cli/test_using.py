"""What is done with a run: evaluate, predict, export, summary, report."""

import numpy as np
import pytest
from cli_helpers import asked

from cunet import onnx
from cunet.cli import main
from cunet.cli.runs import Run
from cunet.system.files import load_arrays

pytestmark = pytest.mark.cpu_only

RUN = "runs/mine.make"


@pytest.fixture
def trained(here, capsys):
    return here, asked(capsys, "train", "mine:make", "--epochs", "4", "--images", "--rate", "0.05")


def test_a_run_is_evaluated_on_what_it_validates_on(trained, capsys):
    last = trained[1]["history"][-1]
    found = asked(capsys, "evaluate", RUN)
    assert found == pytest.approx({"loss": last["valid_loss"], "accuracy": last["valid_accuracy"]}, rel=1e-6)
    assert main(["evaluate", RUN]) == 0
    assert capsys.readouterr().out == f"loss {last['valid_loss']:.4g}, accuracy {last['valid_accuracy']:.4g}\n"


def test_a_run_without_data_to_validate_on_says_so(here, capsys):
    asked(capsys, "train", "mine:blind")
    assert main(["evaluate", "runs/mine.blind"]) == 1
    assert "mine:blind gives no data to validate on" in capsys.readouterr().err


def test_images_get_classes_and_probabilities(trained, capsys):
    image = pytest.importorskip("PIL.Image")
    shades = np.zeros((3, 3, 3), np.uint8)
    for k in range(3):
        shades[k, 0, k] = 250  # the inputs' first three numbers say which class it is
        image.fromarray(shades[k]).save(f"{k}.png")
    found = asked(capsys, "predict", RUN, "0.png", "1.png", "2.png")
    model = Run.read(RUN).loaded()[0].eval()
    x = (shades / 255 - 0.5).reshape(3, 9).astype(np.float32) / 2
    scores = model(x).data.astype(np.float64)
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    for k, row in enumerate(found):
        assert row["image"] == f"{k}.png" and row["class"] == expected[k].argmax()
        np.testing.assert_allclose(row["probabilities"], expected[k], atol=1e-4)
    assert main(["predict", RUN, "0.png"]) == 0
    best = expected[0].argsort()[::-1]
    assert capsys.readouterr().out.startswith(f"0.png: {best[0]} ({expected[0][best[0]]:.1%}), then {best[1]} (")


def test_a_file_of_export_predicts_without_the_run(trained, capsys):
    image = pytest.importorskip("PIL.Image")
    image.fromarray(np.arange(9, dtype=np.uint8).reshape(3, 3)).save("a.png")
    expected = asked(capsys, "predict", RUN, "a.png")
    asked(capsys, "export", RUN, "net.safetensors")
    (trained[0] / RUN / "run.json").unlink()
    assert asked(capsys, "predict", "net.safetensors", "a.png") == expected


def test_layers_of_others_are_written_as_weights_alone(here, capsys):
    asked(capsys, "train", "mine:unregistered")
    assert main(["export", "runs/mine.unregistered", "w.safetensors"]) == 0
    said = capsys.readouterr().err
    assert said.startswith("cunet export: weights alone, without their layers: ") and "Mine" in said
    assert "0.weight" in load_arrays("w.safetensors")
    assert main(["predict", "w.safetensors", "a.png"]) == 1
    assert "has weights and no layers" in capsys.readouterr().err


def test_a_net_that_takes_no_images_says_so(here, capsys):
    asked(capsys, "train", "mine:make")
    assert main(["predict", RUN, "a.png"]) == 1
    assert "does not say how images become inputs" in capsys.readouterr().err


def test_weights_are_written_for_others(trained, capsys):
    found = asked(capsys, "export", RUN, "w.safetensors")
    assert found["bytes"] == (trained[0] / "w.safetensors").stat().st_size
    for name, array in Run.read(RUN).loaded()[0].state_dict().items():
        np.testing.assert_array_equal(load_arrays("w.safetensors")[name], array)
    assert main(["export", RUN, "w.pt"]) == 1
    assert "the file must end in .safetensors or .onnx, got 'w.pt'" in capsys.readouterr().err


def test_a_model_is_written_as_onnx(trained, capsys, rng):
    pytest.importorskip("onnx.checker")
    found = asked(capsys, "export", RUN, "net.onnx")
    assert found["bytes"] == (trained[0] / "net.onnx").stat().st_size
    x = rng.normal(size=(5, 9)).astype(np.float32)
    expected = Run.read(RUN).loaded()[0].eval()(x).data
    np.testing.assert_allclose(onnx.load("net.onnx").eval()(x).data, expected, rtol=1e-4, atol=1e-5)


def test_the_model_of_a_run_or_a_recipe_is_shown(trained, capsys):
    found = asked(capsys, "summary", RUN)
    assert found["parameters"] == 9 * 8 + 8 + 16 + 27 and found["flops"] == 2 * 8 * (9 + 3)
    assert [layer["kind"] for layer in found["layers"]][:2] == ["Linear", "BatchNorm1d"]
    assert main(["summary", "mine:make"]) == 0
    assert "123 parameters" in capsys.readouterr().out
    assert main(["summary", "mnist-cnn"]) == 0
    assert "273,046 parameters" in capsys.readouterr().out


def test_epochs_are_told(trained, capsys):
    found = asked(capsys, "report", RUN)
    assert found["history"] == trained[1]["history"] and found["settings"]["rate"] == 0.05
    assert main(["report", RUN]) == 0
    rows = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == "epoch" and rows[-4:] == ["1", "2", "3", "4"]
    for path in (trained[0] / RUN).glob("step-*"):
        path.unlink()
    assert main(["report", RUN]) == 1
    assert "holds no checkpoint yet" in capsys.readouterr().err
