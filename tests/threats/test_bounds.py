"""Bounds are on the side that does not flatter, and hold as often as they state."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom, t

from sim.evidence.metrics import ANY, SHARE
from threats import bounds
from threats.levels import of_share

ALPHAS = st.sampled_from([0.01, 0.05, 0.1])


@st.composite
def counts(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Records tried by seed, equally many or not, and how many of them were a success."""
    sizes = st.one_of(st.integers(1, 8), st.sampled_from([1, 2, 20, 60]))
    equal = draw(st.booleans())
    tried = draw(st.lists(sizes, min_size=1, max_size=6))
    tried = [tried[0]] * len(tried) if equal else tried
    return [draw(st.integers(0, n)) for n in tried], tried


def level_of_no_success(n: int) -> str:
    return of_share(bounds.of_seeds(0, n).upper)


def test_no_success_needs_13_trials_for_low_and_59_for_very_low() -> None:
    assert [level_of_no_success(n) for n in (1, 2, 12)] == ["high", "moderate", "moderate"]
    assert [level_of_no_success(n) for n in (13, 58)] == ["low", "low"]
    assert [level_of_no_success(n) for n in (59, 500)] == ["very_low", "very_low"]


def test_no_record_recovered_needs_as_many_independent_records() -> None:
    few, some, many = (bounds.of_records([0] * n, [8] * n) for n in (2, 5, 20))
    assert few.n_effective < 13 <= some.n_effective < 59 <= many.n_effective
    assert [of_share(one.upper) for one in (few, some, many)] == ["high", "low", "very_low"]


@given(st.integers(1, 300), st.data(), ALPHAS)
def test_bounds_of_independent_trials_are_those_of_the_binomial(
    n: int, data: st.DataObject, alpha: float
) -> None:
    k = data.draw(st.integers(0, n))
    lower, upper = bounds.exact(k, n, alpha)
    assert lower <= k / n <= upper
    if k < n:
        assert binom.cdf(k, n, upper) == pytest.approx(alpha, abs=1e-9)
    if k > 0:
        assert binom.sf(k - 1, n, lower) == pytest.approx(alpha, abs=1e-9)


@given(st.integers(1, 100), st.data())
def test_one_success_more_never_lowers_a_bound(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n - 1))
    before, after = bounds.of_seeds(k, n), bounds.of_seeds(k + 1, n)
    assert after.lower >= before.lower
    assert after.upper >= before.upper


@settings(deadline=None)
@given(counts(), st.data())
def test_one_record_more_never_lowers_a_bound_whatever_the_other_seeds_are(
    made: tuple[list[int], list[int]], data: st.DataObject
) -> None:
    found, tried = made
    open_ = [i for i, one in enumerate(found) if one < tried[i]]
    if not open_:
        return
    which = data.draw(st.sampled_from(open_))
    more = [one + (i == which) for i, one in enumerate(found)]
    before, after = bounds.of_records(found, tried), bounds.of_records(more, tried)
    assert after.lower >= before.lower - 1e-12
    assert after.upper >= before.upper - 1e-12


@settings(deadline=None)
@given(counts())
def test_records_of_shared_seeds_tell_no_more_than_independent_ones(
    made: tuple[list[int], list[int]],
) -> None:
    found, tried = made
    rate = bounds.of_records(found, tried)
    assert rate.n_effective <= rate.n == sum(tried)
    assert rate.lower - 1e-12 <= rate.share <= rate.upper + 1e-12
    if len(set(tried)) == 1:
        alone = bounds.exact(sum(found), sum(tried))
        assert rate.lower <= alone.lower + 1e-12
        assert rate.upper >= alone.upper - 1e-12


@settings(deadline=None)
@given(counts())
def test_the_bounds_of_failures_mirror_those_of_successes(
    made: tuple[list[int], list[int]],
) -> None:
    found, tried = made
    rate = bounds.of_records(found, tried)
    mirror = bounds.of_records([n - k for k, n in zip(found, tried, strict=True)], tried)
    assert (1 - mirror.upper, 1 - mirror.lower) == pytest.approx((rate.lower, rate.upper))


