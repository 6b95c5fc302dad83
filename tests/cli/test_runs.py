"""The folder of a run."""

import json
import os

import numpy as np
import pytest

from cunet.cli.recipes import Picture
from cunet.cli.runs import RUN, WEIGHTS, Run

pytestmark = pytest.mark.cpu_only


def run_in(folder, **settings):
    return Run(folder, "mine:make", {"width": 4, **settings}, 3, 2, Picture(3, 0.5, 2.0, True))


def test_a_run_is_read_as_it_was_written(here):
    run = run_in(here, hidden=(3, 4), rate=0.1, name=None)
    run.write()
    assert Run.read(here) == Run.read(str(here)) == run
    assert not list(here.glob("*.part"))


def test_what_json_has_not_is_left_to_the_default(here):
    run_in(here, data=np.ones(3)).write()
    assert Run.read(here).settings == {"width": 4}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"recipe": 3', '{"recipe": "a", "settings": []}'])
def test_what_is_no_run_is_refused(text, here):
    (here / RUN).write_text(text)
    with pytest.raises(ValueError, match=f"{RUN} does not describe a run"):
        Run.read(here)


def test_where_there_is_no_run_the_error_says_how_to_make_one(here):
    with pytest.raises(FileNotFoundError, match="no run in nowhere .*; cunet train makes one"):
        Run.read("nowhere")


def test_one_seed_makes_one_net(here):
    runs = run_in(here), run_in(here), Run(here, "mine:make", {}, 4, 1)
    first, same, other = (run.job().trainer.model for run in runs)
    np.testing.assert_array_equal(first[0].weight.data, same[0].weight.data)
    assert first[0].weight.shape == (4, 9) and other[0].weight.shape == (8, 9)


def test_the_newest_weights_are_loaded(here):
    run = run_in(here)
    job = run.job()
    with pytest.raises(FileNotFoundError, match="no weights in .* yet"):
        run.loaded()
    weight = job.trainer.model[0].weight
    for number, path in enumerate(("step-000000001.safetensors", WEIGHTS, "step-000000002.safetensors")):
        weight.data[...] = number
        (job.trainer.save if path.startswith("step") else job.trainer.model.save)(here / path)
        os.utime(here / path, (number, number))
        np.testing.assert_array_equal(run.loaded()[0][0].weight.data, number)


def test_a_net_of_ours_is_made_without_its_data(here, monkeypatch):
    run = Run(here, "mnist-mlp", {"hidden": (3,), "data": "mnist"}, 0, 1, Picture(5, 0, 1, True))
    monkeypatch.setattr("cunet.cli.recipes.load_images", None)
    run.made().net(5).save(here / WEIGHTS)
    assert run.loaded()[0][0].weight.shape == (3, 25)
    assert json.dumps(run.settings)
