"""Samples made by processes: the same bits, errors that name the sample, and nothing left behind."""

import multiprocessing
import os
import random
import signal

import numpy as np
import pytest
from helpers import turn
from loader_helpers import Broken, Drawn, Global, Pairs, flattened

import cunet
from cunet.data import CorruptFile, Loader, Stratified, Weighted
from cunet.random import manual_seed
from cunet.system.cpu import blas_threads, cores

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cpu_only,
    pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="workers are forked here"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),  # Python 3.12 and later
]


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    assert multiprocessing.active_children() == []


def forked(*args, workers=2, **kwargs):
    return Loader(*args, workers=workers, start_method="fork", **kwargs)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shuffle": True},
        {"drop_last": True, "shuffle": True},
        {"order": Weighted(np.arange(1, 24))},
        {"order": Stratified(np.arange(23) % 3)},
        {"dtype": np.float16},
    ],
    ids=["in order", "shuffled", "whole batches", "weighted", "stratified", "float16"],
)
def test_batches_are_the_same_with_any_number_of_workers(options):
    manual_seed(5)
    plain = Loader(Drawn(23), batch_size=4, **options)
    expected = [flattened(plain), flattened(plain)]
    assert expected[0] != expected[1]  # each epoch draws anew, also one in the order of the data
    for workers in (1, 3) if options else (1, 2, 7):
        with turn(workers):
            manual_seed(5)
            loader = forked(Drawn(23), batch_size=4, workers=workers, **options)
            assert [flattened(loader), flattened(loader)] == expected


def test_all_samples_in_their_order_come_from_workers_too():
    ahead = forked(Drawn(9), batch_size=4, shuffle=True, drop_last=True).in_order()
    assert flattened(ahead) == flattened(Loader(Drawn(9), batch_size=4, shuffle=True).in_order())


def test_samples_that_come_twice_in_an_epoch_are_drawn_twice():
    loader = forked(Drawn(2), batch_size=8, order=lambda draw, n: np.array([1, 1]))
    (batch,) = loader
    assert batch["i"].tolist() == [1, 1]
    assert (batch["own"][0] != batch["own"][1]).all() and (batch["drawn"][0] != batch["drawn"][1]).all()


def test_draws_of_samples_depend_on_the_seed_and_do_not_count():
    epochs = []
    for seed in (1, 2):
        manual_seed(seed)
        dataset = Drawn(8)
        epochs.append(flattened(Loader(dataset, batch_size=4)))
        assert cunet.random.default_generator("mine").call == dataset.own.call == 0
    assert epochs[0] != epochs[1]


def test_global_generators_are_seeded_by_the_sample_in_workers_and_left_alone_without():
    epochs = [np.concatenate([x for (x,) in forked(Global(), batch_size=4, workers=n)]) for n in (1, 3)]
    np.testing.assert_array_equal(*epochs)
    assert len(np.unique(epochs[0])) == 24
    np.random.seed(4)
    random.seed(4)
    expected = [np.random.random(), random.random()]
    np.random.seed(4)
    random.seed(4)
    assert next(iter(Loader(Global(), batch_size=1)))[0][0].tolist() == expected


@pytest.mark.parametrize("shuffle", [False, True])
def test_an_epoch_goes_on_where_it_was_left(shuffle):
    manual_seed(1)
    whole = Loader(Drawn(17), batch_size=4, shuffle=shuffle)
    flattened(whole)
    expected = [flattened(whole), flattened(whole)]
    manual_seed(1)
    loader = forked(Drawn(17), batch_size=4, shuffle=shuffle)
    flattened(loader)
    iterator = iter(loader)
    seen = flattened([next(iterator), next(iterator)])
    state = loader.state_dict()
    assert state["next_batch"] == 2  # what workers have ready counts for nothing
    del iterator
    resumed = forked(Drawn(17), batch_size=4, shuffle=shuffle, workers=3)
    resumed.load_state_dict(state)
    assert [seen + flattened(resumed), flattened(resumed)] == expected
    resumed.load_state_dict({key: value for key, value in state.items() if key != "epoch"})  # from before 0.2.0


def test_iterations_may_be_nested_and_left_early():
    loader = forked(Pairs(np.arange(6.0), np.arange(6)), batch_size=2)
    pairs = [(int(a[1][0]), int(b[1][0])) for a in loader for b in loader]
    assert pairs == [(a, b) for a in (0, 2, 4) for b in (0, 2, 4)]
    for _ in loader:
        break
    assert multiprocessing.active_children() == []


def test_any_arrays_arrive_as_they_are():
    strange = [
        np.zeros((2, 0, 3)),
        np.arange(6, dtype=">f4").reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.arange(12)[::-2].reshape(2, 3),
        np.array(7, np.float16),
        "a word",
        cunet.tensor(np.ones(2, np.float32)),
        np.arange(100_000.0).reshape(2, 50_000),
    ]
    ((found,),) = forked(Broken(1, 0, lambda: strange), batch_size=1, collate=lambda samples: samples)
    for sent, came in zip(strange, found, strict=True):
        if isinstance(sent, np.ndarray):
            assert came.dtype == sent.dtype and came.shape == sent.shape and came.flags.writeable
            np.testing.assert_array_equal(came, sent)
    assert found[5] == "a word" and found[6].data.tolist() == [1, 1]


