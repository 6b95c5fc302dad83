"""What a step's code asks for by name, which a replay would not ask."""

import itertools
import logging
import os
import random
import time

import numpy as np
import pytest
from record_helpers import POISONED, STEPS, Pair, batch, records, refused, trained

pytestmark = [
    pytest.mark.cpu_only,
    pytest.mark.skipif(POISONED or not records(), reason="kernels run on NumPy here"),
]
LOG = logging.getLogger("test")


def late(side, x, y):
    return x if time.monotonic() < 0 else x * 1


def asked(side, x, y):
    return x if os.environ.get("NO_SUCH_NAME") else x * 1


def told(side, x, y):
    LOG.debug("step")


def imported(side, x, y):
    import datetime

    return datetime.datetime.now()


def saved(side, x, y):
    np.save(os.devnull, x)


def fresh(side, x, y):
    return np.random.default_rng().random() < 0.5


@pytest.mark.parametrize("ask, why", [
    (late, "asks time"), (asked, "asks os"), (told, "asks logging"), (imported, "asks datetime"),
    (saved, "calls save"), (fresh, "calls default_rng"),
], ids=lambda value: getattr(value, "__name__", ""))  # fmt: skip
def test_what_python_asks_elsewhere(rng, ask, why):
    def step(side):
        def asking(x, y):
            ask(side, x, y)
            return trained(side, x, y)

        return asking

    assert why in refused(rng, step)


@pytest.mark.parametrize("held", [random.Random(0), LOG, time.time], ids=["random numbers", "log", "clock"])
def test_objects_that_act(rng, held):
    def step(side):
        side.held = held

        def acting(x, y):
            return trained(side, x, y) if side.held is not None else None

        return acting

    assert "something else each time" in refused(rng, step)


def test_modules_whose_functions_only_compute_may_be_asked(rng):
    pair = Pair(step=lambda side: lambda x, y: trained(side, x, y).detach() * float(max(*itertools.accumulate((1, 1)))))
    for _ in range(STEPS):
        pair.both(*batch(rng))
    assert pair.replays
