"""Statistics of a cell: the runs of one attack under one defense, with the seed as the unit.

Every interval is two-sided, 95 %, and inside the range of its metric. Nothing is adjusted for the
number of cells, and nothing here reads a file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from scipy.special import betaincinv, stdtrit

from sim.evidence.metrics import ANY, SHARE, Range, is_material

CONFIDENCE = 0.95
UPPER = (1 + CONFIDENCE) / 2
CHANGE = Range(-1.0, 1.0)  # the range of differences of shares and scores

Verdict = Literal["harmed", "not decided", "no material loss shown within the interval"]
HARMED: Verdict = "harmed"
UNDECIDED: Verdict = "not decided"
LEAST_HARMED: Final = 2  # seeds that can show harm
LEAST_WITHIN: Final = 3  # seeds that can show that no material loss lies within the interval
WITHIN: Verdict = "no material loss shown within the interval"


class Interval(NamedTuple):
    """Two bounds."""

    low: float
    high: float


@dataclass(frozen=True)
class Losses:
    """The cost of an attack, seed by seed, each run against its own control; harm is above 0.

    ``least`` and ``worst``: the smallest and largest loss of a seed. ``n_material``: seeds with a
    loss of at least the drop that counts as material. ``interval``: of the mean loss, None below
    two seeds.
    """

    n: int
    mean: float
    least: float
    worst: float
    n_material: int
    interval: Interval | None
    verdict: Verdict


def losses(
    values: Sequence[float], interval: Interval | None, drop: float, n_undefined: int = 0
) -> Losses:
    """The losses of these ``values``, one a seed, at least one.

    ``interval``: of their mean. ``drop``: the loss that counts as material. ``n_undefined``: more
    seeds, which have no figure where their controls have one. The verdict is that of ``verdict``.
    """
    mean = sum(values) / len(values)
    n_material = sum(is_material(value, drop) for value in values)
    return Losses(
        n=len(values),
        mean=mean,
        least=min(values),
        worst=max(values),
        n_material=n_material,
        interval=interval,
        verdict=verdict(values, interval, drop, n_undefined),
    )


def verdict(
    values: Sequence[float], interval: Interval | None, drop: float, n_undefined: int = 0
) -> Verdict:
    """The verdict on losses, one a seed: the one rule of pages and register. As in ``losses``.

    "harmed" if each of at least two seeds lost ``drop`` or more, or if the mean loss is at least
    ``drop`` and its interval lies above 0. A seed without a figure lost more than any figure shows.

    "no material loss shown within the interval" if no seed of at least three lost ``drop`` or has
    no figure, and the interval ends below ``drop``: the test of non-inferiority at 2.5 %
    (Schuirmann 1987).

    All else is "not decided". The two sides are not held to the same, for harm that is stated in
    vain costs less than harm that is not. Where an attack does nothing, two seeds both lose that
    much in at most one of four studies, by chance; two seeds that happen to agree have an interval
    of no length, which would show the absence of anything. An interval that holds 0 is never a
    reason to see no harm.
    """
    n_lost = n_undefined + sum(is_material(value, drop) for value in values)
    n = n_undefined + len(values)
    if n >= LEAST_HARMED and n_lost == n:
        return HARMED
    if interval is None:
        return UNDECIDED
    if is_material(math.fsum(values) / len(values), drop) and interval.low > 0:
        return HARMED
    within = n >= LEAST_WITHIN and n_lost == 0 and interval.high < drop
    return WITHIN if within else UNDECIDED


def are_apart(differences: Sequence[float], drop: float = math.inf) -> bool:
    """Whether paired ``differences``, one a seed, show that one side is ahead of the other.

    They do if the interval of their mean excludes 0, or if each of at least two seeds has the same
    side ahead by ``drop``.
    """
    interval = mean_interval(differences, CHANGE)
    if interval is None:
        return False
    if interval.low > 0 or interval.high < 0:
        return True
    return any(all(is_material(sign * one, drop) for one in differences) for sign in (1, -1))


def mean_interval(values: Sequence[float], reach: Range = ANY) -> Interval | None:
    """Student's t interval of a mean (Student 1908), cut to ``reach``; None below two values.

    ``reach`` is the range of the metric. A mean of values in a range lies in that range, so the cut
    loses no coverage. The coverage is 95 % where means are about normal, which few seeds with
    outcomes far apart are not: read it beside the worst seed and the count of material losses.
    """
    n = len(values)
    if n < 2:
        return None
    mean = math.fsum(values) / n
    half = _t(n - 1) * math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1) / n)
    return Interval(min(mean, max(reach[0], mean - half)), max(mean, min(reach[1], mean + half)))


def change_interval(changes: Sequence[float], controls: Sequence[float]) -> Interval | None:
    """The interval of a mean paired change of a score in [0, 1] from its ``controls``.

    The t interval, cut to what the interval of the control's mean leaves possible: from 0.997
    nothing rises by 0.4. Where that cut acts, the interval also misses when the control's does; it
    never moves a bound across 0, so no verdict rests on it.
    """
    control = mean_interval(controls, SHARE)
    if control is None:
        return None
    return mean_interval(changes, Range(-control.high, 1 - control.low))


def rate_interval(successes: int, trials: int) -> Interval:
    """Exact interval of a rate (Clopper and Pearson 1934). Trials are taken to be independent."""
    return _exact(successes, trials)


def clustered_rate_interval(rates: Sequence[float], sizes: Sequence[int]) -> Interval | None:
    """The interval of the mean of ``rates``, each of ``sizes`` trials that share a seed.

    It is that of Korn and Graubard (1998); None below two rates. Clopper and Pearson's is taken for
    the number of independent trials that would vary as much as the mean does between seeds, made
    smaller by the ratio of t quantiles because so few seeds tell the variance. It is never larger
    than the number of trials. Where all rates agree, the trials count as independent.
    """
    n = len(rates)
    trials = sum(sizes)
    if n < 2 or trials < 2:
        return None
    mean = math.fsum(rates) / n
    variance = math.fsum((rate - mean) ** 2 for rate in rates) / (n - 1) / n
    alike = mean * (1 - mean) / variance if variance > 0 else trials
    effective = min(trials, min(alike, trials) * (_t(trials - 1) / _t(n - 1)) ** 2)
    hits = min(effective, mean * effective)
    found = _exact(hits, effective)
    return Interval(min(found.low, mean), max(found.high, mean))


def _exact(hits: float, trials: float) -> Interval:
    """Clopper and Pearson's interval, whose trials need not be a whole number."""
    misses = trials - hits
    low = _beta_quantile(1 - UPPER, hits, misses + 1) if hits > 0 else 0.0
    high = _beta_quantile(UPPER, hits + 1, misses) if misses > 1e-12 else 1.0
    return Interval(low, high)


