"""Intervals against SciPy and by hand, inside the range of the metric; verdicts that never take a
wide interval for no harm.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sim.evidence import intervals
from sim.evidence.intervals import CHANGE, HARMED, UNDECIDED, WITHIN, Interval
from sim.evidence.metrics import ANY, SHARE

DROP = 0.05
SHARES = st.lists(st.floats(0, 1), min_size=2, max_size=6)
CHANGES = st.lists(st.floats(-1, 1), min_size=1, max_size=6)


@pytest.mark.parametrize("values", [(1.0, 2.0, 4.0), (0.25, 0.75), (0.1, 0.4, 0.35, 0.2, 0.6)])
def test_the_interval_of_a_mean_is_students(values: tuple[float, ...]) -> None:
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert intervals.mean_interval(values) == (pytest.approx(low), pytest.approx(high))


@pytest.mark.parametrize("values", [(), (0.5,)])
def test_fewer_than_two_values_have_no_interval(values: tuple[float, ...]) -> None:
    assert intervals.mean_interval(values) is None
    assert intervals.change_interval(values, values) is None
    assert intervals.clustered_rate_interval(values, [10] * len(values)) is None
    assert intervals.excess_interval(values, values, [10] * len(values)) is None


@given(SHARES)
def test_intervals_of_scores_hold_the_mean_and_stay_in_their_range(values: list[float]) -> None:
    interval = intervals.mean_interval(values, SHARE)
    assert interval is not None
    assert 0 <= interval.low <= np.mean(values) + 1e-12
    assert np.mean(values) - 1e-12 <= interval.high <= 1


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=6))
def test_intervals_of_changes_leave_no_score_outside_its_range(
    pairs: list[tuple[float, float]],
) -> None:
    controls = [control for control, _ in pairs]
    changes = [score - control for score, control in pairs]
    interval, control = (
        intervals.change_interval(changes, controls),
        intervals.mean_interval(controls, SHARE),
    )
    assert interval is not None
    assert control is not None
    assert -1 <= interval.low <= np.mean(changes) + 1e-12
    assert np.mean(changes) - 1e-12 <= interval.high <= 1
    assert interval.high <= max(1 - control.low, np.mean(changes)) + 1e-12


def test_from_a_score_near_one_nothing_is_stated_to_rise_by_much() -> None:
    interval = intervals.change_interval([-0.293, -0.947, -0.248], [0.994, 0.997, 0.998])
    assert interval is not None
    assert interval.low == -1
    assert 0 < interval.high < 0.01  # 0.475 as Student has it


def test_cutting_to_the_range_loses_no_coverage() -> None:
    """Of 4000 samples of three from a skewed distribution near 1, the cut interval holds the mean
    as often as Student's does.
    """
    draws = np.random.default_rng(0).beta(8, 0.5, size=(4000, 3))
    mean = 8 / 8.5
    plain = sum(
        one.low <= mean <= one.high
        for row in draws
        if (one := intervals.mean_interval(row.tolist())) is not None
    )
    cut = sum(
        one.low <= mean <= one.high
        for row in draws
        if (one := intervals.mean_interval(row.tolist(), SHARE)) is not None
    )
    assert cut == plain


@pytest.mark.parametrize(("successes", "trials"), [(3, 10), (17, 480), (0, 12), (12, 12)])
def test_rate_interval_is_the_beta_quantiles(successes: int, trials: int) -> None:
    low, high = intervals.rate_interval(successes, trials)
    assert low == pytest.approx(
        stats.beta.ppf(0.025, successes, trials - successes + 1) if successes else 0.0
    )
    assert high == pytest.approx(
        stats.beta.ppf(0.975, successes + 1, trials - successes) if successes < trials else 1.0
    )


def test_the_interval_of_a_clustered_rate_is_that_of_korn_and_graubard() -> None:
    """0.2 and 0.4 of 50 each: variance of the mean 0.01, 21 independent trials, times (1.9842 /
    12.7062) squared.
    """
    found = intervals.clustered_rate_interval([0.2, 0.4], [50, 50])
    effective = 0.3 * 0.7 / 0.01 * (stats.t.ppf(0.975, 99) / stats.t.ppf(0.975, 1)) ** 2
    expected = stats.beta.ppf(
        [0.025, 0.975],
        [0.3 * effective, 0.3 * effective + 1],
        [0.7 * effective + 1, 0.7 * effective],
    )
    assert found == pytest.approx(tuple(expected))


@pytest.mark.parametrize(("rates", "low", "high"), [([0.0] * 3, 0.0, None), ([1.0] * 3, None, 1.0)])
def test_rates_of_none_and_all_have_an_interval_that_ends_there_and_is_not_a_point(
    rates: list[float], low: float | None, high: float | None
) -> None:
    found = intervals.clustered_rate_interval(rates, [40] * 3)
    assert found is not None
    assert low is None or found.low == low
    assert high is None or found.high == high
    assert 0.05 < found.high - found.low < 0.5


@given(SHARES)
def test_clustered_intervals_hold_the_rate_and_are_no_narrower_than_independent_ones(
    rates: list[float],
) -> None:
    counts = [round(40 * rate) for rate in rates]
    found = intervals.clustered_rate_interval([count / 40 for count in counts], [40] * len(rates))
    exact = intervals.rate_interval(sum(counts), 40 * len(rates))
    assert found is not None
    assert 0 <= found.low <= exact.low + 1e-9
    assert exact.high - 1e-9 <= found.high <= 1


def test_success_beyond_false_triggers_is_students_and_no_point_where_seeds_agree() -> None:
    spread = intervals.excess_interval([0.5, 0.7, 0.9], [0.0, 0.0, 0.0], [1000] * 3)
    assert spread == (pytest.approx(0.7 - 4.302653 * 0.2 / 3**0.5), 1.0)
    agreeing = intervals.excess_interval([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [50] * 3)
    # Agresti and Caffo: (0 + 1) / (150 + 2), twice
    error = (2 * (1 / 152) * (151 / 152) / 152) ** 0.5
    assert agreeing == (pytest.approx(-4.302653 * error), pytest.approx(4.302653 * error))


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(1, 200)), min_size=2, max_size=6
    )
)
def test_success_beyond_false_triggers_stays_in_its_range(
    parts: list[tuple[float, float, int]],
) -> None:
    first, second, sizes = zip(*parts, strict=True)
    found = intervals.excess_interval(first, second, sizes)
    assert found is not None
    assert -1 <= found.low <= found.high <= 1


def verdict(*losses: float) -> str:
    return intervals.losses(losses, intervals.mean_interval(losses, CHANGE), DROP).verdict


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ((0.293, 0.947, 0.248), HARMED),  # every seed, though the interval of the mean holds 0
        ((0.05, 0.05), HARMED),
        ((0.06, 0.06, 0.049), HARMED),  # the mean, and its interval lies above 0
        ((0.9, 0.0, 0.0, 0.0, 0.0), UNDECIDED),
        ((0.04, 0.0, -0.04), UNDECIDED),
        ((0.5,), UNDECIDED),
        ((0.0,), UNDECIDED),
        ((0.001, 0.0, 0.002), WITHIN),
        ((0.0, 0.0), UNDECIDED),  # two that agree may do so by chance
        ((0.0, 0.0, 0.0), WITHIN),
        ((0.01, 0.011, 0.012), WITHIN),  # a loss, but not a material one
    ],
)
def test_verdicts(losses: tuple[float, ...], expected: str) -> None:
    assert verdict(*losses) == expected


@pytest.mark.parametrize(
    ("losses", "n_undefined", "expected"),
    [
        ((), 1, UNDECIDED),
        ((), 2, HARMED),
        ((0.3,), 1, HARMED),
        ((0.0,), 1, UNDECIDED),
        ((0.0, 0.0, 0.0), 1, UNDECIDED),
        ((0.3, 0.31, 0.29), 1, HARMED),
        ((0.07, 0.07, 0.049), 1, HARMED),  # by the mean of the others
    ],
)
def test_a_seed_without_a_figure_lost_more_than_any_figure_shows(
    losses: tuple[float, ...], n_undefined: int, expected: str
) -> None:
    interval = intervals.mean_interval(losses, CHANGE)
    assert intervals.verdict(losses, interval, DROP, n_undefined) == expected


@given(CHANGES)
def test_no_loss_is_never_shown_where_a_seed_or_the_interval_lost_a_material_share(
    losses: list[float],
) -> None:
    interval = intervals.mean_interval(losses, CHANGE)
    found = intervals.losses(losses, interval, DROP)
    if found.verdict == WITHIN:
        assert interval is not None
        assert interval.high < DROP
        assert max(losses) < DROP
        assert len(losses) >= intervals.LEAST_WITHIN
    if min(losses) >= DROP and len(losses) > 1:
        assert found.verdict == HARMED


def test_what_rounding_takes_off_a_loss_does_not_count() -> None:
    assert DROP > 0.85 - 0.8
    assert verdict(0.85 - 0.8, 0.9 - 0.85) == HARMED


@pytest.mark.parametrize(
    ("differences", "apart"),
    [
        ((0.1, 0.11, 0.12), True),
        ((-0.1, -0.11, -0.12), True),
        ((0.06, 0.9), True),
        ((0.04, 0.9), False),
        ((0.9,), False),
    ],
)
def test_two_sides_are_distinguished_by_their_interval_or_by_every_seed(
    differences: tuple[float, ...], apart: bool
) -> None:
    assert intervals.are_apart(differences, DROP) is apart


def test_a_loss_keeps_its_least_and_its_worst_seed() -> None:
    found = intervals.losses([0.1, 0.0, 0.3], Interval(-0.2, 0.5), DROP)
    assert (found.least, found.worst, found.n_material, found.n) == (0.0, 0.3, 2, 3)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=6))
def test_the_cut_by_the_control_changes_no_sign_of_a_bound(
    pairs: list[tuple[float, float]],
) -> None:
    controls, changes = (
        [control for control, _ in pairs],
        [score - control for control, score in pairs],
    )
    plain, cut = intervals.mean_interval(changes), intervals.change_interval(changes, controls)
    assert plain is not None
    assert cut is not None
    assert (cut.high < 0, cut.low > 0) == (plain.high < 0, plain.low > 0)


@given(st.data())
def test_the_interval_of_two_groups_is_welchs(data: st.DataObject) -> None:
    scores = st.lists(st.integers(0, 100), min_size=2, max_size=8, unique=True)
    before, after = ([one / 100 for one in data.draw(scores)] for _ in range(2))
    found = intervals.unpaired_interval(before, after, ANY)
    assert found is not None
    outside = stats.ttest_ind(after, before, equal_var=False).confidence_interval(0.95)
    assert found == (pytest.approx(outside.low, abs=1e-9), pytest.approx(outside.high, abs=1e-9))
    cut = intervals.unpaired_interval(before, after)
    assert cut == (max(-1, found.low), min(1, found.high))


def test_two_groups_of_seeds_that_agree_have_a_point() -> None:
    found = intervals.unpaired_interval([0.5, 0.5], [0.75, 0.75])
    assert found == (0.25, 0.25)


def test_two_groups_of_rates_are_no_certainty_where_seeds_agree() -> None:
    """The variance of their counts by Agresti and Caffo holds the interval open."""
    found = intervals.unpaired_interval([0.0, 0.0], [0.5, 0.5], CHANGE, (20, 40))
    padded = [(1 / 22, 22), (21 / 42, 42)]
    error = np.sqrt(sum(rate * (1 - rate) / n for rate, n in padded))
    half = stats.t.ppf(0.975, 2) * error
    assert found == (pytest.approx(0.5 - half), pytest.approx(min(1, 0.5 + half)))


@pytest.mark.parametrize(("before", "after"), [([0.5], [0.1, 0.2]), ([0.1, 0.2], [])])
def test_a_group_of_fewer_than_two_has_no_interval(before: list[float], after: list[float]) -> None:
    assert intervals.unpaired_interval(before, after) is None
