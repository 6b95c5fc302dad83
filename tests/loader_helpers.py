"""What the tests of the loader share."""

import random as python_random

import numpy as np
from helpers import host

from cunet.random import Generator, default_generator


def numbers(loader):
    """Return the batches of an epoch of a loader of one array as lists."""
    return [host(x).tolist() for (x,) in loader]


def flat(batches):
    """Return the elements of all batches."""
    return [i for batch in batches for i in batch]


class Pairs:
    """A dataset, which goes through nothing by itself."""

    def __init__(self, *columns):
        self.columns = columns

    def __len__(self):
        return len(self.columns[0])

    def __getitem__(self, i):
        return tuple(column[i] for column in self.columns)


class Drawn:
    """A dataset whose samples are drawn anew each time, from streams of cunet, one of them its own."""

    def __init__(self, n):
        self.n, self.own = n, Generator(3, "own")

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        first, second = default_generator("mine").rng().normal(size=3), self.own.rng().normal(size=2)
        again = default_generator("mine").rng().normal()
        return {"i": i, "drawn": np.append(first, again), "own": second}


class Global:
    """A dataset that draws from the global generators of NumPy and Python."""

    def __len__(self):
        return 12

    def __getitem__(self, i):
        return np.array([np.random.random(), python_random.random()])


class Broken:
    """A dataset of which one sample does something else."""

    def __init__(self, n, broken, instead):
        self.n, self.broken, self.instead = n, broken, instead

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return self.instead() if i == self.broken else float(i)


def flattened(loader):
    """Return the batches of an epoch of a loader of dicts as bytes."""
    return [[(key, x.dtype.str, x.shape, x.tobytes()) for key, x in batch.items()] for batch in loader]
