"""What a graph leaves to chance, against counting in drawn graphs."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from aggregators.secagg.protocol import SecAggPlus
from sim.federation.protocols.secagg import chances
from sim.federation.protocols.secagg.graph import Graph, circles
from sim.federation.protocols.secagg.terms import Parameters


def parameters(neighbors: int | None, threshold: int | None = None) -> Parameters:
    found: Any = SecAggPlus(neighbors=neighbors, threshold=threshold).parameters
    assert isinstance(found, Parameters)
    return found


def test_with_all_neighbors_nothing_is_left_to_chance() -> None:
    one = parameters(None)  # 8 of 12
    assert [chances.exposed(one, 12, n) for n in (0, 6, 7)] == [0, 0, 1]
    assert [chances.exposed(one, 12, n, lies=True) for n in (0, 3, 4)] == [0, 0, 1]
    assert chances.split(one, 12, 11) == 0
    assert [chances.stuck(one, 12, n) for n in (0, 4, 5)] == [0, 0, 1]


def test_the_chances_bound_what_is_counted_in_drawn_graphs() -> None:
    n, n_marked, draws = 30, 6, 4000
    one = parameters(6, 5)
    marked = set(range(n_marked))  # the graph does not depend on who is hostile
    n_exposed, n_stuck = 0, 0
    for number in range(draws):
        graph = circles(n, 6, b"%d" % number)
        inside = [len(marked & set(circle)) for circle in graph]
        n_exposed += any(inside[place] >= 4 for place in range(n_marked, n))
        n_stuck += any(7 - count < 5 for count in inside)
    exposed, stuck = chances.exposed(one, n, n_marked), chances.stuck(one, n, n_marked)
    spread = 4 * np.sqrt(0.25 / draws)
    assert 0.3 * exposed - spread < n_exposed / draws < exposed + spread
    assert 0.3 * stuck - spread < n_stuck / draws < stuck + spread


@pytest.mark.parametrize("n_hostile", [50, 100, 200])
def test_more_neighbors_leave_less_to_chance(n_hostile: int) -> None:
    found = [chances.exposed(parameters(k), 1000, n_hostile) for k in (10, 30, 60, 100)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 1e-12


def falls_apart(graph: Graph, gone: Iterable[int], threshold: int) -> bool:
    """Whether hospitals are left that all have enough of their circle, in two parts."""
    left = {*range(len(graph))} - {*gone}
    if not left or any(len(left & {*graph[place]}) < threshold for place in left):
        return False
    new = [min(left)]
    while new:
        near = {*graph[new.pop()]} & left
        new += near
        left -= near
    return bool(left)


@pytest.mark.parametrize("n", [8, 9, 10, 12])
def test_no_choice_of_uploads_splits_a_graph_that_is_accepted(n: int) -> None:
    gone = [chosen for size in range(n - 2) for chosen in combinations(range(n), size)]
    for k in range(1, n - 1):
        if n * k % 2:
            continue
        graph = circles(n, k, b"seed")
        for threshold in range((k + 1) // 2 + 1, k + 2):
            if parameters(k, threshold).refusal(n) is None:
                assert not any(falls_apart(graph, some, threshold) for some in gone)


@pytest.mark.parametrize(("k", "threshold"), [(1, 2), (2, 2), (3, 3), (4, 3)])
def test_what_is_refused_does_fall_apart(k: int, threshold: int) -> None:
    graph = circles(12, k, b"seed")
    gone = (chosen for size in range(7) for chosen in combinations(range(12), size))
    assert any(falls_apart(graph, some, threshold) for some in gone)
    assert "falls apart" in str(parameters(k, threshold).refusal(12))


def test_colluders_in_a_row_split_the_sum_more_often_than_they_surround_a_hospital() -> None:
    one = parameters(20)  # 14 of 21
    assert f"{chances.exposed(one, 1000, 50):.0e}" == "1e-10"
    assert chances.split(one, 1000, 50) == 1
    assert chances.split(parameters(100), 1000, 50) < 1e-3
    assert chances.split(one, 1000, 0) == 0
