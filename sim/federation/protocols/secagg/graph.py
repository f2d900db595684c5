"""The graph of neighbors: with whom a hospital shares masks and secrets (Bell et al., 2020).

Every hospital has the same number of neighbors. The graph is drawn anew for each round from public
values, so every hospital works it out alone and nobody chooses it.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

from sim.errors import RefusedError

Graph = tuple[tuple[int, ...], ...]


def refusal(n_hospitals: int, n_neighbors: int | None) -> str | None:
    """The reason why there is no graph of these numbers; None if there is one."""
    if n_hospitals < 2:
        return f"n_hospitals={n_hospitals}: a sum hides an update among at least 2 hospitals"
    if n_neighbors is None:
        return None
    others = n_hospitals - 1
    if n_neighbors > others:
        return (
            f"neighbors={n_neighbors}: expected at most the others of n_hospitals={n_hospitals},"
            f" which are {others}; null takes all of them"
        )
    if n_neighbors < others and n_neighbors * n_hospitals % 2:
        return (
            f"neighbors={n_neighbors}: no graph gives each of n_hospitals={n_hospitals} so many;"
            " an even number would do"
        )
    return None


@lru_cache(maxsize=64)
def circles(n_hospitals: int, n_neighbors: int | None, seed: bytes) -> Graph:
    """The circle of each hospital, itself and its neighbors, as places in order.

    ``n_neighbors`` None: all others. ``seed``: public, of one
    round. Raises ``RefusedError`` where ``refusal`` gives a reason.
    """
    if (reason := refusal(n_hospitals, n_neighbors)) is not None:
        raise RefusedError(reason)
    everybody = tuple(range(n_hospitals))
    if n_neighbors is None or n_neighbors == n_hospitals - 1:
        return (everybody,) * n_hospitals
    order = sorted(everybody, key=lambda place: _drawn(seed, place))
    steps = [step for i in range(1, n_neighbors // 2 + 1) for step in (i, -i)]
    steps += [n_hospitals // 2] * (n_neighbors % 2)
    found = dict[int, tuple[int, ...]]()
    for at, place in enumerate(order):
        others = (order[(at + step) % n_hospitals] for step in steps)
        found[place] = tuple(sorted((place, *others)))
    return tuple(found[place] for place in everybody)


def _drawn(seed: bytes, place: int) -> bytes:
    return hashlib.sha256(seed + place.to_bytes(8, "big")).digest()
