"""The graph of neighbors: regular, connected, the same for all, and new in each round."""

import pytest

from sim.errors import InputError, RefusedError
from sim.federation.protocols.secagg.graph import circles
from tests.federation import experiment

SIZES = [(5, 2), (12, 4), (13, 6), (12, 5), (40, 7), (1000, 60)]


@pytest.mark.parametrize(("n", "k"), SIZES)
def test_every_hospital_has_as_many_neighbors_and_is_theirs(n: int, k: int) -> None:
    found = circles(n, k, b"seed")
    assert len(found) == n
    for place, circle in enumerate(found):
        assert list(circle) == sorted(set(circle))
        assert len(circle) == k + 1
        assert place in circle
        assert all(place in found[other] for other in circle)


@pytest.mark.parametrize(("n", "k"), SIZES)
def test_all_hospitals_are_connected(n: int, k: int) -> None:
    found = circles(n, k, b"seed")
    reached, new = {0}, [0]
    while new:
        others = set(found[new.pop()]) - reached
        reached |= others
        new += others
    assert len(reached) == n


@pytest.mark.parametrize("k", [None, 11])
def test_with_as_many_neighbors_as_there_are_others_all_are_neighbors(k: int | None) -> None:
    assert circles(12, k, b"a") == (tuple(range(12)),) * 12


@pytest.mark.parametrize("k", [12, 100])
def test_more_neighbors_than_there_are_others_are_refused_and_never_taken_for_all(k: int) -> None:
    reason = f"neighbors={k}: expected at most the others of n_hospitals=12, which are 11; null"
    with pytest.raises(RefusedError, match=reason):
        circles(12, k, b"a")
    with pytest.raises(InputError, match=reason):
        experiment("consortium=heart12", "secagg=protocol", f"secagg.neighbors={k}")


def test_the_graph_follows_from_the_seed_and_differs_from_seed_to_seed() -> None:
    first = circles(40, 6, b"round 1")
    circles.cache_clear()
    assert circles(40, 6, b"round 1") == first
    drawn = {circles(40, 6, b"round %d" % number) for number in range(50)}
    assert len(drawn) == 50


def test_every_pair_is_as_often_neighbors_as_any_other() -> None:
    n, k, rounds = 10, 4, 3000
    times = dict.fromkeys(((i, j) for i in range(n) for j in range(i)), 0)
    for number in range(rounds):
        for place, circle in enumerate(circles(n, k, b"%d" % number)):
            for other in circle:
                if other < place:
                    times[place, other] += 1
    share = k / (n - 1)
    spread = (share * (1 - share) * rounds) ** 0.5
    assert all(abs(count - share * rounds) < 5 * spread for count in times.values())


@pytest.mark.parametrize(("n", "k"), [(1, None), (1, 2), (5, 3), (7, 1)])
def test_a_graph_that_cannot_be_is_refused(n: int, k: int | None) -> None:
    with pytest.raises(RefusedError, match=r"hospitals=\d"):
        circles(n, k, b"seed")
