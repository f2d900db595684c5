"""The linear system of sums over groups of hospitals, and its solution.

Each sum is an equation: the updates of its hospitals add up to it. Sums of several rounds are one
system as far as a hospital's updates are alike from round to round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.types import Members

EXACT = 1e-9  # distance from what the sums determine
LOOSE = 1e4  # how much farther the common step may be than an update from it


@dataclass(frozen=True, eq=False)
class Solved:
    """The smallest groups whose sum is determined, and how.

    ``weights`` (n_groups, n_sums): of each given sum in the sum of each group.
    """

    groups: Members
    weights: NDArray[np.float64]


def solved(sums: Members) -> Solved:
    """The values that ``sums`` determine: hospitals that are in the same sums stay together.

    >>> solved((("a", "b"), ("b", "c"), ("a", "c"))).groups
    (('a',), ('b',), ('c',))
    """
    groups, inside = together(sums)
    inverse: NDArray[np.float64] = np.linalg.pinv(inside).astype(np.float64)
    spread = np.abs(inverse @ inside - np.eye(len(groups))).max(axis=1, initial=0)
    found = np.flatnonzero(spread < EXACT)
    return Solved(tuple(groups[at] for at in found), inverse[found])


def estimated(sums: Members, steps: Mapping[str, int]) -> Solved:
    """Estimates of single updates: what sums leave open is shared out by numbers of steps.

    Beside the equations of the sums each update is taken to be as many times one common step as its
    hospital makes ``steps``; of all updates with these sums, those are chosen that are nearest to
    it. ``steps``: of all hospitals in the sums, or of none, and then there is no estimate.

    >>> estimated((("a", "b"),), {"a": 3, "b": 1}).weights.round(6)
    array([[0.75],
           [0.25]])
    """
    groups, inside = together(sums)
    columns = {name: inside[:, at] for at, group in enumerate(groups) for name in group}
    names = sorted(columns) if steps else []
    scale = np.array([steps[name] for name in names], np.float64)
    # unknown: the common step, and how far each update per step is from it
    apart = np.array([columns[name] for name in names]).reshape(-1, len(sums)).T * scale
    common = LOOSE * apart.sum(axis=1, keepdims=True)
    inverse = np.linalg.pinv(np.hstack([common, apart]))
    weights: NDArray[np.float64] = scale[:, None] * (LOOSE * inverse[:1] + inverse[1:])
    return Solved(tuple((name,) for name in names), weights)


def together(sums: Members) -> tuple[Members, NDArray[np.float64]]:
    """The hospitals that are in the same sums, as groups, and which groups are in each sum.

    The matrix (n_sums, n_groups) holds 1 where a group is in a sum, else 0.
    """
    places: dict[str, list[int]] = {}
    for at, group in enumerate(sums):
        for name in group:
            places.setdefault(name, []).append(at)
    alike: dict[tuple[int, ...], list[str]] = {}
    for name in sorted(places):
        alike.setdefault(tuple(places[name]), []).append(name)
    inside = np.zeros((len(sums), len(alike)))
    for at, of_group in enumerate(alike):
        inside[list(of_group), at] = 1
    return tuple(map(tuple, alike.values())), inside


def single(sums: Members) -> frozenset[str]:
    """The hospitals whose own update ``sums`` determine.

    >>> sorted(single((("a", "b", "c"), ("a", "b"), ("d",))))
    ['c', 'd']
    """
    groups, inside = together(sums)
    values, vectors = np.linalg.eigh(inside.T @ inside)
    spanned = vectors[:, values > EXACT * max(1.0, values.max(initial=0))]
    covered = (spanned * spanned).sum(axis=1)  # 1 where the sums span a group's own axis
    return frozenset(
        group[0]
        for group, part in zip(groups, covered, strict=True)
        if len(group) == 1 and part > 1 - EXACT
    )


def rounds_until(
    groups: Callable[[int], Members], rounds: int, is_reached: Callable[[frozenset[str]], bool]
) -> int | None:
    """The first round after which the sums of all rounds so far determine enough single updates.

    ``groups``: of a round. ``is_reached``: of the hospitals determined; once true, it stays so.
    None where that is not so after ``rounds``.
    """
    low = 0
    high = rounds + 1
    while high - low > 1:  # more sums determine no less
        middle = (low + high) // 2
        sums = [group for number in range(1, middle + 1) for group in groups(number)]
        if is_reached(single(tuple(sums))):
            high = middle
        else:
            low = middle
    return high if high <= rounds else None