@lru_cache(maxsize=4096)  # a page asks again for the same counts
def _beta_quantile(share: float, a: float, b: float) -> float:
    return float(betaincinv(a, b, share))


def excess_interval(
    first: Sequence[float], second: Sequence[float], sizes: Sequence[int]
) -> Interval | None:
    """The interval of the mean difference of paired rates, each of ``sizes`` trials of one seed.

    None below two seeds. It is Student's over seeds, cut to [-1, 1]. Its standard error is not
    taken to be smaller than that of the counts of all seeds together as Agresti and Caffo (2000)
    state it, so that a few seeds that happen to agree are not taken for certainty.
    """
    n = len(first)
    trials = sum(sizes)
    if n < 2 or trials < 1:
        return None
    differences = [one - other for one, other in zip(first, second, strict=True)]
    mean = math.fsum(differences) / n
    between = math.fsum((one - mean) ** 2 for one in differences) / (n - 1) / n
    within = sum(_one_more(math.fsum(rates) / n, trials) for rates in (first, second))
    half = _t(n - 1) * math.sqrt(max(between, within))
    return Interval(max(CHANGE[0], mean - half), min(CHANGE[1], mean + half))


def unpaired_interval(
    before: Sequence[float],
    after: Sequence[float],
    reach: Range = CHANGE,
    trials: tuple[int, int] | None = None,
) -> Interval | None:
    """The interval of the mean of ``after`` minus that of ``before``, which share no seed.

    Welch's (1947): both vary as much as they do. Cut to ``reach``; None below two values on either
    side. ``trials``: of each side where the values are rates; the standard error is then not taken
    to be smaller than that of the counts, as in ``excess_interval``.
    """
    sides = (before, after)
    if min(map(len, sides)) < 2:
        return None
    means = [math.fsum(values) / len(values) for values in sides]
    squares = [
        math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values)
        for values, mean in zip(sides, means, strict=True)
    ]
    total = math.fsum(squares)
    shares = [square**2 / (len(values) - 1) for square, values in zip(squares, sides, strict=True)]
    degrees = total**2 / math.fsum(shares) if total > 0 else float(len(before) + len(after) - 2)
    if trials is not None:
        total = max(total, sum(map(_one_more, means, trials)))
    half = float(stdtrit(degrees, UPPER)) * math.sqrt(total)
    difference = means[1] - means[0]
    return Interval(max(reach.low, difference - half), min(reach.high, difference + half))


def _one_more(rate: float, trials: int) -> float:
    """Variance of a rate with one success and one failure more."""
    padded = (rate * trials + 1) / (trials + 2)
    return padded * (1 - padded) / (trials + 2)


@lru_cache
def _t(degrees: int) -> float:
    return float(stdtrit(degrees, UPPER))
