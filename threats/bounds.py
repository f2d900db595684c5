"""One-sided bounds of rates and means. Each errs at most as often as ``alpha`` states, on its side.

An upper bound stands behind a claim that a design protects, a lower one behind a claim that an
attack works: each is the side that does not flatter. More successes never lower a bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, stdtrit  # scipy.stats has the same, and loads far longer

from sim.evidence.metrics import Range

ALPHA: Final = 0.05
AT_ONCE: Final = 4096  # outcomes that are bounded at a time, so that memory stays small


class Bounds(NamedTuple):
    """Two one-sided bounds, each of its own level: they are no interval of twice the level."""

    lower: float
    upper: float


@dataclass(frozen=True)
class Rate:
    """Successes among trials, with bounds.

    ``share``: what the bounds are of, the mean over seeds of the rate of each; where seeds have as
    many trials that is successes among trials. ``possible``: successes and those trials of which
    nobody knows. They count for ``upper`` and not for ``lower``. ``n_effective``: how many
    independent trials tell as much as these ``n``, which share seeds.
    """

    successes: int
    possible: int
    n: int
    n_effective: float
    share: float
    lower: float
    upper: float


def exact(successes: float, n: float, alpha: float = ALPHA) -> Bounds:
    """Bounds of a rate of independent trials (Clopper and Pearson 1934).

    >>> round(exact(0, 59).upper, 4)
    0.0495
    """
    lower = float(betaincinv(successes, n - successes + 1, alpha)) if successes > 0 else 0.0
    upper = float(betaincinv(successes + 1, n - successes, 1 - alpha)) if successes < n else 1.0
    return Bounds(lower, upper)


def of_seeds(successes: int, n: int, unknown: int = 0, alpha: float = ALPHA) -> Rate:
    """The rate of seeds that are a success, of ``n``; of ``unknown`` more nobody can tell."""
    possible = successes + unknown
    lower = exact(successes, n, alpha).lower
    upper = exact(possible, n, alpha).upper
    return Rate(successes, possible, n, n, successes / n, lower, upper)


def of_records(successes: Sequence[int], sizes: Sequence[int], alpha: float = ALPHA) -> Rate:
    """The mean rate over seeds of records that are a success; those of one seed may be alike.

    Korn and Graubard's bounds (1998): Clopper and Pearson's for so many independent trials as would
    vary like the rates of seeds do. Rates that become more alike seem to tell more, so that one
    success more could lower such a bound; the upper one is therefore the largest over all outcomes
    with no success more than these, and the lower one its mirror image. Raises ``ValueError``
    without a seed; of one seed nothing is bounded.
    """
    found = np.array(successes, dtype=float)
    tried = np.array(sizes, dtype=float)
    if not len(found) or tried.min() < 1:
        raise ValueError("expected at least one seed, each with at least one record")
    n = int(tried.sum())
    effective = float(_effective(found[None] / tried, n, alpha)[0])
    upper = _upper(found, tried, alpha)
    lower = 1.0 - _upper(tried - found, tried, alpha)
    total = int(found.sum())
    share = math.fsum(found / tried) / len(found)
    return Rate(total, total, n, effective, share, lower, upper)


def of_mean(values: Sequence[float], reach: Range, alpha: float = ALPHA) -> Bounds:
    """Bounds of a mean over seeds by Student's t, inside ``reach``; of one seed nothing is bounded.

    That each errs as stated takes means that are about normal.
    """
    n = len(values)
    if n < 2:
        return Bounds(*reach)
    mean = math.fsum(values) / n
    error = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1) / n)
    half = float(stdtrit(n - 1, 1 - alpha)) * error
    return Bounds(max(reach.low, mean - half), min(reach.high, mean + half))


def _upper(found: NDArray[np.float64], tried: NDArray[np.float64], alpha: float) -> float:
    """The largest of the upper bounds of ``found`` and of all outcomes that lie below it.

    Of those with one mean, the outcome that varies most has the largest bound. It has all successes
    in the seeds with the largest rates: these are filled one record after another.
    """
    order = np.argsort(-found / tried, kind="stable")
    found = found[order]
    tried = tried[order]
    steps = np.arange(int(found.sum()) + 1, dtype=float)
    parts = np.array_split(steps, len(steps) // AT_ONCE + 1)
    return max(_largest(part[:, None], found, tried, alpha) for part in parts)


def _largest(
    steps: NDArray[np.float64],
    found: NDArray[np.float64],
    tried: NDArray[np.float64],
    alpha: float,
) -> float:
    """The largest upper bound of the outcomes with so many successes in all, one each step."""
    before = np.concatenate([[0.0], np.cumsum(found)[:-1]])
    rates = np.clip(steps - before, 0, found) / tried
    n = int(tried.sum())
    effective = _effective(rates, n, alpha)
    hits = np.minimum(effective, rates.mean(axis=1) * effective)
    misses = effective - hits
    open_ = misses > 1e-9
    bounds = np.ones(len(rates))
    bounds[open_] = betaincinv(hits[open_] + 1, misses[open_], 1 - alpha)
    return float(bounds.max())


def _effective(rates: NDArray[np.float64], n: int, alpha: float) -> NDArray[np.float64]:
    """How many independent trials each row of rates by seed is worth; never more than ``n``."""
    seeds = rates.shape[1]
    if seeds < 2:
        return np.zeros(len(rates))
    mean = rates.mean(axis=1)
    variance = rates.var(axis=1, ddof=1) / seeds
    spread = variance > 1e-15
    alike = np.full(len(rates), float(n))
    alike[spread] = mean[spread] * (1 - mean[spread]) / variance[spread]
    few = float(stdtrit(n - 1, 1 - alpha) / stdtrit(seeds - 1, 1 - alpha))
    effective: NDArray[np.float64] = np.minimum(alike, n) * few**2
    return effective
