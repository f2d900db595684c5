"""Bounds of epsilon from one run: equal to those of another implementation, right at the stated
confidence, and no larger than any audit can show.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import binom

from sim.evidence import one_run
from sim.seeds import stream

EACH = 10_000  # canaries that are in, and that are out


@pytest.mark.parametrize(
    ("m", "guesses", "correct", "expected"),
    [
        (1000, 100, 75, 0.6995),
        (1000, 100, 90, 1.6261),
        (1000, 1000, 600, 0.2972),
        (200, 40, 38, 1.7386),
        (100, 20, 18, 0.9299),
    ],
)
def test_the_one_run_bound_is_that_of_jax_privacy(
    m: int, guesses: int, correct: int, expected: float
) -> None:
    found = one_run.one_run(m, guesses, correct, 1e-5, 0.05)
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("delta", [0.0, 1e-5])
def test_no_correct_guess_at_all_is_no_surprise(delta: float) -> None:
    assert one_run.p_value(1000, 100, 0, 1.0, delta) == 1
    assert one_run.one_run(1000, 100, 0, delta, 0.05) == 0


def corners(points: NDArray[np.int64]) -> list[int]:
    """Places of the points (n, 2) that lie below all lines between others; in order of the first.

    Thresholds at other places are worse than a mixture of two of these.
    """
    left = list(range(len(points)))
    while len(left) > 2:
        step = np.diff(points[left], axis=0)
        is_corner = step[:-1, 1] * step[1:, 0] - step[1:, 1] * step[:-1, 0] > 0
        if is_corner.all():
            break
        left = [left[0], *np.array(left[1:-1])[is_corner].tolist(), left[-1]]
    return left


def thresholds(shift: float) -> list[tuple[int, int]]:
    """Guesses and correct ones at each threshold that matters, of quantiles of two Gaussians."""
    out = ndtri((np.arange(EACH) + 0.5) / EACH)
    edges = np.append(np.union1d(out, out + shift), np.inf)
    missed = np.searchsorted(out + shift, edges)
    spared = np.searchsorted(out, edges)
    places = corners(np.stack([missed, spared], axis=1))
    right = EACH - missed[places]
    return [(int(a + b), int(a)) for a, b in zip(right, EACH - spared[places], strict=True)]


@pytest.mark.parametrize(
    ("shift", "one", "f_dp"),
    [(0, 0, 0), (1, 1.13346, 2.164749), (2, 2.311945, 4.7218075), (4, 4.395568, 9.133752)],
)
def test_both_bounds_are_those_of_jax_privacy_on_its_test_vectors(
    shift: float, one: float, f_dp: float
) -> None:
    """Significance is divided by the number of thresholds; the best one counts."""
    tried = thresholds(shift)
    significance = 0.05 / len(tried)
    found = {"one_run": 0.0, "f_dp": 0.0}
    for bound in found:
        compute = getattr(one_run, bound)
        for guesses, correct in sorted(tried, key=lambda pair: -pair[1] / max(pair[0], 1)):
            possible = correct / max(guesses, 1) > 1 / (1 + math.exp(-found[bound]))
            if possible and not refutes_less(bound, guesses, correct, found[bound], significance):
                value = compute(2 * EACH, guesses, correct, 1e-6, significance)
                found[bound] = max(found[bound], value)
    assert found["one_run"] == pytest.approx(one, abs=1e-4)
    assert found["f_dp"] == pytest.approx(f_dp, abs=1e-4)


def refutes_less(bound: str, guesses: int, correct: int, best: float, significance: float) -> bool:
    """Whether a threshold cannot have a larger bound than the best so far, by one look."""
    if bound == "one_run" or best == 0:
        return False
    mu = one_run.distance(best, 1e-6)
    return one_run._excess(2 * EACH, guesses, correct, mu, significance) <= 0


def test_without_delta_the_p_value_is_the_binomial_tail() -> None:
    found = one_run.p_value(100, 20, 18, 1.0, 0.0)
    assert found == pytest.approx(binom.sf(17, 20, math.e / (1 + math.e)))


def gaussian(epsilon: float, delta: float, m: int, number: int) -> one_run.Bounds:
    """The bounds of one audit of the Gaussian mechanism that is just (epsilon, delta)-DP."""
    rng = stream(number, "gaussian")
    coins = rng.random(m) < 0.5
    scores = coins * one_run.distance(epsilon, delta) + rng.normal(size=m)
    return one_run.bounds(scores, coins, one_run.counts(m), delta, 0.95)


@pytest.mark.parametrize("epsilon", [3.0, 6.0])
def test_a_true_claim_is_exceeded_at_most_as_often_as_stated(epsilon: float) -> None:
    found = [gaussian(epsilon, 1e-5, 200, number) for number in range(400)]
    above = sum(max(one.one_run, one.f_dp) > epsilon for one in found)
    assert above <= binom.ppf(0.99, 400, 0.05)
    assert np.mean([one.f_dp for one in found]) > 0.2 * epsilon  # and not by showing nothing


def test_without_any_signal_the_bounds_are_near_0() -> None:
    found = [gaussian(1e-4, 1e-5, 200, number) for number in range(100)]
    assert sum(one.f_dp > 0 for one in found) <= 10
    assert max(one.f_dp for one in found) < 0.6


@pytest.mark.parametrize("form", one_run.FORMS)
def test_a_bound_grows_with_correct_guesses_and_falls_with_delta(form: str) -> None:
    compute = getattr(one_run, form)
    by_correct = [compute(500, 200, correct, 1e-5, 0.01) for correct in (100, 130, 160, 190, 200)]
    by_delta = [compute(500, 200, 190, delta, 0.01) for delta in (1e-8, 1e-5, 1e-4)]
    assert by_correct[0] == 0
    assert all(a < b for a, b in pairwise(by_correct[1:]))
    assert all(a >= b for a, b in pairwise(by_delta))


def test_no_audit_shows_more_than_the_ceiling() -> None:
    counts = one_run.counts(1000)
    most = one_run.ceiling(1000, counts, 1e-5, 0.95)
    scores = stream(0, "coins").normal(size=1000)
    found = one_run.bounds(scores, scores > scores.mean(), counts, 1e-5, 0.95)
    assert (found.one_run, found.f_dp) == (most.one_run, most.f_dp)
    assert found.one_run < 5.5  # no power is left at a claim of 8, and the f-DP form has some
    assert found.f_dp > 9


def test_what_is_expected_is_what_audits_find_in_the_middle() -> None:
    counts = one_run.counts(1000)
    previewed = one_run.expected(3.4, 1.0, 1000, counts, 1e-5, 0.95)
    found = [gaussian(3.4, 1e-5, 1000, number).f_dp for number in range(30)]
    assert np.mean(found) == pytest.approx(previewed.f_dp, rel=0.2)


@pytest.mark.parametrize(("asked", "expected"), [(None, (950, 500, 200)), (120, (120,))])
def test_numbers_of_guesses_are_fixed_and_share_the_significance(
    asked: int | None, expected: Sequence[int]
) -> None:
    counts = one_run.counts(1000, asked)
    found = gaussian(1.0, 1e-5, 1000, 0)
    assert counts == tuple(expected)
    assert found.significance == pytest.approx(0.05 / 6)
