"""What the tests of cunet.search search: small functions at the top of a module, which workers can import."""

import os
import time
from pathlib import Path

import cunet
from cunet.search import Float, Int, search

SPACE = {"x": Float(-4, 4), "y": Float(1e-4, 1, log=True), "n": Int(1, 64, log=True), "kind": ["a", "b"]}


def bowl(trial):
    """A number that depends on the values and on nothing else."""
    return (trial["x"] - 1) ** 2 + abs(trial["y"] - 0.1) + trial["n"] / 64 + (trial["kind"] == "b")


def seeded(trial):
    """A number that depends on the trial's seed as well."""
    return bowl(trial) + cunet.random.default_generator("dropout").rng().standard_normal()


def waiting_once(trial):
    """Like `seeded`; the third trial waits to be killed, if none was before; the file says that it does."""
    flag = Path(os.environ["CUNET_TEST_FLAG"])
    if trial.number == 2 and not flag.exists():
        flag.write_text(str(os.getpid()))
        time.sleep(60)
    return seeded(trial)


def failing(trial):
    raise RuntimeError("a mistake in build")


def found(build=bowl, trials=6, space=SPACE, **options):
    """Search in memory, if no other storage is given."""
    return search(build, space, trials, **{"storage": None, **options})


def rows(result):
    """Return what was tried and what came out, as numbers that can be compared."""
    return [(*trial.params.values(), trial.value) for trial in result.trials if trial.state != "lost"]