def test_a_seed_with_many_records_counts_as_much_as_one_with_few() -> None:
    """Bounds and estimate are of the same figure: the mean over seeds of the rate of each."""
    rate = bounds.of_records([0] * 9 + [100], [1] * 9 + [100])
    assert (rate.successes, rate.n) == (100, 109)
    assert rate.share == pytest.approx(0.1)
    assert rate.lower < 0.1 < rate.upper < 0.5


def plain_bound(found: Sequence[int], tried: Sequence[int]) -> float:
    """Korn and Graubard's upper bound of the outcome itself, without those below it."""
    shares = [k / n for k, n in zip(found, tried, strict=True)]
    mean, n = statistics.fmean(shares), sum(tried)
    spread = statistics.variance(shares) / len(shares)
    alike = min(n, mean * (1 - mean) / spread) if spread > 1e-15 else n
    few = t.ppf(0.95, n - 1) / t.ppf(0.95, len(shares) - 1)
    effective = alike * few**2
    misses = effective - min(effective, mean * effective)
    return 1.0 if misses < 1e-9 else float(beta.ppf(0.95, mean * effective + 1, misses))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=4))
def test_the_upper_bound_is_the_largest_of_all_outcomes_below(
    pairs: list[tuple[int, int]],
) -> None:
    """Every outcome with no success more in any seed is tried, seeds being unequally large."""
    found = [hits for hits, _ in pairs]
    tried = [max(1, hits + more) for hits, more in pairs]
    below = itertools.product(*(range(hits + 1) for hits in found))
    largest = max(plain_bound(one, tried) for one in below)
    assert bounds.of_records(found, tried).upper == pytest.approx(largest, abs=1e-9)


def test_seeds_that_agree_more_would_lower_the_bound_but_for_the_outcomes_below() -> None:
    uneven = bounds.of_records([8, 8, 8, 8, 0], [16] * 5)
    even = bounds.of_records([8] * 5, [16] * 5)
    plain = bounds.exact(0.5 * even.n_effective, even.n_effective)
    assert plain.upper < uneven.upper <= even.upper


def test_bounds_are_the_same_however_many_outcomes_are_bounded_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = bounds.of_records([7, 2, 5], [8, 8, 8])
    monkeypatch.setattr(bounds, "AT_ONCE", 2)
    assert bounds.of_records([7, 2, 5], [8, 8, 8]) == whole


def test_of_one_seed_nothing_is_bounded() -> None:
    rate = bounds.of_records([3], [8])
    assert (rate.lower, rate.upper, rate.n_effective) == (0.0, 1.0, 0.0)


@pytest.mark.parametrize("sizes", [[], [0], [4, 0]])
def test_a_rate_of_nothing_is_refused(sizes: list[int]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        bounds.of_records([0] * len(sizes), sizes)


def test_an_attempt_of_which_nobody_knows_counts_against_both_sides() -> None:
    rate = bounds.of_seeds(2, 10, unknown=3)
    assert rate.lower == bounds.of_seeds(2, 10).lower
    assert rate.upper == bounds.of_seeds(5, 10).upper
    assert (rate.successes, rate.possible, rate.share) == (2, 5, 0.2)


def test_bounds_of_a_mean_are_those_of_student() -> None:
    lower, upper = bounds.of_mean([1.0, 2.0, 3.0, 4.0], ANY)
    half = 2.3533634 * math.sqrt(5 / 3) / 2
    assert (lower, upper) == pytest.approx((2.5 - half, 2.5 + half), abs=1e-6)
    assert bounds.of_mean([0.9, 1.0], SHARE).upper == 1.0
    assert bounds.of_mean([0.9], SHARE) == (0.0, 1.0)


@pytest.mark.parametrize("rate", [0.02, 0.2, 0.6])
def test_a_bound_of_records_errs_no_more_often_than_it_states(rate: float) -> None:
    rng = np.random.default_rng(7)
    tried, seeds, runs = 8, 10, 400
    missed = 0
    for _ in range(runs):
        each = rng.beta(rate * 6, (1 - rate) * 6, seeds)  # seeds differ: records of one are alike
        found = [int(one) for one in rng.binomial(tried, each)]
        missed += bounds.of_records(found, [tried] * seeds).upper < rate
    assert missed / runs <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / runs)
