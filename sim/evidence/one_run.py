"""Lower bounds of epsilon from guesses about canaries of one training, each at a stated confidence.

Each canary is in the training by the toss of a fair coin. Whoever sees what the training gave
guesses some of the coins; the more guesses are right, the larger epsilon must be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtr, ndtri
from scipy.stats import binom

FORMS: Final = ("one_run", "f_dp")  # which hold together at the stated confidence
SHARES: Final = (0.95, 0.5, 0.2)  # of the canaries that are guessed, fixed beforehand
XTOL: Final = 1e-6  # of a bound
SMALLEST: Final = 1e-6  # epsilon from which the f-DP form searches
WIDEST: Final = 1e3  # distance of two Gaussians, in standard deviations, of a usual epsilon
LARGEST: Final = 500.0  # epsilon that is searched


class Tried(NamedTuple):
    """The bounds from one number of guesses, of which so many are correct."""

    guesses: int
    correct: int
    one_run: float
    f_dp: float


@dataclass(frozen=True)
class Bounds:
    """The bounds on epsilon at a delta from guesses about the canaries of one training.

    ``tried``: each number of guesses, most first; numbers and thresholds do not depend on the
    coins. ``significance``: of each single bound; it is the audit's own divided by the number of
    bounds, so that all of them hold together at the audit's confidence.
    """

    tried: tuple[Tried, ...]
    significance: float

    @property
    def one_run(self) -> float:
        """The largest bound that holds for every mechanism (Steinke et al., 2023)."""
        return max(one.one_run for one in self.tried)

    @property
    def f_dp(self) -> float:
        """The largest bound for Gaussian trade-off curves (Mahloujifar et al., 2024)."""
        return max(one.f_dp for one in self.tried)


def bounds(
    scores: NDArray[np.float64],
    coins: NDArray[np.bool_],
    counts: Sequence[int],
    delta: float,
    confidence: float,
) -> Bounds:
    """The bounds from the ``scores`` of canaries (m,), larger where a coin is likely true.

    ``counts``: numbers of guesses, fixed before any coin is known. The canaries whose scores are
    farthest from the mean score are guessed.
    """
    far = scores - scores.mean()
    order = np.argsort(-np.abs(far), kind="stable")
    is_right = ((far > 0) == coins)[order]
    significance = (1 - confidence) / (len(FORMS) * len(counts))
    tried = tuple(
        _tried(len(scores), count, int(is_right[:count].sum()), delta, significance)
        for count in sorted(counts, reverse=True)
    )
    return Bounds(tried, significance)


def counts(n_canaries: int, n_guesses: int | None = None) -> tuple[int, ...]:
    """The numbers of guesses of an audit: the one that was asked for, or ``SHARES`` of all."""
    shares = [max(1, round(share * n_canaries)) for share in SHARES]
    return tuple(dict.fromkeys(shares if n_guesses is None else [n_guesses]))


def ceiling(n_canaries: int, counts: Sequence[int], delta: float, confidence: float) -> Bounds:
    """The bounds if all guesses are correct: no audit with so many canaries shows more."""
    significance = (1 - confidence) / (len(FORMS) * len(counts))
    tried = tuple(
        _tried(n_canaries, count, count, delta, significance)
        for count in sorted(counts, reverse=True)
    )
    return Bounds(tried, significance)


def expected(
    epsilon: float,
    factor: float,
    n_canaries: int,
    counts: Sequence[int],
    delta: float,
    confidence: float,
) -> Bounds:
    """The bounds to expect of Gaussian noise that is ``factor`` times too small for ``epsilon``.

    The expected numbers of correct guesses stand for the numbers that an audit finds.
    """
    half = factor * distance(epsilon, delta) / 2
    significance = (1 - confidence) / (len(FORMS) * len(counts))
    tried = list[Tried]()
    for count in sorted(counts, reverse=True):
        edge = 0.0
        if count < n_canaries:
            edge = float(brentq(_guessed, 0, half + 40, args=(half, count / n_canaries)))
        correct = round(count * float(ndtr(half - edge)) / _guessed(edge, half))
        tried.append(_tried(n_canaries, count, correct, delta, significance))
    return Bounds(tuple(tried), significance)


def _guessed(edge: float, half: float, share: float = 0.0) -> float:
    """The share of canaries with a score beyond ``edge`` on either side, less ``share``."""
    return float(ndtr(half - edge) + ndtr(-half - edge)) - share


def _tried(m: int, guesses: int, correct: int, delta: float, significance: float) -> Tried:
    return Tried(
        guesses,
        correct,
        one_run(m, guesses, correct, delta, significance),
        f_dp(m, guesses, correct, delta, significance),
    )


def p_value(m: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """The probability of so many correct guesses under (epsilon, delta)-DP, at most.

    Steinke, Nasr and Jagielski (2023), theorem 5.2: of ``m`` canaries ``guesses`` are guessed.
    """
    share = 1 / (1 + math.exp(-epsilon))
    by_chance = float(binom.sf(correct - 1, guesses, share))
    if not delta or not correct:
        return min(1.0, by_chance)
    fewer = np.arange(1, correct + 1)
    gained = (binom.sf(correct - fewer - 1, guesses, share) - by_chance) / fewer
    return min(1.0, by_chance + 2 * m * delta * float(gained.max()))


@lru_cache(maxsize=4096)
def one_run(m: int, guesses: int, correct: int, delta: float, significance: float) -> float:
    """The largest epsilon that the one-run audit refutes; 0 where it refutes none."""
    return _largest(
        lambda epsilon: significance - p_value(m, guesses, correct, epsilon, delta), 0.0
    )


@lru_cache(maxsize=4096)
def f_dp(m: int, guesses: int, correct: int, delta: float, significance: float) -> float:
    """The largest epsilon that the f-DP form refutes; 0 where it refutes none.

    Mahloujifar, Melis and Chaudhuri (2024), the audit with a number of guesses, for trade-off
    curves of two Gaussians that are (epsilon, delta)-DP.
    """
    return _largest(
        lambda epsilon: _excess(m, guesses, correct, distance(epsilon, delta), significance),
        SMALLEST,
    )


def _excess(m: int, guesses: int, correct: int, mu: float, significance: float) -> float:
    """A number above 0 where so many correct guesses refute Gaussians so far from each other.

    From the most correct guesses down, ``right`` and ``wrong`` are the least shares of coins that
    a mechanism must let one guess correctly and wrongly for its guesses to be this good so often.
    """
    right = significance * correct / m
    wrong = significance * (guesses - correct) / m
    for fewer in range(correct - 1, -1, -1):
        larger = max(wrong, float(ndtr(ndtri(right) - mu)))
        if larger == wrong:
            break  # nothing changes any more
        right = min(1.0, right + fewer / (guesses - fewer) * (larger - wrong))
        wrong = larger
    return right + wrong - guesses / m


@lru_cache(maxsize=65536)
def distance(epsilon: float, delta: float) -> float:
    """The distance of two Gaussians of unit variance that are just (epsilon, delta)-DP.

    Balle and Wang (2018), theorem 5.
    """

    def over(mu: float) -> float:
        less = epsilon + float(log_ndtr(-epsilon / mu - mu / 2))
        return float(ndtr(mu / 2 - epsilon / mu)) - math.exp(less) - delta

    widest = max(WIDEST, 2 * math.sqrt(2 * epsilon))
    return float(brentq(over, 1e-12, widest, xtol=1e-14, rtol=1e-12))


def _largest(refuted: Callable[[float], float], start: float) -> float:
    """The largest epsilon for which ``refuted`` is above 0; 0 where it is not at ``start``."""
    if refuted(start) <= 0:
        return 0.0
    high = max(1.0, 2 * start)
    while refuted(high) > 0:
        if high >= LARGEST:
            return high
        start = high
        high *= 2
    return float(brentq(refuted, start, high, xtol=XTOL))
