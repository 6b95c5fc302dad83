"""Docstrings: the examples of public objects run, and print what they say."""

import doctest
import inspect
import os
import re

import numpy as np
import pytest
from helpers import turn
from public_objects import ELSEWHERE, public_modules, public_objects

import cunet
from cunet import functional, init, nn, optim
from cunet.kernels.backends.native import native

pytestmark = pytest.mark.cpu_only

#: What an example may use without importing it.
NAMES = {"np": np, "cunet": cunet, "nn": nn, "F": functional, "init": init, "optim": optim}


def test_every_public_object_has_an_example():
    lacking = [f"{module}.{name}" for module, name, found in public_objects() if ">>>" not in (found.__doc__ or "")]
    assert not lacking, "write an example into these docstrings"


def test_examples_stand_in_a_section_of_that_name_at_the_end():
    sections = {
        f"{module}.{name}": re.findall("^([A-Z][a-z]+):", inspect.cleandoc(found.__doc__), re.MULTILINE)
        for module, name, found in public_objects()
    }
    assert [name for name, found in sections.items() if found[-1:] != ["Example"] or found.count("Example") != 1] == []


@pytest.mark.parametrize("module", sorted(public_modules() | ELSEWHERE))
def test_examples_run(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(native, "active", native.active)  # examples switch the route
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    for place, name, found in public_objects():
        if place != module:
            continue
        with turn(name):
            for example in doctest.DocTestFinder().find(found, name, module=False, globs=dict(NAMES)):
                cunet.manual_seed(0)
                runner, said = doctest.DocTestRunner(optionflags=flags), []
                runner.run(example, out=said.append)
                assert not runner.failures, "".join(said)
    assert os.getcwd() == str(tmp_path)
