"""What a graph leaves to chance, against counting in drawn graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aggregators.secagg.protocol import SecAggPlus
from sim.federation.protocols.secagg import chances
from sim.federation.protocols.secagg.graph import circles
from sim.federation.protocols.secagg.terms import Parameters


def parameters(neighbors: int | None, threshold: int | None = None) -> Parameters:
    found: Any = SecAggPlus(neighbors=neighbors, threshold=threshold).parameters
    assert isinstance(found, Parameters)
    return found


def test_with_all_neighbors_nothing_is_left_to_chance() -> None:
    one = parameters(None)  # 8 of 12
    assert [chances.exposed(one, 12, n) for n in (0, 7, 8)] == [0, 0, 1]
    assert [chances.stuck(one, 12, n) for n in (0, 4, 5)] == [0, 0, 1]


def test_the_chances_bound_what_is_counted_in_drawn_graphs() -> None:
    n, n_marked, draws = 30, 6, 4000
    one = parameters(6, 4)
    marked = set(range(n_marked))  # the graph does not depend on who is hostile
    n_exposed, n_stuck = 0, 0
    for number in range(draws):
        graph = circles(n, 6, b"%d" % number)
        inside = [len(marked & set(circle)) for circle in graph]
        n_exposed += any(inside[place] >= 4 for place in range(n_marked, n))
        n_stuck += any(7 - count < 4 for count in inside)
    exposed, stuck = chances.exposed(one, n, n_marked), chances.stuck(one, n, n_marked)
    spread = 4 * np.sqrt(0.25 / draws)
    assert 0.3 * exposed - spread < n_exposed / draws < exposed + spread
    assert 0.3 * stuck - spread < n_stuck / draws < stuck + spread


@pytest.mark.parametrize("n_hostile", [50, 100, 200])
def test_more_neighbors_leave_less_to_chance(n_hostile: int) -> None:
    found = [chances.exposed(parameters(k), 1000, n_hostile) for k in (10, 30, 60, 100)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 1e-12
