"""The ways in which the patients of one file are shared out to made-up hospitals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.datasets.table import Rows, deal
from sim.errors import InputError

DRAWS = 10_000
WAYS = ("equal", "size", "dirichlet")


def hospital_names(n_hospitals: int) -> list[str]:
    """Names of made-up hospitals, in order: ``hospital_1`` and so on."""
    width = len(str(n_hospitals))
    return [f"hospital_{place:0{width}d}" for place in range(1, n_hospitals + 1)]


def shared_out(
    way: str,
    labels: NDArray[np.float32],
    n_hospitals: int,
    alpha: float,
    min_rows: int,
    rng: np.random.Generator,
) -> Sequence[Rows]:
    """The row numbers of each hospital.

    ``equal``: sizes and classes differ by at most one. ``size``: classes alike, sizes drawn from a
    symmetric Dirichlet distribution with parameter ``alpha``. ``dirichlet``: each class shared out
    by proportions of its own. Raises ``InputError`` where hospitals have fewer than ``min_rows``.
    """
    if way == "equal":
        parts = deal(np.arange(len(labels)), labels, n_hospitals, rng)
        if min(map(len, parts)) < min_rows:
            expected = f"expected less for {n_hospitals} hospitals of {len(labels)} patients"
            raise InputError("min_rows", min_rows, expected)
        return parts
    return drawn(labels, n_hospitals, alpha, min_rows, rng, one=way == "size")


def drawn(
    labels: NDArray[np.float32],
    n_hospitals: int,
    alpha: float,
    min_rows: int,
    rng: np.random.Generator,
    *,
    one: bool = False,
) -> Sequence[Rows]:
    """Row numbers of each hospital by proportions drawn for each class, or for both (``one``).

    They are drawn anew until each hospital has ``min_rows`` patients. Raises ``InputError`` after
    10,000 draws.
    """
    classes = [rng.permutation(np.flatnonzero(labels == label)) for label in (1, 0)]
    possible = n_hospitals * min_rows <= len(labels)
    for _ in range(DRAWS if possible else 0):
        shares = [rng.dirichlet(np.full(n_hospitals, alpha)) for _ in range(1 if one else 2)]
        ends = np.array(
            [_ends(len(rows), shares[0 if one else at]) for at, rows in enumerate(classes)]
        )
        if np.diff(ends).sum(axis=0).min() >= min_rows:
            parts = [np.split(rows, end[1:-1]) for rows, end in zip(classes, ends, strict=True)]
            return [np.concatenate(part) for part in zip(*parts, strict=True)]
    expected = (
        f"expected less, for {n_hospitals} hospitals to get it of {len(labels)} patients at"
        f" alpha={alpha:g}"
    )
    raise InputError("min_rows", min_rows, expected)


def _ends(n_rows: int, shares: NDArray[np.float64]) -> NDArray[np.int64]:
    ends = n_rows * np.minimum(np.cumsum(shares), 1)
    return np.array([0, *np.rint(ends[:-1]), n_rows], dtype=np.int64)
