"""The chances that a random graph of neighbors leaves (Bell et al., 2020, section 3).

With all hospitals as neighbors nothing is left to chance: then each figure here is 0 or 1.
"""

from __future__ import annotations

from fractions import Fraction
from math import comb

from sim.federation.protocols.secagg.terms import Parameters


def exposed(parameters: Parameters, n_hospitals: int, n_hostile: int, lies: bool = False) -> float:
    """The probability that the hostile and the aggregator read an honest hospital, at most.

    They can where enough of them are its neighbors; fewer are if the aggregator ``lies`` about who
    vanished. Which hospitals are hostile must not depend on the graph.
    """
    enough = parameters.colluders(n_hospitals, lies)
    n_neighbors = parameters.circle(n_hospitals) - 1
    return _of_any(n_hospitals - n_hostile, n_hospitals - 1, n_hostile, n_neighbors, enough)


def split(parameters: Parameters, n_hospitals: int, n_hostile: int) -> float:
    """The probability that the hostile and the aggregator split the sum, at most.

    The aggregator leaves out uploads of so many in a row that no honest hospital has a neighbor
    beyond them; as many of these must be hostile, and answer, as a hospital beside them lacks.
    """
    size = parameters.circle(n_hospitals)
    if size == n_hospitals:
        return 0.0
    in_row = (size - 1) // 2
    lacking = parameters.threshold_of(n_hospitals) - (size - in_row)
    return _of_any(n_hospitals, n_hospitals, n_hostile, in_row, lacking)


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
