"""What the tests of the loader share."""

from helpers import host


def numbers(loader):
    """Return the batches of an epoch of a loader of one array as lists."""
    return [host(x).tolist() for (x,) in loader]


def flat(batches):
    """Return the elements of all batches."""
    return [i for batch in batches for i in batch]
