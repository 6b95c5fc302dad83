"""The state of a loader: stopped and resumed epochs give the same batches."""

import json

import numpy as np
import pytest
from helpers import host
from loader_helpers import numbers

from cunet.data import Loader
from cunet.random import Generator


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("stop", range(5))
def test_stopping_inside_an_epoch_and_going_on(dev, shuffle, stop):
    x = dev(np.arange(17))

    def make(seed):
        return Loader(x, batch_size=4, shuffle=shuffle, generator=Generator(seed))

    whole = make(3)
    epochs = [numbers(whole) for _ in range(3)]

    stopped = make(3)
    assert numbers(stopped) == epochs[0]
    for i, (batch,) in enumerate(stopped):
        assert host(batch).tolist() == epochs[1][i]
        if i == stop:
            state = json.loads(json.dumps(stopped.state_dict()))
            break

    resumed = make(99)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    if stop < 4:  # after the last batch nothing is left of the epoch: the next one begins
        assert numbers(resumed) == epochs[1][stop + 1 :]
    assert numbers(resumed) == epochs[2]


def test_a_state_between_epochs_begins_the_next_one():
    loader = Loader(np.arange(9), batch_size=4, shuffle=True, generator=Generator(3))
    numbers(loader)
    state = loader.state_dict()
    second = numbers(loader)
    resumed = Loader(np.arange(9), batch_size=4, shuffle=True, generator=Generator(0))
    resumed.load_state_dict(state)
    assert numbers(resumed) == second


def test_a_resumed_epoch_can_be_stopped_again():
    loader = Loader(np.arange(20), batch_size=4, shuffle=True, generator=Generator(3))
    expected = numbers(Loader(np.arange(20), batch_size=4, shuffle=True, generator=Generator(3)))
    seen = []
    for _ in range(len(expected)):
        iterator = iter(loader)
        seen.append(next(iterator)[0].tolist())
        loader.load_state_dict(loader.state_dict())
    assert seen == expected


def test_a_state_of_another_loader_is_refused_and_changes_nothing():
    def make(n=10, **kwargs):
        return Loader(np.arange(n), generator=Generator(1), **{"batch_size": 3, "shuffle": True, **kwargs})

    source = make()
    next(iter(source))
    state = source.state_dict()
    for other, reason in [
        (make(n=11), "n_samples 10, this loader 11"),
        (make(batch_size=4), "batch_size 3, this loader 4"),
        (make(shuffle=False), "shuffle=True, this loader False"),
    ]:
        before = other.state_dict()
        with pytest.raises(ValueError, match=reason):
            other.load_state_dict(state)
        assert other.state_dict() == before
    with pytest.raises(ValueError, match="at batch 5, this loader has 4"):
        make().load_state_dict({**state, "next_batch": 5})
    with pytest.raises(ValueError, match="must have the keys"):
        make().load_state_dict({"next_batch": 1})