def test_an_error_names_the_sample_and_the_line_when_its_batch_is_due():
    def wrong():
        raise CorruptFile("picture.png", "truncated")

    loader = forked(Broken(20, 9, wrong), batch_size=2)
    seen = []
    with pytest.raises(CorruptFile, match=r"picture\.png: truncated") as caught:
        for (x,) in loader:
            seen.append(x.tolist())
    assert seen == [[0, 1], [2, 3], [4, 5], [6, 7]]
    notes = "\n".join(caught.value.__notes__)
    assert "sample 9 of the dataset, for batch 4 of the epoch" in notes
    assert 'raise CorruptFile("picture.png", "truncated")' in notes and "test_workers.py" in notes
    with pytest.raises(CorruptFile) as caught:
        list(Loader(Broken(20, 9, wrong), batch_size=2))
    assert caught.value.__notes__ == ["Loader: this was in sample 9 of the dataset, for batch 4 of the epoch"]


def test_an_error_that_cannot_be_sent_is_told():
    class Local(Exception):
        pass

    def wrong():
        raise Local("of here")

    with pytest.raises(RuntimeError, match="Local: of here") as caught:
        list(forked(Broken(4, 1, wrong)))
    assert "sample 1 of the dataset" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    "end, said",
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "worker 1 of 2 was killed by signal 9"),
        (lambda: os._exit(3), "worker 1 of 2 ended with exit status 3"),
    ],
)
def test_a_worker_that_dies_is_told(end, said):
    seen = []
    with pytest.raises(RuntimeError, match=said):
        for (x,) in forked(Broken(8, 6, end), batch_size=2):
            seen.append(x[0])
    assert seen == [0, 2, 4]


def test_workers_run_one_thread_each_and_leave_signals_to_the_parent():
    def look():
        return np.array([cores(), blas_threads() or 1, cunet.kernels.backends.native.native.threads or 1])

    before = cores(), blas_threads()
    ((found,),) = forked(Broken(1, 0, look))
    assert found.tolist() == [[1, 1, 1]]
    assert (cores(), blas_threads()) == before and "CUNET_NUM_THREADS" not in os.environ

    def signals():
        return np.array([signal.getsignal(n) == signal.SIG_IGN for n in (signal.SIGINT, signal.SIGTERM)])

    ((found,),) = forked(Broken(1, 0, signals))
    assert found.all()


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="workers must be at least 0, got -1"):
        Loader(Drawn(3), workers=-1)
    with pytest.raises(TypeError):
        Loader(Drawn(3), workers=1.5)
    with pytest.raises(TypeError, match="workers are for datasets"):
        Loader(np.arange(3), workers=2)
    with pytest.raises(ValueError, match="start_method must be one of .*fork.* here, got 'thread'"):
        Loader(Drawn(3), workers=1, start_method="thread")
    loader = Loader(Drawn(3), workers=1, start_method="spawn", collate=lambda samples: samples)
    with pytest.raises(TypeError, match=r"dataset \(Drawn\) and collate must be picklable"):
        next(iter(loader))


class Noisy(Drawn):
    """Samples with a target, drawn anew in each epoch."""

    def __getitem__(self, i):
        drawn = super().__getitem__(i)["drawn"].astype(np.float32)
        return drawn, np.int64(drawn[0] > drawn[1])


def run(workers, folder, stop=None):
    """Train on samples that are drawn; return the weights and losses, or stop after a step."""
    manual_seed(0)
    model = cunet.nn.Sequential(cunet.nn.Linear(4, 4), cunet.nn.Dropout(), cunet.nn.Linear(4, 2))

    class Stop(cunet.train.Callback):
        def on_batch_end(self, trainer):
            if trainer.global_step == stop:
                raise KeyError

    callbacks = [cunet.train.Checkpoint(folder, monitor=None, every_steps=1), Stop()]
    trainer = cunet.train.Trainer(model, "cross_entropy", "sgd", callbacks=callbacks, device="cpu", progress=False)
    loader = Loader(Noisy(20), batch_size=6, shuffle=True, workers=workers, start_method="fork")
    trainer.fit(loader, epochs=3, resume="auto")
    return [w.tobytes() for w in model.state_dict().values()], [logs["loss"] for logs in trainer.history]


def test_a_run_is_the_same_with_workers_also_where_it_goes_on(tmp_path):
    whole = run(0, tmp_path / "whole")
    assert run(2, tmp_path / "workers") == whole
    with pytest.raises(KeyError):
        run(2, tmp_path / "cut", stop=6)  # in the second epoch
    assert run(3, tmp_path / "cut") == whole


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_workers_that_are_not_forked_make_the_same_batches(start_method):
    manual_seed(2)
    expected = flattened(Loader(Drawn(9), batch_size=2, shuffle=True))
    manual_seed(2)
    assert flattened(Loader(Drawn(9), batch_size=2, shuffle=True, workers=2, start_method=start_method)) == expected
