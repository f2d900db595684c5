"""What a random graph of neighbors leaves to chance (Bell et al., 2020, section 3).

With all hospitals as neighbors nothing is left to chance: then each figure here is 0 or 1.
"""

from __future__ import annotations

from fractions import Fraction
from math import comb

from sim.federation.protocols.secagg.terms import Parameters


def exposed(parameters: Parameters, n_hospitals: int, n_hostile: int) -> float:
    """The probability that the hostile can recover the secrets of some honest hospital, at most.

    They can where as many of them are its neighbors as the threshold is. Which hospitals are
    hostile must not depend on the graph.
    """
    threshold = parameters.threshold_of(n_hospitals)
    n_neighbors = parameters.circle(n_hospitals) - 1
    return _of_any(n_hospitals - n_hostile, n_hospitals - 1, n_hostile, n_neighbors, threshold)


def stuck(parameters: Parameters, n_hospitals: int, n_absent: int) -> float:
    """The probability that too few are left of some hospital's circle, at most.

    That is where a round ends without a sum, or a hospital is left out of it.
    """
    size = parameters.circle(n_hospitals)
    too_many = size - parameters.threshold_of(n_hospitals) + 1
    return _of_any(n_hospitals, n_hospitals, n_absent, size, too_many)


def _of_any(n_times: int, n: int, n_marked: int, n_drawn: int, at_least: int) -> float:
    """The probability of at least so many marked ones in some of ``n_times`` draws, at most.

    Each draw takes ``n_drawn`` of ``n``, of which ``n_marked`` are marked.
    """
    most = min(n_drawn, n_marked)
    ways = sum(
        comb(n_marked, k) * comb(n - n_marked, n_drawn - k) for k in range(at_least, most + 1)
    )
    return min(1.0, float(Fraction(n_times * ways, comb(n, n_drawn))))
