"""Minimum diameter averaging (El Mhamdi et al., 2021, arXiv:2008.00742; Rousseeuw, 1985)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from aggregators.base import Majority, Weighing, chosen
from aggregators.linalg import ranks, squared_distances
from sim.types import About, View


@dataclass(frozen=True)
class Mda(Majority, Weighing):
    """The average of the ``n_rows - n_hostile`` rows whose greatest distance apart is least.

    Exact. Several sets often share the least diameter (it is that of one pair of rows); the first
    in the order of the rows is taken. Time grows as ``2**n_hostile`` at worst, and not with the
    number of sets. Section 5 of the paper.

    Args:
        n_hostile: hostile rows to withstand, and rows left out.
    """

    about: ClassVar[About] = About(
        title="Mda",
        paper=(
            "El Mhamdi et al., Collaborative Learning in the Jungle"
            " (Decentralized, Byzantine, Heterogeneous, Asynchronous)"
        ),
        year=2021,
        sees="rows of few hospitals each",
        limit="n_rows >= 2*n_hostile + 1",
        cost="n²d + 2^f",
        promise=(
            "with at most n_hostile hostile rows the rows averaged are no farther from each"
            " other than honest ones"
        ),
    )

    def weigh(self, view: View, rng: np.random.Generator) -> NDArray[np.float64]:
        """Equal shares for the rows used."""
        gaps = ranks(squared_distances(view.rows))
        low = 0
        high = int(gaps.max())
        while low < high:
            middle = (low + high) // 2
            fits = coverable(conflicts(gaps, middle), self.n_hostile)
            if fits:
                high = middle
            else:
                low = middle + 1
        return chosen(first_used(conflicts(gaps, low), self.n_hostile), len(gaps))


Conflicts = dict[int, frozenset[int]]  # row -> the rows that cannot be used beside it


def conflicts(gaps: NDArray[np.intp], diameter: int) -> Conflicts:
    """The rows that are farther from each row than ``diameter``."""
    return {row: frozenset(np.flatnonzero(far).tolist()) for row, far in enumerate(gaps > diameter)}


def without(graph: Conflicts, rows: frozenset[int]) -> Conflicts:
    """The conflicts that are left when ``rows`` are gone."""
    return {row: others - rows for row, others in graph.items() if row not in rows}


def coverable(graph: Conflicts, budget: int) -> bool:
    """Whether leaving out at most ``budget`` rows, a vertex cover, settles all conflicts."""
    if budget < 0:
        return False
    row = max(graph, key=lambda row: len(graph[row]))
    others = graph[row]
    if len(others) <= 1:  # only separate pairs are left: one of each goes
        return sum(map(len, graph.values())) // 2 <= budget
    if sum(map(len, graph.values())) > 2 * budget * len(others):
        return False
    without_row = without(graph, frozenset({row}))
    if coverable(without_row, budget - 1):
        return True
    return coverable(without(graph, others), budget - len(others))


def first_used(graph: Conflicts, n_left_out: int) -> NDArray[np.intp]:
    """The first rows, all but ``n_left_out`` in their order, that have no conflict."""
    used: list[int] = []
    size = len(graph) - n_left_out
    for row in range(len(graph)):
        if row not in graph or len(used) == size:
            continue
        conflicting = graph[row]
        rest = without(graph, conflicting)
        if coverable(rest, n_left_out - len(conflicting)):
            used.append(row)
            graph = rest
            n_left_out -= len(conflicting)
        else:
            graph = without(graph, frozenset({row}))
            n_left_out -= 1
    return np.array(used, dtype=np.intp)
