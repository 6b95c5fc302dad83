"""Intervals, files of JSON lines, verdicts."""

import json
import math

import numpy as np
import pytest

from lab.findings import Finding
from lab.results import _T, Interval, Results, plain, read

pytestmark = pytest.mark.cpu_only


def test_quantiles_are_those_of_students_t():
    stats = pytest.importorskip("scipy.stats")
    np.testing.assert_allclose(_T, stats.t.ppf(0.975, np.arange(1, 31)), atol=6e-4)


def test_an_interval_by_hand():
    interval = Interval.of([1.0, 2.0, 3.0])
    half = 4.303 / math.sqrt(3)
    assert interval == pytest.approx((2, 2 - half, 2 + half))
    assert interval.above(1) == pytest.approx((1, 1 - half, 1 + half))
    assert interval.below(1) == pytest.approx((-1, -1 - half, -1 + half))
    assert 10 * interval == pytest.approx((20, 20 - 10 * half, 20 + 10 * half))
    assert f"{interval:.1f}" == "2.0 [-0.5, 4.5]"
    assert f"{interval:.0%}" == "200% [-48%, 448%]"


def test_the_interval_covers_the_mean_in_95_of_100_samples(rng):
    hits = [i.low < 0 < i.high for i in map(Interval.of, rng.standard_normal((4000, 5)))]
    assert np.mean(hits) == pytest.approx(0.95, abs=5 * math.sqrt(0.05 * 0.95 / 4000))


@pytest.mark.parametrize("values", [[3.0], [1.0, math.nan], [1.0, math.inf]])
def test_of_one_seed_or_what_is_not_finite_everything_is_possible(values):
    interval = Interval.of(values)
    assert (interval.low, interval.high) == (-math.inf, math.inf)
    assert "no interval" in f"{interval:.1f}"


def test_equal_values_have_no_brackets():
    assert f"{Interval.of([2.0, 2.0]):.1f}" == "2.0"


def rows():
    for norm in (False, True):
        for seed in (1, 0):  # in any order
            yield {"piece": {"norm": norm, "seed": seed}, "found": {"loss": 1.0 + norm + 10 * seed, "curve": [seed, 2]}}


def test_comparisons_are_made_seed_by_seed():
    r = Results(rows())
    np.testing.assert_array_equal(r.values("loss", norm=True), [2, 12])
    np.testing.assert_array_equal(r.values("curve", norm=True), [[0, 2], [1, 2]])
    assert r.difference("loss", {"norm": True}, {"norm": False}) == (1, 1, 1)
    assert r.ratio("loss", {"norm": True}, {"norm": False}).mean == pytest.approx(math.sqrt(2 * 12 / 11))
    assert r.each("norm") == [False, True]
    assert [(setting, len(part.rows)) for setting, part in r.settings()] == [({"norm": False}, 2), ({"norm": True}, 2)]


def test_a_setting_that_was_not_run_is_an_error():
    with pytest.raises(LookupError, match="no results where {'norm': 3}"):
        Results(rows()).values("loss", norm=3)


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"piece": 1}\n{"piece": 2, "fou')
    assert read(path) == [{"piece": 1}]
    assert read(tmp_path / "none.jsonl") == []


def test_what_is_written_is_json_of_six_digits():
    value = plain([np.float32(1 / 3), np.int64(4), math.nan, math.inf, True, np.bool_(False), "a", None])
    assert value == [0.333333, 4, None, None, True, False, "a", None]
    assert json.loads(json.dumps(value, allow_nan=False)) == value


PRO, CONTRA, NOISE = Interval(1, 0.5, 1.5), Interval(-1, -1.5, -0.5), Interval(0.1, -1, 1)


@pytest.mark.parametrize(
    ("evidence", "verdict", "certainty"),
    [
        ([PRO], "holds", "robust: the interval excludes none"),
        ([PRO, PRO], "holds", "robust: all 2 intervals exclude none"),
        ([PRO, NOISE], "holds in part", "1 of 2 comparisons robust, the others within noise"),
        ([PRO, CONTRA], "holds in part", "robust: all 2 intervals exclude none"),
        ([CONTRA], "does not hold", "robust: the interval excludes none"),
        ([NOISE], "does not hold", "within noise"),
        ([], "does not hold", "within noise"),
    ],
)
def test_verdicts_follow_from_intervals(evidence, verdict, certainty):
    finding = Finding("N1", "", "", "", tuple(evidence))
    assert (finding.verdict, finding.certainty) == (verdict, certainty)
    assert finding._replace(wording=True).verdict == "a matter of wording"
