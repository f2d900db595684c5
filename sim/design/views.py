"""The view that secure aggregation leaves of updates: averages over groups, and nothing finer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from sim.errors import RefusedError
from sim.types import Members, Quantizing, Updates, View


def present(groups: Members, least: int, hospitals: Iterable[str]) -> Members:
    """The hospitals of each of ``groups`` whose updates are there.

    A group with fewer than ``least`` of them is left out.
    """
    there = set(hospitals)
    left: Iterable[tuple[str, ...]] = groups
    if not there.issuperset(chain.from_iterable(groups)):  # most often it is one
        left = [tuple(name for name in group if name in there) for group in groups]
    return tuple(group for group in left if len(group) >= least)


def averages(
    groups: Members,
    least: int,
    hospitals: Sequence[str],
    updates: Updates,
    counts: NDArray[np.float64],
    quantization: Quantizing | None = None,
) -> View:
    """The view of ``updates`` (n_hospitals, n_params): averages over groups of these ``hospitals``.

    With a ``quantization`` updates are in whole steps. Record counts are seen where a group is a
    single hospital. Raises ``RefusedError`` where no group has the ``least`` number of updates.
    """
    members = present(groups, least, hospitals)
    if not members:
        raise RefusedError(too_few(len(hospitals), least))
    if least == 1 and members == tuple((name,) for name in hospitals):
        return View(updates, members, counts)
    place = {name: i for i, name in enumerate(hospitals)}
    rows = np.empty((len(members), updates.shape[1]))
    for row, group in zip(rows, members, strict=True):
        own = updates if len(group) == len(place) else updates[[place[name] for name in group]]
        total = own.sum(axis=0, dtype=np.float64)
        n = len(group)
        row[:] = total / n if quantization is None else quantization.value(total, n)
    return View(rows, members)


def too_few(n_replies: int, least: int) -> str:
    """The reason why there is nothing to see of ``n_replies`` usable replies."""
    replies = "1 usable reply" if n_replies == 1 else f"{n_replies} usable replies"
    return f"{replies}: no group has the {least} that a sum needs"
