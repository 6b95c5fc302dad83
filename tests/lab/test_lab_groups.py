"""Every group runs, at a tiny size on scikit-learn's digits, and says something of what it claims to test."""

import numpy as np
import pytest

from cunet.data import load_images
from lab import group, nets, worker
from lab.findings import Finding
from lab.results import Results

pytestmark = [pytest.mark.cpu_only, pytest.mark.slow]

TINY = group.SIZES["tiny"]


@pytest.fixture(autouse=True)
def digits(monkeypatch):
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    split = load_images("digits")
    monkeypatch.setattr(nets, "_read", list(split))


@pytest.mark.parametrize("name", group.NAMES)
def test_a_group_runs_finds_and_draws(name):
    for library in ("matplotlib", *(["optuna"] if name == "hyperparameters" else [])):
        pytest.importorskip(library)
    pieces = group.pieces(name, TINY)
    results = Results({"piece": piece, "found": worker.compute(name, piece)} for piece in pieces)
    keys = {tuple(row["found"]) for row in results.rows}
    assert len(keys) == 1  # of one group all pieces find the same things
    found = list(group.load(name).findings(results))
    assert found and all(isinstance(finding, Finding) and finding.says.endswith(".") for finding in found)
    assert len({finding.item for finding in found}) == len(found)
    figure = group.load(name).draw(results)
    assert all(ax.get_xlabel() or ax.get_ylabel() for ax in figure.axes)


@pytest.mark.parametrize("name", group.NAMES)
def test_every_size_has_pieces_that_differ(name):
    for size in group.SIZES.values():
        pieces = group.pieces(name, size, seed=4)
        assert len({str(piece) for piece in pieces}) == len(pieces)
        assert {piece["seed"] for piece in pieces} == set(range(4 + size.first, 4 + size.first + size.seeds))


def test_a_group_that_is_not_there():
    with pytest.raises(ValueError, match=r"a group must be one of ravine, .*; got 'nonsense'"):
        group.load("nonsense")


# -- what groups share


def test_batches_hold_every_row_once_a_pass_and_follow_the_seed():
    def first(seed):
        rows = nets.batches(10, 3, seed)
        return [next(rows) for _ in range(6)]

    taken = first(0)
    for k in (0, 3):
        assert len(set(np.concatenate(taken[k : k + 3]))) == 9
    np.testing.assert_array_equal(taken, first(0))
    assert not np.array_equal(taken, first(1))


def test_images_are_standardised_and_drawn_by_seed():
    one, same, other = nets.mnist(200, 0, test=50), nets.mnist(200, 0), nets.mnist(200, 1)
    assert one.x.dtype == np.float32 and one.x.shape == (200, 64) and one.test_x.shape == (50, 64)
    assert abs(one.x.mean()) < 0.05 and one.x.std() == pytest.approx(1, abs=0.05)
    np.testing.assert_array_equal(one.x, same.x)
    assert not np.array_equal(one.y, other.y)


def test_training_looks_before_between_and_after(rng):
    from cunet import nn, optim

    model = nets.mlp((64, 8, 10), norm=nn.BatchNorm1d, drop=0.1)
    assert [type(layer).__name__ for layer in model] == ["Linear", "BatchNorm1d", "ReLU", "Dropout", "Linear"]
    data, seen = nets.mnist(300, 0), []
    before = nets.mean_loss(model, data.x, data.y)
    optimizer = optim.Adam(model.parameters(), 0.01)
    nets.train(model, optimizer, data.x, data.y, steps=50, batch=30, seed=0, look=seen.append, every=20)
    assert seen == [0, 20, 40, 50]
    assert nets.mean_loss(model, data.x, data.y) < 0.5 * before
    assert nets.accuracy(model, data.x, data.y) > 0.7


def test_the_first_value_that_is_high_enough():
    assert nets.first_at([0.1, 0.5, 0.9], 0.5, every=10, limit=99) == 10
    assert nets.first_at([0.1, 0.5, 0.9], 0.95, every=10, limit=99) == 99


# -- what some of them have of their own


def test_ghost_batches_share_statistics_and_leave_one_set_for_evaluation(rng):
    from cunet import nn
    from lab.groups.batch_noise import BATCH, GhostNorm

    x = rng.standard_normal((BATCH, 3)).astype(np.float32) * 2 + 1
    whole, plain = GhostNorm(3, BATCH), nn.BatchNorm1d(3)
    np.testing.assert_allclose(whole(x).data, plain(x).data, atol=1e-6)
    ghost = GhostNorm(3, 16)
    y = ghost(x).data.reshape(16, -1, 3)  # 16 samples of each of 16 ghosts
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(y.var(axis=0), 1, atol=1e-4)
    for _ in range(100):
        ghost(x), plain(x)
    with ghost.evaluating(), plain.evaluating():
        np.testing.assert_allclose(ghost(x[:5]).data, plain(x[:5]).data, atol=0.05)


def test_accuracy_by_batch_is_that_of_training_mode_on_whole_batches(rng):
    from cunet import nn

    norm = nn.BatchNorm1d(2)
    x = np.array([[0, 0], [300, 1], [0, 1], [400, 0], [1, 0]], np.float32)
    labels = np.array([0, 0, 1, 0, 0])  # right as the numbers are; of the normalised ones the second is of class 1
    assert nets.accuracy(norm, x[:4], labels[:4]) == 1
    norm.weight.data = np.array([1, 2], np.float32)
    assert nets.accuracy_by_batch(norm, x, labels, 2) == 0.75
    assert norm.training


def test_steps_of_a_sequence_have_statistics_of_their_own_and_the_last_ones_go_on(rng):
    from lab.groups.recurrent_norms import StepNorm

    norm, x = StepNorm(3, 2), rng.standard_normal((50, 3)).astype(np.float32)
    for _ in range(60):
        norm(x, 0), norm(x + 5, 1)
    norm.eval()
    for t, shift in ((0, 0), (1, 5), (2, 5), (9, 5)):
        np.testing.assert_allclose(norm(x + shift, t).data.mean(axis=0), 0, atol=0.05)


def test_the_area_under_the_curve_is_that_of_scikit_learn(rng):
    from sklearn.metrics import roc_auc_score

    from lab.groups.dropout_average import auroc

    plain, other = rng.standard_normal(40), rng.standard_normal(30) + 0.5
    expected = roc_auc_score([0] * 40 + [1] * 30, np.concatenate([plain, other]))
    assert auroc(plain, other) == pytest.approx(expected)


def test_steps_along_the_gradient_leave_the_weights_as_they_were():
    from lab.groups.smoothness import along

    data, model = nets.mnist(100, 0), nets.mlp((64, 8, 10))
    before = [p.data.copy() for p in model.parameters()]
    spread, move, beta = along(model, data.x, data.y)
    assert min(spread, move, beta) > 0
    for p, values in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.data, values)
